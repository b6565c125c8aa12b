/* The blocks that only some checkpoints have: squares of RMSprop, averaged weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/checkpoint_state.h"

enum { STEP = 213 };

/* A file in a fresh folder for each test. */
static int enter(void **state)
{
    static char path[MBT_PATH_BYTES];
    char folder[] = "/tmp/mbt_blocks_XXXXXX";
    mbt_error err = {0};
    *state = path;
    return !mkdtemp(folder) || mbt_checkpoint_path(folder, STEP, path, &err);
}

static int leave(void **state)
{
    char *path = *state, *end = strrchr(path, '/');
    (void)unlink(path);
    (void)strcpy(end, "/last.h5");
    (void)unlink(path);
    *end = '\0';
    return rmdir(path); /* fails when anything unexpected is left */
}

static void save(const char *path, const fixture *f, char digest[MBT_DIGEST_TEXT])
{
    char folder[MBT_PATH_BYTES];
    mbt_error err = {0};
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (mbt_checkpoint_save(&f->state, folder, false, NULL, digest, &err))
        fail_msg("%s", err.message);
}

static void digest_of(const fixture *f, char digest[MBT_DIGEST_TEXT])
{
    mbt_error err = {0};
    assert_int_equal(mbt_state_digest(&f->state, digest, &err), MBT_OK);
}

/* Canonical values by the formula, and so much more; what has no momentum has zeros there. */
static void check_block(const fixture *f, const float *block, bool momentum, float more)
{
    for (int i = 0; i < f->params.n_slices; i++) {
        const mbt_slice *slice = &f->params.slices[i];
        float *values = malloc(slice->count * sizeof *values);
        assert_non_null(values);
        mbt_slice_unpack(slice, block, values);
        for (size_t k = 0; k < slice->count; k++)
            assert_true(values[k] == (momentum && !slice->trained
                                          ? 0.0f
                                          : fixture_value(slice->name, k, momentum) + more));
        free(values);
    }
}

static void check_plain(const fixture *f)
{
    check_block(f, f->weights, false, 0);
    check_block(f, f->momentum, true, 0);
}

static void squares_and_average_come_back(void **state)
{
    const char *path = *state;
    fixture out, in;
    char saved[MBT_DIGEST_TEXT], got[MBT_DIGEST_TEXT], plain[MBT_DIGEST_TEXT];
    bool plan_changed = true;
    mbt_error err = {0};
    fixture_make(&out, FIXTURE_PLAIN, 16, true);
    digest_of(&out, plain);
    fixture_add_blocks(&out, true);
    save(path, &out, saved);
    assert_string_not_equal(saved, plain);
    assert_int_equal(mbt_checkpoint_verify(path, got, &err), MBT_OK);
    assert_string_equal(saved, got);

    fixture_make(&in, FIXTURE_PLAIN, 8, false);
    fixture_add_blocks(&in, false);
    assert_int_equal(mbt_checkpoint_load(&in.state, path, &plan_changed, &err), MBT_OK);
    check_plain(&in);
    check_block(&in, in.square, true, 0.125f);
    check_block(&in, in.ema, false, 0.125f);
    digest_of(&in, got);
    assert_string_equal(saved, got);
    /* evaluation takes the average */
    assert_int_equal(mbt_checkpoint_load_weights(&in.params, in.weights, path, NULL, &err), MBT_OK);
    check_block(&in, in.weights, false, 0.125f);
    fixture_clear(&in);

    /* whoever has no place for them goes without */
    fixture_make(&in, FIXTURE_PLAIN, 16, false);
    assert_int_equal(mbt_checkpoint_load(&in.state, path, &plan_changed, &err), MBT_OK);
    check_plain(&in);
    digest_of(&in, got);
    assert_string_equal(plain, got);
    fixture_clear(&in);

    /* each of them is covered by the digest */
    out.ema[out.params.slices[3].offset] += 1;
    digest_of(&out, got);
    assert_string_not_equal(saved, got);
    out.ema[out.params.slices[3].offset] -= 1;
    out.square[out.params.slices[0].offset] += 1;
    digest_of(&out, got);
    assert_string_not_equal(saved, got);
    fixture_clear(&out);
}

static void blocks_that_the_file_lacks(void **state)
{
    const char *path = *state;
    fixture out, in;
    char digest[MBT_DIGEST_TEXT];
    bool plan_changed = true;
    mbt_error err = {0};
    fixture_make(&out, FIXTURE_PLAIN, 16, true);
    save(path, &out, digest);
    fixture_make(&in, FIXTURE_PLAIN, 16, false);
    fixture_add_blocks(&in, false);
    assert_int_equal(mbt_checkpoint_load(&in.state, path, &plan_changed, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "has no /optimizer/square"));
    assert_true(in.weights[0] == -7.0f);
    in.state.square = NULL; /* without RMSprop it is an average that has not begun */
    assert_int_equal(mbt_checkpoint_load(&in.state, path, &plan_changed, &err), MBT_OK);
    assert_null(in.state.ema);
    check_plain(&in);
    fixture_clear(&in);
    fixture_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(squares_and_average_come_back, enter, leave),
        cmocka_unit_test_setup_teardown(blocks_that_the_file_lacks, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
