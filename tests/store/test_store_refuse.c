/* What a file of another maker may hold, and what is refused: everything that leads out of the
 * file, promises more than is there, or is of a type that is none of ours. And HDF5 itself stays
 * silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/store.h"
#include "store/foreign.h"
#include "store/scratch.h"

static mbt_error err;

struct fixture {
    struct scratch scratch;
    mbt_store *store;
};

static void ok(mbt_status status)
{
    if (status != MBT_OK) {
        fail_msg("status %d: %s", (int)status, err.message);
    }
}

static int begin(void **state)
{
    static struct fixture f;
    char path[2 * SCRATCH_PATH], beside[2 * SCRATCH_PATH];
    scratch_begin(&f.scratch);
    scratch_path(&f.scratch, "foreign.h5", path);
    scratch_path(&f.scratch, "victim.h5", beside);
    foreign_write_victim(beside);
    foreign_write(path, beside);
    ok(mbt_store_open_large(path, true, &f.store, &err));
    *state = &f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    mbt_store_close(f->store);
    scratch_end(&f->scratch);
    return 0;
}

static void good_things_are_read(void **state)
{
    struct fixture *f = *state;
    mbt_store_shape shape = {MBT_STORE_F32, 1, {4}};
    float values[4];
    double packed[4] = {1, 1, 1, 1};
    int64_t big = 0;
    char text[16], texts[3][16];
    int count = 0;
    ok(mbt_store_read(f->store, "/good_f32be", &shape, values, &err));
    assert_true(values[0] == 1 && values[1] == -2 && values[2] == 0.5f && values[3] == 1e30f);
    shape.type = MBT_STORE_F64;
    ok(mbt_store_read(f->store, "/good_packed", &shape, packed, &err));
    assert_true(packed[0] == 0 && packed[3] == 0);
    ok(mbt_store_get_i64(f->store, "/good_f32be", "big_endian", &big, &err));
    assert_int_equal(big, 258);
    ok(mbt_store_get_text(f->store, "/good_f32be", "variable", text, sizeof text, &err));
    assert_string_equal(text, "variable");
    assert_int_equal(mbt_store_get_text(f->store, "/good_f32be", "variable", text, 8, &err),
                     MBT_DATA);
    ok(mbt_store_get_texts(f->store, "/good_f32be", "variables", 3, 16, texts[0], &count, &err));
    assert_int_equal(count, 3);
    assert_string_equal(texts[0], "variable");
    assert_string_equal(texts[1], "");
    assert_string_equal(texts[2], "third");
    ok(mbt_store_get_text(f->store, "/good_f32be", "blanks", text, sizeof text, &err));
    assert_string_equal(text, "four");
    ok(mbt_store_get_text(f->store, "/good_f32be", "full", text, 9, &err));
    assert_string_equal(text, "12345678");
    /* numbers are not converted */
    assert_int_equal(mbt_store_get_i64(f->store, "/good_f32be", "i32", &big, &err), MBT_DATA);
}

static void bad_things_are_refused(void **state)
{
    static const struct {
        const char *path, *word;
    } bad[] = {
        {"/soft", "kind \"soft\""},
        {"/dangling", "kind \"soft\""},
        {"/soft_group/inner", "kind \"soft\""},
        {"/external", "kind \"external\""},
        {"/external_group/secret", "kind \"external\""},
        {"/mixed/b", "kind \"soft\""},
        {"/virtual", "a virtual data set"},
        {"/outside", "other files"},
        {"/nbit", "filter 5"},
        {"/plugin", "filter 32015"},
        {"/rank9", "9 dimensions"},
        {"/null", "without a shape"},
        {"/bomb", "stores 0"},
        {"/packed_bomb", "stores 0"},
        {"/plain_bomb", "stores 0"},
        {"/fat_chunk", "chunks above"},
        {"/compound", "element type"},
        {"/u16", "element type"},
        {"/u32", "element type"},
        {"/i8", "element type"},
        {"/bits", "element type"},
        {"/reference", "element type"},
        {"/opaque", "element type"},
        {"/text", "element type"},
        {"/ragged", "element type"},
        {"/odd_float", "element type"},
        {"/named_type", "not a data set"},
        {"/good_group", "not a data set"},
        {"/", "not a data set"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mbt_store_shape shape, want = {MBT_STORE_I32, 1, {4}};
        int32_t data[4];
        mbt_status status = mbt_store_shape_of(f->store, bad[i].path, &shape, &err);
        if (status != MBT_DATA || strstr(err.message, bad[i].word) == NULL ||
            strstr(err.message, bad[i].path) == NULL) {
            fail_msg("%s: status %d, wanted \"%s\": %s", bad[i].path, (int)status, bad[i].word,
                     err.message);
        }
        assert_int_equal(mbt_store_read(f->store, bad[i].path, &want, data, &err), MBT_DATA);
        assert_int_equal(mbt_store_read_rows(f->store, bad[i].path, &want, 0, 1, data, &err),
                         MBT_DATA);
    }
    assert_false(mbt_store_has(f->store, "/soft"));
    assert_false(mbt_store_has(f->store, "/external_group/secret"));
    assert_false(mbt_store_has(f->store, "/named_type"));
    assert_true(mbt_store_has(f->store, "/good_group/inner"));
}

static mbt_status count(void *context, const char *path, const mbt_store_shape *shape, mbt_error *e)
{
    (void)path;
    (void)shape;
    (void)e;
    ++*(int *)context;
    return MBT_OK;
}

static void walks_end(void **state)
{
    struct fixture *f = *state;
    int n = 0;
    assert_int_equal(mbt_store_walk(f->store, "/circle", count, &n, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "deeper than"));
    assert_int_equal(mbt_store_walk(f->store, "/mixed", count, &n, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "/mixed/b"));
    assert_int_equal(n, 1);
    ok(mbt_store_walk(f->store, "/good_group", count, &n, &err));
    assert_int_equal(n, 2);
}

/* All of the above once more with standard error in a file, which must stay empty. */
static void hdf5_is_silent(void **state)
{
    struct fixture *f = *state;
    char path[2 * SCRATCH_PATH];
    size_t bytes = 1;
    mbt_store_shape shape;
    mbt_store *store = NULL;
    scratch_path(&f->scratch, "stderr", path);
    int before = dup(STDERR_FILENO);
    int log = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(before >= 0 && log >= 0);
    assert_int_equal(dup2(log, STDERR_FILENO), STDERR_FILENO);
    mbt_status absent = mbt_store_shape_of(f->store, "/absent", &shape, &err);
    mbt_status filtered = mbt_store_shape_of(f->store, "/plugin", &shape, &err);
    (void)mbt_store_has(f->store, "/dangling");
    mbt_status created = mbt_store_create(&store, NULL);
    mbt_status twice = mbt_store_make_group(store, "/g", NULL);
    shape = (mbt_store_shape){MBT_STORE_U8, 1, {1}};
    mbt_status over = mbt_store_write(store, "/g", &shape, "x", 0, 0, &err);
    (void)fflush(stderr);
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    (void)close(before);
    (void)close(log);
    mbt_store_close(store);
    assert_int_equal(absent, MBT_DATA);
    assert_int_equal(filtered, MBT_DATA);
    assert_int_equal(created, MBT_OK);
    assert_int_equal(twice, MBT_OK);
    assert_int_equal(over, MBT_FAILURE);
    assert_non_null(strstr(err.message, "HDF5 says: ")); /* it was captured instead */
    free(scratch_read(path, &bytes));
    assert_int_equal(bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(good_things_are_read, begin, end),
        cmocka_unit_test_setup_teardown(bad_things_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(walks_end, begin, end),
        cmocka_unit_test_setup_teardown(hdf5_is_silent, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
