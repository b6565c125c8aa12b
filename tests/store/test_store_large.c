/* Files that grow on disk: whole or not there, sealed as those of memory, and where data sets lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/store.h"
#include "store/scratch.h"

enum { N = 300000 };

static mbt_error err;

static void ok(mbt_status status)
{
    if (status != MBT_OK) {
        fail_msg("status %d: %s", (int)status, err.message);
    }
}

static uint8_t byte_at(int i)
{
    return (uint8_t)(i * 7 + i / 256);
}

/* A contiguous and a chunked data set, and an attribute; not committed. */
static mbt_store *filled(const char *path)
{
    static uint8_t data[N];
    mbt_store *store = NULL;
    const mbt_store_shape shape = {MBT_STORE_U8, 1, {N}};
    for (int i = 0; i < N; i++) {
        data[i] = byte_at(i);
    }
    ok(mbt_store_create_large(path, &store, &err));
    ok(mbt_store_write(store, "/a/bytes", &shape, data, 0, 0, &err));
    ok(mbt_store_write(store, "/a/chunks", &shape, data, 1000, 0, &err));
    ok(mbt_store_set_text(store, "/", "name", "large", &err));
    return store;
}

static void is_sealed_and_reads_back(void **state)
{
    static uint8_t got[N];
    char path[2 * SCRATCH_PATH], text[16], digest[MBT_DIGEST_TEXT];
    const mbt_store_shape shape = {MBT_STORE_U8, 1, {N}};
    scratch_path(*state, "large.h5", path);
    mbt_store *store = filled(path);
    size_t bytes = 0, on_disk = 0;
    assert_int_equal(scratch_count(*state), 1); /* under its temporary name */
    assert_int_equal(access(path, F_OK), -1);
    ok(mbt_store_commit(store, path, &bytes, &err));
    memcpy(digest, mbt_store_digest(store), sizeof digest);
    mbt_store_close(store);
    assert_int_equal(scratch_count(*state), 1);
    unsigned char *data = scratch_read(path, &on_disk);
    assert_int_equal(bytes, on_disk);

    ok(mbt_store_open_large(path, true, &store, &err));
    assert_string_equal(mbt_store_digest(store), digest);
    ok(mbt_store_read(store, "/a/chunks", &shape, got, &err));
    ok(mbt_store_get_text(store, "/", "name", text, sizeof text, &err));
    assert_string_equal(text, "large");

    uint64_t n = 0, offset = 0;
    ok(mbt_store_locate(store, "/a/bytes", &n, &offset, &err));
    assert_int_equal(n, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(data[offset + (uint64_t)i], byte_at(i));
        assert_int_equal(got[i], byte_at(i));
    }
    assert_int_equal(mbt_store_locate(store, "/a/chunks", &n, &offset, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "/a/chunks: wanted contiguous u8 [N]"));
    mbt_store_close(store);
    ok(mbt_store_open(path, bytes, &store, &err)); /* the way small files are read works as well */
    mbt_store_close(store);
    free(data);
}

static void one_flipped_bit_is_found(void **state)
{
    char path[2 * SCRATCH_PATH];
    scratch_path(*state, "large.h5", path);
    mbt_store *store = filled(path);
    ok(mbt_store_commit(store, path, NULL, &err));
    mbt_store_close(store);
    size_t bytes = 0;
    unsigned char *data = scratch_read(path, &bytes);
    data[bytes / 2] ^= 4;
    scratch_write(path, data, bytes);
    free(data);
    assert_int_equal(mbt_store_open_large(path, true, &store, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "damaged"));
}

static void without_a_commit_nothing_is_left(void **state)
{
    static const char before[] = "what was there";
    char path[2 * SCRATCH_PATH];
    size_t bytes = 0;
    scratch_path(*state, "large.h5", path);
    scratch_write(path, before, sizeof before);
    mbt_store_close(filled(path));
    assert_int_equal(scratch_count(*state), 1);
    unsigned char *data = scratch_read(path, &bytes);
    assert_int_equal(bytes, sizeof before);
    assert_memory_equal(data, before, sizeof before);
    free(data);
}

static void an_unwritable_folder_is_told(void **state)
{
    char path[2 * SCRATCH_PATH];
    mbt_store *store = NULL;
    scratch_path(*state, "none/large.h5", path);
    assert_int_equal(mbt_store_create_large(path, &store, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "cannot create a temporary file beside it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_sealed_and_reads_back, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(one_flipped_bit_is_found, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(without_a_commit_nothing_is_left, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(an_unwritable_folder_is_told, scratch_setup,
                                        scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
