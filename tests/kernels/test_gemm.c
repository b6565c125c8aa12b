/* Products of matrices against sums in double, and with signals coming all the time: the same bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "mbt/gemm.h"
#include "mbt/rng.h"

static const struct {
    mbt_gemm_form a, b;
    int m, n, k;
    float alpha, beta;
} cases[] = {{MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, 96, 576, 96, 1, 0},
             {MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, 160, 160, 160, 2.5F, -0.5F},
             {MBT_GEMM_AS_IS, MBT_GEMM_TRANSPOSED, 64, 64, 384, 1, 0},
             {MBT_GEMM_TRANSPOSED, MBT_GEMM_AS_IS, 64, 64, 384, 1, 0},
             {MBT_GEMM_TRANSPOSED, MBT_GEMM_TRANSPOSED, 48, 40, 56, 1, 1},
             {MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, 7, 5, 3, 1, 0},
             {MBT_GEMM_AS_IS, MBT_GEMM_TRANSPOSED, 1, 1, 27, 1, 0}};
enum { N_CASES = sizeof cases / sizeof cases[0], REPEATS = 400, EVERY_US = 300 };

typedef struct trial {
    float *a, *b, *before, *c;
    size_t n_c;
} trial;

static float *draw(size_t n, uint32_t which)
{
    mbt_rng rng = mbt_rng_at(1, MBT_PURPOSE_INIT, which, 0);
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        x[i] = mbt_rng_normal(&rng);
    }
    return x;
}

static trial make(int i)
{
    const size_t m = (size_t)cases[i].m, n = (size_t)cases[i].n, k = (size_t)cases[i].k;
    return (trial){draw(m * k, 1), draw(k * n, 2), draw(m * n, 3), draw(m * n, 3), m * n};
}

static void clear(const trial *t)
{
    free(t->a);
    free(t->b);
    free(t->before);
    free(t->c);
}

static void multiply(int i, trial *t)
{
    mbt_error err = {0};
    memcpy(t->c, t->before, t->n_c * sizeof *t->c);
    if (mbt_gemm(cases[i].a, cases[i].b, cases[i].m, cases[i].n, cases[i].k, cases[i].alpha, t->a,
                 t->b, cases[i].beta, t->c, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
}

static void products_are_sums(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        trial t = make(i);
        multiply(i, &t);
        const bool a_turned = cases[i].a == MBT_GEMM_TRANSPOSED;
        const bool b_turned = cases[i].b == MBT_GEMM_TRANSPOSED;
        const int m = cases[i].m, n = cases[i].n, k = cases[i].k;
        for (int row = 0; row < m; row++) {
            for (int col = 0; col < n; col++) {
                double sum = 0;
                for (int j = 0; j < k; j++) {
                    sum += (double)t.a[a_turned ? j * m + row : row * k + j] *
                           t.b[b_turned ? col * k + j : j * n + col];
                }
                const int at = row * n + col;
                const double wanted = cases[i].alpha * sum + cases[i].beta * t.before[at];
                if (!(fabs(t.c[at] - wanted) < 1e-4 * sqrt(k))) {
                    fail_msg("case %d, row %d, column %d: got %g, wanted %g", i, row, col, t.c[at],
                             wanted);
                }
            }
        }
        clear(&t);
    }
}

/* x x', or x' x, of sizes that are cut into blocks and that are not; onto a symmetric matrix. */
static void symmetric_products_are_the_same(void **state)
{
    static const int sizes[] = {5, 96, 160, 170, 333};
    const int k = 48;
    mbt_error err = {0};
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof sizes / sizeof *sizes); i++) {
        const int n = sizes[i / 2];
        const size_t floats = (size_t)n * (size_t)n;
        const mbt_gemm_form a = i % 2 == 0 ? MBT_GEMM_AS_IS : MBT_GEMM_TRANSPOSED;
        const mbt_gemm_form b = i % 2 == 0 ? MBT_GEMM_TRANSPOSED : MBT_GEMM_AS_IS;
        float *x = draw((size_t)(n * k), 1), *got = draw(floats, 2), *want = draw(floats, 2);
        for (int row = 0; row < n; row++) {
            for (int col = 0; col < row; col++) {
                got[col * n + row] = want[col * n + row] = got[row * n + col];
            }
        }
        assert_int_equal(mbt_gemm(a, b, n, n, k, 0.5F, x, x, 2, want, &err), MBT_OK);
        for (int block = mbt_gemm_blocks(n); block-- > 0;) {
            assert_int_equal(mbt_gemm_symmetric(a, b, n, k, 0.5F, x, x, 2, got, block, &err),
                             MBT_OK);
        }
        for (int row = 0; row < n; row++) {
            for (int col = 0; col < n; col++) {
                assert_true(fabsf(got[row * n + col] - want[row * n + col]) < 1e-4F);
                assert_true(got[row * n + col] == got[col * n + row]);
            }
        }
        free(x);
        free(got);
        free(want);
    }
}

static volatile sig_atomic_t n_signals;

static void count(int number)
{
    (void)number;
    n_signals = n_signals + 1;
}

static void send_every(int microseconds)
{
    const struct itimerval interval = {{0, microseconds}, {0, microseconds}};
    assert_int_equal(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

static void signals_do_no_harm(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    for (int i = 0; i < N_CASES; i++) {
        trial t = make(i);
        float *alone = malloc(t.n_c * sizeof *alone);
        assert_non_null(alone);
        multiply(i, &t);
        memcpy(alone, t.c, t.n_c * sizeof *alone);
        send_every(EVERY_US);
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            multiply(i, &t);
            assert_memory_equal(alone, t.c, t.n_c * sizeof *alone);
        }
        send_every(0);
        free(alone);
        clear(&t);
    }
    assert_true(n_signals > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_sums),
        cmocka_unit_test(symmetric_products_are_the_same),
        cmocka_unit_test(signals_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
