/* Attributes of a file being written: numbers little-endian, texts fixed-length UTF-8 ended by
 * zeros, so that no global heap is needed and the same content gives the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Makes the attribute, in place of one of that name, and writes it. count < 0: a scalar. */
static mbt_status put(mbt_store *store, const char *path, const char *name, hid_t file_type,
                      hid_t memory_type, int count, const void *data, mbt_error *err)
{
    hid_t object = H5I_INVALID_HID, space = H5I_INVALID_HID, attribute = H5I_INVALID_HID;
    hsize_t dims[1] = {count > 0 ? (hsize_t)count : 0};
    mbt_status status = store_open_object(store, path, &object, err);
    if (status != MBT_OK) {
        return status;
    }
    if (H5Aexists(object, name) > 0 && H5Adelete(object, name) < 0) {
        status = store_fail(store, path, "cannot replace an attribute", err);
        goto done;
    }
    space = count < 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, dims, NULL);
    if (space >= 0) {
        attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    }
    if (attribute < 0) {
        status = store_fail(store, path, "cannot make an attribute", err);
    } else if (count != 0 && H5Awrite(attribute, memory_type, data) < 0) {
        status = store_fail(store, path, "cannot write an attribute", err);
    }
done:
    store_release(attribute);
    store_release(space);
    store_release(object);
    return status;
}

mbt_status mbt_store_set_i64(mbt_store *store, const char *path, const char *name, int64_t value,
                             mbt_error *err)
{
    store_quiet();
    return put(store, path, name, H5T_STD_I64LE, H5T_NATIVE_INT64, -1, &value, err);
}

mbt_status mbt_store_set_f64(mbt_store *store, const char *path, const char *name, double value,
                             mbt_error *err)
{
    store_quiet();
    return put(store, path, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, -1, &value, err);
}

mbt_status mbt_store_set_f64s(mbt_store *store, const char *path, const char *name, int count,
                              const double *values, mbt_error *err)
{
    store_quiet();
    return put(store, path, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, count, values, err);
}

/* count < 0: one text as a scalar */
static mbt_status put_texts(mbt_store *store, const char *path, const char *name, int count,
                            const char *const *values, mbt_error *err)
{
    size_t n = count < 0 ? 1 : (size_t)count, width = 1;
    hid_t type = H5I_INVALID_HID;
    char *block = NULL;
    mbt_status status = MBT_OK;
    store_quiet();
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(values[i]) + 1;
        width = length > width ? length : width;
    }
    block = calloc(n > 0 ? n : 1, width);
    if (block == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: %s: out of memory", store->name, path);
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(block + i * width, values[i], strlen(values[i]));
    }
    type = H5Tcopy(H5T_C_S1);
    if (type < 0 || H5Tset_size(type, width) < 0 || H5Tset_strpad(type, H5T_STR_NULLTERM) < 0 ||
        H5Tset_cset(type, H5T_CSET_UTF8) < 0) {
        status = store_fail(store, path, "cannot make a text type", err);
    } else {
        status = put(store, path, name, type, type, count, block, err);
    }
    store_release(type);
    free(block);
    return status;
}

mbt_status mbt_store_set_text(mbt_store *store, const char *path, const char *name,
                              const char *value, mbt_error *err)
{
    return put_texts(store, path, name, -1, &value, err);
}

mbt_status mbt_store_set_texts(mbt_store *store, const char *path, const char *name, int count,
                               const char *const *values, mbt_error *err)
{
    return put_texts(store, path, name, count, values, err);
}
