/* What rank 0 finds out about a data set's file before anything is read: where it is, its names,
 * numbers and moments. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset_read.h"

static const dataset_form *const forms[] = {&dataset_form_images, &dataset_form_encoded};
enum { N_FORMS = sizeof forms / sizeof forms[0] };

/* The form of a schema's version, -1 when there is none. */
static int form_of(int64_t schema)
{
    for (int f = 0; f < N_FORMS; f++) {
        if (forms[f]->schema == schema) {
            return f;
        }
    }
    return -1;
}

const dataset_form *dataset_form_at(int form)
{
    return forms[form];
}

/* `path` itself, or beside the others in the folder that MBTRAIN_DATA names. */
mbt_status mbt_dataset_find(const char *path, char file[MBT_PATH_BYTES], mbt_error *err)
{
    const char *folder = getenv("MBTRAIN_DATA");
    if (path[0] == '\0') {
        return mbt_fail(err, MBT_DATA, "data.path: got no file, wanted a data set");
    }
    mbt_status status = mbt_text_format(file, MBT_PATH_BYTES, err, "path", "%s", path);
    if (status || access(file, F_OK) == 0) {
        return status;
    }
    if (folder == NULL || folder[0] == '\0' || path[0] == '/') {
        return mbt_fail(err, MBT_DATA, "%s: data set cannot be found: %s%s", path, strerror(errno),
                        path[0] == '/' ? "" : " (MBTRAIN_DATA names no folder to search next)");
    }
    status = mbt_text_path(folder, path, file, err);
    if (!status && access(file, F_OK) != 0) {
        status = mbt_fail(err, MBT_DATA, "%s: data set cannot be found: neither here nor as %s",
                          path, file);
    }
    return status;
}

static mbt_status read_class_names(mbt_store *store, dataset_description *d, mbt_error *err)
{
    mbt_status status =
        mbt_store_get_texts(store, "/", "class_names", MBT_CLASSES_MAX, sizeof(class_name),
                            d->class_names[0], &d->n_classes, err);
    if (!status && d->n_classes < DATASET_CLASSES_MIN) {
        status = mbt_fail(err, MBT_DATA, "%s: class_names: got %d, wanted %d .. %d", d->file,
                          d->n_classes, DATASET_CLASSES_MIN, MBT_CLASSES_MAX);
    }
    for (int i = 0; i < d->n_classes && !status; i++) {
        if (!dataset_good_name(d->class_names[i])) {
            status =
                mbt_fail(err, MBT_DATA,
                         "%s: class_names: name %d is empty or has control characters", d->file, i);
        }
    }
    return status;
}

static mbt_status read_moments(mbt_store *store, dataset_description *d, mbt_error *err)
{
    mbt_status status = mbt_store_get_f64s(store, "/", "mean", d->channels, d->mean, err);
    if (!status) {
        status = mbt_store_get_f64s(store, "/", "deviation", d->channels, d->deviation, err);
    }
    for (int c = 0; c < d->channels && !status; c++) {
        /* written so that a value that is no number fails too */
        if (!(d->mean[c] >= 0 && d->mean[c] <= 255 && d->deviation[c] > 0 &&
              d->deviation[c] <= 255)) {
            status =
                mbt_fail(err, MBT_DATA,
                         "%s: channel %d: got mean %g, deviation %g, wanted 0 .. 255 and above 0",
                         d->file, c, d->mean[c], d->deviation[c]);
        }
    }
    return status;
}

static mbt_status read_form(mbt_store *store, dataset_description *d, mbt_error *err)
{
    int64_t schema = 0;
    mbt_status status = mbt_store_get_i64(store, "/", "schema", &schema, err);
    d->form = form_of(schema);
    if (!status && d->form < 0) {
        status = mbt_fail(err, MBT_DATA, "%s: schema: got version %" PRId64 ", wanted 1 or 2",
                          d->file, schema);
    }
    return status;
}

static mbt_status read_name(mbt_store *store, dataset_description *d, mbt_error *err)
{
    mbt_status status = mbt_store_get_text(store, "/", "name", d->name, sizeof d->name, err);
    if (!status && !dataset_good_name(d->name)) {
        status =
            mbt_fail(err, MBT_DATA, "%s: name: it is empty or has control characters", d->file);
    }
    return status;
}

mbt_status dataset_describe(const char *path, dataset_description *d, mbt_error *err)
{
    mbt_store *store = NULL;
    mbt_status status = mbt_dataset_find(path, d->file, err);
    if (!status) {
        status = mbt_store_open_large(d->file, false, &store, err);
    }
    if (!status) {
        status = read_form(store, d, err);
    }
    if (!status) {
        status = read_name(store, d, err);
    }
    if (!status) {
        status = mbt_store_get_text(store, "/", "digest", d->digest, sizeof d->digest, err);
    }
    if (!status) {
        status = read_class_names(store, d, err);
    }
    for (int s = 0; s < 2 && !status; s++) {
        status = forms[d->form]->describe(store, d, s, err);
    }
    if (!status) {
        status = read_moments(store, d, err);
    }
    mbt_store_close(store);
    return status;
}
