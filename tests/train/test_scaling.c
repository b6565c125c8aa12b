/* The model of a step: closed forms of its parts, whole groups, and the measured point itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/scaling.h"

static const mbt_link node = {1e-6, 1e-9}, net = {1e-5, 4e-9};

/* Two ranks measured; two buckets of 8 MB, the second ready at the end of the backward pass. */
static mbt_basis basis_of(void)
{
    mbt_basis b = {.network = "net",
                   .c = 3,
                   .h = 32,
                   .w = 32,
                   .classes = 10,
                   .parameters = 2000000,
                   .batch = 256,
                   .group = 16,
                   .threads = 1,
                   .storage = 0,
                   .reduce = 0,
                   .ranks = 2,
                   .nodes = 1,
                   .step_s = 0.85,
                   .group_s = 0.1,
                   .backward_s = 0.06,
                   .prepare_s = 0.002,
                   .convert_s = 0.001,
                   .update_s = 0.001,
                   .node = {1e-6, 1e-9},
                   .memory_bytes = 3e8,
                   .n_buckets = 2};
    b.buckets[0].bytes = b.buckets[1].bytes = 8e6;
    b.buckets[0].ready_s = 0.05;
    return b;
}

static void near(double got, double wanted)
{
    if (!(fabs(got - wanted) <= 1e-12 + 1e-9 * fabs(wanted))) {
        fail_msg("got %.12g, wanted %.12g", got, wanted);
    }
}

static void sums_follow_the_formulas(void **state)
{
    (void)state;
    double cores = -1;
    assert_true(mbt_scaling_sum(1, 1, 1e6, node, net, &cores) == 0);
    assert_true(cores == 0);
    /* two ranks: one round, all of it work of the cores */
    near(mbt_scaling_sum(2, 1, 1e6, node, net, &cores), 1e-6 + 1e-3);
    near(cores, 1e-6 + 1e-3);
    /* small sums double: three rounds of eight ranks; large ones go round the ring */
    near(mbt_scaling_sum(8, 1, 8, node, net, &cores), 3 * (1e-6 + 8e-9));
    near(mbt_scaling_sum(8, 1, 8e6, node, net, &cores), 14 * (1e-6 + 1e6 * 1e-9));
    /* two nodes of two: a round within, one between that two ranks share */
    near(mbt_scaling_sum(4, 2, 8, node, net, &cores), 1e-6 + 8e-9 + 1e-5 + 2 * 8 * 4e-9);
    near(cores, 1e-6 + 8e-9);
    /* the ring is as slow as its slowest link */
    near(mbt_scaling_sum(4, 2, 4e6, node, net, &cores), 6 * (1e-5 + 1e6 * 4e-9));
    near(cores, 6 * (1e-6 + 1e6 * 1e-9));
    /* one rank a node: nothing is within */
    near(mbt_scaling_sum(2, 2, 1e6, node, net, &cores), 1e-5 + 4e-3);
    assert_true(cores == 0);
}

static void the_measured_point_is_met(void **state)
{
    (void)state;
    const mbt_basis b = basis_of();
    const mbt_scaling p = mbt_scaling_step(&b, net, b.batch, 2, 1);
    near(p.step_s, b.step_s);
    near(p.compute_s, 0.8);
    near(p.once_s, 0.004);
    /* both buckets, and the counts at the end */
    near(p.reduce_s, 2 * (1e-6 + 8e-3) + 1e-6 + 48e-9);
    near(p.rest_s, 0.85 - 0.804 - p.reduce_s);
    near(p.images_per_s, 256 / 0.85);
    near(mbt_scaling_step(&b, net, b.batch, 1, 1).efficiency, 1);
    near(mbt_scaling_step(&b, net, b.batch, 16, 1).rest_s, p.rest_s / 8); /* by the group */
}

/* 16 groups: 3 ranks have 6, 5 and 5; beyond 16 ranks nothing is left to share. */
static void groups_are_whole(void **state)
{
    (void)state;
    const mbt_basis b = basis_of();
    static const int ranks[] = {1, 3, 8, 9, 15, 16, 32}, groups[] = {16, 6, 2, 2, 2, 1, 1};
    for (int i = 0; i < 7; i++) {
        const mbt_scaling p = mbt_scaling_step(&b, net, b.batch, ranks[i], 1);
        assert_int_equal(p.groups, groups[i]);
        near(p.compute_s, groups[i] * 0.1);
    }
    assert_int_equal(mbt_scaling_step(&b, net, 512, 32, 1).groups, 1);
    assert_int_equal(mbt_scaling_step(&b, net, 241, 16, 1).groups, 1);
}

/* Between nodes, what starts early ends early: the first bucket hides behind the backward pass. */
static void the_network_hides_behind_the_backward_pass(void **state)
{
    (void)state;
    mbt_basis b = basis_of();
    const double one = 1e-5 + 8e6 * 4e-9, tail = 1e-5 + 48 * 4e-9;
    near(mbt_scaling_step(&b, net, b.batch, 2, 2).reduce_s, one + tail);
    b.buckets[0].ready_s = 0; /* both at the end: nothing hides */
    near(mbt_scaling_step(&b, net, b.batch, 2, 2).reduce_s, 2 * one + tail);
    b.buckets[0].ready_s = b.buckets[1].ready_s = 0.06; /* 64 ms of messages in 60 */
    near(mbt_scaling_step(&b, net, b.batch, 2, 2).reduce_s, 2 * one - 0.06 + tail);
}

static char *text_of(const mbt_basis *b)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    mbt_json json;
    assert_non_null(out);
    mbt_json_begin(&json, out);
    mbt_json_object(&json, NULL);
    mbt_basis_write(b, &json);
    mbt_json_end(&json);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void a_basis_reads_back(void **state)
{
    (void)state;
    char path[] = "test_scaling.XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    const mbt_basis b = basis_of();
    mbt_basis again;
    mbt_error err = {0};
    char *first = text_of(&b);
    write_file(path, first);
    if (mbt_basis_read(path, &again, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    char *second = text_of(&again);
    assert_string_equal(first, second);
    free(first);
    free(second);

    /* Other ranks and another batch may be asked for, nothing else may differ. */
    again.ranks = 7;
    again.batch = 1024;
    assert_int_equal(mbt_basis_check(&b, &again, &err), MBT_OK);
    again.group = 32;
    assert_int_equal(mbt_basis_check(&b, &again, &err), MBT_CONFIG);
    assert_non_null(strstr(err.message, "group"));
    again = b;
    again.parameters++;
    assert_int_equal(mbt_basis_check(&b, &again, &err), MBT_CONFIG);
    again = b;
    memcpy(again.network, "other", 6);
    assert_int_equal(mbt_basis_check(&b, &again, &err), MBT_CONFIG);

    write_file(path, "{\"basis\": {\"network\": \"net\", \"c\": 3}}");
    assert_int_equal(mbt_basis_read(path, &again, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "basis.h"));
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_follow_the_formulas),
        cmocka_unit_test(the_measured_point_is_met),
        cmocka_unit_test(groups_are_whole),
        cmocka_unit_test(the_network_hides_behind_the_backward_pass),
        cmocka_unit_test(a_basis_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
