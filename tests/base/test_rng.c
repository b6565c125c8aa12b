/* rng: Philox's published answers through our counter layout, then what the draws must be like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/rng.h"

enum { N_DRAWS = 1 << 18 };

/* philox4x32-10 rows of the known-answer file in the Random123 distribution, with the counter
 * words and keys put where rng.c documents them. */
static void known_answers(void **state)
{
    (void)state;
    static const struct {
        mbt_rng at;
        uint32_t wanted[4];
    } rows[] = {
        {{.seed = 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{.seed = 0x299f31d0a4093822,
          .purpose = (mbt_purpose)0x03,
          .epoch = 0x85a308d3,
          .id = 0x70734413198a2e,
          .next = 4u * 0x243f6a88},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mbt_rng rng = rows[i].at;
        for (int w = 0; w < 4; w++) {
            assert_int_equal(mbt_rng_u32(&rng), rows[i].wanted[w]);
        }
    }
}

/* Of 64 bits, so that streams meet by chance no more. */
static uint64_t two_draws(mbt_rng *rng)
{
    const uint64_t first = mbt_rng_u32(rng);
    return first << 32 | mbt_rng_u32(rng);
}

/* Changing any part of a stream's name by its lowest or highest bit changes its draws. */
static void streams_differ(void **state)
{
    (void)state;
    const mbt_rng streams[] = {
        mbt_rng_at(1, MBT_PURPOSE_ORDER, 0, 0),
        mbt_rng_at(2, MBT_PURPOSE_ORDER, 0, 0),
        mbt_rng_at(1 | (uint64_t)1 << 63, MBT_PURPOSE_ORDER, 0, 0),
        mbt_rng_at(1, MBT_PURPOSE_AUGMENT, 0, 0),
        mbt_rng_at(1, MBT_PURPOSE_ORDER, 1, 0),
        mbt_rng_at(1, MBT_PURPOSE_ORDER, UINT32_MAX, 0),
        mbt_rng_at(1, MBT_PURPOSE_ORDER, 0, 1),
        mbt_rng_at(1, MBT_PURPOSE_ORDER, 0, (uint64_t)1 << 32),
        mbt_rng_at(1, MBT_PURPOSE_ORDER, 0, (uint64_t)1 << 55),
    };
    enum { N = sizeof streams / sizeof streams[0] };
    uint64_t first[N];
    for (int i = 0; i < N; i++) {
        mbt_rng rng = streams[i];
        mbt_rng again = streams[i];
        first[i] = two_draws(&rng);
        assert_true(first[i] == two_draws(&again));
        for (int j = 0; j < i; j++) {
            assert_true(first[i] != first[j]);
        }
    }
}

static void uniform_is_uniform(void **state)
{
    (void)state;
    mbt_rng rng = mbt_rng_at(7, MBT_PURPOSE_AUGMENT, 3, 11);
    double sum = 0, squares = 0;
    int bins[16] = {0};
    for (int i = 0; i < N_DRAWS; i++) {
        float u = mbt_rng_uniform(&rng);
        assert_true(u >= 0.0f && u < 1.0f);
        sum += u;
        squares += (double)u * u;
        bins[(int)(u * 16)]++;
    }
    assert_int_equal(rng.next, N_DRAWS);
    double mean = sum / N_DRAWS;
    double variance = squares / N_DRAWS - mean * mean;
    assert_true(fabs(mean - 0.5) < 5 * sqrt(1.0 / 12 / N_DRAWS));
    assert_true(fabs(variance - 1.0 / 12) < 5 * sqrt(1.0 / 180 / N_DRAWS));
    double chi2 = 0;
    for (int b = 0; b < 16; b++) {
        double off = bins[b] - N_DRAWS / 16.0;
        chi2 += off * off / (N_DRAWS / 16.0);
    }
    assert_true(chi2 < 50); /* 15 degrees of freedom: beyond it once in 10^5 */
}

static void normal_is_normal(void **state)
{
    (void)state;
    mbt_rng rng = mbt_rng_at(8, MBT_PURPOSE_INIT, 0, 5);
    double sum = 0, squares = 0, cubes = 0, fourths = 0, products = 0, before = 0;
    int within_one = 0;
    for (int i = 0; i < N_DRAWS; i++) {
        double x = mbt_rng_normal(&rng);
        assert_true(isfinite(x));
        sum += x;
        squares += x * x;
        cubes += x * x * x;
        fourths += x * x * x * x;
        products += x * before;
        within_one += fabs(x) < 1;
        before = x;
    }
    assert_int_equal(rng.next, 2 * N_DRAWS);
    double unit = 1 / sqrt(N_DRAWS);
    assert_true(fabs(sum / N_DRAWS) < 5 * unit);
    assert_true(fabs(squares / N_DRAWS - 1) < 5 * sqrt(2) * unit);
    assert_true(fabs(cubes / N_DRAWS) < 5 * sqrt(15) * unit);
    assert_true(fabs(fourths / N_DRAWS - 3) < 5 * sqrt(96) * unit);
    assert_true(fabs(products / N_DRAWS) < 5 * unit);
    assert_true(fabs((double)within_one / N_DRAWS - 0.682689) < 5 * 0.4655 * unit);
}

static void below_has_no_bias(void **state)
{
    (void)state;
    mbt_rng rng = mbt_rng_at(9, MBT_PURPOSE_SYNTH, 0, 0);
    for (uint32_t n = 1; n < 12; n++) {
        int seen[12] = {0};
        int draws = 20000;
        for (int i = 0; i < draws; i++) {
            uint32_t x = mbt_rng_below(&rng, n);
            assert_true(x < n);
            seen[x]++;
        }
        double p = 1.0 / n;
        for (uint32_t x = 0; x < n; x++) {
            assert_true(fabs(seen[x] - draws * p) <= 5 * sqrt(draws * p * (1 - p)));
        }
    }
    /* With n = 3 * 2^30 a plain multiply or modulo gives some results twice as often: thirds of the
     * range by their remainder would come out as 1/2, 1/4, 1/4. */
    const uint32_t n = 3u << 30;
    int by_rest[3] = {0};
    int by_third[3] = {0};
    for (int i = 0; i < N_DRAWS; i++) {
        uint32_t x = mbt_rng_below(&rng, n);
        assert_true(x < n);
        by_rest[x % 3]++;
        by_third[x >> 30]++;
    }
    for (int r = 0; r < 3; r++) {
        double allowed = 5 * sqrt(N_DRAWS * 2.0 / 9);
        assert_true(fabs(by_rest[r] - N_DRAWS / 3.0) < allowed);
        assert_true(fabs(by_third[r] - N_DRAWS / 3.0) < allowed);
    }
}

static void permutation_is_one(void **state)
{
    (void)state;
    enum { N = 50000 };
    uint32_t *order = malloc(N * sizeof *order);
    uint32_t *other = malloc(N * sizeof *other);
    unsigned char *seen = calloc(N, 1);
    assert_true(order && other && seen);
    mbt_rng_permutation(1, 4, N, order);
    int fixed = 0;
    for (int i = 0; i < N; i++) {
        assert_true(order[i] < N && !seen[order[i]]);
        seen[order[i]] = 1;
        fixed += order[i] == (uint32_t)i;
    }
    assert_true(fixed < 12); /* Poisson with mean 1 */
    mbt_rng_permutation(1, 4, N, other);
    assert_memory_equal(order, other, N * sizeof *order);
    mbt_rng_permutation(1, 5, N, other);
    assert_memory_not_equal(order, other, N * sizeof *order);
    mbt_rng_permutation(1, 4, 0, NULL);
    order[0] = 9;
    mbt_rng_permutation(1, 4, 1, order);
    assert_int_equal(order[0], 0);
    free(seen);
    free(other);
    free(order);
}

static void permutations_are_equally_likely(void **state)
{
    (void)state;
    enum { EPOCHS = 24000 };
    int seen[256] = {0};
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        uint32_t order[4];
        mbt_rng_permutation(3, epoch, 4, order);
        seen[order[0] << 6 | order[1] << 4 | order[2] << 2 | order[3]]++;
    }
    int kinds = 0;
    double chi2 = 0;
    for (int i = 0; i < 256; i++) {
        if (seen[i]) {
            kinds++;
            chi2 += (seen[i] - 1000.0) * (seen[i] - 1000.0) / 1000.0;
        }
    }
    assert_int_equal(kinds, 24);
    assert_true(chi2 < 62); /* 23 degrees of freedom: beyond it once in 10^5 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(streams_differ),
        cmocka_unit_test(uniform_is_uniform),
        cmocka_unit_test(normal_is_normal),
        cmocka_unit_test(below_has_no_bias),
        cmocka_unit_test(permutation_is_one),
        cmocka_unit_test(permutations_are_equally_likely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
