/* file: reading, replacing, folders. Each test works in a fresh folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/file.h"
#include "mbt/text.h"

static int enter_folder(void **state)
{
    char folder[] = "/tmp/mbt_file_XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        return -1;
    }
    *state = strdup(folder);
    return *state ? 0 : -1;
}

/* Entries of the current folder. */
static int n_entries(void)
{
    int n = 0;
    DIR *dir = opendir(".");
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return n;
}

static int leave_folder(void **state)
{
    static const char *const left[] = {"f", "pipe", "d/e/f", "d/e", "d", "link"};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        (void)remove(left[i]);
    }
    int failed = chdir("/") != 0 || rmdir(*state) != 0; /* a file left over fails the test */
    free(*state);
    return failed;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    mbt_error err;
    char *data = NULL;
    size_t bytes = 0;
    assert_int_equal(mbt_file_replace("f", "first\0x", 7, &err), MBT_OK);
    assert_int_equal(mbt_file_read("f", 7, &data, &bytes, &err), MBT_OK);
    assert_int_equal(bytes, 7);
    assert_memory_equal(data, "first\0x", 8); /* with the zero behind */
    free(data);
    assert_int_equal(mbt_file_replace("./f", "2", 1, &err), MBT_OK);
    assert_int_equal(mbt_file_read("f", 100, &data, NULL, &err), MBT_OK);
    assert_string_equal(data, "2");
    free(data);
    assert_int_equal(mbt_file_replace("f", NULL, 0, &err), MBT_OK);
    assert_int_equal(mbt_file_read("f", 0, &data, &bytes, &err), MBT_OK);
    assert_int_equal(bytes, 0);
    assert_string_equal(data, "");
    free(data);
    assert_int_equal(n_entries(), 1);
}

static void replaced_file_obeys_umask(void **state)
{
    (void)state;
    mbt_error err;
    struct stat info;
    mode_t old = umask(027);
    assert_int_equal(mbt_file_replace("f", "x", 1, &err), MBT_OK);
    assert_int_equal(mbt_file_make_folder("d", &err), MBT_OK);
    umask(old);
    assert_int_equal(stat("f", &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_int_equal(stat("d", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0750);
}

static void bad_files_are_named(void **state)
{
    (void)state;
    mbt_error err;
    char *data = (char *)&err;
    assert_int_equal(mbt_file_read("missing", 10, &data, NULL, &err), MBT_DATA);
    assert_null(data);
    assert_memory_equal(err.message, "missing: ", 9);
    assert_int_equal(mbt_file_read(".", 10, &data, NULL, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "a folder"));
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(mbt_file_read("pipe", 10, &data, NULL, &err), MBT_DATA); /* no hang */
    assert_non_null(strstr(err.message, "pipe: is a special file"));
    assert_int_equal(mbt_file_replace("f", "12345", 5, &err), MBT_OK);
    assert_int_equal(mbt_file_read("f", 4, &data, NULL, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "f: has 5 bytes, wanted at most 4"));
    assert_null(data);
}

static void failed_replace_leaves_the_old_file_alone(void **state)
{
    (void)state;
    mbt_error err;
    char *data = NULL;
    char big[8192];
    memset(big, 'b', sizeof big);
    assert_int_equal(mbt_file_replace("f", "old", 3, &err), MBT_OK);

    /* The disk is full in the middle: the kernel takes 4096 bytes and refuses the rest. */
    struct rlimit old_limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    struct rlimit limit = {4096, old_limit.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    mbt_status status = mbt_file_replace("f", big, sizeof big, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, MBT_FAILURE);
    assert_non_null(strstr(err.message, "write: "));
    assert_int_equal(n_entries(), 1);
    assert_int_equal(mbt_file_read("f", 100, &data, NULL, &err), MBT_OK);
    assert_string_equal(data, "old");
    free(data);

    /* A folder with something in it is in the way. */
    assert_int_equal(mbt_file_make_folder("d/e", &err), MBT_OK);
    assert_int_equal(mbt_file_replace("d", "x", 1, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "d: is there and no regular file"));
    assert_int_equal(n_entries(), 2);
    /* Nor would a device or what a link names come back. */
    assert_int_equal(symlink("f", "to_f"), 0);
    assert_int_equal(mbt_file_replace("to_f", "x", 1, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "to_f: is there and no regular file"));
    assert_int_equal(unlink("to_f"), 0);
    assert_int_equal(mbt_file_replace("no/such/f", "x", 1, &err), MBT_FAILURE);
    assert_memory_equal(err.message, "no/such/f", 9);
}

static void left_over_temporary_is_no_obstacle(void **state)
{
    (void)state;
    mbt_error err;
    char left_over[64];
    snprintf(left_over, sizeof left_over, ".f.tmp-%ld-0", (long)getpid());
    FILE *file = fopen(left_over, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(mbt_file_replace("f", "x", 1, &err), MBT_OK);
    assert_int_equal(unlink(left_over), 0); /* not ours to take away */
    assert_int_equal(n_entries(), 1);
}

static void folders_are_made_with_their_parents(void **state)
{
    mbt_error err;
    struct stat info;
    char path[MBT_PATH_BYTES];
    assert_int_equal(mbt_text_path(*state, "d//e/", path, &err), MBT_OK);
    assert_int_equal(mbt_file_make_folder(path, &err), MBT_OK);
    assert_int_equal(stat("d/e", &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(mbt_file_make_folder("d/e", &err), MBT_OK);
    assert_int_equal(mbt_file_make_folder("./d/e/f", &err), MBT_OK);
    assert_int_equal(stat("d/e/f", &info), 0);
    assert_int_equal(mbt_file_make_folder("/", &err), MBT_OK);
    assert_int_equal(mbt_file_make_folder("", &err), MBT_FAILURE);

    assert_int_equal(symlink("d", "link"), 0);
    assert_int_equal(mbt_file_make_folder("link/e", &err), MBT_OK);
    assert_int_equal(mbt_file_replace("f", "x", 1, &err), MBT_OK);
    assert_int_equal(mbt_file_make_folder("f", &err), MBT_FAILURE);
    assert_int_equal(mbt_file_make_folder("f/g", &err), MBT_FAILURE);
    assert_memory_equal(err.message, "f/g: mkdir f: ", 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(replaced_file_obeys_umask, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(bad_files_are_named, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(failed_replace_leaves_the_old_file_alone, enter_folder,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(left_over_temporary_is_no_obstacle, enter_folder,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(folders_are_made_with_their_parents, enter_folder,
                                        leave_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
