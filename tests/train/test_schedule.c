/* The learning rate against closed forms: each kind, the warm-up, the two recipes of networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "mbt/schedule.h"

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("got %.17g, wanted %.17g", got, want);
}

static mbt_config plain(mbt_schedule_kind kind, double lr)
{
    mbt_config config = {0};
    config.schedule.kind = kind;
    config.schedule.lr = lr;
    return config;
}

/* The short recipe: PyTorch runs of it step by
 *   lr = peak * (0.1 + 0.9 * step / warm if step < warm else (total - step) / (total - warm)) */
static void test_warmup_and_linear_as_in_pytorch(void **state)
{
    (void)state;
    mbt_config config = plain(MBT_SCHEDULE_LINEAR, 0.25);
    config.schedule.warmup = 0.12;
    config.schedule.warmup_start = 0.1;
    const int steps = 390, total = steps * 5;
    const double warm = 0.12 * steps * 5;
    for (int step = 0; step < total; step++) {
        double want =
            0.25 * (step < warm ? 0.1 + 0.9 * step / warm : (total - step) / (total - warm));
        near(mbt_schedule_lr(&config, step, steps, total), want, 1e-16);
    }
    near(mbt_schedule_lr(&config, 0, steps, total), 0.025, 1e-17);
    near(mbt_schedule_lr(&config, 234, steps, total), 0.25, 1e-16);
    near(mbt_schedule_lr(&config, total, steps, total), 0, 0);
    near(mbt_schedule_lr(&config, total + 7, steps, total), 0, 0);
}

static void test_final_lr(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        mbt_config config = plain(i ? MBT_SCHEDULE_COSINE : MBT_SCHEDULE_LINEAR, 0.5);
        config.schedule.final_lr = 0.1;
        config.schedule.warmup = 0.5;
        near(mbt_schedule_lr(&config, 0, 10, 100), 0, 0);
        near(mbt_schedule_lr(&config, 25, 10, 100), 0.25, 1e-16);
        near(mbt_schedule_lr(&config, 50, 10, 100), 0.5, 1e-16);
        near(mbt_schedule_lr(&config, 75, 10, 100), 0.3, 1e-15);
        near(mbt_schedule_lr(&config, 100, 10, 100), 0.1, 1e-16);
    }
}

static void test_cosine(void **state)
{
    (void)state;
    const double pi = 3.14159265358979323846;
    mbt_config config = plain(MBT_SCHEDULE_COSINE, 0.4);
    double before = 1;
    for (int step = 0; step < 5000; step++) {
        double got = mbt_schedule_lr(&config, step, 100, 5000);
        near(got, 0.4 * 0.5 * (1 + cos(pi * step / 5000)), 1e-15);
        assert_true(got > 0 && got < before);
        before = got;
    }
}

/* The seed project: 0.1 * 0.98^epoch, by whole epochs. */
static void test_exponential(void **state)
{
    (void)state;
    mbt_config config = plain(MBT_SCHEDULE_EXPONENTIAL, 0.1);
    config.schedule.gamma = 0.98;
    const int steps = 321;
    for (int epoch = 0; epoch < 800; epoch++) {
        double want = 0.1 * pow(0.98, epoch);
        near(mbt_schedule_lr(&config, (int64_t)epoch * steps, steps, 800 * steps), want,
             want * 1e-12);
        assert_true(mbt_schedule_lr(&config, (int64_t)epoch * steps, steps, 800 * steps) ==
                    mbt_schedule_lr(&config, (int64_t)(epoch + 1) * steps - 1, steps, 800 * steps));
    }
    near(mbt_schedule_lr(&config, 2 * steps, steps, 800 * steps), 0.09604, 1e-16);
}

/* The papers: x0.1 at epochs 200, 300, 350. */
static void test_milestones(void **state)
{
    (void)state;
    mbt_config config = plain(MBT_SCHEDULE_STEP, 0.1);
    config.schedule.gamma = 0.1;
    config.schedule.milestones = (mbt_config_list){3, {200, 300, 350}};
    static const struct {
        int epoch;
        double want;
    } points[] = {{0, 0.1},    {199, 0.1},  {200, 0.01}, {299, 0.01},
                  {300, 1e-3}, {349, 1e-3}, {350, 1e-4}, {399, 1e-4}};
    const int steps = 782;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        for (int within = 0; within < steps; within += steps - 1)
            near(mbt_schedule_lr(&config, (int64_t)points[i].epoch * steps + within, steps,
                                 400 * steps),
                 points[i].want, 1e-17);
    config.schedule.milestones.count = 0;
    near(mbt_schedule_lr(&config, 399 * steps, steps, 400 * steps), 0.1, 0);
}

/* The warm-up precedes every kind; epochs count from the run's first step, not from its end. */
static void test_warmup_with_epoch_rules(void **state)
{
    (void)state;
    static const mbt_schedule_kind kinds[] = {MBT_SCHEDULE_CONSTANT, MBT_SCHEDULE_STEP,
                                              MBT_SCHEDULE_EXPONENTIAL};
    static const double after[] = {0.2, 0.05, 0.2 * 0.0625}; /* at epoch 4 */
    for (int i = 0; i < 3; i++) {
        mbt_config config = plain(kinds[i], 0.2);
        config.schedule.gamma = 0.5;
        config.schedule.milestones = (mbt_config_list){2, {3, 4}};
        config.schedule.warmup = 0.1;
        config.schedule.warmup_start = 0.5;
        near(mbt_schedule_lr(&config, 0, 10, 100), 0.1, 1e-17);
        near(mbt_schedule_lr(&config, 5, 10, 100), 0.15, 1e-16);
        near(mbt_schedule_lr(&config, 40, 10, 100), after[i], 1e-16);
    }
}

static void test_no_warmup_and_single_step(void **state)
{
    (void)state;
    mbt_config config = plain(MBT_SCHEDULE_LINEAR, 0.3);
    near(mbt_schedule_lr(&config, 0, 1, 1), 0.3, 0);
    config.schedule.kind = MBT_SCHEDULE_COSINE;
    near(mbt_schedule_lr(&config, 0, 1, 1), 0.3, 0);
    config.schedule.warmup = 1; /* nothing is left after it: must not divide by zero */
    near(mbt_schedule_lr(&config, 1, 1, 1), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warmup_and_linear_as_in_pytorch),
        cmocka_unit_test(test_final_lr),
        cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_exponential),
        cmocka_unit_test(test_milestones),
        cmocka_unit_test(test_warmup_with_epoch_rules),
        cmocka_unit_test(test_no_warmup_and_single_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
