/* Data sets read whole or by rows, and the walk over all of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { DEPTH_MAX = 16, OBJECTS_MAX = 1000000 }; /* hard links can form circles */

bool mbt_store_has(mbt_store *store, const char *path)
{
    hid_t object = H5I_INVALID_HID;
    store_quiet();
    if (store_open_object(store, path, &object, NULL) != MBT_OK) {
        return false;
    }
    H5I_type_t kind = H5Iget_type(object);
    store_release(object);
    return kind == H5I_GROUP || kind == H5I_DATASET;
}

mbt_status mbt_store_shape_of(mbt_store *store, const char *path, mbt_store_shape *shape,
                              mbt_error *err)
{
    hid_t dataset = H5I_INVALID_HID;
    store_quiet();
    mbt_status status = store_open_dataset(store, path, &dataset, shape, err);
    if (status == MBT_OK) {
        store_release(dataset);
    }
    return status;
}

/* Opens a data set that must look like `want`. */
static mbt_status open_wanted(const mbt_store *store, const char *path, const mbt_store_shape *want,
                              hid_t *dataset, mbt_error *err)
{
    char got_text[STORE_SHAPE_TEXT], want_text[STORE_SHAPE_TEXT];
    mbt_store_shape got;
    mbt_status status = store_open_dataset(store, path, dataset, &got, err);
    if (status != MBT_OK) {
        return status;
    }
    if (!mbt_store_shape_equal(&got, want)) {
        store_release(*dataset);
        return mbt_fail(err, store_code(store), "%s: %s: got %s, wanted %s", store->name, path,
                        store_typed_shape(&got, got_text), store_typed_shape(want, want_text));
    }
    return MBT_OK;
}

mbt_status mbt_store_read(mbt_store *store, const char *path, const mbt_store_shape *want,
                          void *data, mbt_error *err)
{
    hid_t dataset = H5I_INVALID_HID;
    uint64_t count = 0;
    store_quiet();
    mbt_status status = open_wanted(store, path, want, &dataset, err);
    if (status != MBT_OK) {
        return status;
    }
    (void)store_shape_count(want, &count); /* equal to the file's, which was checked */
    if (count > 0 &&
        H5Dread(dataset, store_memory_type(want->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        status = store_fail(store, path, "cannot read", err);
    }
    store_release(dataset);
    return status;
}

mbt_status mbt_store_read_rows(mbt_store *store, const char *path, const mbt_store_shape *want,
                               uint64_t first, uint64_t count, void *data, mbt_error *err)
{
    hsize_t start[MBT_STORE_RANK_MAX] = {0}, block[MBT_STORE_RANK_MAX] = {0};
    hid_t dataset = H5I_INVALID_HID, file_space = H5I_INVALID_HID, memory_space = H5I_INVALID_HID;
    uint64_t elements = 0;
    store_quiet();
    mbt_status status = open_wanted(store, path, want, &dataset, err);
    if (status != MBT_OK) {
        return status;
    }
    (void)store_shape_count(want, &elements);
    if (want->rank == 0 || first > want->dims[0] || count > want->dims[0] - first) {
        status =
            mbt_fail(err, store_code(store), "%s: %s: got rows %llu + %llu, wanted them inside it",
                     store->name, path, (unsigned long long)first, (unsigned long long)count);
        goto done;
    }
    if (count == 0 || elements == 0) {
        goto done;
    }
    for (int d = 0; d < want->rank; d++) {
        block[d] = want->dims[d];
    }
    start[0] = first;
    block[0] = count;
    file_space = H5Dget_space(dataset);
    memory_space = H5Screate_simple(want->rank, block, NULL);
    if (file_space < 0 || memory_space < 0 ||
        H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, block, NULL) < 0 ||
        H5Dread(dataset, store_memory_type(want->type), memory_space, file_space, H5P_DEFAULT,
                data) < 0) {
        status = store_fail(store, path, "cannot read", err);
    }
done:
    store_release(memory_space);
    store_release(file_space);
    store_release(dataset);
    return status;
}

/* ---- the walk ---- */

struct names {
    char **name;
    size_t count, room;
    bool refused; /* a link that is no hard one; it is the last name */
    H5L_type_t kind;
};

static herr_t take_name(hid_t group, const char *name, const H5L_info_t *link, void *context)
{
    struct names *names = context;
    (void)group;
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 64 : 2 * names->room;
        char **grown = room > OBJECTS_MAX ? NULL : realloc(names->name, room * sizeof *grown);
        if (grown == NULL) {
            return -1;
        }
        names->name = grown;
        names->room = room;
    }
    names->name[names->count] = strdup(name);
    if (names->name[names->count] == NULL) {
        return -1;
    }
    names->count++;
    names->refused = link->type != H5L_TYPE_HARD;
    names->kind = link->type;
    return names->refused ? 1 : 0;
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->name[i]);
    }
    free(names->name);
}

struct walk {
    mbt_store *store;
    mbt_store_visit *visit;
    void *context;
    int objects; /* seen so far */
};

static mbt_status walk_object(struct walk *walk, const char *path, int depth, mbt_error *err);

static mbt_status walk_group(struct walk *walk, hid_t group, const char *path, int depth,
                             mbt_error *err)
{
    char inner[STORE_NAME_BYTES];
    struct names names = {0};
    hsize_t index = 0;
    const char *parent = strcmp(path, "/") == 0 ? "" : path;
    mbt_status status = MBT_OK;
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &index, take_name, &names) < 0) {
        status = store_fail(walk->store, path, "cannot list the group", err);
    }
    for (size_t i = 0; status == MBT_OK && i < names.count; i++) {
        status = mbt_text_format(inner, sizeof inner, err, walk->store->name, "%s/%s", parent,
                                 names.name[i]);
        if (status == MBT_OK && names.refused && i == names.count - 1) {
            status = store_check_link(walk->store, inner, names.kind, err);
        }
        if (status == MBT_OK) {
            status = walk_object(walk, inner, depth + 1, err);
        }
    }
    free_names(&names);
    return status;
}

static mbt_status walk_object(struct walk *walk, const char *path, int depth, mbt_error *err)
{
    hid_t object = H5I_INVALID_HID;
    mbt_store_shape shape;
    if (depth > DEPTH_MAX || ++walk->objects > OBJECTS_MAX) {
        return mbt_fail(err, store_code(walk->store),
                        "%s: %s: deeper than %d groups or more than %d objects", walk->store->name,
                        path, DEPTH_MAX, OBJECTS_MAX);
    }
    mbt_status status = store_open_object(walk->store, path, &object, err);
    if (status != MBT_OK) {
        return status;
    }
    if (H5Iget_type(object) == H5I_GROUP) {
        status = walk_group(walk, object, path, depth, err);
    } else {
        status = mbt_store_shape_of(walk->store, path, &shape, err);
        if (status == MBT_OK) {
            status = walk->visit(walk->context, path, &shape, err);
        }
    }
    store_release(object);
    return status;
}

mbt_status mbt_store_walk(mbt_store *store, const char *path, mbt_store_visit *visit, void *context,
                          mbt_error *err)
{
    struct walk walk = {store, visit, context, 0};
    store_quiet();
    return walk_object(&walk, path, 0, err);
}
