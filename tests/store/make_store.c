/* Writes one file with a bit of everything, for readers other than ours. Argument: the path. */
#include <stdio.h>

#include "mbt/store.h"

static mbt_status make(const char *path, mbt_error *err)
{
    static const char *const names[] = {"cat", "J\xc3\xa4ger", "a"};
    static const double values[] = {0.1, -2, 1e300};
    float weights[6] = {0, 1, 2, 3, 4.5f, -5};
    unsigned char images[1000 * 12];
    int64_t step = 1234567890123;
    mbt_store *store = NULL;
    mbt_status status = mbt_store_create(&store, err);
    for (int i = 0; i < 1000 * 12; i++) {
        images[i] = (unsigned char)(i % 251);
    }
    if (!status) {
        status = mbt_store_write(store, "/model/conv.weight",
                                 &(mbt_store_shape){MBT_STORE_F32, 2, {2, 3}}, weights, 0, 0, err);
    }
    if (!status) {
        status = mbt_store_write(store, "/train/images",
                                 &(mbt_store_shape){MBT_STORE_U8, 4, {1000, 2, 2, 3}}, images, 64,
                                 0, err);
    }
    if (!status) {
        status = mbt_store_write(store, "/step", &(mbt_store_shape){MBT_STORE_I64, 0, {0}}, &step,
                                 0, 0, err);
    }
    if (!status) {
        status = mbt_store_set_text(store, "/", "name", "J\xc3\xa4ger 1", err);
    }
    if (!status) {
        status = mbt_store_set_texts(store, "/model", "class_names", 3, names, err);
    }
    if (!status) {
        status = mbt_store_set_f64s(store, "/model/conv.weight", "values", 3, values, err);
    }
    if (!status) {
        status = mbt_store_set_i64(store, "/", "schema", 7, err);
    }
    if (!status) {
        status = mbt_store_commit(store, path, NULL, err);
    }
    if (!status) {
        printf("%s\n", mbt_store_digest(store));
    }
    mbt_store_close(store);
    return status;
}

int main(int argc, char **argv)
{
    mbt_error err = {0};
    if (argc != 2) {
        return MBT_USAGE;
    }
    mbt_status status = make(argv[1], &err);
    if (status) {
        (void)fprintf(stderr, "make_store: %s\n", err.message);
    }
    return (int)status;
}
