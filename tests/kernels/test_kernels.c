/* Every row of the kernel table against the naive references: a kernel is tested by being listed.
 *
 * No kernel's name stands here. Each row becomes a test of its own; what is done with it depends on
 * its operation alone, and the number of cases that it ran is checked, so that a row which supports
 * nothing cannot pass. Rows that this processor cannot run are named on stderr. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/checks.h"

enum { NAME_BYTES = 96, CHECKS_MAX = 2 };

/* The check of an operation, and how many cases a row has to run at the least: those of one block
 * size, without what a specialised kernel may leave out. */
static const struct check {
    void (*run)(subject *s);
    int at_least;
} checks[MBT_OP_COUNT][CHECKS_MAX] = {
    [MBT_OP_CONV_FORWARD] = {{check_conv, 40}},
    [MBT_OP_CONV_BACKWARD_DATA] = {{check_conv, 40}},
    [MBT_OP_CONV_BACKWARD_WEIGHTS] = {{check_conv, 40}},
    [MBT_OP_STATS] = {{check_stats, 452}, {check_batch_norm, 8}},
    [MBT_OP_APPLY] = {{check_apply, 1900}, {check_batch_norm, 8}},
    [MBT_OP_APPLY_BACKWARD] = {{check_apply_backward, 3800}, {check_batch_norm, 8}},
    [MBT_OP_NORM_BACKWARD] = {{check_norm_backward, 960}, {check_batch_norm, 8}},
    [MBT_OP_DEPTHWISE_FORWARD] = {{check_depthwise, 1500}},
    [MBT_OP_DEPTHWISE_BACKWARD] = {{check_depthwise, 1500}},
    [MBT_OP_POOL] = {{check_pool, 72}},
    [MBT_OP_POOL_BACKWARD] = {{check_pool, 72}},
    [MBT_OP_QUANTISE] = {{check_quantise, 12}},
};

/* What a test is about. */
struct target {
    const mbt_kernel *row;
    int wanted; /* cases of a check; 0: all */
};

/* Of cases that loops over 2, 3, 4 or 5 values make, each so-manieth: prime to those numbers, or
 * some values would never be met. */
static int each(int cases, int wanted)
{
    int n = wanted > 0 && cases > wanted ? cases / wanted : 1;
    while (n > 1 && (n % 2 == 0 || n % 3 == 0 || n % 5 == 0)) {
        n++;
    }
    return n;
}

static void check_row(void **state)
{
    const struct target *target = *state;
    const mbt_kernel *row = target->row;
    for (int i = 0; i < CHECKS_MAX && checks[row->op][i].run != NULL; i++) {
        const struct check *check = &checks[row->op][i];
        subject s = {.row = row, .every = each(check->at_least, target->wanted), .random = 1};
        check->run(&s);
        if (s.n_cases < check->at_least) {
            fail_msg("%s, row %s: supports %d cases, wanted %d or more", mbt_op_name(row->op),
                     row->name, s.n_cases, check->at_least);
        }
        print_message("%s, row %s: %d cases\n", mbt_op_name(row->op), row->name,
                      (s.n_cases + s.every - 1) / s.every);
    }
}

/* What one operation of each kind is asked for with. */
struct samples {
    mbt_layout map;
    mbt_conv_desc conv;
    mbt_apply_desc apply;
    mbt_depthwise_desc depthwise;
};

static struct samples samples_of(mbt_isa isa)
{
    const mbt_layout map = {24, 4, 4, 2, mbt_isa_block(isa)};
    struct samples d = {
        .map = map,
        .conv = {.in = map, .out = map, .kernel = 1, .stride = 1},
        .apply = {.source = map, .destination = map},
    };
    d.depthwise.apply = d.apply;
    d.depthwise.conv = (mbt_conv_desc){
        .in = map, .out = map, .kernel = 3, .stride = 1, .pad = 1, .depthwise = true};
    return d;
}

static const void *sample(const struct samples *d, int op)
{
    switch (op) {
    case MBT_OP_CONV_FORWARD:
    case MBT_OP_CONV_BACKWARD_DATA:
    case MBT_OP_CONV_BACKWARD_WEIGHTS:
        return &d->conv;
    case MBT_OP_APPLY:
    case MBT_OP_APPLY_BACKWARD:
        return &d->apply;
    case MBT_OP_DEPTHWISE_FORWARD:
    case MBT_OP_DEPTHWISE_BACKWARD:
        return &d->depthwise;
    case MBT_OP_QUANTISE:
        return NULL;
    default:
        return &d->map;
    }
}

/* The plan takes what mbt_kernel_find gives: the first row that can, and one for every operation
 * but the optional ones, in whose place it goes pass by pass. */
static void find_takes_the_first_row(void **state)
{
    (void)state;
    int n_rows;
    const mbt_kernel *rows = mbt_kernel_table(&n_rows), *end = rows + n_rows;
    const int top = (int)mbt_cpu_isa();
    for (int isa = 0; isa <= top; isa++) {
        const struct samples samples = samples_of((mbt_isa)isa);
        for (int op = 0; op < MBT_OP_COUNT; op++) {
            const bool optional = op == MBT_OP_DEPTHWISE_FORWARD || op == MBT_OP_DEPTHWISE_BACKWARD;
            const void *desc = sample(&samples, op);
            const mbt_kernel *found = mbt_kernel_find((mbt_op)op, (mbt_isa)isa, desc);
            if (!optional || isa >= MBT_ISA_AVX2) {
                assert_non_null(found);
                assert_int_equal(found->op, op);
                assert_true((int)found->isa <= isa);
            }
            for (const mbt_kernel *row = rows; row < (found != NULL ? found : end); row++) {
                assert_true((int)row->op != op || (int)row->isa > isa ||
                            (row->supports != NULL && !row->supports((mbt_isa)isa, desc)));
            }
        }
    }
}

static void what_no_row_does_is_not_found(void **state)
{
    (void)state;
    const mbt_layout two = {16, 4, 4, 2, mbt_isa_block(mbt_cpu_isa())},
                     one = {16, 4, 4, 1, two.block};
    const mbt_conv_desc across = {.in = two, .out = one, .kernel = 1, .stride = 1};
    assert_null(mbt_kernel_find(MBT_OP_CONV_FORWARD, mbt_cpu_isa(), &across));

    /* Rows of the input come in pairs at stride 2. */
    struct samples odd = samples_of(mbt_cpu_isa());
    odd.depthwise.conv.stride = 2;
    odd.depthwise.conv.in.w = odd.depthwise.apply.source.w = odd.depthwise.apply.destination.w = 5;
    odd.depthwise.conv.out.w = 3;
    odd.depthwise.conv.out.h = 2;
    assert_null(mbt_kernel_find(MBT_OP_DEPTHWISE_FORWARD, mbt_cpu_isa(), &odd.depthwise));
    assert_null(mbt_kernel_find(MBT_OP_DEPTHWISE_BACKWARD, mbt_cpu_isa(), &odd.depthwise));
}

/* 8 groups of 20 channels: 16 neighbours of the result come from 8 blocks, two lanes from each. */
static void a_shuffle_names_all_blocks_it_draws_on(void **state)
{
    (void)state;
    const mbt_layout l = {160, 2, 2, 1, 16};
    int from[160];
    for (int c = 0; c < l.c; c++) {
        from[c] = c % 8 * 20 + c / 8;
    }
    mbt_shuffle shuffle;
    mbt_error err = {0};
    assert_int_equal(mbt_shuffle_create(&l, &l, from, &shuffle, &err), MBT_OK);
    assert_false(shuffle.straight);
    const mbt_shuffle_block *first = &shuffle.blocks[0];
    assert_int_equal(first->n_from, 8);
    for (int lane = 0; lane < 16; lane++) {
        const int k = lane % 8;
        assert_int_equal(first->from[k], from[lane] / 16);
        assert_int_equal(first->mask[k], 0x101 << k);
        assert_int_equal(first->lane[k][lane], from[lane] % 16);
    }
    mbt_shuffle_clear(&shuffle);
}

int main(int argc, char **argv)
{
    int n_rows, n_tests = 0, n_beyond = 0;
    const int wanted = argc > 1 ? atoi(argv[1]) : 0;
    const mbt_kernel *rows = mbt_kernel_table(&n_rows);
    struct CMUnitTest *tests = calloc((size_t)n_rows + 3, sizeof *tests);
    char(*names)[NAME_BYTES] = calloc((size_t)n_rows, sizeof *names);
    struct target *targets = calloc((size_t)n_rows, sizeof *targets);
    if (tests == NULL || names == NULL || targets == NULL || wanted < 0) {
        return EXIT_FAILURE;
    }
    for (int i = 0; i < n_rows; i++) {
        if (rows[i].isa > mbt_cpu_isa()) {
            (void)fprintf(stderr, "not run: %s, row %s needs %s\n", mbt_op_name(rows[i].op),
                          rows[i].name, mbt_isa_name(rows[i].isa));
            n_beyond++;
            continue;
        }
        (void)snprintf(names[i], sizeof names[i], "row %d: %s, %s", i, mbt_op_name(rows[i].op),
                       rows[i].name);
        targets[i] = (struct target){&rows[i], wanted};
        tests[n_tests++] = (struct CMUnitTest){names[i], check_row, NULL, NULL, &targets[i]};
    }
    (void)fprintf(stderr, "%d rows, %d of them beyond this processor (%s)\n", n_rows, n_beyond,
                  mbt_isa_name(mbt_cpu_isa()));
    tests[n_tests++] = (struct CMUnitTest)cmocka_unit_test(find_takes_the_first_row);
    tests[n_tests++] = (struct CMUnitTest)cmocka_unit_test(what_no_row_does_is_not_found);
    tests[n_tests++] = (struct CMUnitTest)cmocka_unit_test(a_shuffle_names_all_blocks_it_draws_on);
    const int failed = _cmocka_run_group_tests("kernels", tests, (size_t)n_tests, NULL, NULL);
    free(tests);
    free(names);
    free(targets);
    return failed;
}
