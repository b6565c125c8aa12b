/* A file on disk replaced in one step: temporary name, write, fsync, read back, open, rename, fsync
 * of the folder. Whatever fails, the target is what it was and the temporary file is gone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "mbt/file.h"

enum { PIECE = 1 << 20 };

static mbt_status fail_at(const char *path, const char *step, mbt_error *err)
{
    int code = errno; /* before anything else can change it */
    return mbt_fail(err, MBT_FAILURE, "%s: %s: %s", path, step, strerror(code));
}

mbt_status store_digest_rest(int fd, const char *path, char digest[MBT_DIGEST_TEXT],
                             uint64_t *bytes, mbt_error *err)
{
    mbt_digest *sum = NULL;
    char *piece = malloc(PIECE);
    mbt_status status = mbt_digest_create(&sum, err);
    if (status == MBT_OK && piece == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    }
    *bytes = 0;
    while (status == MBT_OK) {
        ssize_t n = pread(fd, piece, PIECE, (off_t)(MBT_USER_BLOCK_BYTES + *bytes));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            status = fail_at(path, "cannot read", err);
        }
        if (n <= 0) {
            break;
        }
        mbt_digest_add(sum, piece, (size_t)n);
        *bytes += (uint64_t)n;
    }
    if (status == MBT_OK) {
        mbt_digest_text(sum, digest);
    }
    free(piece);
    mbt_digest_destroy(sum);
    return status;
}

/* Compares what the file system gives back: the block byte by byte, the rest by its digest. */
static mbt_status read_back(int fd, const char *path, const char *block, uint64_t bytes,
                            const char *digest, mbt_error *err)
{
    char head[MBT_USER_BLOCK_BYTES], got[MBT_DIGEST_TEXT];
    uint64_t done = 0;
    /* the pages are clean after fsync: drop them, so that the reading is of the disk */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
        memcmp(head, block, sizeof head) != 0) {
        return mbt_fail(err, MBT_FAILURE, "%s: read back other bytes than were written", path);
    }
    mbt_status status = store_digest_rest(fd, path, got, &done, err);
    if (status == MBT_OK && (done != bytes || strcmp(got, digest) != 0)) {
        status = mbt_fail(err, MBT_FAILURE,
                          "%s: read back %llu bytes with digest %s, wrote %llu with digest %s",
                          path, (unsigned long long)done, got, (unsigned long long)bytes, digest);
    }
    return status;
}

/* The right bytes could still be no HDF5 file, should the library have made a wrong image. */
static mbt_status open_again(const char *temporary, const char *path, mbt_error *err)
{
    mbt_store *store = NULL;
    if (mbt_store_open_large(temporary, false, &store, err) != MBT_OK) {
        (void)mbt_error_prefix(err, "%s: what was written does not open again", path);
        return MBT_FAILURE;
    }
    mbt_store_close(store);
    return MBT_OK;
}

mbt_status store_place(int fd, const char *temporary, const char *path,
                       const char block[MBT_USER_BLOCK_BYTES], uint64_t bytes, const char *digest,
                       mbt_error *err)
{
    mbt_status status = MBT_OK;
    if (fsync(fd) != 0) {
        status = fail_at(path, "cannot flush", err);
    }
    if (status == MBT_OK) {
        status = read_back(fd, path, block, bytes, digest, err);
    }
    if (status == MBT_OK) {
        status = open_again(temporary, path, err);
    }
    if (close(fd) != 0 && status == MBT_OK) {
        status = fail_at(path, "cannot close", err);
    }
    if (status == MBT_OK && rename(temporary, path) != 0) {
        status = fail_at(path, "cannot rename the temporary file to it", err);
    }
    if (status != MBT_OK) {
        (void)unlink(temporary);
        return status;
    }
    return mbt_file_sync_folder(path, err);
}

mbt_status store_replace(const char *path, const char block[MBT_USER_BLOCK_BYTES],
                         const void *image, size_t bytes, const char *digest, mbt_error *err)
{
    char temporary[MBT_PATH_BYTES];
    int fd;
    mbt_status status = mbt_file_temporary(path, temporary, &fd, err);
    if (status != MBT_OK) {
        return status;
    }
    if (mbt_file_write(fd, block, MBT_USER_BLOCK_BYTES) != 0 ||
        mbt_file_write(fd, image, bytes) != 0) {
        status = fail_at(path, "cannot write", err);
        (void)close(fd);
        (void)unlink(temporary);
        return status;
    }
    return store_place(fd, temporary, path, block, bytes, digest, err);
}
