/* The update by SGD: against PyTorch's numbers, against its formula in double, and bit for bit
 * against the same operations one element at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/optim.h"
#include "mbt/rng.h"
#include "train/optim_golden.h"

enum { N_KINDS = MBT_PARAM_VAR + 1, UNIT = 16, TAIL = 16 };

/* One slice of each kind, of 3, 4, 5 ... units, so that lengths and offsets differ. */
typedef struct fixture {
    mbt_slice slices[N_KINDS];
    mbt_params params;
    mbt_config config;
    float *gradient, *weights, *momentum;
} fixture;

static float *draw(size_t n, uint64_t id)
{
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    mbt_rng rng = mbt_rng_at(1, MBT_PURPOSE_INIT, 0, id);
    for (size_t i = 0; i < n; i++)
        values[i] = mbt_rng_normal(&rng);
    return values;
}

static void step(const mbt_params *params, const mbt_config *config, double lr, float *gradient,
                 float *weights, float *momentum)
{
    const mbt_optim_blocks blocks = {gradient, weights, momentum, NULL};
    mbt_optim_step(params, config, lr, &blocks);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    size_t at = 0;
    for (int i = 0; i < N_KINDS; i++) {
        size_t stored = (size_t)(i + 3) * UNIT;
        f->slices[i] = (mbt_slice){.kind = (mbt_param_kind)i,
                                   .offset = at,
                                   .stored = stored,
                                   .trained = i != MBT_PARAM_MEAN && i != MBT_PARAM_VAR};
        at += stored;
    }
    f->params = (mbt_params){.slices = f->slices, .n_slices = N_KINDS, .n_floats = at};
    f->gradient = draw(at + TAIL, 1);
    f->weights = draw(at + TAIL, 2);
    f->momentum = draw(at + TAIL, 3);
    f->config.optimizer.momentum = 0.9;
    f->config.optimizer.weight_decay = 5e-2;
    f->config.train.bn_momentum = 0.1;
    f->config.optimizer.bn_decay = 0.5;
    f->config.optimizer.bias_decay = 2;
    f->config.optimizer.depthwise_decay = 0.25;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    free(f->gradient);
    free(f->weights);
    free(f->momentum);
    free(f);
    return 0;
}

static void test_pytorch_numbers(void **state)
{
    (void)state;
    for (size_t run = 0; run < sizeof golden_runs / sizeof *golden_runs; run++) {
        mbt_slice slice = {.kind = MBT_PARAM_CONV, .stored = UNIT, .trained = true};
        mbt_params params = {.slices = &slice, .n_slices = 1, .n_floats = UNIT};
        mbt_config config = {0};
        float gradient[UNIT] = {0}, weights[UNIT] = {0}, momentum[UNIT] = {0};
        config.optimizer.momentum = golden_runs[run].momentum;
        config.optimizer.weight_decay = golden_runs[run].decay;
        config.optimizer.nesterov = golden_runs[run].nesterov;
        memcpy(weights, golden_weights, sizeof golden_weights);
        for (int i_step = 0; i_step < GOLDEN_STEPS; i_step++) {
            memcpy(gradient, golden_gradients[i_step], sizeof golden_gradients[i_step]);
            step(&params, &config, golden_rates[i_step], gradient, weights, momentum);
            for (int i = 0; i < GOLDEN_N; i++) {
                double want = (double)golden_runs[run].weights[i_step][i];
                assert_true(fabs((double)weights[i] - want) < 5e-7 * fmax(1, fabs(want)));
            }
            for (int i = GOLDEN_N; i < UNIT; i++) /* padding */
                assert_true(weights[i] == 0.0f && momentum[i] == 0.0f);
        }
        for (int i = 0; i < GOLDEN_N && golden_runs[run].momentum > 0; i++) {
            double want = (double)golden_runs[run].velocity[i];
            assert_true(fabs((double)momentum[i] - want) < 5e-7 * fmax(1, fabs(want)));
        }
    }
}

/* Which kinds decay, and how much, is written out again here. */
static double wanted_decay(mbt_param_kind kind, unsigned no_decay)
{
    switch (kind) {
    case MBT_PARAM_CONV:
    case MBT_PARAM_LINEAR:
        return 5e-2;
    case MBT_PARAM_DEPTHWISE:
        return no_decay & MBT_NO_DECAY_DEPTHWISE ? 0 : 5e-2 * 0.25;
    case MBT_PARAM_BIAS:
        return no_decay & MBT_NO_DECAY_BIAS ? 0 : 5e-2 * 2;
    case MBT_PARAM_GAMMA:
    case MBT_PARAM_BETA:
        return no_decay & MBT_NO_DECAY_BN ? 0 : 5e-2 * 0.5;
    default:
        return 0;
    }
}

static void test_formula_in_double(void **state)
{
    fixture *f = *state;
    size_t n = f->params.n_floats;
    const double lr = 0.3, mu = 0.9, m = 0.1;
    for (unsigned no_decay = 0; no_decay < 8; no_decay++) {
        for (int nesterov = 0; nesterov < 2; nesterov++) {
            float *w = malloc((n + TAIL) * sizeof *w);
            float *v = malloc((n + TAIL) * sizeof *v);
            assert_true(w && v);
            memcpy(w, f->weights, (n + TAIL) * sizeof *w);
            memcpy(v, f->momentum, (n + TAIL) * sizeof *v);
            f->config.optimizer.no_decay = no_decay;
            f->config.optimizer.nesterov = nesterov;
            step(&f->params, &f->config, lr, f->gradient, w, v);
            for (int s = 0; s < N_KINDS; s++) {
                double decay = wanted_decay(f->slices[s].kind, no_decay);
                assert_true(mbt_optim_decay(&f->slices[s], &f->config) == decay);
                for (size_t j = 0; j < f->slices[s].stored; j++) {
                    size_t i = f->slices[s].offset + j;
                    double g = (double)f->gradient[i], w0 = (double)f->weights[i];
                    double v0 = (double)f->momentum[i];
                    if (!f->slices[s].trained) {
                        assert_true(fabs((double)w[i] - ((1 - m) * w0 + m * g)) < 1e-6);
                        assert_true(v[i] == f->momentum[i]);
                        continue;
                    }
                    double d = g + decay * w0;
                    double v1 = mu * v0 + d;
                    assert_true(fabs((double)v[i] - v1) < 2e-6);
                    assert_true(fabs((double)w[i] - (w0 - lr * (nesterov ? d + mu * v1 : v1))) <
                                2e-6);
                }
            }
            assert_memory_equal(w + n, f->weights + n, TAIL * sizeof *w);
            assert_memory_equal(v + n, f->momentum + n, TAIL * sizeof *v);
            free(w);
            free(v);
        }
    }
}

/* Every operation rounded to float by itself: volatile keeps the compiler from fusing any. */
static void one_element(const mbt_config *config, double decay, float lr, float g, float *w,
                        float *v)
{
    volatile float mu = (float)config->optimizer.momentum;
    volatile float a = (float)decay;
    a = a * *w;
    volatile float d = g + a;
    volatile float b = mu * *v;
    b = b + d;
    *v = b;
    volatile float c = mu * b;
    c = config->optimizer.nesterov ? d + c : b;
    c = lr * c;
    *w = *w - c;
}

static void test_bits(void **state)
{
    fixture *f = *state;
    size_t n = f->params.n_floats;
    for (int nesterov = 0; nesterov < 2; nesterov++) {
        float *w = draw(n, 5), *v = draw(n, 6), *w_want = draw(n, 5), *v_want = draw(n, 6);
        f->config.optimizer.nesterov = nesterov;
        f->config.optimizer.no_decay = MBT_NO_DECAY_BN;
        for (int i_step = 0; i_step < 5; i_step++) {
            double lr = 0.1 / (i_step + 3);
            step(&f->params, &f->config, lr, f->gradient, w, v);
            for (int s = 0; s < N_KINDS; s++) {
                for (size_t j = 0; f->slices[s].trained && j < f->slices[s].stored; j++) {
                    size_t i = f->slices[s].offset + j;
                    one_element(&f->config, wanted_decay(f->slices[s].kind, MBT_NO_DECAY_BN),
                                (float)lr, f->gradient[i], &w_want[i], &v_want[i]);
                }
            }
        }
        size_t trained = f->slices[MBT_PARAM_MEAN].offset;
        assert_memory_equal(w, w_want, trained * sizeof *w);
        assert_memory_equal(v, v_want, trained * sizeof *v);
        free(w);
        free(v);
        free(w_want);
        free(v_want);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_pytorch_numbers),
        TEST(test_formula_in_double),
        TEST(test_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
