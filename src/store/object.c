/* Opening groups and data sets without being led anywhere else.
 *
 * HDF5 follows soft and external links, virtual data sets and external storage without asking, so
 * a file could make its reader open other files. Here a path is walked component by component, each
 * link is looked at before it is followed, and a data set's layout before its extent is asked for.
 * A shape is believed only when the file has the bytes for it. */
#include <string.h>

#include "internal.h"

enum { CHUNK_BYTES_MAX = 1 << 28 }; /* HDF5 holds a whole chunk in memory */

void store_release(hid_t id)
{
    if (id >= 0) {
        (void)H5Idec_ref(id);
    }
}

mbt_status store_next_name(const mbt_store *store, const char *whole, const char **path,
                           char name[STORE_NAME_BYTES], mbt_error *err)
{
    const char *at = *path;
    name[0] = '\0';
    if (*at != '/') {
        return mbt_fail(err, store_code(store),
                        "%s: \"%s\": got a relative path, wanted an absolute", store->name, whole);
    }
    if (strcmp(whole, "/") == 0) {
        *path = at + 1;
        return MBT_OK;
    }
    at++;
    size_t n = strcspn(at, "/");
    if (n == 0 || n >= STORE_NAME_BYTES || (n == 1 && at[0] == '.') ||
        (n == 2 && at[0] == '.' && at[1] == '.')) {
        return mbt_fail(err, store_code(store),
                        "%s: \"%s\": a component is empty, too long or dots", store->name, whole);
    }
    memcpy(name, at, n);
    name[n] = '\0';
    *path = at + n;
    return MBT_OK;
}

mbt_status store_check_link(const mbt_store *store, const char *path, H5L_type_t type,
                            mbt_error *err)
{
    const char *kind = "user-defined";
    if (type == H5L_TYPE_HARD) {
        return MBT_OK;
    }
    if (type == H5L_TYPE_SOFT) {
        kind = "soft";
    } else if (type == H5L_TYPE_EXTERNAL) {
        kind = "external";
    }
    return mbt_fail(err, store_code(store),
                    "%s: %s: got a link of kind \"%s\", wanted hard links only", store->name, path,
                    kind);
}

mbt_status store_open_object(const mbt_store *store, const char *path, hid_t *object,
                             mbt_error *err)
{
    char name[STORE_NAME_BYTES];
    const char *at = path;
    mbt_status status = MBT_OK;
    hid_t here = H5Gopen2(store->file, "/", H5P_DEFAULT);
    if (here < 0) {
        return store_fail(store, "/", "cannot open", err);
    }
    do {
        H5L_info_t link;
        hid_t next;
        status = store_next_name(store, path, &at, name, err);
        if (status != MBT_OK || name[0] == '\0') {
            break;
        }
        if (H5Iget_type(here) != H5I_GROUP || H5Lexists(here, name, H5P_DEFAULT) <= 0) {
            status = mbt_fail(err, store_code(store), "%s: %s: not in the file", store->name, path);
            break;
        }
        if (H5Lget_info(here, name, &link, H5P_DEFAULT) < 0) {
            status = store_fail(store, path, "cannot look at the link", err);
            break;
        }
        status = store_check_link(store, path, link.type, err);
        if (status != MBT_OK) {
            break;
        }
        next = H5Oopen(here, name, H5P_DEFAULT);
        if (next < 0) {
            status = store_fail(store, path, "cannot open", err);
            break;
        }
        store_release(here);
        here = next;
    } while (*at != '\0');
    if (status != MBT_OK) {
        store_release(here);
        return status;
    }
    *object = here;
    return MBT_OK;
}

/* Layout and filters; *ratio: how far the stored bytes may expand. */
static mbt_status check_creation(const mbt_store *store, const char *path, hid_t plist,
                                 size_t type_bytes, uint64_t *ratio, mbt_error *err)
{
    H5D_layout_t layout = H5Pget_layout(plist);
    int n_filters = H5Pget_nfilters(plist);
    *ratio = 1;
    if (layout < 0 || n_filters < 0) {
        return store_fail(store, path, "cannot read layout and filters", err);
    }
    if (layout == H5D_VIRTUAL) {
        return mbt_fail(err, MBT_DATA, "%s: %s: a virtual data set, which is refused", store->name,
                        path);
    }
    if (H5Pget_external_count(plist) != 0) {
        return mbt_fail(err, MBT_DATA, "%s: %s: keeps its data in other files, which is refused",
                        store->name, path);
    }
    if (layout == H5D_CHUNKED) {
        hsize_t chunk[H5S_MAX_RANK];
        uint64_t bytes = type_bytes;
        int rank = H5Pget_chunk(plist, H5S_MAX_RANK, chunk);
        if (rank < 0) {
            return store_fail(store, path, "cannot read the chunk's shape", err);
        }
        for (int d = 0; d < rank && bytes <= CHUNK_BYTES_MAX; d++) {
            bytes = chunk[d] <= CHUNK_BYTES_MAX ? bytes * chunk[d] : (uint64_t)CHUNK_BYTES_MAX + 1;
        }
        if (bytes > CHUNK_BYTES_MAX) {
            return mbt_fail(err, MBT_DATA, "%s: %s: got chunks above %d bytes, wanted at most that",
                            store->name, path, (int)CHUNK_BYTES_MAX);
        }
    }
    for (int f = 0; f < n_filters; f++) {
        unsigned flags = 0, config = 0;
        size_t n_values = 0;
        H5Z_filter_t filter =
            H5Pget_filter2(plist, (unsigned)f, &flags, &n_values, NULL, 0, NULL, &config);
        if (filter == H5Z_FILTER_DEFLATE) {
            *ratio = STORE_DEFLATE_RATIO;
        } else if (filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32) {
            return mbt_fail(err, MBT_DATA,
                            "%s: %s: got filter %d, wanted deflate, shuffle or Fletcher32 only",
                            store->name, path, (int)filter);
        }
    }
    return MBT_OK;
}

static mbt_status read_shape(const mbt_store *store, const char *path, hid_t dataset,
                             mbt_store_shape *shape, mbt_error *err)
{
    mbt_status status = MBT_OK;
    hsize_t dims[H5S_MAX_RANK] = {0};
    hid_t space = H5Dget_space(dataset);
    H5S_class_t class = H5Sget_simple_extent_type(space);
    int rank = class == H5S_SCALAR ? 0 : H5Sget_simple_extent_ndims(space);
    if (space < 0 || rank < 0) {
        status = store_fail(store, path, "cannot read the shape", err);
    } else if (class != H5S_SCALAR && class != H5S_SIMPLE) {
        status = mbt_fail(err, MBT_DATA, "%s: %s: a data set without a shape", store->name, path);
    } else if (rank > MBT_STORE_RANK_MAX) {
        status = mbt_fail(err, MBT_DATA, "%s: %s: got %d dimensions, wanted at most %d",
                          store->name, path, rank, (int)MBT_STORE_RANK_MAX);
    } else if (rank > 0 && H5Sget_simple_extent_dims(space, dims, NULL) < 0) {
        status = store_fail(store, path, "cannot read the shape", err);
    }
    if (status == MBT_OK) {
        shape->rank = rank;
        for (int d = 0; d < rank; d++) {
            shape->dims[d] = dims[d];
        }
    }
    store_release(space);
    return status;
}

/* A shape costs nothing to write down; what stands behind it must be in the file. */
static mbt_status check_storage(const mbt_store *store, const char *path, hid_t dataset,
                                const mbt_store_shape *shape, uint64_t ratio, mbt_error *err)
{
    char text[STORE_SHAPE_TEXT];
    uint64_t count = 0;
    if (!store_shape_count(shape, &count)) {
        return mbt_fail(err, MBT_DATA, "%s: %s: %s is more than can be held", store->name, path,
                        store_typed_shape(shape, text));
    }
    uint64_t stored = H5Dget_storage_size(dataset);
    uint64_t wanted = count * mbt_store_type_bytes(shape->type);
    if (stored > store->file_bytes || stored < wanted / ratio) {
        return mbt_fail(
            err, MBT_DATA, "%s: %s: %s needs %llu bytes, the file of %llu bytes stores %llu for it",
            store->name, path, store_typed_shape(shape, text), (unsigned long long)wanted,
            (unsigned long long)store->file_bytes, (unsigned long long)stored);
    }
    return MBT_OK;
}

mbt_status store_open_dataset(const mbt_store *store, const char *path, hid_t *dataset,
                              mbt_store_shape *shape, mbt_error *err)
{
    hid_t plist = H5I_INVALID_HID, type = H5I_INVALID_HID, object = H5I_INVALID_HID;
    uint64_t ratio = 1;
    memset(shape, 0, sizeof *shape);
    mbt_status status = store_open_object(store, path, &object, err);
    if (status != MBT_OK) {
        return status;
    }
    if (H5Iget_type(object) != H5I_DATASET) {
        status = mbt_fail(err, store_code(store), "%s: %s: not a data set", store->name, path);
        goto done;
    }
    type = H5Dget_type(object);
    if (type < 0 || !store_type_from(type, &shape->type)) {
        status = mbt_fail(err, MBT_DATA,
                          "%s: %s: got an element type of another kind, wanted u8, i32, "
                          "i64, f32 or f64",
                          store->name, path);
        goto done;
    }
    plist = H5Dget_create_plist(object);
    if (plist < 0) {
        status = store_fail(store, path, "cannot read layout and filters", err);
        goto done;
    }
    status = check_creation(store, path, plist, mbt_store_type_bytes(shape->type), &ratio, err);
    if (status == MBT_OK) {
        status = read_shape(store, path, object, shape, err);
    }
    if (status == MBT_OK && !store->writing) { /* what is being written may still be in a cache */
        status = check_storage(store, path, object, shape, ratio, err);
    }
done:
    store_release(plist);
    store_release(type);
    if (status != MBT_OK) {
        store_release(object);
    } else {
        *dataset = object;
    }
    return status;
}
