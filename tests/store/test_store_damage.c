/* Damaged, cut, lengthened, empty and foreign files: each is refused with one message that names
 * the file, and nothing of it is taken for data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mbt/store.h"
#include "store/scratch.h"

enum { ROWS = 400, COLUMNS = 50, FLIPS = 200 };

#define FILE_MAX ((size_t)1 << 26)

static mbt_error err;

/* A file with chunks, groups and attributes, and its bytes. */
struct fixture {
    struct scratch scratch;
    char path[2 * SCRATCH_PATH];
    unsigned char *bytes;
    size_t n;
};

static void ok(mbt_status status)
{
    if (status != MBT_OK) {
        fail_msg("status %d: %s", (int)status, err.message);
    }
}

static int32_t element(int i)
{
    return (int32_t)((unsigned)i * 2654435761u >> 7);
}

static int begin(void **state)
{
    static struct fixture f;
    static int32_t data[ROWS * COLUMNS];
    mbt_store *store = NULL;
    mbt_store_shape shape = {MBT_STORE_I32, 2, {ROWS, COLUMNS}};
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        data[i] = element(i);
    }
    scratch_begin(&f.scratch);
    scratch_path(&f.scratch, "a.h5", f.path);
    ok(mbt_store_create(&store, &err));
    ok(mbt_store_write(store, "/group/data", &shape, data, 16, 0, &err));
    ok(mbt_store_set_text(store, "/", "name", "the name", &err));
    ok(mbt_store_set_i64(store, "/group", "number", 4711, &err));
    ok(mbt_store_commit(store, f.path, NULL, &err));
    mbt_store_close(store);
    f.bytes = scratch_read(f.path, &f.n);
    *state = &f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    free(f->bytes);
    scratch_end(&f->scratch);
    return 0;
}

static void refused(const char *path, const char *word)
{
    mbt_store *store = NULL;
    for (int how = 0; how < 3; how++) {
        err.message[0] = '\0';
        mbt_status status = how == 0 ? mbt_store_open(path, FILE_MAX, &store, &err)
                                     : mbt_store_open_large(path, how == 2, &store, &err);
        if (status != MBT_DATA || strstr(err.message, word) == NULL ||
            strstr(err.message, path) == NULL) {
            fail_msg("way %d: status %d, wanted \"%s\": %s", how, (int)status, word, err.message);
        }
        assert_null(store);
    }
}

/* Reads all there is; MBT_OK only when it is all as it was written. */
static mbt_status read_all(mbt_store *store)
{
    static int32_t data[ROWS * COLUMNS];
    mbt_store_shape shape = {MBT_STORE_I32, 2, {ROWS, COLUMNS}};
    char name[32];
    int64_t number = 0;
    mbt_status status = mbt_store_read(store, "/group/data", &shape, data, &err);
    for (int i = 0; i < ROWS * COLUMNS && !status; i++) {
        assert_int_equal(data[i], element(i));
    }
    if (!status) {
        status = mbt_store_get_text(store, "/", "name", name, sizeof name, &err);
    }
    if (!status) {
        assert_string_equal(name, "the name");
        status = mbt_store_get_i64(store, "/group", "number", &number, &err);
    }
    if (!status) {
        assert_int_equal(number, 4711);
    }
    return status;
}

static void flips_are_found(void **state)
{
    struct fixture *f = *state;
    unsigned draw = 12345;
    int found_late = 0;
    for (int k = 0; k < FLIPS; k++) {
        mbt_store *store = NULL;
        size_t at;
        if (k < 40) { /* the user block and HDF5's first metadata, densely */
            at = (size_t)k * 17;
        } else {
            draw = draw * 1664525u + 1013904223u;
            at = (size_t)(((uint64_t)draw * f->n) >> 32);
        }
        unsigned char bit = (unsigned char)(1 << (k % 8));
        f->bytes[at] ^= bit;
        scratch_write(f->path, f->bytes, f->n);
        assert_int_equal(mbt_store_open(f->path, FILE_MAX, &store, &err), MBT_DATA);
        assert_int_equal(mbt_store_open_large(f->path, true, &store, &err), MBT_DATA);
        /* without the digest: HDF5's checksums find it at the latest when it is read, or the byte
         * meant nothing */
        mbt_status status = mbt_store_open_large(f->path, false, &store, &err);
        if (status == MBT_OK) {
            status = read_all(store);
            mbt_store_close(store);
            found_late += status != MBT_OK;
        }
        assert_true(status == MBT_OK || status == MBT_DATA);
        f->bytes[at] ^= bit;
    }
    assert_true(found_late > FLIPS / 2); /* most bytes are data */
}

static void cuts_are_found(void **state)
{
    struct fixture *f = *state;
    static const size_t few[] = {1, 7, 8, 9, 100, 511, 512, 513, 519, 520, 600};
    scratch_write(f->path, f->bytes, 0);
    refused(f->path, "empty file");
    for (size_t i = 0; i < sizeof few / sizeof few[0]; i++) {
        scratch_write(f->path, f->bytes, few[i]);
        refused(f->path, few[i] < 8 ? "not HDF5" : "cut short");
    }
    for (size_t n = 1000; n < f->n; n += f->n / 50) {
        scratch_write(f->path, f->bytes, n);
        refused(f->path, "cut short");
    }
    scratch_write(f->path, f->bytes, f->n - 1);
    refused(f->path, "cut short");

    unsigned char *longer = calloc(f->n + 1, 1);
    assert_non_null(longer);
    memcpy(longer, f->bytes, f->n);
    scratch_write(f->path, longer, f->n + 1);
    refused(f->path, "too long");
    free(longer);

    scratch_write(f->path, f->bytes, f->n);
    mbt_store *store = NULL;
    ok(mbt_store_open(f->path, FILE_MAX, &store, &err));
    ok(read_all(store));
    mbt_store_close(store);
}

static void the_message_has_both_digests(void **state)
{
    struct fixture *f = *state;
    mbt_store *store = NULL;
    char wanted[MBT_DIGEST_TEXT];
    ok(mbt_store_open(f->path, FILE_MAX, &store, &err));
    memcpy(wanted, mbt_store_digest(store), sizeof wanted);
    mbt_store_close(store);
    store = NULL;
    f->bytes[f->n / 2] ^= 1;
    scratch_write(f->path, f->bytes, f->n);
    assert_int_equal(mbt_store_open(f->path, FILE_MAX, &store, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "damaged: got digest "));
    assert_non_null(strstr(err.message, wanted));
}

static void other_files_are_refused(void **state)
{
    struct fixture *f = *state;
    char path[2 * SCRATCH_PATH], zeros[4096] = {0};
    static const char text[] = "label,pixel\n1,2\n";
    mbt_store *store = NULL;
    refused(scratch_path(&f->scratch, "missing.h5", path), "No such file");
    refused(f->scratch.folder, "folder");
    scratch_write(path, text, sizeof text);
    refused(path, "not HDF5");
    scratch_write(path, zeros, sizeof zeros);
    refused(path, "not HDF5");
    /* a file of another maker has no digest: accepted only where none is asked for */
    scratch_write(path, f->bytes + MBT_USER_BLOCK_BYTES, f->n - MBT_USER_BLOCK_BYTES);
    assert_int_equal(mbt_store_open(path, FILE_MAX, &store, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "another maker"));
    ok(mbt_store_open_large(path, true, &store, &err));
    assert_string_equal(mbt_store_digest(store), "");
    ok(read_all(store));
    mbt_store_close(store);
    store = NULL;
    /* a block of 512 bytes that is not ours */
    scratch_write(path, zeros, 0);
    memcpy(zeros, f->bytes + MBT_USER_BLOCK_BYTES, 3000);
    unsigned char *shifted = calloc(f->n, 1);
    memcpy(shifted + 512, f->bytes + 512, f->n - 512);
    scratch_write(path, shifted, f->n);
    refused(path, "not HDF5");
    free(shifted);
    /* and a bound on size */
    assert_int_equal(mbt_store_open(f->path, f->n - 1, &store, &err), MBT_DATA);
    ok(mbt_store_open(f->path, f->n, &store, &err));
    mbt_store_close(store);
    store = NULL;
    /* a pipe must not be waited for */
    scratch_path(&f->scratch, "pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(mbt_store_open(path, FILE_MAX, &store, &err), MBT_DATA);
    assert_int_equal(mbt_store_open_large(path, true, &store, &err), MBT_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(flips_are_found, begin, end),
        cmocka_unit_test_setup_teardown(cuts_are_found, begin, end),
        cmocka_unit_test_setup_teardown(the_message_has_both_digests, begin, end),
        cmocka_unit_test_setup_teardown(other_files_are_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
