/* Attributes of a file being read. Nothing is converted but the byte order; texts may be of fixed
 * or of variable length, as other makers write them, and are bounded in both cases. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { TEXT_BLOCK_MAX = 1 << 26 }; /* bytes of all texts of an attribute together */

bool mbt_store_has_attribute(mbt_store *store, const char *path, const char *name)
{
    hid_t object = H5I_INVALID_HID;
    store_quiet();
    if (store_open_object(store, path, &object, NULL) != MBT_OK) {
        return false;
    }
    const bool has = H5Aexists(object, name) > 0;
    store_release(object);
    return has;
}

/* Opens an attribute and its shape. count: elements of a one-dimensional one, -1 for a scalar. */
static mbt_status open_attribute(const mbt_store *store, const char *path, const char *name,
                                 hid_t *attribute, int64_t *count, mbt_error *err)
{
    hid_t object = H5I_INVALID_HID, opened = H5I_INVALID_HID, space = H5I_INVALID_HID;
    hsize_t dims[1] = {0};
    mbt_status status = store_open_object(store, path, &object, err);
    if (status != MBT_OK) {
        return status;
    }
    if (H5Aexists(object, name) <= 0) {
        status = mbt_fail(err, store_code(store), "%s: %s: no attribute \"%s\"", store->name, path,
                          name);
        goto done;
    }
    opened = H5Aopen(object, name, H5P_DEFAULT);
    space = opened < 0 ? opened : H5Aget_space(opened);
    if (space < 0) {
        status = store_fail(store, path, "cannot open an attribute", err);
        goto done;
    }
    *count = -1;
    if (H5Sget_simple_extent_type(space) == H5S_SIMPLE && H5Sget_simple_extent_ndims(space) == 1 &&
        H5Sget_simple_extent_dims(space, dims, NULL) == 1 && dims[0] <= INT32_MAX) {
        *count = (int64_t)dims[0];
    } else if (H5Sget_simple_extent_type(space) != H5S_SCALAR) {
        status = mbt_fail(err, store_code(store),
                          "%s: %s: attribute \"%s\": wanted a scalar or one dimension", store->name,
                          path, name);
    }
done:
    store_release(space);
    store_release(object);
    if (status != MBT_OK) {
        store_release(opened);
    } else {
        *attribute = opened;
    }
    return status;
}

/* wanted: elements, -1 for a scalar */
static mbt_status get_numbers(mbt_store *store, const char *path, const char *name,
                              mbt_store_type wanted_type, int wanted, void *out, mbt_error *err)
{
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID;
    mbt_store_type got_type = MBT_STORE_U8;
    int64_t got = 0;
    store_quiet();
    mbt_status status = open_attribute(store, path, name, &attribute, &got, err);
    if (status != MBT_OK) {
        return status;
    }
    type = H5Aget_type(attribute);
    if (type < 0 || !store_type_from(type, &got_type) || got_type != wanted_type) {
        status = mbt_fail(err, store_code(store),
                          "%s: %s: attribute \"%s\": got another type, wanted %s", store->name,
                          path, name, store_type_name(wanted_type));
    } else if (got != wanted) {
        status = mbt_fail(err, store_code(store),
                          "%s: %s: attribute \"%s\": got %lld values, wanted %d (-1: a scalar)",
                          store->name, path, name, (long long)got, wanted);
    } else if (got != 0 && H5Aread(attribute, store_memory_type(wanted_type), out) < 0) {
        status = store_fail(store, path, "cannot read an attribute", err);
    }
    store_release(type);
    store_release(attribute);
    return status;
}

mbt_status mbt_store_get_i64(mbt_store *store, const char *path, const char *name, int64_t *value,
                             mbt_error *err)
{
    return get_numbers(store, path, name, MBT_STORE_I64, -1, value, err);
}

mbt_status mbt_store_get_f64(mbt_store *store, const char *path, const char *name, double *value,
                             mbt_error *err)
{
    return get_numbers(store, path, name, MBT_STORE_F64, -1, value, err);
}

mbt_status mbt_store_get_f64s(mbt_store *store, const char *path, const char *name, int count,
                              double *values, mbt_error *err)
{
    return get_numbers(store, path, name, MBT_STORE_F64, count, values, err);
}

/* ---- texts ---- */

/* n texts of at most max_bytes with their zero; entries are owned, the array is the caller's. */
struct texts {
    size_t n;
    char **text;
};

static void free_texts(struct texts *texts)
{
    for (size_t i = 0; texts->text != NULL && i < texts->n; i++) {
        free(texts->text[i]);
    }
    free(texts->text);
}

static mbt_status too_long(const mbt_store *store, const char *path, const char *name,
                           size_t max_bytes, mbt_error *err)
{
    return mbt_fail(err, store_code(store), "%s: %s: attribute \"%s\": got a text above %zu bytes",
                    store->name, path, name, max_bytes - 1);
}

/* Fixed length: the texts stand side by side, ended by a zero, by their width, or by blanks. */
static mbt_status read_fixed(const mbt_store *store, const char *path, const char *name,
                             hid_t attribute, hid_t type, size_t max_bytes, struct texts *texts,
                             mbt_error *err)
{
    mbt_status status = MBT_OK;
    size_t width = H5Tget_size(type);
    bool blanks = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
    if (width == 0 || width > TEXT_BLOCK_MAX / (texts->n > 0 ? texts->n : 1)) {
        return too_long(store, path, name, max_bytes, err);
    }
    char *block = malloc(texts->n * width + 1);
    if (block == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: %s: out of memory", store->name, path);
    }
    if (texts->n > 0 && H5Aread(attribute, type, block) < 0) {
        status = store_fail(store, path, "cannot read an attribute", err);
    }
    for (size_t i = 0; status == MBT_OK && i < texts->n; i++) {
        const char *from = block + i * width;
        size_t length = strnlen(from, width);
        while (blanks && length > 0 && from[length - 1] == ' ') {
            length--;
        }
        if (length >= max_bytes) {
            status = too_long(store, path, name, max_bytes, err);
        } else if ((texts->text[i] = strndup(from, length)) == NULL) {
            status = mbt_fail(err, MBT_FAILURE, "%s: %s: out of memory", store->name, path);
        }
    }
    free(block);
    return status;
}

/* Variable length: HDF5 allocates each text. */
static mbt_status read_variable(const mbt_store *store, const char *path, const char *name,
                                hid_t attribute, hid_t type, size_t max_bytes, struct texts *texts,
                                mbt_error *err)
{
    mbt_status status = MBT_OK;
    char **given = calloc(texts->n > 0 ? texts->n : 1, sizeof *given);
    if (given == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: %s: out of memory", store->name, path);
    }
    if (texts->n > 0 && H5Aread(attribute, type, given) < 0) {
        status = store_fail(store, path, "cannot read an attribute", err);
    }
    for (size_t i = 0; i < texts->n; i++) {
        const char *from = given[i] != NULL ? given[i] : "";
        if (status == MBT_OK && strlen(from) >= max_bytes) {
            status = too_long(store, path, name, max_bytes, err);
        }
        if (status == MBT_OK && (texts->text[i] = strdup(from)) == NULL) {
            status = mbt_fail(err, MBT_FAILURE, "%s: %s: out of memory", store->name, path);
        }
        if (given[i] != NULL) {
            (void)H5free_memory(given[i]);
        }
    }
    free(given);
    return status;
}

/* max_count < 0: a scalar is wanted. */
static mbt_status get_texts(mbt_store *store, const char *path, const char *name, int max_count,
                            size_t max_bytes, struct texts *texts, mbt_error *err)
{
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID;
    int64_t count = 0;
    store_quiet();
    mbt_status status = open_attribute(store, path, name, &attribute, &count, err);
    if (status != MBT_OK) {
        return status;
    }
    if ((max_count < 0) != (count < 0) || count > max_count) {
        status = mbt_fail(
            err, store_code(store), "%s: %s: attribute \"%s\": got %lld texts, wanted %s%d",
            store->name, path, name, count < 0 ? 1LL : (long long)count,
            max_count < 0 ? "a scalar, " : "an array of at most ", max_count < 0 ? 1 : max_count);
        goto done;
    }
    type = H5Aget_type(attribute);
    if (type < 0 || H5Tget_class(type) != H5T_STRING) {
        status =
            mbt_fail(err, store_code(store), "%s: %s: attribute \"%s\": got a number, wanted text",
                     store->name, path, name);
        goto done;
    }
    texts->n = count < 0 ? 1 : (size_t)count;
    texts->text = calloc(texts->n > 0 ? texts->n : 1, sizeof *texts->text);
    if (texts->text == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: %s: out of memory", store->name, path);
    } else if (H5Tis_variable_str(type) > 0) {
        status = read_variable(store, path, name, attribute, type, max_bytes, texts, err);
    } else {
        status = read_fixed(store, path, name, attribute, type, max_bytes, texts, err);
    }
done:
    store_release(type);
    store_release(attribute);
    return status;
}

mbt_status mbt_store_get_text(mbt_store *store, const char *path, const char *name, char *value,
                              size_t bytes, mbt_error *err)
{
    struct texts texts = {0};
    mbt_status status = get_texts(store, path, name, -1, bytes, &texts, err);
    if (status == MBT_OK) {
        assert(texts.n == 1 && texts.text != NULL && texts.text[0] != NULL);
        memcpy(value, texts.text[0], strlen(texts.text[0]) + 1);
    }
    free_texts(&texts);
    return status;
}

mbt_status mbt_store_get_long_text(mbt_store *store, const char *path, const char *name,
                                   size_t max_bytes, char **value, mbt_error *err)
{
    struct texts texts = {0};
    mbt_status status = get_texts(store, path, name, -1, max_bytes, &texts, err);
    if (status == MBT_OK) {
        assert(texts.n == 1 && texts.text != NULL);
        *value = texts.text[0];
        texts.text[0] = NULL;
    }
    free_texts(&texts);
    return status;
}

mbt_status mbt_store_get_texts(mbt_store *store, const char *path, const char *name, int max_count,
                               size_t each_bytes, char *values, int *count, mbt_error *err)
{
    struct texts texts = {0};
    mbt_status status = get_texts(store, path, name, max_count, each_bytes, &texts, err);
    if (status == MBT_OK) {
        assert(texts.text != NULL);
        for (size_t i = 0; i < texts.n; i++) {
            assert(texts.text[i] != NULL);
            memcpy(values + i * each_bytes, texts.text[i], strlen(texts.text[i]) + 1);
        }
        *count = (int)texts.n;
    }
    free_texts(&texts);
    return status;
}
