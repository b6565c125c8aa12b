/* Files that no memory holds: written on disk under a temporary name, and read beside HDF5. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "mbt/file.h"

hid_t store_disk_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && (H5Pset_file_locking(access, false, true) < 0 ||
                        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0)) {
        store_release(access);
        access = H5I_INVALID_HID;
    }
    return access;
}

mbt_status mbt_store_create_large(const char *path, mbt_store **store, mbt_error *err)
{
    mbt_store *made = store_new(path, true);
    if (made == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    }
    int fd;
    const mbt_status status = mbt_file_temporary(path, made->temporary, &fd, err);
    if (status != MBT_OK) {
        free(made);
        return status;
    }
    (void)close(fd);
    return store_give(
        made,
        store_start_file(made, made->temporary, store_disk_access(), MBT_USER_BLOCK_BYTES, err),
        store);
}

mbt_status store_commit_large(mbt_store *store, const char *path, size_t *bytes, mbt_error *err)
{
    char block[MBT_USER_BLOCK_BYTES], digest[MBT_DIGEST_TEXT];
    uint64_t rest = 0;
    hid_t file = store->file;
    store->file = H5I_INVALID_HID;
    if (H5Fclose(file) < 0) {
        return store_fail(store, NULL, "cannot finish the file", err);
    }
    int fd = open(store->temporary, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return mbt_fail(err, MBT_FAILURE, "%s: cannot open its temporary file again: %s", path,
                        strerror(errno));
    }
    mbt_status status = store_digest_rest(fd, path, digest, &rest, err);
    if (status == MBT_OK) {
        store_block_make(digest, rest, block);
        if (pwrite(fd, block, sizeof block, 0) != (ssize_t)sizeof block) {
            status = mbt_fail(err, MBT_FAILURE, "%s: cannot write its first %zu bytes: %s", path,
                              sizeof block, strerror(errno));
        }
    }
    if (status != MBT_OK) {
        (void)close(fd);
        return status;
    }
    status = store_place(fd, store->temporary, path, block, rest, digest, err);
    store->temporary[0] = '\0'; /* in place, or gone */
    if (status == MBT_OK) {
        memcpy(store->digest, digest, sizeof digest);
        if (bytes != NULL) {
            *bytes = MBT_USER_BLOCK_BYTES + (size_t)rest;
        }
    }
    return status;
}

mbt_status mbt_store_locate(mbt_store *store, const char *path, uint64_t *bytes, uint64_t *offset,
                            mbt_error *err)
{
    hid_t dataset = H5I_INVALID_HID, plist = H5I_INVALID_HID;
    mbt_store_shape shape;
    haddr_t at = HADDR_UNDEF;
    store_quiet();
    mbt_status status = store_open_dataset(store, path, &dataset, &shape, err);
    if (status != MBT_OK) {
        return status;
    }
    plist = H5Dget_create_plist(dataset);
    if (plist >= 0 && H5Pget_layout(plist) == H5D_CONTIGUOUS) {
        at = H5Dget_offset(dataset);
    }
    if (shape.type != MBT_STORE_U8 || shape.rank != 1 || at == HADDR_UNDEF) {
        status =
            mbt_fail(err, store_code(store), "%s: %s: wanted contiguous u8 [N]", store->name, path);
    } else if (at > store->file_bytes || shape.dims[0] > store->file_bytes - at) {
        status = mbt_fail(err, store_code(store), "%s: %s: lies behind the end of the file",
                          store->name, path);
    }
    *bytes = shape.dims[0];
    *offset = at;
    store_release(plist);
    store_release(dataset);
    return status;
}
