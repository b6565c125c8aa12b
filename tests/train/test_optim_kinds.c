/* RMSprop, LARS and clipping: against PyTorch's numbers, and what each of them leaves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/optim.h"
#include "mbt/rng.h"
#include "train/optim_golden.h"

enum { UNIT = 16 };

/* One tensor of PyTorch's few values, the rest of the unit is padding. */
typedef struct tensor {
    mbt_slice slice;
    mbt_params params;
    mbt_config config;
    float gradient[UNIT], weights[UNIT], momentum[UNIT], square[UNIT];
} tensor;

static void begin(tensor *t, mbt_optimizer_kind kind)
{
    *t = (tensor){.slice = {.kind = MBT_PARAM_CONV, .rank = 4, .stored = UNIT, .trained = true}};
    t->params = (mbt_params){.slices = &t->slice, .n_slices = 1, .n_floats = UNIT};
    mbt_config_defaults(&t->config);
    t->config.optimizer.kind = kind;
    t->config.optimizer.nesterov = false;
    memcpy(t->weights, golden_weights, sizeof golden_weights);
    for (int i = 0; i < UNIT; i++)
        t->square[i] = 1;
}

static void step(tensor *t, double lr, const float *gradient)
{
    const mbt_optim_blocks blocks = {t->gradient, t->weights, t->momentum, t->square};
    memcpy(t->gradient, gradient, GOLDEN_N * sizeof *gradient);
    mbt_optim_step(&t->params, &t->config, lr, &blocks);
    for (int i = GOLDEN_N; i < UNIT; i++) /* padding */
        assert_true(t->weights[i] == 0.0f && t->momentum[i] == 0.0f);
}

static void check(const float *got, const float *wanted)
{
    for (int i = 0; i < GOLDEN_N; i++) {
        const double want = (double)wanted[i];
        assert_true(fabs((double)got[i] - want) < 1e-6 * fmax(1, fabs(want)));
    }
}

static void rmsprop_is_tensorflows(void **state)
{
    (void)state;
    for (size_t run = 0; run < sizeof golden_rmsprop / sizeof *golden_rmsprop; run++) {
        tensor t;
        begin(&t, MBT_OPTIMIZER_RMSPROP);
        t.config.optimizer.rms_decay = golden_rmsprop[run].rho;
        t.config.optimizer.rms_eps = golden_rmsprop[run].eps;
        t.config.optimizer.momentum = golden_rmsprop[run].momentum;
        t.config.optimizer.weight_decay = golden_rmsprop[run].decay;
        for (int i = 0; i < GOLDEN_STEPS; i++) {
            const double rate = golden_rmsprop[run].rate;
            step(&t, rate > 0 ? rate : golden_rates[i], golden_gradients[i]);
            check(t.weights, golden_rmsprop[run].weights[i]);
        }
    }
}

static void lars_is_the_papers(void **state)
{
    (void)state;
    for (size_t run = 0; run < sizeof golden_lars / sizeof *golden_lars; run++) {
        tensor t;
        begin(&t, MBT_OPTIMIZER_LARS);
        t.config.optimizer.trust = golden_lars[run].trust;
        t.config.optimizer.momentum = golden_lars[run].momentum;
        t.config.optimizer.weight_decay = golden_lars[run].decay;
        for (int i = 0; i < GOLDEN_STEPS; i++) {
            step(&t, golden_rates[i], golden_gradients[i]);
            check(t.weights, golden_lars[run].weights[i]);
        }
    }
}

/* Tensors of one dimension and depthwise ones, and norms of 0, go by SGD, bit for bit. */
static void lars_leaves_some_to_sgd(void **state)
{
    (void)state;
    const struct {
        mbt_param_kind kind;
        int rank;
        float scale; /* of the weights */
    } cases[] = {{MBT_PARAM_DEPTHWISE, 4, 1},
                 {MBT_PARAM_GAMMA, 1, 1},
                 {MBT_PARAM_BETA, 1, 1},
                 {MBT_PARAM_BIAS, 1, 1},
                 {MBT_PARAM_CONV, 4, 0}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        tensor lars, sgd;
        begin(&lars, MBT_OPTIMIZER_LARS);
        begin(&sgd, MBT_OPTIMIZER_SGD);
        for (int i = 0; i < UNIT; i++) {
            lars.weights[i] *= cases[c].scale;
            sgd.weights[i] *= cases[c].scale;
        }
        lars.slice.kind = sgd.slice.kind = cases[c].kind;
        lars.slice.rank = sgd.slice.rank = cases[c].rank;
        lars.config.optimizer.nesterov = sgd.config.optimizer.nesterov = true;
        step(&lars, 0.25, golden_gradients[0]);
        step(&sgd, 0.25, golden_gradients[0]);
        assert_memory_equal(lars.weights, sgd.weights, sizeof sgd.weights);
        assert_memory_equal(lars.momentum, sgd.momentum, sizeof sgd.momentum);
    }
    tensor still; /* nothing to follow: no step, and no division by nothing */
    const float zeros[GOLDEN_N] = {0};
    begin(&still, MBT_OPTIMIZER_LARS);
    still.config.optimizer.weight_decay = 0;
    step(&still, 0.25, zeros);
    assert_memory_equal(still.weights, golden_weights, sizeof golden_weights);
}

static void clipping_is_pytorchs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_clip / sizeof *golden_clip; i++) {
        tensor t;
        begin(&t, MBT_OPTIMIZER_SGD);
        t.config.optimizer.clip_norm = golden_clip[i].limit;
        memcpy(t.gradient, golden_gradients[2], sizeof golden_gradients[2]);
        const double norm = mbt_optim_clip(&t.params, &t.config, t.gradient);
        assert_true(fabs(norm - golden_clip[i].norm) < 1e-9 * norm);
        check(t.gradient, golden_clip[i].gradient);
        if (golden_clip[i].limit > norm)
            assert_memory_equal(t.gradient, golden_gradients[2], sizeof golden_gradients[2]);
    }
    tensor off;
    begin(&off, MBT_OPTIMIZER_SGD);
    off.gradient[0] = 1e30f;
    assert_true(mbt_optim_clip(&off.params, &off.config, off.gradient) == 0);
    assert_true(off.gradient[0] == 1e30f);
}

/* The norm is over all trained tensors at once, long ones too; statistics take no part. */
static void the_norm_is_global(void **state)
{
    (void)state;
    enum { LONG = 3 * 4096 + 48, ALL = LONG + 2 * UNIT };
    mbt_slice slices[] = {
        {.kind = MBT_PARAM_CONV, .offset = 0, .stored = LONG, .trained = true},
        {.kind = MBT_PARAM_MEAN, .offset = LONG, .stored = UNIT},
        {.kind = MBT_PARAM_BETA, .offset = LONG + UNIT, .stored = UNIT, .trained = true}};
    const mbt_params params = {.slices = slices, .n_slices = 3, .n_floats = ALL};
    static float gradient[ALL], before[ALL];
    mbt_config config;
    mbt_rng rng = mbt_rng_at(1, MBT_PURPOSE_INIT, 0, 0);
    long double sum = 0;
    mbt_config_defaults(&config);
    config.optimizer.clip_norm = 5;
    for (int i = 0; i < ALL; i++) {
        gradient[i] = before[i] = 3 * mbt_rng_normal(&rng);
        if (i < LONG || i >= LONG + UNIT)
            sum += (long double)gradient[i] * (long double)gradient[i];
    }
    const double want = (double)sqrtl(sum);
    const double norm = mbt_optim_clip(&params, &config, gradient);
    assert_true(fabs(norm - want) < 1e-13 * want);
    for (int i = 0; i < ALL; i++) {
        const bool kept = i >= LONG && i < LONG + UNIT;
        assert_true(gradient[i] == (kept ? before[i] : before[i] * (float)(5 / norm)));
    }
    assert_true(fabs(mbt_optim_clip(&params, &config, gradient) - 5) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rmsprop_is_tensorflows),  cmocka_unit_test(lars_is_the_papers),
        cmocka_unit_test(lars_leaves_some_to_sgd), cmocka_unit_test(clipping_is_pytorchs),
        cmocka_unit_test(the_norm_is_global),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
