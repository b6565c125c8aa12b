/* A folder for the files of one test. */
#include "store/scratch.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void scratch_begin(struct scratch *scratch)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(scratch->folder, sizeof scratch->folder, "%s/mbtrain-test-XXXXXX",
                   base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(scratch->folder));
}

static void remove_all(const char *folder)
{
    char path[4 * SCRATCH_PATH];
    struct stat info;
    DIR *open = opendir(folder);
    assert_non_null(open);
    for (struct dirent *entry = readdir(open); entry != NULL; entry = readdir(open)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        assert_int_equal(lstat(path, &info), 0);
        if (S_ISDIR(info.st_mode)) {
            remove_all(path);
        } else {
            assert_int_equal(unlink(path), 0);
        }
    }
    (void)closedir(open);
    assert_int_equal(rmdir(folder), 0);
}

void scratch_end(struct scratch *scratch)
{
    remove_all(scratch->folder);
}

int scratch_setup(void **state)
{
    static struct scratch scratch;
    scratch_begin(&scratch);
    *state = &scratch;
    return 0;
}

int scratch_teardown(void **state)
{
    scratch_end(*state);
    return 0;
}

char *scratch_path(const struct scratch *scratch, const char *name, char *out)
{
    (void)snprintf(out, 2 * SCRATCH_PATH, "%s/%s", scratch->folder, name);
    return out;
}

int scratch_count(const struct scratch *scratch)
{
    int n = 0;
    DIR *open = opendir(scratch->folder);
    assert_non_null(open);
    while (readdir(open) != NULL) {
        n++;
    }
    (void)closedir(open);
    return n - 2; /* without "." and ".." */
}

unsigned char *scratch_read(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    unsigned char *data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, file), size);
    assert_int_equal(fclose(file), 0);
    *bytes = (size_t)size;
    return data;
}

void scratch_write(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}
