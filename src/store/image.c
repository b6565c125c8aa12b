/* Files: an empty image in memory, its commit, the two ways to open, closing.
 *
 * Images live in HDF5's core driver without a backing store. The driver tells open files apart by
 * name, so each gets a name that no other store of the process has. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "mbt/file.h"

enum { GROWTH = 1 << 22, IMAGE_NAME = 64 };

#define BLOCK_BEGINS "MBTRAIN "
#define STRING_OF(x) #x
#define VERSION_PART(x) STRING_OF(x)

const char *mbt_store_library(void)
{
    return "HDF5 " VERSION_PART(H5_VERS_MAJOR) "." VERSION_PART(H5_VERS_MINOR) "." VERSION_PART(
        H5_VERS_RELEASE);
}

mbt_store *store_new(const char *name, bool writing)
{
    mbt_store *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->file = H5I_INVALID_HID;
        made->writing = writing;
        (void)snprintf(made->name, sizeof made->name, "%s", name);
    }
    /* Everything is closed here. At the end of a process that has failed, or whose other threads
     * still write, the library had better not go through what it knows once more. */
    (void)H5dont_atexit();
    store_quiet();
    return made;
}

mbt_status store_give(mbt_store *made, mbt_status status, mbt_store **store)
{
    if (status != MBT_OK) {
        mbt_store_close(made);
    } else {
        *store = made;
    }
    return status;
}

mbt_status store_start_file(mbt_store *store, const char *file, hid_t access, hsize_t user_block,
                            mbt_error *err)
{
    mbt_status status = MBT_OK;
    const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    /* The format of HDF5 1.10: the first in which all metadata, chunk indices too, carry checksums,
     * and without the 64 KiB limit of an attribute. No times: the same content gives the same
     * bytes. */
    if (access >= 0 && creation >= 0 &&
        H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0 &&
        H5Pset_obj_track_times(creation, false) >= 0 &&
        H5Pset_userblock(creation, user_block) >= 0) {
        store->file = H5Fcreate(file, H5F_ACC_TRUNC, creation, access);
    }
    if (store->file < 0) {
        status = store_fail(store, NULL, "cannot start the file", err);
    }
    store_release(creation);
    store_release(access);
    return status;
}

/* Opens a file for reading; releases `access`. */
static mbt_status open_file(mbt_store *store, const char *file, hid_t access, mbt_error *err)
{
    mbt_status status = MBT_OK;
    if (access >= 0) {
        store->file = H5Fopen(file, H5F_ACC_RDONLY, access);
    }
    if (store->file < 0) {
        status = store_fail(store, NULL, "cannot open", err);
    }
    store_release(access);
    return status;
}

static void image_name(const mbt_store *store, char out[IMAGE_NAME])
{
    (void)snprintf(out, IMAGE_NAME, "/mbtrain-image/%p", (const void *)store);
}

/* Access by the core driver; strong closing, so that a forgotten identifier keeps no file open. */
static hid_t image_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && (H5Pset_fapl_core(access, GROWTH, false) < 0 ||
                        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0)) {
        store_release(access);
        access = H5I_INVALID_HID;
    }
    return access;
}

mbt_status mbt_store_create(mbt_store **store, mbt_error *err)
{
    char name[IMAGE_NAME];
    mbt_store *made = store_new("new file", true);
    if (made == NULL) {
        return mbt_fail(err, MBT_FAILURE, "new file: out of memory");
    }
    image_name(made, name);
    return store_give(made, store_start_file(made, name, image_access(), 0, err), store);
}

mbt_status mbt_store_commit(mbt_store *store, const char *path, size_t *bytes, mbt_error *err)
{
    char block[MBT_USER_BLOCK_BYTES], text[MBT_DIGEST_TEXT];
    mbt_digest *digest = NULL;
    void *image = NULL;
    ssize_t got = 0;
    mbt_status status = MBT_OK;
    store_quiet();
    if (store->temporary[0] != '\0') {
        return store_commit_large(store, path, bytes, err);
    }
    ssize_t wanted =
        H5Fflush(store->file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(store->file, NULL, 0);
    if (wanted <= 0) {
        return store_fail(store, NULL, "cannot size the image", err);
    }
    image = malloc((size_t)wanted);
    if (image == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: no memory for %zd bytes", path, wanted);
    }
    got = H5Fget_file_image(store->file, image, (size_t)wanted);
    if (got != wanted || !store_seal_superblock(image, (size_t)got)) {
        status = store_fail(store, NULL, "cannot take the image", err);
        goto done;
    }
    status = mbt_digest_create(&digest, err);
    if (status != MBT_OK) {
        goto done;
    }
    mbt_digest_add(digest, image, (size_t)got);
    mbt_digest_text(digest, text);
    store_block_make(text, (uint64_t)got, block);
    status = store_replace(path, block, image, (size_t)got, text, err);
    if (status == MBT_OK) {
        memcpy(store->digest, text, sizeof text);
        if (bytes != NULL) {
            *bytes = MBT_USER_BLOCK_BYTES + (size_t)got;
        }
    }
done:
    mbt_digest_destroy(digest);
    free(image);
    return status;
}

/* "damaged" with both digests, unless they agree. */
static mbt_status compare_text(const char *path, const char *got, const char *wanted,
                               mbt_error *err)
{
    if (strcmp(got, wanted) != 0) {
        return mbt_fail(err, MBT_DATA, "%s: damaged: got digest %s, wanted %s", path, got, wanted);
    }
    return MBT_OK;
}

static mbt_status compare_digest(const char *path, const mbt_digest *digest, const char *wanted,
                                 mbt_error *err)
{
    char got[MBT_DIGEST_TEXT];
    mbt_digest_text(digest, got);
    return compare_text(path, got, wanted, err);
}

static bool is_hdf5(const char *bytes)
{
    static const char signature[] = "\x89HDF\r\n\x1a\n";
    return memcmp(bytes, signature, sizeof signature - 1) == 0;
}

/* What the first bytes of a file say. head: the block and 8 bytes more, `have` of them read.
 * *ours: a valid user block, its digest in `digest`; otherwise HDF5 begins at the first byte. */
static mbt_status check_head(const char *path, const char *head, size_t have, uint64_t file_bytes,
                             bool *ours, char digest[MBT_DIGEST_TEXT], mbt_error *err)
{
    uint64_t bytes = 0;
    *ours = false;
    digest[0] = '\0';
    if (file_bytes == 0) {
        return mbt_fail(err, MBT_DATA, "%s: empty file, wanted HDF5", path);
    }
    if (have >= 8 && is_hdf5(head)) {
        return MBT_OK;
    }
    if (have < 8 || memcmp(head, BLOCK_BEGINS, 8) != 0) {
        return mbt_fail(err, MBT_DATA, "%s: not HDF5 (%llu bytes, no signature of HDF5 or mbtrain)",
                        path, (unsigned long long)file_bytes);
    }
    if (have < MBT_USER_BLOCK_BYTES) {
        return mbt_fail(err, MBT_DATA, "%s: cut short: got %llu bytes, wanted a block of %d first",
                        path, (unsigned long long)file_bytes, (int)MBT_USER_BLOCK_BYTES);
    }
    if (!store_block_parse(head, digest, &bytes)) {
        return mbt_fail(err, MBT_DATA,
                        "%s: damaged: its first %d bytes are no user block of version 1", path,
                        (int)MBT_USER_BLOCK_BYTES);
    }
    if (bytes != file_bytes - MBT_USER_BLOCK_BYTES) {
        return mbt_fail(err, MBT_DATA, "%s: %s: got %llu bytes, wanted %llu", path,
                        bytes > file_bytes - MBT_USER_BLOCK_BYTES ? "cut short" : "too long",
                        (unsigned long long)file_bytes,
                        (unsigned long long)bytes + MBT_USER_BLOCK_BYTES);
    }
    if (have < MBT_USER_BLOCK_BYTES + 8 || !is_hdf5(head + MBT_USER_BLOCK_BYTES)) {
        return mbt_fail(err, MBT_DATA, "%s: damaged: no HDF5 signature behind the user block",
                        path);
    }
    *ours = true;
    return MBT_OK;
}

mbt_status mbt_store_open(const char *path, size_t max_bytes, mbt_store **store, mbt_error *err)
{
    char *data = NULL, name[IMAGE_NAME];
    size_t bytes = 0;
    bool ours = false;
    mbt_digest *digest = NULL;
    hid_t access = H5I_INVALID_HID;
    mbt_store *made = store_new(path, false);
    if (made == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    }
    mbt_status status = mbt_file_read(path, max_bytes, &data, &bytes, err);
    if (status == MBT_OK) {
        status = check_head(path, data, bytes, bytes, &ours, made->digest, err);
    }
    if (status == MBT_OK && !ours) {
        status = mbt_fail(err, MBT_DATA, "%s: HDF5 of another maker: no digest before it", path);
    }
    if (status == MBT_OK) {
        status = mbt_digest_create(&digest, err);
    }
    if (status != MBT_OK) {
        goto done;
    }
    mbt_digest_add(digest, data + MBT_USER_BLOCK_BYTES, bytes - MBT_USER_BLOCK_BYTES);
    status = compare_digest(path, digest, made->digest, err);
    if (status != MBT_OK) {
        goto done;
    }
    image_name(made, name);
    made->file_bytes = bytes;
    access = image_access();
    if (access >= 0 &&
        H5Pset_file_image(access, data + MBT_USER_BLOCK_BYTES, bytes - MBT_USER_BLOCK_BYTES) < 0) {
        store_release(access);
        access = H5I_INVALID_HID;
    }
    status = open_file(made, name, access, err);
done:
    mbt_digest_destroy(digest);
    free(data);
    return store_give(made, status, store);
}

static mbt_status check_rest(int fd, const char *path, const char *wanted, mbt_error *err)
{
    char got[MBT_DIGEST_TEXT];
    uint64_t bytes = 0;
    mbt_status status = store_digest_rest(fd, path, got, &bytes, err);
    return status != MBT_OK ? status : compare_text(path, got, wanted, err);
}

/* What can be said of a file before HDF5 sees it. */
static mbt_status check_file(mbt_store *store, const char *path, bool verify, mbt_error *err)
{
    char head[MBT_USER_BLOCK_BYTES + 8];
    struct stat info;
    ssize_t have = 0;
    bool ours = false;
    mbt_status status = MBT_OK;
    /* non-blocking: opening a pipe must not wait for a writer before it is refused */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return mbt_fail(err, MBT_DATA, "%s: cannot open: %s", path, strerror(errno));
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        status = mbt_fail(err, MBT_DATA, "%s: got a folder or special file, wanted a regular file",
                          path);
        goto done;
    }
    have = pread(fd, head, sizeof head, 0);
    if (have < 0) {
        status = mbt_fail(err, MBT_FAILURE, "%s: cannot read: %s", path, strerror(errno));
        goto done;
    }
    store->file_bytes = (uint64_t)info.st_size;
    status = check_head(path, head, (size_t)have, store->file_bytes, &ours, store->digest, err);
    if (status == MBT_OK && verify && ours) {
        status = check_rest(fd, path, store->digest, err);
    }
done:
    (void)close(fd);
    return status;
}

bool mbt_store_is_foreign(const char *path)
{
    char head[8];
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    const ssize_t have = pread(fd, head, sizeof head, 0);
    (void)close(fd);
    return have == (ssize_t)sizeof head && memcmp(head, BLOCK_BEGINS, sizeof head) != 0;
}

mbt_status mbt_store_open_large(const char *path, bool verify, mbt_store **store, mbt_error *err)
{
    mbt_store *made = store_new(path, false);
    if (made == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    }
    mbt_status status = check_file(made, path, verify, err);
    if (status == MBT_OK) {
        status = open_file(made, path, store_disk_access(), err);
    }
    return store_give(made, status, store);
}

void mbt_store_close(mbt_store *store)
{
    if (store == NULL) {
        return;
    }
    store_quiet();
    if (store->file >= 0) {
        (void)H5Fclose(store->file);
    }
    if (store->temporary[0] != '\0') { /* not committed */
        (void)unlink(store->temporary);
    }
    free(store);
}

const char *mbt_store_digest(const mbt_store *store)
{
    return store->digest;
}
