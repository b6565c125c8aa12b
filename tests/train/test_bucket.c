/* How the flat block is cut into buckets: whole segments, all of the block, and never more than
 * there may be sums under way, however large the network. (Sums are tested by what they make.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "mbt/bucket.h"

enum { LEAST = 1 << 18 }; /* floats of a bucket */

/* Buckets of n segments of `floats` each: checks them and returns their number. The sums are never
 * touched, so they take no memory. */
static int cut(int n, size_t floats)
{
    mbt_comm *comm = NULL;
    mbt_bucket *bucket = NULL;
    mbt_error err = {0};
    mbt_segment *segments = calloc((size_t)n, sizeof *segments);
    assert_non_null(segments);
    for (int i = 0; i < n; i++) { /* gradients come from the last segment on */
        segments[n - 1 - i].grad_first = (size_t)i * floats;
        segments[n - 1 - i].grad_count = floats;
    }
    mbt_plan plan = {
        .segments = segments, .n_segments = n, .params = {.n_floats = (size_t)n * floats}};
    mbt_worker worker = {.plan = &plan};
    assert_int_equal(mbt_comm_create(NULL, NULL, &comm, &err), MBT_OK);
    const mbt_setup setup = {.comm = comm, .plan = &plan, .workers = &worker, .n_workers = 1};
    if (mbt_bucket_create(&setup, &bucket, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    const int count = mbt_bucket_count(bucket);
    size_t end = 0;
    for (int i = 0; i < count; i++) {
        size_t first, floats_here;
        mbt_bucket_range(bucket, i, &first, &floats_here);
        assert_int_equal(first, end);
        assert_int_equal(floats_here % floats, 0);
        assert_true(i + 1 == count || floats_here >= LEAST);
        end = first + floats_here;
    }
    assert_int_equal(end, plan.params.n_floats);
    mbt_bucket_destroy(bucket);
    mbt_comm_destroy(comm);
    free(segments);
    return count;
}

static void segments_fill_buckets(void **state)
{
    (void)state;
    assert_int_equal(cut(1, 100), 1);
    assert_int_equal(cut(10, LEAST / 4), 3);
    assert_int_equal(cut(12, LEAST), 12);
}

static void no_network_has_too_many(void **state)
{
    static const int segments[] = {63, 64, 65, 66, 127, 128, 200, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++) {
        const int n = cut(segments[i], LEAST + 17);
        assert_true(n <= MBT_COMM_SUMS_MAX);
        assert_true(n >= MBT_COMM_SUMS_MAX / 2 - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_fill_buckets),
        cmocka_unit_test(no_network_has_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
