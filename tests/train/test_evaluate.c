/* Held-out counts against sums over single images: as they are, and the mean of both mirror images.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "mbt/trainer.h"
#include "train/small_setup.h"

enum { PLANE = SMALL_SIDE * SMALL_SIDE };

/* Logits of one test image, mirrored or not, through the evaluator. */
static void logits_of(small_setup *s, int image, bool mirrored, double logits[SMALL_CLASSES])
{
    mbt_plan *plan = s->setup.evaluator;
    float *input = mbt_exec_input(plan);
    for (int i = 0; i < 3 * PLANE; i++) {
        const int y = i % PLANE / SMALL_SIDE, x = i % SMALL_SIDE;
        input[i] = (float)small_setup_pixel(s, SMALL_TRAIN + image, i / PLANE, y,
                                            mirrored ? SMALL_SIDE - 1 - x : x);
    }
    mbt_exec_evaluate(plan, 1);
    for (int k = 0; k < SMALL_CLASSES; k++) {
        logits[k] = (double)mbt_exec_output(plan)[k];
    }
}

struct sums {
    double loss;
    int top1;
};

static void add(struct sums *sums, const double *logits, int label)
{
    double sum = 0;
    int best = 0;
    for (int k = 0; k < SMALL_CLASSES; k++) {
        sum += exp(logits[k]);
        best = logits[k] > logits[best] ? k : best;
    }
    sums->loss += log(sum) - logits[label];
    sums->top1 += best == label;
}

static void check(const mbt_counts *got, const struct sums *want)
{
    assert_int_equal(got->samples, SMALL_TEST);
    assert_int_equal(got->top1, want->top1);
    assert_int_equal(got->top5, SMALL_TEST);
    const double mean = want->loss / SMALL_TEST;
    if (fabs(mbt_counts_mean_loss(got) - mean) > 1e-4 * (1 + mean)) {
        fail_msg("mean loss %g, wanted %g", mbt_counts_mean_loss(got), mean);
    }
}

static void counts_are_sums_over_images(void **state)
{
    (void)state;
    small_setup s;
    mbt_error err = {0};
    mbt_counts plain, again, mirrored;
    struct sums one = {0}, both = {0};
    small_setup_make(&s, NULL);
    mbt_plan *plan = s.setup.plan;
    const mbt_slice *head = mbt_params_find(&plan->params, "classifier.weight");
    assert_non_null(head);
    for (size_t i = 0; i < head->stored; i++) { /* logits that differ */
        plan->weights[head->offset + i] *= 300;
    }
    assert_int_equal(mbt_evaluate(&s.setup, plan->weights, &s.setup.dataset.test, NULL, SMALL_TEST,
                                  0, &plain, NULL, &err),
                     MBT_OK);
    assert_int_equal(mbt_evaluate(&s.setup, NULL, &s.setup.dataset.test, NULL, SMALL_TEST, 0,
                                  &again, &mirrored, &err),
                     MBT_OK);
    assert_memory_equal(&plain, &again, sizeof plain);
    for (int i = 0; i < SMALL_TEST; i++) {
        double here[SMALL_CLASSES], there[SMALL_CLASSES];
        logits_of(&s, i, false, here);
        logits_of(&s, i, true, there);
        add(&one, here, s.labels[SMALL_TRAIN + i]);
        for (int k = 0; k < SMALL_CLASSES; k++) {
            here[k] = (here[k] + there[k]) / 2;
        }
        add(&both, here, s.labels[SMALL_TRAIN + i]);
    }
    assert_int_equal(small_setup_beats, 0);
    s.setup.run = (mbt_run *)(void *)&s; /* no more than handed on */
    assert_int_equal(mbt_evaluate(&s.setup, NULL, &s.setup.dataset.test, NULL, SMALL_TEST, 0,
                                  &again, NULL, &err),
                     MBT_OK);
    s.setup.run = NULL;
    assert_int_equal(small_setup_beats, (SMALL_TEST + s.setup.group - 1) / s.setup.group);
    check(&plain, &one);
    check(&mirrored, &both);
    assert_true(fabs(one.loss - both.loss) > 1e-3); /* the views do differ */
    small_setup_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_are_sums_over_images)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
