/* A file with a user block of ours. */
#include "fuzz/sealed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/store.h"

static void write_all(int fd, const void *data, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        const ssize_t n = write(fd, (const char *)data + at, bytes - at);
        if (n <= 0) {
            abort();
        }
        at += (size_t)n;
    }
}

static void write_file(const char *path, const char *block, const uint8_t *hdf5, size_t bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {
        abort();
    }
    write_all(fd, block, MBT_USER_BLOCK_BYTES);
    write_all(fd, hdf5, bytes);
    (void)close(fd);
}

const char *sealed_file(const uint8_t *hdf5, size_t bytes)
{
    static char path[256];
    char block[MBT_USER_BLOCK_BYTES] = "", text[MBT_DIGEST_TEXT];
    const char *keep = getenv("FUZZ_KEEP"), *folder = getenv("TMPDIR");
    mbt_digest *digest = NULL;
    mbt_error err;
    if (mbt_digest_create(&digest, &err) != MBT_OK) {
        abort();
    }
    mbt_digest_add(digest, hdf5, bytes);
    mbt_digest_text(digest, text);
    mbt_digest_destroy(digest);
    (void)snprintf(block, sizeof block, "MBTRAIN 1\nXXH3-128 %s\nBYTES %zu\n", text, bytes);
    if (keep != NULL) {
        write_file(keep, block, hdf5, bytes);
    }
    (void)snprintf(path, sizeof path, "%s/sealed-%ld.h5", folder != NULL ? folder : "/tmp",
                   (long)getpid());
    write_file(path, block, hdf5, bytes);
    return path;
}
