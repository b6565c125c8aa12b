/* Data sets and groups of a file being written. Groups are made one by one and not by HDF5's
 * "intermediate groups", which would carry times. */
#include <string.h>

#include "internal.h"

static hid_t without_times(hid_t class)
{
    hid_t plist = H5Pcreate(class);
    if (plist >= 0 && H5Pset_obj_track_times(plist, false) < 0) {
        store_release(plist);
        plist = H5I_INVALID_HID;
    }
    return plist;
}

/* Opens group `name` in `parent`, or makes it. */
static hid_t enter_group(hid_t parent, const char *name)
{
    if (H5Lexists(parent, name, H5P_DEFAULT) > 0) {
        return H5Gopen2(parent, name, H5P_DEFAULT);
    }
    hid_t plist = without_times(H5P_GROUP_CREATE);
    hid_t group = plist < 0 ? plist : H5Gcreate2(parent, name, H5P_DEFAULT, plist, H5P_DEFAULT);
    store_release(plist);
    return group;
}

/* The group that holds the last component of `path`, made with its parents where missing, and that
 * component ("" for the root itself). */
static mbt_status enter_parent(const mbt_store *store, const char *path, hid_t *parent,
                               char leaf[STORE_NAME_BYTES], mbt_error *err)
{
    const char *at = path;
    hid_t here = H5Gopen2(store->file, "/", H5P_DEFAULT);
    if (here < 0) {
        return store_fail(store, "/", "cannot open", err);
    }
    for (;;) {
        mbt_status status = store_next_name(store, path, &at, leaf, err);
        if (status != MBT_OK) {
            store_release(here);
            return status;
        }
        if (*at == '\0') {
            break;
        }
        hid_t next = enter_group(here, leaf);
        if (next < 0) {
            status = store_fail(store, path, "cannot make the group", err);
            store_release(here);
            return status;
        }
        store_release(here);
        here = next;
    }
    *parent = here;
    return MBT_OK;
}

mbt_status mbt_store_make_group(mbt_store *store, const char *path, mbt_error *err)
{
    char leaf[STORE_NAME_BYTES];
    hid_t parent = H5I_INVALID_HID, group = H5I_INVALID_HID;
    store_quiet();
    mbt_status status = enter_parent(store, path, &parent, leaf, err);
    if (status != MBT_OK) {
        return status;
    }
    if (leaf[0] != '\0') {
        group = enter_group(parent, leaf);
        if (group < 0) {
            status = store_fail(store, path, "cannot make the group", err);
        }
    }
    store_release(group);
    store_release(parent);
    return status;
}

/* Layout and filters of a new data set. An empty one cannot be chunked. */
static hid_t creation_list(const mbt_store_shape *shape, uint64_t count, uint64_t chunk_rows,
                           int deflate)
{
    hsize_t chunk[MBT_STORE_RANK_MAX] = {0};
    hid_t plist = without_times(H5P_DATASET_CREATE);
    /* every element is written, so filling first would be work for nothing */
    bool good = plist >= 0 && H5Pset_fill_time(plist, H5D_FILL_TIME_NEVER) >= 0;
    if (good && chunk_rows > 0 && shape->rank > 0 && count > 0) {
        for (int d = 0; d < shape->rank; d++) {
            chunk[d] = shape->dims[d];
        }
        if (chunk_rows < chunk[0]) {
            chunk[0] = chunk_rows;
        }
        good = H5Pset_chunk(plist, shape->rank, chunk) >= 0 &&
               (deflate <= 0 || H5Pset_deflate(plist, (unsigned)deflate) >= 0) &&
               H5Pset_fletcher32(plist) >= 0;
    }
    if (!good) {
        store_release(plist);
        plist = H5I_INVALID_HID;
    }
    return plist;
}

mbt_status mbt_store_write(mbt_store *store, const char *path, const mbt_store_shape *shape,
                           const void *data, uint64_t chunk_rows, int deflate, mbt_error *err)
{
    char leaf[STORE_NAME_BYTES];
    hsize_t dims[MBT_STORE_RANK_MAX] = {0};
    uint64_t count = 0;
    hid_t parent = H5I_INVALID_HID, space = H5I_INVALID_HID, plist = H5I_INVALID_HID;
    hid_t dataset = H5I_INVALID_HID;
    store_quiet();
    if (!store_shape_count(shape, &count)) {
        return mbt_fail(err, MBT_FAILURE, "%s: %s: a shape beyond the limits", store->name, path);
    }
    mbt_status status = enter_parent(store, path, &parent, leaf, err);
    if (status != MBT_OK) {
        return status;
    }
    for (int d = 0; d < shape->rank; d++) {
        dims[d] = shape->dims[d];
    }
    space = shape->rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(shape->rank, dims, NULL);
    plist = creation_list(shape, count, chunk_rows, deflate);
    if (space >= 0 && plist >= 0) {
        dataset = H5Dcreate2(parent, leaf, store_file_type(shape->type), space, H5P_DEFAULT, plist,
                             H5P_DEFAULT);
    }
    if (dataset < 0) {
        status = store_fail(store, path, "cannot make the data set", err);
    } else if (count > 0 && H5Dwrite(dataset, store_memory_type(shape->type), H5S_ALL, H5S_ALL,
                                     H5P_DEFAULT, data) < 0) {
        status = store_fail(store, path, "cannot write", err);
    }
    store_release(dataset);
    store_release(plist);
    store_release(space);
    store_release(parent);
    return status;
}
