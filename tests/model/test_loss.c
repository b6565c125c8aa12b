/* Loss: against the formula in long double, its gradient by central differences, what counts as
 * right when logits tie, and what a logit that is not finite does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "mbt/loss.h"
#include "mbt/rng.h"

enum { N = 5, CLASSES_MAX = 100, STRIDE_MAX = 112 };

struct batch {
    int n_classes, stride;
    float logits[N * STRIDE_MAX];
    int32_t labels[N];
};

static struct batch draw(int n_classes, int stride, double spread)
{
    struct batch b = {.n_classes = n_classes, .stride = stride};
    mbt_rng rng = mbt_rng_at(1, MBT_PURPOSE_SYNTH, 0, (uint64_t)n_classes);
    for (int i = 0; i < N; i++) {
        b.labels[i] = (int32_t)mbt_rng_below(&rng, (uint32_t)n_classes);
        for (int k = 0; k < stride; k++) { /* what lies behind the classes must not count */
            b.logits[i * stride + k] = k < n_classes ? (float)spread * mbt_rng_normal(&rng) : 1e30f;
        }
    }
    return b;
}

/* -sum t_k log(exp(x_k) / sum exp(x)) written down as it stands; logits as long doubles. */
static long double formula(const long double *x, int n_classes, int label, double smoothing)
{
    long double sum = 0, loss = 0;
    for (int k = 0; k < n_classes; k++) {
        sum += expl(x[k]);
    }
    for (int k = 0; k < n_classes; k++) {
        const long double t =
            (k == label ? 1 - (long double)smoothing : 0) + (long double)smoothing / n_classes;
        loss -= t * logl(expl(x[k]) / sum);
    }
    return loss;
}

static const struct {
    int n_classes, stride;
    double spread, smoothing, scale;
} cases[] = {
    {10, 16, 1, 0, 1},   {10, 16, 1, 0.1, 0.25}, {100, 112, 3, 0.1, 1.0 / 256},
    {2, 8, 0.1, 0.3, 1}, {10, 10, 10, 0, 1},     {100, 104, 0.01, 1, 2},
    {1, 16, 1, 0.1, 1},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static void loss_is_the_formula(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        const struct batch b = draw(cases[i].n_classes, cases[i].stride, cases[i].spread);
        long double want = 0;
        for (int s = 0; s < N; s++) {
            long double x[CLASSES_MAX];
            for (int k = 0; k < b.n_classes; k++) {
                x[k] = b.logits[s * b.stride + k];
            }
            want += formula(x, b.n_classes, b.labels[s], cases[i].smoothing);
        }
        mbt_loss_sums sums;
        mbt_loss_softmax(b.logits, N, b.stride, b.n_classes, b.labels, cases[i].smoothing, 1, NULL,
                         &sums);
        assert_true(fabsl(sums.loss - want) <= 1e-12L * (1 + fabsl(want)));
    }
}

/* Central differences of the formula; padding of the gradient is zero. */
static void gradient_is_the_slope(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        const struct batch b = draw(cases[i].n_classes, cases[i].stride, cases[i].spread);
        float gradient[N * STRIDE_MAX + 1];
        memset(gradient, 0xff, sizeof gradient);
        mbt_loss_sums sums;
        mbt_loss_softmax(b.logits, N, b.stride, b.n_classes, b.labels, cases[i].smoothing,
                         cases[i].scale, gradient, &sums);
        for (int s = 0; s < N; s++) {
            long double x[CLASSES_MAX];
            for (int k = 0; k < b.n_classes; k++) {
                x[k] = b.logits[s * b.stride + k];
            }
            for (int k = 0; k < b.stride; k++) {
                const float got = gradient[s * b.stride + k];
                if (k >= b.n_classes) {
                    assert_true(got == 0.0f);
                    continue;
                }
                const long double h = 1e-5L, middle = x[k];
                x[k] = middle + h;
                const long double above = formula(x, b.n_classes, b.labels[s], cases[i].smoothing);
                x[k] = middle - h;
                const long double below = formula(x, b.n_classes, b.labels[s], cases[i].smoothing);
                x[k] = middle;
                const long double want = (above - below) / (2 * h) * cases[i].scale;
                assert_true(fabsl(got - want) <= 1e-7L * cases[i].scale);
            }
        }
        assert_true(isnan(gradient[N * b.stride])); /* nothing behind the last row */
    }
}

static void gradient_may_take_the_place_of_the_logits(void **state)
{
    (void)state;
    struct batch b = draw(10, 16, 2);
    float apart[N * STRIDE_MAX];
    mbt_loss_sums first, second;
    mbt_loss_softmax(b.logits, N, 16, 10, b.labels, 0.1, 0.5, apart, &first);
    mbt_loss_softmax(b.logits, N, 16, 10, b.labels, 0.1, 0.5, b.logits, &second);
    assert_memory_equal(apart, b.logits, N * 16 * sizeof(float));
    assert_memory_equal(&first, &second, sizeof first);
}

static void large_logits_overflow_nowhere(void **state)
{
    (void)state;
    const float logits[3][8] = {{3e38f, -3e38f, 0}, {-1e4f, -1e4f, -1e4f}, {0, 0, 2000}};
    const int32_t labels[] = {0, 2, 2};
    float gradient[3][8];
    mbt_loss_sums sums;
    mbt_loss_softmax(logits[0], 3, 8, 3, labels, 0, 1, gradient[0], &sums);
    assert_true(fabs(sums.loss - log(3)) < 1e-10); /* 0, log 3 and 0 */
    assert_true(gradient[0][0] == 0.0f && gradient[0][1] == 0.0f);
    assert_true(fabsf(gradient[1][0] - 1.0f / 3) < 1e-6f &&
                fabsf(gradient[1][2] + 2.0f / 3) < 1e-6f);
}

/* Fewer than m classes before the label: larger, or equal with a lower index. */
static void ties_go_to_the_lower_index(void **state)
{
    (void)state;
    static const struct {
        float logits[8];
        int32_t label;
        int top1, top5;
    } rows[] = {
        {{1, 1, 1, 1, 1, 1, 1, 1}, 0, 1, 1}, {{1, 1, 1, 1, 1, 1, 1, 1}, 1, 0, 1},
        {{1, 1, 1, 1, 1, 1, 1, 1}, 4, 0, 1}, {{1, 1, 1, 1, 1, 1, 1, 1}, 5, 0, 0},
        {{0, 2, 2, 0, 0, 0, 0, 0}, 1, 1, 1}, {{0, 2, 2, 0, 0, 0, 0, 0}, 2, 0, 1},
        {{9, 8, 7, 6, 5, 4, 3, 2}, 4, 0, 1}, {{9, 8, 7, 6, 5, 4, 3, 2}, 5, 0, 0},
        {{0, 8, 7, 6, 5, 4, 3, 9}, 7, 1, 1}, {{0, 8, 7, 6, 5, 5, 3, 9}, 5, 0, 0},
        {{0, 8, 7, 6, 5, 5, 3, 9}, 4, 0, 1},
    };
    int64_t top1 = 0, top5 = 0;
    float all[11 * 8];
    int32_t labels[11];
    for (int i = 0; i < 11; i++) {
        mbt_loss_sums sums;
        mbt_loss_softmax(rows[i].logits, 1, 8, 8, &rows[i].label, 0.1, 1, NULL, &sums);
        assert_int_equal(sums.top1, rows[i].top1);
        assert_int_equal(sums.top5, rows[i].top5);
        top1 += rows[i].top1;
        top5 += rows[i].top5;
        memcpy(all + 8 * i, rows[i].logits, sizeof rows[i].logits);
        labels[i] = rows[i].label;
    }
    mbt_loss_sums sums;
    mbt_loss_softmax(all, 11, 8, 8, labels, 0.1, 1, NULL, &sums); /* sums, not the last row */
    assert_int_equal(sums.top1, top1);
    assert_int_equal(sums.top5, top5);
}

static void fewer_than_five_classes(void **state)
{
    (void)state;
    const float logits[8] = {3, 2, 1};
    const int32_t label = 2;
    mbt_loss_sums sums;
    mbt_loss_softmax(logits, 1, 8, 3, &label, 0, 1, NULL, &sums);
    assert_int_equal(sums.top1, 0);
    assert_int_equal(sums.top5, 1);
}

/* Whatever class it stands at, with and without smoothing; and it never counts as right. */
static void a_logit_that_is_not_finite_is_not_hidden(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t v = 0; v < 3; v++) {
        for (int at = 0; at < 10; at++) {
            for (int smooth = 0; smooth < 2; smooth++) {
                float logits[2][16] = {{0}};
                const int32_t labels[] = {3, 3};
                logits[0][3] = 1;
                logits[1][3] = 1;
                logits[1][at] = bad[v];
                mbt_loss_sums sums;
                mbt_loss_softmax(logits[0], 2, 16, 10, labels, 0.1 * smooth, 1, NULL, &sums);
                assert_true(isfinite(sums.loss) == 0);
                assert_int_equal(sums.top1, 1); /* the good row's */
                assert_int_equal(sums.top5, 1);
            }
        }
    }
}

static void no_samples_give_zero(void **state)
{
    (void)state;
    mbt_loss_sums sums = {1, 1, 1};
    const float logits[16] = {0};
    mbt_loss_softmax(logits, 0, 16, 10, NULL, 0.1, 1, NULL, &sums);
    assert_true(sums.loss == 0 && sums.top1 == 0 && sums.top5 == 0);
}

/* Two classes a sample: the loss is linear in the target, so are sum and gradient; a share of 1 is
 * the plain loss bit for bit. */
static void mixed_targets_are_weighted_sums(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        const struct batch b = draw(cases[i].n_classes, cases[i].stride, cases[i].spread);
        float got[N * STRIDE_MAX], first[N * STRIDE_MAX], second[N * STRIDE_MAX], share[N];
        int32_t other[N];
        mbt_loss_sums sums, plain;
        double want = 0;
        for (int s = 0; s < N; s++) { /* the same class twice is among them */
            other[s] = s == 0 ? b.labels[0] : (int32_t)((s * 7 + 1) % b.n_classes);
            share[s] = 0.5f + 0.1f * (float)s;
        }
        const mbt_targets targets = {b.labels, other, share};
        mbt_loss_softmax_mixed(b.logits, N, b.stride, b.n_classes, &targets, cases[i].smoothing,
                               cases[i].scale, got, &sums);
        mbt_loss_softmax(b.logits, N, b.stride, b.n_classes, b.labels, cases[i].smoothing,
                         cases[i].scale, first, &plain);
        assert_int_equal(sums.top1, plain.top1);
        assert_int_equal(sums.top5, plain.top5);
        for (int s = 0; s < N; s++) {
            mbt_loss_sums a, c;
            const float *row = b.logits + s * b.stride;
            const double p = (double)share[s];
            mbt_loss_softmax(row, 1, b.stride, b.n_classes, &b.labels[s], cases[i].smoothing,
                             cases[i].scale, first + s * b.stride, &a);
            mbt_loss_softmax(row, 1, b.stride, b.n_classes, &other[s], cases[i].smoothing,
                             cases[i].scale, second + s * b.stride, &c);
            want += p * a.loss + (1 - p) * c.loss;
            for (int k = 0; k < b.stride; k++) {
                const int at = s * b.stride + k;
                assert_true(fabs((double)got[at] -
                                 (p * (double)first[at] + (1 - p) * (double)second[at])) <=
                            1e-6 * cases[i].scale);
            }
        }
        assert_true(fabs(sums.loss - want) <= 1e-9 * (1 + fabs(want)));

        for (int s = 0; s < N; s++) {
            share[s] = 1;
        }
        mbt_loss_softmax_mixed(b.logits, N, b.stride, b.n_classes, &targets, cases[i].smoothing,
                               cases[i].scale, got, &sums);
        assert_true(sums.loss == plain.loss);
        assert_memory_equal(got, first, (size_t)(N * b.stride) * sizeof *got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_is_the_formula),
        cmocka_unit_test(mixed_targets_are_weighted_sums),
        cmocka_unit_test(gradient_is_the_slope),
        cmocka_unit_test(gradient_may_take_the_place_of_the_logits),
        cmocka_unit_test(large_logits_overflow_nowhere),
        cmocka_unit_test(ties_go_to_the_lower_index),
        cmocka_unit_test(fewer_than_five_classes),
        cmocka_unit_test(a_logit_that_is_not_finite_is_not_hidden),
        cmocka_unit_test(no_samples_give_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
