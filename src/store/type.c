/* The element types of store and their HDF5 counterparts; shapes as text and as counts.
 *
 * Files are written little-endian on every machine. On reading a type is one of ours by class,
 * size, sign and format (IEEE), in either byte order; HDF5 swaps bytes and converts nothing else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [MBT_STORE_U8] = {"u8", 1},   [MBT_STORE_I32] = {"i32", 4}, [MBT_STORE_I64] = {"i64", 8},
    [MBT_STORE_F32] = {"f32", 4}, [MBT_STORE_F64] = {"f64", 8},
};

enum { N_TYPES = sizeof types / sizeof types[0] };

size_t mbt_store_type_bytes(mbt_store_type type)
{
    return types[type].bytes;
}

const char *store_type_name(mbt_store_type type)
{
    return types[type].name;
}

/* HDF5's type names are calls behind macros, so they cannot stand in a constant table. */
hid_t store_file_type(mbt_store_type type)
{
    switch (type) {
    case MBT_STORE_U8:
        return H5T_STD_U8LE;
    case MBT_STORE_I32:
        return H5T_STD_I32LE;
    case MBT_STORE_I64:
        return H5T_STD_I64LE;
    case MBT_STORE_F32:
        return H5T_IEEE_F32LE;
    case MBT_STORE_F64:
        return H5T_IEEE_F64LE;
    }
    return H5I_INVALID_HID;
}

static hid_t big_endian_type(mbt_store_type type)
{
    switch (type) {
    case MBT_STORE_U8:
        return H5T_STD_U8BE;
    case MBT_STORE_I32:
        return H5T_STD_I32BE;
    case MBT_STORE_I64:
        return H5T_STD_I64BE;
    case MBT_STORE_F32:
        return H5T_IEEE_F32BE;
    case MBT_STORE_F64:
        return H5T_IEEE_F64BE;
    }
    return H5I_INVALID_HID;
}

hid_t store_memory_type(mbt_store_type type)
{
    switch (type) {
    case MBT_STORE_U8:
        return H5T_NATIVE_UINT8;
    case MBT_STORE_I32:
        return H5T_NATIVE_INT32;
    case MBT_STORE_I64:
        return H5T_NATIVE_INT64;
    case MBT_STORE_F32:
        return H5T_NATIVE_FLOAT;
    case MBT_STORE_F64:
        return H5T_NATIVE_DOUBLE;
    }
    return H5I_INVALID_HID;
}

bool store_type_from(hid_t file_type, mbt_store_type *type)
{
    for (int t = 0; t < N_TYPES; t++) {
        if (H5Tequal(file_type, store_file_type((mbt_store_type)t)) > 0 ||
            H5Tequal(file_type, big_endian_type((mbt_store_type)t)) > 0) {
            *type = (mbt_store_type)t;
            return true;
        }
    }
    return false;
}

char *mbt_store_shape_text(const mbt_store_shape *shape, char *out)
{
    size_t at = 0;
    memcpy(out, "scalar", sizeof "scalar");
    /* 8 dimensions of at most 22 characters fit */
    for (int d = 0; d < shape->rank && d < MBT_STORE_RANK_MAX; d++) {
        at +=
            (size_t)snprintf(out + at, MBT_STORE_SHAPE_TEXT - at, "[%" PRIu64 "]", shape->dims[d]);
    }
    return out;
}

char *store_typed_shape(const mbt_store_shape *shape, char *out)
{
    char text[MBT_STORE_SHAPE_TEXT];
    (void)snprintf(out, STORE_SHAPE_TEXT, "%s %s", types[shape->type].name,
                   mbt_store_shape_text(shape, text));
    return out;
}

bool mbt_store_shape_equal(const mbt_store_shape *a, const mbt_store_shape *b)
{
    if (a->type != b->type || a->rank != b->rank) {
        return false;
    }
    for (int d = 0; d < a->rank; d++) {
        if (a->dims[d] != b->dims[d]) {
            return false;
        }
    }
    return true;
}

bool store_shape_count(const mbt_store_shape *shape, uint64_t *count)
{
    uint64_t total = 1;
    bool empty = false;
    if (shape->rank < 0 || shape->rank > MBT_STORE_RANK_MAX) {
        return false;
    }
    for (int d = 0; d < shape->rank; d++) {
        if (shape->dims[d] == 0) {
            empty = true;
        } else if (total > (uint64_t)PTRDIFF_MAX / 8 / shape->dims[d]) {
            return false;
        } else {
            total *= shape->dims[d];
        }
    }
    *count = empty ? 0 : total;
    return true;
}
