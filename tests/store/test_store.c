/* What goes into a store comes out: data sets of every type and layout, attributes, groups,
 * digests; and the same content gives the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "mbt/store.h"
#include "store/scratch.h"

#define FILE_MAX ((size_t)1 << 26)

static mbt_error err;

static void ok(mbt_status status)
{
    if (status != MBT_OK) {
        fail_msg("status %d: %s", (int)status, err.message);
    }
}

static void fails(mbt_status status, mbt_status wanted, const char *word)
{
    if (status != wanted || err.code != wanted || strstr(err.message, word) == NULL) {
        fail_msg("status %d, wanted %d with \"%s\": %s", (int)status, (int)wanted, word,
                 err.message);
    }
}

static mbt_store *created(void)
{
    mbt_store *store = NULL;
    ok(mbt_store_create(&store, &err));
    return store;
}

/* ---- data sets ---- */

struct sample {
    const char *path;
    mbt_store_shape shape;
    uint64_t chunk_rows;
    int deflate;
};

static const struct sample samples[] = {
    {"/u8", {MBT_STORE_U8, 1, {300}}, 0, 0},
    {"/a/i32", {MBT_STORE_I32, 2, {7, 5}}, 3, 0},
    {"/a/b/i64", {MBT_STORE_I64, 3, {4, 3, 2}}, 4, 0},
    {"/a/b/f32", {MBT_STORE_F32, 4, {10, 3, 3, 2}}, 4, 6},
    {"/f64", {MBT_STORE_F64, 8, {2, 1, 2, 1, 2, 1, 2, 3}}, 1000, 0},
    {"/scalar/i64", {MBT_STORE_I64, 0, {0}}, 0, 0},
    {"/scalar/f32", {MBT_STORE_F32, 0, {0}}, 9, 0},
    {"/empty/f32", {MBT_STORE_F32, 2, {0, 12}}, 0, 0},
    {"/empty/chunked", {MBT_STORE_U8, 2, {12, 0}}, 4, 0},
};

enum { N_SAMPLES = sizeof samples / sizeof samples[0] };

static size_t bytes_of(const mbt_store_shape *shape)
{
    size_t n = mbt_store_type_bytes(shape->type);
    for (int d = 0; d < shape->rank; d++) {
        n *= shape->dims[d];
    }
    return n;
}

/* Bytes that include every bit pattern: NaNs and denormals must come back as they were. */
static unsigned char *filled(const mbt_store_shape *shape, unsigned seed)
{
    size_t n = bytes_of(shape);
    unsigned char *data = malloc(n + 1);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (unsigned char)(seed >> 24);
    }
    return data;
}

static void write_samples(mbt_store *store)
{
    for (int i = 0; i < N_SAMPLES; i++) {
        unsigned char *data = filled(&samples[i].shape, (unsigned)i);
        ok(mbt_store_write(store, samples[i].path, &samples[i].shape, data, samples[i].chunk_rows,
                           samples[i].deflate, &err));
        free(data);
    }
}

static void check_samples(mbt_store *store)
{
    for (int i = 0; i < N_SAMPLES; i++) {
        const mbt_store_shape *shape = &samples[i].shape;
        mbt_store_shape got;
        unsigned char *wanted = filled(shape, (unsigned)i), *data = filled(shape, 77);
        assert_true(mbt_store_has(store, samples[i].path));
        ok(mbt_store_shape_of(store, samples[i].path, &got, &err));
        assert_int_equal(got.type, shape->type);
        assert_int_equal(got.rank, shape->rank);
        assert_memory_equal(got.dims, shape->dims, (size_t)shape->rank * sizeof got.dims[0]);
        ok(mbt_store_read(store, samples[i].path, shape, data, &err));
        assert_memory_equal(data, wanted, bytes_of(shape));
        if (shape->rank > 0 && shape->dims[0] > 3) {
            size_t row = bytes_of(shape) / shape->dims[0];
            ok(mbt_store_read_rows(store, samples[i].path, shape, 1, 2, data, &err));
            assert_memory_equal(data, wanted + row, 2 * row);
            ok(mbt_store_read_rows(store, samples[i].path, shape, shape->dims[0], 0, data, &err));
            fails(mbt_store_read_rows(store, samples[i].path, shape, shape->dims[0] - 1, 2, data,
                                      &err),
                  MBT_DATA, "rows");
            fails(mbt_store_read_rows(store, samples[i].path, shape, 1, UINT64_MAX, data, &err),
                  MBT_DATA, "rows");
        }
        free(data);
        free(wanted);
    }
}

static void all_types_come_back(void **state)
{
    char path[2 * SCRATCH_PATH];
    struct stat info;
    size_t bytes = 0;
    mbt_store *store = created();
    scratch_path(*state, "a.h5", path);
    write_samples(store);
    ok(mbt_store_commit(store, path, &bytes, &err));
    mbt_store_close(store);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, bytes);
    assert_int_equal(scratch_count(*state), 1);

    ok(mbt_store_open(path, FILE_MAX, &store, &err));
    check_samples(store);
    mbt_store_close(store);
    for (int verify = 0; verify < 2; verify++) {
        ok(mbt_store_open_large(path, verify, &store, &err));
        check_samples(store);
        mbt_store_close(store);
    }
}

static void two_stores_at_once(void **state)
{
    char path[2][2 * SCRATCH_PATH];
    mbt_store *store[2] = {created(), created()};
    mbt_store_shape scalar = {MBT_STORE_I64, 0, {0}};
    for (int64_t i = 0; i < 2; i++) {
        ok(mbt_store_write(store[i], "/which", &scalar, &i, 0, 0, &err));
    }
    for (int i = 0; i < 2; i++) {
        scratch_path(*state, i == 0 ? "0.h5" : "1.h5", path[i]);
        ok(mbt_store_commit(store[i], path[i], NULL, &err));
        mbt_store_close(store[i]);
    }
    for (int i = 0; i < 2; i++) {
        ok(mbt_store_open(path[i], FILE_MAX, &store[i], &err));
    }
    for (int i = 0; i < 2; i++) {
        int64_t got = -1;
        ok(mbt_store_read(store[i], "/which", &scalar, &got, &err));
        assert_int_equal(got, i);
        mbt_store_close(store[i]);
    }
}

static void other_shape_is_told(void **state)
{
    char path[2 * SCRATCH_PATH];
    mbt_store_shape shape = {MBT_STORE_F32, 2, {3, 4}}, want;
    float data[12] = {0}, untouched[12];
    mbt_store *store = created();
    scratch_path(*state, "a.h5", path);
    ok(mbt_store_write(store, "/g/w", &shape, data, 0, 0, &err));
    ok(mbt_store_commit(store, path, NULL, &err));
    mbt_store_close(store);
    ok(mbt_store_open(path, FILE_MAX, &store, &err));
    memset(untouched, 0x55, sizeof untouched);
    memcpy(data, untouched, sizeof data);

    want = shape;
    want.dims[1] = 3;
    fails(mbt_store_read(store, "/g/w", &want, data, &err), MBT_DATA,
          "a.h5: /g/w: got f32 [3][4], wanted f32 [3][3]");
    want = shape;
    want.type = MBT_STORE_I32;
    fails(mbt_store_read(store, "/g/w", &want, data, &err), MBT_DATA, "wanted i32 [3][4]");
    want = shape;
    want.rank = 1;
    fails(mbt_store_read(store, "/g/w", &want, data, &err), MBT_DATA, "wanted f32 [3]");
    want.rank = 0;
    fails(mbt_store_read(store, "/g/w", &want, data, &err), MBT_DATA, "wanted f32 scalar");
    assert_memory_equal(data, untouched, sizeof data);

    fails(mbt_store_read(store, "/g/v", &shape, data, &err), MBT_DATA, "/g/v: not in the file");
    fails(mbt_store_read(store, "/g/w/v", &shape, data, &err), MBT_DATA, "not in the file");
    fails(mbt_store_read(store, "/g", &shape, data, &err), MBT_DATA, "not a data set");
    fails(mbt_store_read(store, "g/w", &shape, data, &err), MBT_DATA, "relative");
    fails(mbt_store_read(store, "", &shape, data, &err), MBT_DATA, "relative");
    fails(mbt_store_read(store, "/g//w", &shape, data, &err), MBT_DATA, "empty");
    fails(mbt_store_read(store, "/g/./w", &shape, data, &err), MBT_DATA, "dots");
    fails(mbt_store_read(store, "/g/../g/w", &shape, data, &err), MBT_DATA, "dots");
    assert_true(mbt_store_has(store, "/"));
    assert_true(mbt_store_has(store, "/g"));
    assert_false(mbt_store_has(store, "/h"));
    assert_false(mbt_store_has(store, "g"));
    mbt_store_close(store);
}

static void wrong_writes_are_told(void **state)
{
    mbt_store_shape shape = {MBT_STORE_U8, 1, {2}};
    const unsigned char data[2] = {1, 2};
    mbt_store *store = created();
    (void)state;
    ok(mbt_store_write(store, "/a/b", &shape, data, 0, 0, &err));
    fails(mbt_store_write(store, "/a/b", &shape, data, 0, 0, &err), MBT_FAILURE, "/a/b");
    fails(mbt_store_write(store, "/a/b/c", &shape, data, 0, 0, &err), MBT_FAILURE, "/a/b/c");
    fails(mbt_store_write(store, "/a", &shape, data, 0, 0, &err), MBT_FAILURE, "/a");
    fails(mbt_store_write(store, "a", &shape, data, 0, 0, &err), MBT_FAILURE, "relative");
    shape.rank = 9;
    fails(mbt_store_write(store, "/r", &shape, data, 0, 0, &err), MBT_FAILURE, "limits");
    shape = (mbt_store_shape){MBT_STORE_F64, 2, {UINT64_C(1) << 40, UINT64_C(1) << 40}};
    fails(mbt_store_write(store, "/r", &shape, data, 0, 0, &err), MBT_FAILURE, "limits");
    fails(mbt_store_set_i64(store, "/nowhere", "x", 1, &err), MBT_FAILURE, "/nowhere");
    mbt_store_close(store);
}

/* ---- attributes ---- */

static void attributes_come_back(void **state)
{
    char path[2 * SCRATCH_PATH], text[64], *long_text = NULL;
    static const char *const names[] = {"", "cat", "J\xc3\xa4ger", "a rather longer name"};
    char got_names[8][32];
    const double values[] = {0.1, -0.0, 5e-324, HUGE_VAL, 1.7976931348623157e308};
    double got[5], f64 = 0;
    int64_t i64 = 0;
    int count = 0;
    enum { LONG = 200000 };
    char *config = malloc(LONG + 1);
    assert_non_null(config);
    memset(config, 'x', LONG);
    config[LONG] = '\0';
    mbt_store *store = created();
    scratch_path(*state, "a.h5", path);
    ok(mbt_store_make_group(store, "/g/h", &err));
    ok(mbt_store_make_group(store, "/g/h", &err)); /* already there */
    ok(mbt_store_set_i64(store, "/", "low", INT64_MIN, &err));
    ok(mbt_store_set_i64(store, "/g/h", "high", 3, &err));
    ok(mbt_store_set_i64(store, "/g/h", "high", INT64_MAX, &err)); /* replaced */
    ok(mbt_store_set_f64(store, "/g", "tenth", 0.1, &err));
    ok(mbt_store_set_f64s(store, "/g", "values", 5, values, &err));
    ok(mbt_store_set_f64s(store, "/g", "none", 0, values, &err));
    ok(mbt_store_set_text(store, "/g", "text", "first, longer", &err));
    ok(mbt_store_set_text(store, "/g", "text", "J\xc3\xa4ger", &err)); /* replaced, other type */
    ok(mbt_store_set_text(store, "/g", "empty", "", &err));
    ok(mbt_store_set_text(store, "/", "config", config, &err));
    ok(mbt_store_set_texts(store, "/g", "names", 4, names, &err));
    for (int i = 0; i < 20; i++) { /* so many that HDF5 stores them in another way */
        (void)snprintf(text, sizeof text, "many%02d", i);
        ok(mbt_store_set_i64(store, "/g", text, i, &err));
    }
    ok(mbt_store_commit(store, path, NULL, &err));
    mbt_store_close(store);

    ok(mbt_store_open(path, FILE_MAX, &store, &err));
    ok(mbt_store_get_i64(store, "/", "low", &i64, &err));
    assert_true(i64 == INT64_MIN);
    ok(mbt_store_get_i64(store, "/g/h", "high", &i64, &err));
    assert_true(i64 == INT64_MAX);
    ok(mbt_store_get_f64(store, "/g", "tenth", &f64, &err));
    assert_true(f64 == 0.1);
    ok(mbt_store_get_f64s(store, "/g", "values", 5, got, &err));
    assert_memory_equal(got, values, sizeof got);
    ok(mbt_store_get_f64s(store, "/g", "none", 0, got, &err));
    ok(mbt_store_get_text(store, "/g", "text", text, sizeof text, &err));
    assert_string_equal(text, "J\xc3\xa4ger");
    ok(mbt_store_get_text(store, "/g", "text", text, 7, &err)); /* just fits */
    fails(mbt_store_get_text(store, "/g", "text", text, 6, &err), MBT_DATA, "above 5 bytes");
    ok(mbt_store_get_text(store, "/g", "empty", text, 1, &err));
    assert_string_equal(text, "");
    ok(mbt_store_get_long_text(store, "/", "config", LONG + 1, &long_text, &err));
    assert_string_equal(long_text, config);
    free(long_text);
    fails(mbt_store_get_long_text(store, "/", "config", LONG, &long_text, &err), MBT_DATA, "above");
    ok(mbt_store_get_texts(store, "/g", "names", 8, 32, got_names[0], &count, &err));
    assert_int_equal(count, 4);
    for (int i = 0; i < count; i++) {
        assert_string_equal(got_names[i], names[i]);
    }
    ok(mbt_store_get_i64(store, "/g", "many19", &i64, &err));
    assert_int_equal(i64, 19);

    fails(mbt_store_get_texts(store, "/g", "names", 3, 32, got_names[0], &count, &err), MBT_DATA,
          "got 4 texts");
    fails(mbt_store_get_texts(store, "/g", "names", 8, 10, got_names[0], &count, &err), MBT_DATA,
          "above 9 bytes");
    fails(mbt_store_get_text(store, "/g", "names", text, sizeof text, &err), MBT_DATA, "scalar");
    fails(mbt_store_get_i64(store, "/g", "absent", &i64, &err), MBT_DATA,
          "/g: no attribute \"absent\"");
    fails(mbt_store_get_i64(store, "/g", "tenth", &i64, &err), MBT_DATA, "wanted i64");
    fails(mbt_store_get_f64(store, "/g/h", "high", &f64, &err), MBT_DATA, "wanted f64");
    fails(mbt_store_get_f64(store, "/g", "text", &f64, &err), MBT_DATA, "wanted f64");
    fails(mbt_store_get_f64s(store, "/g", "values", 4, got, &err), MBT_DATA, "got 5 values");
    fails(mbt_store_get_text(store, "/g", "tenth", text, sizeof text, &err), MBT_DATA, "number");
    mbt_store_close(store);
    free(config);
}

/* ---- digests and bytes ---- */

static void digests_are_xxh3(void **state)
{
    char text[MBT_DIGEST_TEXT], pieces[MBT_DIGEST_TEXT];
    unsigned char data[1000];
    mbt_digest *digest = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)(i * 7);
    }
    ok(mbt_digest_create(&digest, &err));
    mbt_digest_text(digest, text);
    assert_string_equal(text, "99aa06d3014798d86001c324468d497f"); /* of nothing, as published */
    mbt_digest_add(digest, data, sizeof data);
    mbt_digest_text(digest, text);
    mbt_digest_destroy(digest);

    ok(mbt_digest_create(&digest, &err));
    for (size_t i = 0; i < sizeof data; i += 100) {
        mbt_digest_add(digest, data + i, 100);
        mbt_digest_add(digest, NULL, 0);
    }
    mbt_digest_text(digest, pieces);
    assert_string_equal(pieces, text);
    mbt_digest_destroy(digest);
    mbt_digest_destroy(NULL);
}

static void fill_all(mbt_store *store)
{
    write_samples(store);
    ok(mbt_store_set_text(store, "/", "name", "one", &err));
    ok(mbt_store_set_f64(store, "/a/b/f32", "scale", 0.25, &err));
    ok(mbt_store_make_group(store, "/z", &err));
}

static void same_content_same_bytes(void **state)
{
    char path[2][2 * SCRATCH_PATH], digest[2][MBT_DIGEST_TEXT], block[MBT_USER_BLOCK_BYTES] = {0};
    unsigned char *data[2];
    size_t bytes[2];
    struct timespec pause = {1, 100000000}; /* times of HDF5 count seconds */
    for (int i = 0; i < 2; i++) {
        mbt_store *store = created();
        assert_string_equal(mbt_store_digest(store), "");
        fill_all(store);
        scratch_path(*state, i == 0 ? "0.h5" : "1.h5", path[i]);
        ok(mbt_store_commit(store, path[i], NULL, &err));
        memcpy(digest[i], mbt_store_digest(store), MBT_DIGEST_TEXT);
        mbt_store_close(store);
        data[i] = scratch_read(path[i], &bytes[i]);
        if (i == 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(data[0], data[1], bytes[0]);
    assert_string_equal(digest[0], digest[1]);

    /* the user block as documented, over the rest of the file */
    mbt_digest *sum = NULL;
    char text[MBT_DIGEST_TEXT];
    ok(mbt_digest_create(&sum, &err));
    mbt_digest_add(sum, data[0] + MBT_USER_BLOCK_BYTES, bytes[0] - MBT_USER_BLOCK_BYTES);
    mbt_digest_text(sum, text);
    mbt_digest_destroy(sum);
    assert_string_equal(text, digest[0]);
    (void)snprintf(block, sizeof block, "MBTRAIN 1\nXXH3-128 %s\nBYTES %zu\n", text,
                   bytes[0] - MBT_USER_BLOCK_BYTES);
    assert_memory_equal(data[0], block, sizeof block);
    free(data[0]);
    free(data[1]);

    mbt_store *store = NULL;
    ok(mbt_store_open(path[0], FILE_MAX, &store, &err));
    assert_string_equal(mbt_store_digest(store), digest[0]);
    mbt_store_close(store);
    ok(mbt_store_open_large(path[0], true, &store, &err));
    assert_string_equal(mbt_store_digest(store), digest[0]);
    mbt_store_close(store);
    mbt_store_close(NULL);
}

/* ---- the walk ---- */

struct seen {
    char text[1024];
    int calls, stop_at;
};

static mbt_status see(void *context, const char *path, const mbt_store_shape *shape, mbt_error *e)
{
    struct seen *seen = context;
    size_t at = strlen(seen->text);
    (void)snprintf(seen->text + at, sizeof seen->text - at, "%s:%d ", path, shape->rank);
    if (++seen->calls == seen->stop_at) {
        return mbt_fail(e, MBT_DIVERGED, "enough");
    }
    return MBT_OK;
}

static void walk_goes_by_name(void **state)
{
    char path[2 * SCRATCH_PATH];
    mbt_store *store = created();
    struct seen seen = {.text = ""};
    scratch_path(*state, "a.h5", path);
    fill_all(store);
    ok(mbt_store_commit(store, path, NULL, &err));
    mbt_store_close(store);
    ok(mbt_store_open(path, FILE_MAX, &store, &err));
    ok(mbt_store_walk(store, "/", see, &seen, &err));
    assert_string_equal(seen.text, "/a/b/f32:4 /a/b/i64:3 /a/i32:2 /empty/chunked:2 /empty/f32:2 "
                                   "/f64:8 /scalar/f32:0 /scalar/i64:0 /u8:1 ");
    memset(&seen, 0, sizeof seen);
    ok(mbt_store_walk(store, "/a/b", see, &seen, &err));
    assert_string_equal(seen.text, "/a/b/f32:4 /a/b/i64:3 ");
    memset(&seen, 0, sizeof seen);
    seen.stop_at = 2;
    fails(mbt_store_walk(store, "/", see, &seen, &err), MBT_DIVERGED, "enough");
    assert_int_equal(seen.calls, 2);
    fails(mbt_store_walk(store, "/q", see, &seen, &err), MBT_DATA, "/q");
    mbt_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_types_come_back, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(two_stores_at_once, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(other_shape_is_told, scratch_setup, scratch_teardown),
        cmocka_unit_test(wrong_writes_are_told),
        cmocka_unit_test_setup_teardown(attributes_come_back, scratch_setup, scratch_teardown),
        cmocka_unit_test(digests_are_xxh3),
        cmocka_unit_test_setup_teardown(same_content_same_bytes, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(walk_goes_by_name, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
