/* A commit replaces its target whole or leaves it alone, and leaves no temporary file behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/store.h"
#include "store/scratch.h"

enum { N = 20000 }; /* of i64: 160,000 bytes */

#define FILE_MAX ((size_t)1 << 26)

static mbt_error err;

static void ok(mbt_status status)
{
    if (status != MBT_OK) {
        fail_msg("status %d: %s", (int)status, err.message);
    }
}

static mbt_store *filled(int64_t value)
{
    static int64_t data[N];
    mbt_store *store = NULL;
    mbt_store_shape shape = {MBT_STORE_I64, 1, {N}};
    for (int i = 0; i < N; i++) {
        data[i] = value + i;
    }
    ok(mbt_store_create(&store, &err));
    ok(mbt_store_write(store, "/data", &shape, data, 0, 0, &err));
    return store;
}

static void check_file(const char *path, int64_t value)
{
    static int64_t data[N];
    mbt_store *store = NULL;
    mbt_store_shape shape = {MBT_STORE_I64, 1, {N}};
    ok(mbt_store_open(path, FILE_MAX, &store, &err));
    ok(mbt_store_read(store, "/data", &shape, data, &err));
    mbt_store_close(store);
    for (int i = 0; i < N; i++) {
        assert_int_equal(data[i], value + i);
    }
}

/* A target and its folder before a commit that must fail. */
struct before {
    unsigned char *data;
    size_t bytes;
    int entries;
};

static struct before look(const struct scratch *scratch, const char *path)
{
    struct before before = {.entries = scratch_count(scratch)};
    before.data = scratch_read(path, &before.bytes);
    return before;
}

static void failed_and_left(const struct scratch *scratch, struct before before, mbt_status status,
                            const char *path, const char *word)
{
    size_t bytes = 0;
    assert_int_equal(status, MBT_FAILURE);
    if (strstr(err.message, path) == NULL || strstr(err.message, word) == NULL) {
        fail_msg("wanted \"%s\": %s", word, err.message);
    }
    unsigned char *after = scratch_read(path, &bytes);
    assert_int_equal(bytes, before.bytes);
    assert_memory_equal(after, before.data, bytes);
    assert_int_equal(scratch_count(scratch), before.entries);
    free(before.data);
    free(after);
}

static void replaces_and_goes_on(void **state)
{
    char path[2 * SCRATCH_PATH];
    mbt_store_shape scalar = {MBT_STORE_I64, 0, {0}};
    int64_t value = 5;
    size_t first = 0, second = 0;
    scratch_path(*state, "a.h5", path);
    mbt_store *old = filled(1), *store = filled(100);
    ok(mbt_store_commit(old, path, &first, &err));
    check_file(path, 1);
    ok(mbt_store_commit(store, path, &second, &err));
    check_file(path, 100);
    assert_int_equal(first, second);
    /* the store is still open: more can be added and committed */
    ok(mbt_store_write(store, "/more", &scalar, &value, 0, 0, &err));
    ok(mbt_store_commit(store, path, NULL, &err));
    mbt_store_close(store);
    mbt_store_close(old);
    check_file(path, 100);
    ok(mbt_store_open(path, FILE_MAX, &store, &err));
    value = 0;
    ok(mbt_store_read(store, "/more", &scalar, &value, &err));
    assert_int_equal(value, 5);
    mbt_store_close(store);
    assert_int_equal(scratch_count(*state), 1);
}

static void follows_umask(void **state)
{
    char path[2 * SCRATCH_PATH];
    struct stat info;
    mbt_store *store = filled(1);
    scratch_path(*state, "a.h5", path);
    mode_t before = umask(027);
    mbt_status status = mbt_store_commit(store, path, NULL, &err);
    (void)umask(before);
    ok(status);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    mbt_store_close(store);
}

static void relative_names_work(void **state)
{
    char here[4096];
    const struct scratch *scratch = *state;
    mbt_store *store = filled(3);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(scratch->folder), 0);
    mbt_status status = mbt_store_commit(store, "plain.h5", NULL, &err);
    assert_int_equal(access("plain.h5", F_OK), 0);
    assert_int_equal(chdir(here), 0);
    ok(status);
    mbt_store_close(store);
}

static void a_full_disk_leaves_the_target(void **state)
{
    char path[2 * SCRATCH_PATH];
    struct rlimit before, limit;
    mbt_store *old = filled(1), *store = filled(2);
    scratch_path(*state, "a.h5", path);
    ok(mbt_store_commit(old, path, NULL, &err));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    /* stops in the user block, right behind it, and in the middle of the image */
    static const rlim_t room[] = {0, 100, 512, 5000, 100000};
    for (size_t i = 0; i < sizeof room / sizeof room[0]; i++) {
        struct before seen = look(*state, path);
        limit = before;
        limit.rlim_cur = room[i];
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        mbt_status status = mbt_store_commit(store, path, NULL, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        failed_and_left(*state, seen, status, path, "write");
    }
    ok(mbt_store_commit(store, path, NULL, &err)); /* the store took no harm */
    check_file(path, 2);
    mbt_store_close(store);
    mbt_store_close(old);
}

static void an_unwritable_folder_leaves_the_target(void **state)
{
    char path[2 * SCRATCH_PATH];
    const struct scratch *scratch = *state;
    bool root = geteuid() == 0;
    mbt_store *old = filled(1), *store = filled(2);
    scratch_path(*state, "a.h5", path);
    ok(mbt_store_commit(old, path, NULL, &err));
    assert_int_equal(chmod(scratch->folder, 0555), 0);
    struct before seen = look(scratch, path);
    if (root) { /* whom no mode stops */
        assert_int_equal(seteuid(65534), 0);
    }
    mbt_status status = mbt_store_commit(store, path, NULL, &err);
    if (root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(chmod(scratch->folder, 0755), 0);
    failed_and_left(scratch, seen, status, path, "Permission denied");
    check_file(path, 1);
    mbt_store_close(store);
    mbt_store_close(old);
}

static void impossible_targets_are_told(void **state)
{
    char path[2 * SCRATCH_PATH];
    mbt_store *store = filled(1);
    scratch_path(*state, "no/such/folder/a.h5", path);
    assert_int_equal(mbt_store_commit(store, path, NULL, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "No such file"));

    scratch_path(*state, "folder.h5", path);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mbt_store_commit(store, path, NULL, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "is there and no regular file"));
    assert_int_equal(scratch_count(*state), 1); /* the folder alone */

    scratch_path(*state, "file", path);
    scratch_write(path, "x", 1);
    scratch_path(*state, "file/a.h5", path);
    assert_int_equal(mbt_store_commit(store, path, NULL, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "Not a directory"));
    mbt_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(replaces_and_goes_on, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(follows_umask, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(relative_names_work, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_the_target, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(an_unwritable_folder_leaves_the_target, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(impossible_targets_are_told, scratch_setup,
                                        scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
