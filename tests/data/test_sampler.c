/* The sampler: every id once per epoch, the cut into groups, the split and the share of ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/rng.h"
#include "mbt/sampler.h"

enum { SEED = 17, N_MAX = 1200 };

typedef struct shape {
    int n, batch, group;
} shape;

static const shape shapes[] = {
    {1, 1, 1},       {1, 256, 16},    {5, 2, 1},      {7, 7, 7},     {16, 16, 16},
    {17, 32, 16},    {31, 32, 16},    {33, 32, 16},   {100, 10, 10}, {100, 33, 8},
    {255, 256, 16},  {256, 256, 16},  {257, 256, 16}, {300, 50, 16}, {1000, 256, 16},
    {1000, 128, 64}, {1100, 300, 32}, {1200, 96, 17},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* Ids that are no positions: 3, 10, 17 ... */
static uint32_t id_at(int position)
{
    return 3 + 7 * (uint32_t)position;
}

static mbt_sampler *make(const shape *s, uint64_t seed)
{
    uint32_t ids[N_MAX];
    mbt_error err = {0};
    mbt_sampler *sampler = NULL;
    for (int i = 0; i < s->n; i++)
        ids[i] = id_at(i);
    assert_int_equal(mbt_sampler_create(ids, s->n, s->batch, s->group, seed, &sampler, &err),
                     MBT_OK);
    memset(ids, 0, sizeof ids); /* the sampler must have a copy */
    return sampler;
}

/* The whole epoch, group by group, into all[n]; checks sizes on the way. */
static void read_epoch(const mbt_sampler *sampler, const shape *s, uint32_t *all)
{
    int at = 0;
    int64_t steps = mbt_sampler_steps(sampler);
    assert_int_equal(steps, (s->n + s->batch - 1) / s->batch);
    for (int64_t step = 0; step < steps; step++) {
        int samples = mbt_sampler_samples(sampler, step);
        int left = s->n - (int)step * s->batch;
        assert_int_equal(samples, left < s->batch ? left : s->batch);
        int k = mbt_sampler_groups(sampler, step);
        assert_int_equal(k, (samples + s->group - 1) / s->group);
        int total = 0;
        int before = s->group;
        int first = 0;
        for (int g = 0; g < k; g++) {
            const uint32_t *ids = NULL;
            int size = mbt_sampler_group(sampler, step, g, &ids);
            first = g == 0 ? size : first;
            assert_true(size >= 1 && size <= before && first - size <= 1);
            assert_true(2 * size >= s->group || size == samples);
            before = size;
            assert_true(at + size <= s->n);
            memcpy(all + at, ids, (size_t)size * sizeof *ids);
            at += size;
            total += size;
        }
        assert_int_equal(total, samples);
    }
    assert_int_equal(at, s->n);
}

static void test_every_id_once(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        const shape *s = &shapes[i];
        mbt_sampler *sampler = make(s, SEED);
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            uint32_t all[N_MAX];
            int seen[N_MAX] = {0};
            mbt_sampler_epoch(sampler, epoch);
            read_epoch(sampler, s, all);
            for (int j = 0; j < s->n; j++) {
                assert_int_equal((all[j] - 3) % 7, 0);
                uint32_t position = (all[j] - 3) / 7;
                assert_true(position < (uint32_t)s->n);
                seen[position]++;
            }
            for (int j = 0; j < s->n; j++)
                assert_int_equal(seen[j], 1);
        }
        mbt_sampler_destroy(sampler);
    }
}

/* The order is the one of rng.h's permutation: what a resumed run relies on. */
static void test_order_is_keyed_by_seed_and_epoch_alone(void **state)
{
    (void)state;
    shape coarse = {1000, 256, 16};
    shape fine = {1000, 30, 7};
    uint32_t a[N_MAX], b[N_MAX], other[N_MAX], order[N_MAX];
    mbt_sampler *one = make(&coarse, SEED);
    mbt_sampler *two = make(&fine, SEED);
    mbt_sampler *three = make(&coarse, SEED + 1);

    mbt_sampler_epoch(two, 9); /* what went before must not matter */
    mbt_sampler_epoch(one, 4);
    mbt_sampler_epoch(two, 4);
    mbt_sampler_epoch(three, 4);
    read_epoch(one, &coarse, a);
    read_epoch(two, &fine, b);
    read_epoch(three, &coarse, other);
    assert_memory_equal(a, b, 1000 * sizeof *a);
    assert_memory_not_equal(a, other, 1000 * sizeof *a);
    mbt_rng_permutation(SEED, 4, 1000, order);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(a[i], id_at((int)order[i]));

    mbt_sampler_epoch(one, 5);
    read_epoch(one, &coarse, other);
    assert_memory_not_equal(a, other, 1000 * sizeof *a);
    mbt_sampler_epoch(one, 4);
    read_epoch(one, &coarse, other);
    assert_memory_equal(a, other, 1000 * sizeof *a);

    mbt_sampler_destroy(three);
    mbt_sampler_destroy(two);
    mbt_sampler_destroy(one);
}

/* A sample is as likely to stand early as late: the mean position over epochs of each id. */
static void test_order_is_uniform(void **state)
{
    (void)state;
    enum { N = 20, EPOCHS = 4000 };
    shape s = {N, N, N};
    double place[N] = {0};
    mbt_sampler *sampler = make(&s, SEED);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        uint32_t all[N];
        mbt_sampler_epoch(sampler, epoch);
        read_epoch(sampler, &s, all);
        for (int j = 0; j < N; j++)
            place[(all[j] - 3) / 7] += j;
    }
    /* deviation of one position is sqrt((N*N - 1) / 12) = 5.8, of the mean 0.091 */
    for (int i = 0; i < N; i++)
        assert_true(place[i] / EPOCHS > 9.5 - 0.45 && place[i] / EPOCHS < 9.5 + 0.45);
    mbt_sampler_destroy(sampler);
}

static void test_group_sizes_of_partial_batches(void **state)
{
    (void)state;
    static const struct {
        shape s;
        int64_t step;
        int k, sizes[4];
    } cases[] = {
        {{1000, 256, 64}, 3, 4, {58, 58, 58, 58}},
        {{296, 256, 16}, 1, 3, {14, 13, 13}},
        {{273, 256, 16}, 1, 2, {9, 8}},
        {{257, 256, 16}, 1, 1, {1}},
        {{272, 256, 16}, 1, 1, {16}},
        {{200, 50, 16}, 2, 4, {13, 13, 12, 12}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mbt_sampler *sampler = make(&cases[i].s, SEED);
        mbt_sampler_epoch(sampler, 0);
        assert_int_equal(mbt_sampler_groups(sampler, cases[i].step), cases[i].k);
        for (int g = 0; g < cases[i].k; g++) {
            const uint32_t *ids = NULL;
            assert_int_equal(mbt_sampler_group(sampler, cases[i].step, g, &ids), cases[i].sizes[g]);
        }
        mbt_sampler_destroy(sampler);
    }
}

static void test_refused(void **state)
{
    (void)state;
    uint32_t ids[4] = {0, 1, 2, 3};
    mbt_sampler *sampler = (mbt_sampler *)ids;
    mbt_error err = {0};
    assert_int_equal(mbt_sampler_create(ids, 0, 2, 2, SEED, &sampler, &err), MBT_DATA);
    assert_null(sampler);
    assert_non_null(strstr(err.message, "0 training samples"));
    assert_int_equal(mbt_sampler_create(ids, 4, 2, 3, SEED, &sampler, &err), MBT_CONFIG);
    assert_non_null(strstr(err.message, "batch 2 and group 3"));
    assert_int_equal(mbt_sampler_create(ids, 4, 0, 0, SEED, &sampler, &err), MBT_CONFIG);
    mbt_sampler_destroy(NULL);
}

static void test_split(void **state)
{
    (void)state;
    static const uint32_t cases[][2] = {{1, 0}, {1, 1}, {10, 0}, {10, 3}, {10, 10}, {1000, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t n = cases[i][0], n_held = cases[i][1];
        uint32_t kept[N_MAX], held[N_MAX];
        int seen[N_MAX] = {0};
        memset(kept, 0xff, sizeof kept);
        memset(held, 0xff, sizeof held);
        mbt_sampler_split(SEED, n, n_held, kept, n_held ? held : NULL);
        for (uint32_t j = 0; j < n - n_held; j++) {
            assert_true(kept[j] < n && (j == 0 || kept[j] > kept[j - 1]));
            seen[kept[j]]++;
        }
        for (uint32_t j = 0; j < n_held; j++) {
            assert_true(held[j] < n && (j == 0 || held[j] > held[j - 1]));
            seen[held[j]]++;
        }
        for (uint32_t j = 0; j < n; j++)
            assert_int_equal(seen[j], 1);
        assert_int_equal(kept[n - n_held], UINT32_MAX); /* nothing behind the end */
        assert_int_equal(held[n_held], UINT32_MAX);
    }
}

static void test_split_is_uniform_and_keyed(void **state)
{
    (void)state;
    enum { N = 12, HELD = 3, SEEDS = 8000 };
    int times[N] = {0};
    uint32_t kept[N], held[HELD], again[HELD];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        mbt_sampler_split(seed, N, HELD, kept, held);
        for (int i = 0; i < HELD; i++)
            times[held[i]]++;
    }
    /* expected 2000 each, deviation sqrt(8000 * 1/4 * 3/4) = 38.7 */
    for (int i = 0; i < N; i++)
        assert_in_range(times[i], 2000 - 200, 2000 + 200);
    mbt_sampler_split(SEEDS - 1, N, HELD, kept, again);
    assert_memory_equal(held, again, sizeof held);
}

static void test_share_covers_all_groups(void **state)
{
    (void)state;
    for (int k = 0; k <= 40; k++) {
        for (int n_ranks = 1; n_ranks <= 40; n_ranks++) {
            int next = 0;
            int least = k + 1, most = -1;
            for (int rank = 0; rank < n_ranks; rank++) {
                int first = -1, last = -1;
                mbt_sampler_share(k, rank, n_ranks, &first, &last);
                assert_int_equal(first, next);
                assert_true(last >= first);
                least = last - first < least ? last - first : least;
                most = last - first > most ? last - first : most;
                next = last;
            }
            assert_int_equal(next, k);
            assert_true(most - least <= 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_id_once),
        cmocka_unit_test(test_order_is_keyed_by_seed_and_epoch_alone),
        cmocka_unit_test(test_order_is_uniform),
        cmocka_unit_test(test_group_sizes_of_partial_batches),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_is_uniform_and_keyed),
        cmocka_unit_test(test_share_covers_all_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
