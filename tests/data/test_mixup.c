/* Mixing pairs: against the formula, the distribution of the shares, and what it depends on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/mixup.h"
#include "mbt/rng.h"

enum { N = 7, VALUES = 37, SEED = 3 };

typedef struct group {
    uint32_t ids[N];
    float x[N * VALUES];
    int32_t label[N], other[N];
    float share[N];
} group;

static group draw(void)
{
    group g = {0};
    mbt_rng rng = mbt_rng_at(1, MBT_PURPOSE_SYNTH, 0, 0);
    for (int i = 0; i < N; i++) {
        g.ids[i] = (uint32_t)(100 + 3 * i);
        g.label[i] = 10 + i;
        g.other[i] = -1;
    }
    for (int i = 0; i < N * VALUES; i++)
        g.x[i] = mbt_rng_normal(&rng);
    return g;
}

static void mix(group *g, int n, double alpha, int64_t epoch)
{
    mbt_mixup_group(SEED, alpha, epoch, g->ids, n, VALUES, g->x, g->label, g->other, g->share);
}

static void pairs_are_weighted_means(void **state)
{
    (void)state;
    for (int n = 1; n <= N; n++) {
        const group before = draw();
        group g = before;
        mix(&g, n, 0.4, 2);
        assert_memory_equal(g.label, before.label, sizeof g.label);
        for (int i = 0; i < n; i++) {
            const double share = (double)g.share[i];
            assert_true(share >= 0.5 && share <= 1);
            assert_int_equal(g.other[i], before.label[n - 1 - i]);
            for (int j = 0; j < VALUES; j++) {
                const double want = share * (double)before.x[i * VALUES + j] +
                                    (1 - share) * (double)before.x[(n - 1 - i) * VALUES + j];
                assert_true(fabs((double)g.x[i * VALUES + j] - want) < 1e-6);
            }
        }
        assert_memory_equal(g.x + n * VALUES, before.x + n * VALUES,
                            sizeof g.x - sizeof(float) * (size_t)(n * VALUES));
    }
}

static void shares_depend_on_sample_and_epoch_alone(void **state)
{
    (void)state;
    group all = draw(), some = draw(), later = draw();
    mix(&all, N, 0.4, 2);
    for (int i = 0; i < 3; i++)
        some.ids[i] = all.ids[N - 1 - i];
    mix(&some, 3, 0.4, 2);
    for (int i = 0; i < 3; i++)
        assert_true(some.share[i] == all.share[N - 1 - i]);
    mix(&later, N, 0.4, 3);
    assert_memory_not_equal(later.share, all.share, sizeof all.share);
}

/* With b ~ Beta(a, a) the mean of (b - 1/2)^2 is 1 / (4 (2a + 1)); for a = 1, b is uniform and the
 * part up to a quarter above a half has half of the draws. */
static void shares_are_beta_distributed(void **state)
{
    (void)state;
    enum { DRAWS = 40000 };
    static const double alphas[] = {0.1, 0.2, 0.5, 1.0};
    for (size_t a = 0; a < sizeof alphas / sizeof *alphas; a++) {
        double squares = 0;
        int below = 0;
        for (uint32_t i = 0; i < DRAWS; i++) {
            group g = draw();
            g.ids[0] = i;
            mix(&g, 1, alphas[a], 0);
            const double d = (double)g.share[0] - 0.5;
            assert_true(isfinite(d));
            squares += d * d / DRAWS;
            below += d < 0.25;
        }
        assert_true(fabs(squares - 0.25 / (2 * alphas[a] + 1)) < 0.003);
        if (alphas[a] == 1.0)
            assert_true(abs(below - DRAWS / 2) < 5 * 100);
        else
            assert_true(below < DRAWS / 2);
    }
}

/* Both powers of the method vanish then, and one of the two images is all that is left. */
static void a_tiny_alpha_mixes_nothing(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        group g = draw();
        g.ids[0] = i;
        mix(&g, 1, 1e-13, 0);
        assert_true(g.share[0] == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_weighted_means),
        cmocka_unit_test(shares_depend_on_sample_and_epoch_alone),
        cmocka_unit_test(shares_are_beta_distributed),
        cmocka_unit_test(a_tiny_alpha_mixes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
