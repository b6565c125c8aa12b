/* Before anything is saved the ranks' states are compared, and the lowest rank that has another is
 * named on all of them; what is held back from a time limit for saves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "train/keeper.h"

enum { FLOATS = 100 };

static mbt_comm *comm;

typedef struct flat {
    float weights[FLOATS], momentum[FLOATS], square[FLOATS], ema[FLOATS];
    mbt_params params;
    mbt_state state;
    mbt_setup setup;
    mbt_timer timer;
    mbt_keeper keeper;
} flat;

static void make(flat *f)
{
    *f = (flat){.params = {.n_floats = FLOATS}};
    for (int i = 0; i < FLOATS; i++) {
        f->weights[i] = f->momentum[i] = f->square[i] = f->ema[i] = (float)i;
    }
    f->setup.comm = comm;
    f->state = (mbt_state){.params = &f->params,
                           .weights = f->weights,
                           .momentum = f->momentum,
                           .square = f->square,
                           .ema = f->ema,
                           .progress = {.step = 7}};
    mbt_timer_start(&f->timer);
    f->keeper = (mbt_keeper){.setup = &f->setup, .timer = &f->timer};
}

static void states_alike_are_good(void **state)
{
    flat f;
    mbt_error err = {0};
    (void)state;
    make(&f);
    assert_int_equal(mbt_keeper_compare(&f.keeper, &f.state, &err), MBT_OK);
}

/* One bit of the last rank, in each block in turn: a sign of zero is enough. */
static void one_bit_is_named(void **state)
{
    const int size = mbt_comm_size(comm), last = size - 1;
    (void)state;
    for (int block = 0; block < 4 && size > 1; block++) {
        flat f;
        mbt_error err = {0};
        char wanted[64];
        make(&f);
        float *const blocks[] = {f.weights, f.momentum, f.square, f.ema};
        if (mbt_comm_rank(comm) == last) {
            assert_true(blocks[block][0] == 0);
            blocks[block][0] = -0.0f;
        }
        assert_int_equal(mbt_keeper_compare(&f.keeper, &f.state, &err), MBT_FAILURE);
        (void)snprintf(wanted, sizeof wanted, "step 7: rank %d's weights differ", last);
        if (strstr(err.message, wanted) == NULL) {
            fail_msg("\"%s\" lacks \"%s\"", err.message, wanted);
        }
    }
}

static void the_reserve_grows_with_the_saves(void **state)
{
    flat f;
    (void)state;
    make(&f);
    assert_true(mbt_keeper_reserve(&f.keeper) == 0); /* another rank's */
    f.keeper.run = (mbt_run *)(void *)&f;            /* asked whether it is there, no more */
    assert_true(mbt_keeper_reserve(&f.keeper) == 30);
    f.keeper.n_saves = 1; /* of metrics alone */
    assert_true(mbt_keeper_reserve(&f.keeper) == 30);
    f.keeper.longest_s = 0.5; /* a checkpoint took */
    assert_true(fabs(mbt_keeper_reserve(&f.keeper) - 11.5) < 1e-9);
    f.keeper.longest_s = 100;
    assert_true(fabs(mbt_keeper_reserve(&f.keeper) - 310) < 1e-9);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_alike_are_good),
        cmocka_unit_test(one_bit_is_named),
        cmocka_unit_test(the_reserve_grows_with_the_saves),
    };
    mbt_error err = {0};
    if (mbt_comm_create(&argc, &argv, &comm, &err) != MBT_OK) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mbt_comm_destroy(comm);
    return failed;
}
