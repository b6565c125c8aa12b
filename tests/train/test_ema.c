/* The averaged weights: the recursion against its formula and bit for bit, and batch norm's
 * statistics against a naive convolution and against what the groups themselves were normalised by.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/ema.h"
#include "mbt/exec.h"
#include "train/small_setup.h"

static void begins_where_the_configuration_says(void **state)
{
    (void)state;
    mbt_config config;
    mbt_config_defaults(&config);
    assert_true(mbt_ema_start(&config, 1000) == INT64_MAX);
    config.ema.decay = 0.99;
    config.ema.start = 0.25;
    assert_int_equal(mbt_ema_start(&config, 1000), 250);
    config.ema.start = 0;
    assert_int_equal(mbt_ema_start(&config, 1000), 0);
}

static void follows_the_weights(void **state)
{
    (void)state;
    enum { N = 64, STEPS = 200 };
    mbt_config config;
    mbt_config_defaults(&config);
    config.ema.decay = 0.97;
    float weights[N], average[N];
    double wanted[N];
    for (int i = 0; i < N; i++) {
        average[i] = 1e30f; /* what was there before the first step is of no account */
    }
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < N; i++) {
            weights[i] = (float)sin(i + 0.1 * step);
            wanted[i] =
                step == 0 ? (double)weights[i] : 0.97 * wanted[i] + 0.03 * (double)weights[i];
        }
        float before[N];
        memcpy(before, average, sizeof before);
        mbt_ema_step(&config, step == 0, N, weights, average);
        for (int i = 0; i < N && step > 0; i++) { /* each operation rounded by itself */
            volatile float take = (float)(1.0 - 0.97), d = weights[i] - before[i];
            d = take * d;
            d = before[i] + d;
            assert_true(average[i] == d);
        }
    }
    for (int i = 0; i < N; i++) {
        assert_true(fabs((double)average[i] - wanted[i]) < 1e-5);
    }
    for (int i = 0; i < N; i++) { /* weights that stay where they are: so does the average */
        average[i] = weights[i];
    }
    mbt_ema_step(&config, false, N, weights, average);
    assert_memory_equal(average, weights, sizeof weights);
}

struct fixture {
    small_setup small;
    mbt_bucket *bucket;
    float *average;
};

static void open_fixture(struct fixture *f, int64_t bn_samples)
{
    mbt_config config;
    mbt_error err = {0};
    mbt_config_defaults(&config);
    config.ema.decay = 0.9;
    config.ema.bn_samples = bn_samples;
    small_setup_make(&f->small, &config);
    mbt_setup *setup = &f->small.setup;
    assert_int_equal(mbt_bucket_create(setup, &f->bucket, &err), MBT_OK);
    f->average = mbt_ema_block(setup->plan->params.n_floats);
    assert_non_null(f->average);
    memcpy(f->average, setup->plan->weights, setup->plan->params.n_floats * sizeof(float));
    /* averaged weights that are not the plan's */
    const mbt_slice *stem = mbt_params_find(&setup->plan->params, "stem.conv.weight");
    assert_non_null(stem);
    for (size_t i = 0; i < stem->stored; i++) {
        f->average[stem->offset + i] *= 1.5f;
    }
}

static void close_fixture(struct fixture *f)
{
    mbt_bucket_destroy(f->bucket);
    free(f->average);
    small_setup_clear(&f->small);
}

static void find_statistics(struct fixture *f)
{
    mbt_setup *setup = &f->small.setup;
    const size_t n = setup->plan->params.n_floats;
    mbt_error err = {0};
    float *weights = setup->plan->weights;
    float *kept = malloc(n * sizeof *kept), *before = malloc(n * sizeof *before);
    assert_true(kept && before);
    memcpy(kept, weights, n * sizeof *kept);
    memcpy(before, f->average, n * sizeof *before);
    small_setup_beats = 0;
    setup->run = (mbt_run *)(void *)f; /* no more than handed on */
    assert_int_equal(mbt_ema_statistics(setup, f->bucket, f->average, &err), MBT_OK);
    setup->run = NULL;
    assert_true(small_setup_beats > 0);
    assert_ptr_equal(setup->plan->weights, weights);
    assert_memory_equal(weights, kept, n * sizeof *kept);
    for (int i = 0; i < setup->plan->params.n_slices; i++) {
        const mbt_slice *s = &setup->plan->params.slices[i];
        const int changed =
            memcmp(f->average + s->offset, before + s->offset, s->stored * sizeof *before) != 0;
        assert_int_equal(changed, !s->trained);
    }
    free(kept);
    free(before);
}

/* Mean and unbiased variance of the stem's convolution over the n images first, first + stride ...
 */
static void stem_moments(const struct fixture *f, const float *weights, int channel, int first,
                         int stride, int n, double *mean, double *var)
{
    double sum = 0, squares = 0, count = (double)n * SMALL_SIDE * SMALL_SIDE;
    for (int image = 0; image < n; image++) {
        for (int y = 0; y < SMALL_SIDE; y++) {
            for (int x = 0; x < SMALL_SIDE; x++) {
                double v = 0;
                for (int t = 0; t < 27; t++) {
                    const int c = t / 9, sy = y + t % 9 / 3 - 1, sx = x + t % 3 - 1;
                    if (sy >= 0 && sy < SMALL_SIDE && sx >= 0 && sx < SMALL_SIDE) {
                        v += (double)weights[channel * 27 + t] *
                             small_setup_pixel(&f->small, first + image * stride, c, sy, sx);
                    }
                }
                sum += v;
                squares += v * v;
            }
        }
    }
    *mean = sum / count;
    *var = (squares - sum * *mean) / (count - 1);
}

/* k groups of 8; id of image i of group g: (i*k + g) * spacing. */
static void check_stem(const struct fixture *f, int k, int spacing)
{
    const mbt_params *params = &f->small.setup.plan->params;
    const mbt_slice *weight = mbt_params_find(params, "stem.conv.weight");
    const mbt_slice *mean = mbt_params_find(params, "stem.bn.running_mean");
    const mbt_slice *var = mbt_params_find(params, "stem.bn.running_var");
    float w[64 * 27], got_mean[64], got_var[64];
    assert_true(weight && mean && var && weight->count <= sizeof w / sizeof w[0]);
    mbt_slice_unpack(weight, f->average, w);
    mbt_slice_unpack(mean, f->average, got_mean);
    mbt_slice_unpack(var, f->average, got_var);
    for (int c = 0; c < weight->dims[0]; c++) {
        double want_mean = 0, want_var = 0;
        for (int g = 0; g < k; g++) {
            double m, v;
            stem_moments(f, w, c, g * spacing, k * spacing, 8, &m, &v);
            want_mean += m / k;
            want_var += v / k;
        }
        assert_true(fabs((double)got_mean[c] - want_mean) < 1e-4 * sqrt(want_var));
        assert_true(fabs((double)got_var[c] - want_var) < 1e-4 * want_var);
    }
}

static void statistics_of_the_first_layer(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 8); /* one group, of every third image */
    find_statistics(&f);
    check_stem(&f, 1, 3);
    close_fixture(&f);
    open_fixture(&f, 5000); /* more than there are: all, each group from the whole split */
    find_statistics(&f);
    check_stem(&f, 3, 1);
    close_fixture(&f);
}

/* How far evaluating the group in the plan's input is from what training made of it, of its size.
 */
static double distance(mbt_plan *plan, const float *wanted, size_t floats)
{
    double difference = 0, size = 0;
    mbt_exec_evaluate(plan, 8);
    for (size_t i = 0; i < floats; i++) {
        const double d = (double)mbt_exec_output(plan)[i] - (double)wanted[i];
        difference += d * d;
        size += (double)wanted[i] * (double)wanted[i];
    }
    return difference / size;
}

/* All layers: where the statistics come from one group, evaluating that group is what training
 * makes of it, once unbiased variances are made biased again. */
static void statistics_of_all_layers(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 8);
    mbt_plan *plan = f.small.setup.plan;
    const size_t floats = (size_t)mbt_layout_stored(&plan->values[plan->output].layout) * 8;
    float *wanted = malloc(floats * sizeof *wanted);
    assert_non_null(wanted);
    find_statistics(&f); /* leaves its one group in the plan's input */
    float *weights = plan->weights;
    memcpy(weights, f.average, plan->params.n_floats * sizeof *weights);
    mbt_exec_prepare(plan);
    mbt_exec_forward(plan, 8, NULL);
    memcpy(wanted, mbt_exec_output(plan), floats * sizeof *wanted);
    const double unbiased = distance(plan, wanted, floats);
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *segment = &plan->segments[i];
        const double count = 8.0 * segment->conv.out.h * segment->conv.out.w;
        if (segment->norm >= 0) {
            const mbt_slice *var = &plan->params.slices[plan->norms[segment->norm].var_slice];
            for (size_t j = 0; j < var->stored; j++) {
                weights[var->offset + j] *= (float)((count - 1) / count);
            }
        }
    }
    assert_true(distance(plan, wanted, floats) < 1e-6);
    assert_true(unbiased > 1e-4); /* the difference that was made good */
    free(wanted);
    close_fixture(&f);
}

static void what_is_not_finite_ends_the_run(void **state)
{
    (void)state;
    struct fixture f;
    mbt_error err = {0};
    open_fixture(&f, 24);
    f.average[mbt_params_find(&f.small.setup.plan->params, "stem.conv.weight")->offset] = INFINITY;
    assert_int_equal(mbt_ema_statistics(&f.small.setup, f.bucket, f.average, &err), MBT_DIVERGED);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_where_the_configuration_says),
        cmocka_unit_test(follows_the_weights),
        cmocka_unit_test(statistics_of_the_first_layer),
        cmocka_unit_test(statistics_of_all_layers),
        cmocka_unit_test(what_is_not_finite_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
