/* A data set to a file: checks what it was given, computes moments and digest, writes once. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_schema.h"
#include "mbt/stop.h"

enum { CHUNK_ROWS_MAX = 256, CHUNK_BYTES = 1 << 20, LABEL_CHUNK_ROWS = 65536 };

static mbt_status check_names(const char *what, int n, const char *const *names, mbt_error *err)
{
    for (int i = 0; i < n; i++) {
        if (!dataset_good_name(names[i])) {
            return mbt_fail(err, MBT_DATA,
                            "%s %d: got \"%.64s\", wanted 1 .. %d bytes without control characters",
                            what, i, names[i], MBT_CLASS_NAME_BYTES - 1);
        }
    }
    return MBT_OK;
}

static mbt_status check_labels(const char *what, const int32_t *labels, int64_t n, int n_classes,
                               mbt_error *err)
{
    int64_t wrong = dataset_wrong_label(labels, n, n_classes);
    if (wrong >= 0) {
        return mbt_fail(err, MBT_DATA,
                        "%s: sample %" PRId64 ": got label %" PRId32 ", wanted 0 .. %d", what,
                        wrong, labels[wrong], n_classes - 1);
    }
    return MBT_OK;
}

mbt_status mbt_dataset_check_header(const mbt_dataset_source *source, mbt_error *err)
{
    if (source->n_classes < DATASET_CLASSES_MIN || source->n_classes > MBT_CLASSES_MAX ||
        source->n_coarse < 0 || source->n_coarse > MBT_CLASSES_MAX) {
        return mbt_fail(err, MBT_DATA, "classes: got %d and %d coarse ones, wanted %d .. %d",
                        source->n_classes, source->n_coarse, DATASET_CLASSES_MIN, MBT_CLASSES_MAX);
    }
    if (strlen(source->source) >= DATASET_SOURCE_BYTES) {
        return mbt_fail(err, MBT_DATA, "source: got %zu bytes, wanted less than %d",
                        strlen(source->source), DATASET_SOURCE_BYTES);
    }
    mbt_status status = check_names("name", 1, &source->name, err);
    if (!status) {
        status = check_names("class name", source->n_classes, source->class_names, err);
    }
    if (!status) {
        status = check_names("coarse class name", source->n_coarse, source->coarse_names, err);
    }
    return status;
}

static mbt_status check_source(const mbt_dataset_source *source, mbt_error *err)
{
    if (source->height < 1 || source->height > DATASET_SIDE_MAX || source->width < 1 ||
        source->width > DATASET_SIDE_MAX || source->channels < 1 ||
        source->channels > MBT_CHANNELS_MAX) {
        return mbt_fail(err, MBT_DATA, "images: got %d x %d x %d, wanted at most %d x %d x %d",
                        source->height, source->width, source->channels, DATASET_SIDE_MAX,
                        DATASET_SIDE_MAX, MBT_CHANNELS_MAX);
    }
    mbt_status status = mbt_dataset_check_header(source, err);
    for (int s = 0; s < 2 && !status; s++) {
        int64_t n = source->split[s].n;
        if (n < 1 || n > DATASET_SAMPLES_MAX) {
            return mbt_fail(err, MBT_DATA, "%s: got %" PRId64 " samples, wanted 1 .. %" PRId64,
                            dataset_images[s], n, DATASET_SAMPLES_MAX);
        }
        status =
            check_labels(dataset_labels[s], source->split[s].labels, n, source->n_classes, err);
        if (!status && source->n_coarse > 0) {
            status = check_labels(dataset_coarse_labels[s], source->split[s].coarse_labels, n,
                                  source->n_coarse, err);
        }
    }
    return status;
}

mbt_status dataset_found_moments(const dataset_counts *counts, int channels, const char *path,
                                 double *mean, double *deviation, mbt_error *err)
{
    dataset_moments(counts, channels, mean, deviation);
    for (int c = 0; c < channels; c++) {
        if (!(deviation[c] > 0)) {
            return mbt_fail(err, MBT_DATA, "%s: channel %d is the same in all training images",
                            path, c);
        }
    }
    return MBT_OK;
}

static mbt_status write_labels(mbt_store *store, const char *path, const int32_t *labels, int64_t n,
                               mbt_error *err)
{
    mbt_store_shape shape = {.type = MBT_STORE_I32, .rank = 1, .dims = {(uint64_t)n}};
    return mbt_store_write(store, path, &shape, labels, LABEL_CHUNK_ROWS, 0, err);
}

static mbt_status write_split(mbt_store *store, const mbt_dataset_source *source, int s,
                              mbt_error *err)
{
    int64_t n = source->split[s].n;
    int image_bytes = source->height * source->width * source->channels;
    int rows = CHUNK_BYTES / image_bytes;
    mbt_store_shape shape = {.type = MBT_STORE_U8,
                             .rank = 4,
                             .dims = {(uint64_t)n, (uint64_t)source->height,
                                      (uint64_t)source->width, (uint64_t)source->channels}};
    rows = rows < 1 ? 1 : rows > CHUNK_ROWS_MAX ? CHUNK_ROWS_MAX : rows;
    mbt_status status = mbt_store_write(store, dataset_images[s], &shape, source->split[s].images,
                                        (uint64_t)rows, 0, err);
    if (!status) {
        status = write_labels(store, dataset_labels[s], source->split[s].labels, n, err);
    }
    if (!status && source->n_coarse > 0) {
        status =
            write_labels(store, dataset_coarse_labels[s], source->split[s].coarse_labels, n, err);
    }
    return status;
}

mbt_status dataset_write_attributes(mbt_store *store, const mbt_dataset_source *source,
                                    int64_t schema, const double *mean, const double *deviation,
                                    const char *digest, mbt_error *err)
{
    mbt_status status = mbt_store_set_i64(store, "/", "schema", schema, err);
    if (!status) {
        status = mbt_store_set_text(store, "/", "name", source->name, err);
    }
    if (!status) {
        status = mbt_store_set_text(store, "/", "source", source->source, err);
    }
    if (!status) {
        status = mbt_store_set_texts(store, "/", "class_names", source->n_classes,
                                     source->class_names, err);
    }
    if (!status && source->n_coarse > 0) {
        status = mbt_store_set_texts(store, "/", "coarse_names", source->n_coarse,
                                     source->coarse_names, err);
    }
    if (!status) {
        status = mbt_store_set_f64s(store, "/", "mean", source->channels, mean, err);
    }
    if (!status) {
        status = mbt_store_set_f64s(store, "/", "deviation", source->channels, deviation, err);
    }
    if (!status) {
        status = mbt_store_set_text(store, "/", "digest", digest, err);
    }
    return status;
}

mbt_status mbt_dataset_write(const mbt_dataset_source *source, const char *path, mbt_error *err)
{
    double mean[MBT_CHANNELS_MAX], deviation[MBT_CHANNELS_MAX];
    char digest[MBT_DIGEST_TEXT];
    dataset_counts counts = {{{0}}};
    mbt_store *store = NULL;
    mbt_status status = check_source(source, err);
    if (status) {
        (void)mbt_error_prefix(err, "%s", path);
        return status;
    }
    status = mbt_stop_check(path, err);
    if (status) {
        return status;
    }
    int64_t image_pixels = (int64_t)source->height * source->width;
    mbt_split split[2];
    for (int s = 0; s < 2; s++) {
        split[s] = (mbt_split){.n = source->split[s].n,
                               .images = source->split[s].images,
                               .labels = source->split[s].labels};
    }
    dataset_count(split[0].images, (uint64_t)(split[0].n * image_pixels), source->channels,
                  &counts);
    status = dataset_found_moments(&counts, source->channels, path, mean, deviation, err);
    if (status) {
        return status;
    }
    status = dataset_digest(split, (uint64_t)(image_pixels * source->channels), digest, err);
    if (!status) {
        status = mbt_store_create(&store, err);
    }
    if (!status) {
        status = dataset_write_attributes(store, source, MBT_DATASET_SCHEMA, mean, deviation,
                                          digest, err);
    }
    for (int s = 0; s < 2 && !status; s++) {
        status = write_split(store, source, s, err);
    }
    if (!status) {
        status = mbt_store_commit(store, path, NULL, err);
    }
    mbt_store_close(store);
    return status;
}
