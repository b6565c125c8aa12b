/* Small files: read whole, replace whole, make folders. */
#include "mbt/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/text.h"

/* Reads until the end or until `room` bytes are there; -1 with errno on failure. */
static ssize_t read_all(int fd, char *data, size_t room)
{
    size_t have = 0;
    while (have < room) {
        ssize_t got = read(fd, data + have, room - have);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        have += (size_t)got;
    }
    return (ssize_t)have;
}

mbt_status mbt_file_read(const char *path, size_t max_bytes, char **data, size_t *bytes,
                         mbt_error *err)
{
    mbt_status status = MBT_OK;
    char *read_data = NULL;
    *data = NULL;
    /* Non-blocking: opening a pipe without a writer must not hang before it is refused. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return mbt_fail(err, MBT_DATA, "%s: cannot be opened: %s", path, strerror(errno));
    }
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = mbt_fail(err, MBT_FAILURE, "%s: fstat: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        status = mbt_fail(err, MBT_DATA, "%s: is %s, wanted a regular file", path,
                          S_ISDIR(info.st_mode) ? "a folder" : "a special file");
        goto done;
    }
    size_t size = (size_t)info.st_size;
    if (size > max_bytes) {
        status =
            mbt_fail(err, MBT_DATA, "%s: has %zu bytes, wanted at most %zu", path, size, max_bytes);
        goto done;
    }
    read_data = malloc(size + 1);
    if (!read_data) {
        status = mbt_fail(err, MBT_FAILURE, "%s: no memory for %zu bytes", path, size);
        goto done;
    }
    ssize_t got = read_all(fd, read_data, size);
    if (got < 0) {
        status = mbt_fail(err, MBT_FAILURE, "%s: read: %s", path, strerror(errno));
        goto done;
    }
    if ((size_t)got != size) {
        status = mbt_fail(err, MBT_DATA, "%s: ended after %zd bytes, wanted %zu", path, got, size);
        goto done;
    }
    read_data[size] = '\0';
    *data = read_data;
    read_data = NULL;
    if (bytes) {
        *bytes = size;
    }
done:
    free(read_data);
    (void)close(fd); /* only read from */
    return status;
}

int mbt_file_write(int fd, const void *data, size_t bytes)
{
    enum { PIECE = 1 << 20 };
    const char *next = data;
    while (bytes > 0) {
        ssize_t put = write(fd, next, bytes < PIECE ? bytes : PIECE);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return -1;
        }
        next += put;
        bytes -= (size_t)put;
    }
    return 0;
}

mbt_status mbt_file_temporary(const char *path, char *temporary, int *fd, mbt_error *err)
{
    enum { TRIES = 100 };
    const char *slash = strrchr(path, '/');
    const int folder = slash ? (int)(slash + 1 - path) : 0;
    struct stat info;
    *fd = -1;
    if (lstat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        return mbt_fail(err, MBT_FAILURE, "%s: is there and no regular file, so is not replaced",
                        path);
    }
    for (int i = 0; i < TRIES && *fd < 0; i++) {
        mbt_status status =
            mbt_text_format(temporary, MBT_PATH_BYTES, err, path, "%.*s.%s.tmp-%ld-%d", folder,
                            path, path + folder, (long)getpid(), i);
        if (status) {
            return status;
        }
        *fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*fd < 0 && errno != EEXIST) {
            break;
        }
    }
    if (*fd < 0) {
        return mbt_fail(err, MBT_FAILURE, "%s: cannot create a temporary file beside it: %s", path,
                        strerror(errno));
    }
    return MBT_OK;
}

mbt_status mbt_file_sync_folder(const char *path, mbt_error *err)
{
    char folder[MBT_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) + 1 : 1;
    mbt_status status =
        mbt_text_format(folder, sizeof folder, err, "path", "%.*s", length, slash ? path : ".");
    if (status) {
        return status;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return mbt_fail(err, MBT_FAILURE, "%s: open: %s", folder, strerror(errno));
    }
    /* Some network file systems cannot sync a folder and say EINVAL: nothing more can be done. */
    if (fsync(fd) != 0 && errno != EINVAL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: fsync: %s", folder, strerror(errno));
    }
    (void)close(fd);
    return status;
}

mbt_status mbt_file_replace(const char *path, const void *data, size_t bytes, mbt_error *err)
{
    char temporary[MBT_PATH_BYTES];
    int fd = -1;
    mbt_status status = mbt_file_temporary(path, temporary, &fd, err);
    if (status) {
        return status;
    }
    if (mbt_file_write(fd, data, bytes) != 0) {
        status = mbt_fail(err, MBT_FAILURE, "%s: write: %s", temporary, strerror(errno));
        goto done;
    }
    if (fsync(fd) != 0) {
        status = mbt_fail(err, MBT_FAILURE, "%s: fsync: %s", temporary, strerror(errno));
        goto done;
    }
    int closed = close(fd);
    fd = -1;
    if (closed != 0) {
        status = mbt_fail(err, MBT_FAILURE, "%s: close: %s", temporary, strerror(errno));
        goto done;
    }
    if (rename(temporary, path) != 0) {
        status =
            mbt_fail(err, MBT_FAILURE, "%s: rename from %s: %s", path, temporary, strerror(errno));
        goto done;
    }
    return mbt_file_sync_folder(path, err);
done:
    if (fd >= 0) {
        (void)close(fd);
    }
    (void)unlink(temporary);
    return status;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

mbt_status mbt_file_make_folder(const char *path, mbt_error *err)
{
    char part[MBT_PATH_BYTES];
    mbt_status status = mbt_text_format(part, sizeof part, err, "path", "%s", path);
    if (status) {
        return status;
    }
    /* Each parent in turn, then the whole. Not asking first whether it is there lets several
     * processes make the same folder at once. */
    for (char *at = part; *at != '\0'; at++) {
        bool ends = at[1] == '\0';
        if (!ends && at[1] != '/') {
            continue;
        }
        char kept = at[1];
        at[1] = '\0';
        if (mkdir(part, 0777) != 0) {
            int cause = errno;
            if (!is_folder(part)) {
                return mbt_fail(err, MBT_FAILURE, "%s: mkdir %s: %s", path, part, strerror(cause));
            }
        }
        at[1] = kept;
    }
    return is_folder(path) ? MBT_OK
                           : mbt_fail(err, MBT_FAILURE, "folder \"%s\": cannot be made", path);
}
