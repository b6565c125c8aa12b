/* A data set from a file into memory that the ranks of a node share.
 *
 * Rank 0 alone reads what describes the file and tells the others; then one rank per node opens the
 * file, compares it with that description, and reads and checks the samples. After either phase all
 * ranks agree, so they leave together. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset_schema.h"
#include "mbt/limited.h"
#include "mbt/text.h"

enum { ALIGN = 128 };

typedef char class_name[MBT_CLASS_NAME_BYTES];

/* What rank 0 finds out and broadcasts, byte by byte. */
struct description {
    char file[MBT_PATH_BYTES];
    char name[MBT_CLASS_NAME_BYTES];
    char digest[MBT_DIGEST_TEXT];
    int height, width, channels, n_classes;
    int64_t n[2]; /* samples: train, test */
    double mean[MBT_CHANNELS_MAX], deviation[MBT_CHANNELS_MAX];
    class_name class_names[MBT_CLASSES_MAX];
};

/* `path` itself, or beside the others in the folder that MBTRAIN_DATA names. */
static mbt_status find_file(const char *path, char file[MBT_PATH_BYTES], mbt_error *err)
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

/* ---- the description ---- */

static mbt_store_shape images_shape(const struct description *d, int s)
{
    return (mbt_store_shape){.type = MBT_STORE_U8,
                             .rank = 4,
                             .dims = {(uint64_t)d->n[s], (uint64_t)d->height, (uint64_t)d->width,
                                      (uint64_t)d->channels}};
}

static mbt_status read_images_shape(mbt_store *store, struct description *d, int s, mbt_error *err)
{
    const char *path = dataset_images[s];
    mbt_store_shape got;
    mbt_status status = mbt_store_shape_of(store, path, &got, err);
    if (status) {
        return status;
    }
    if (got.type != MBT_STORE_U8 || got.rank != 4) {
        return mbt_fail(
            err, MBT_DATA,
            "%s: %s: got elements of %zu bytes in %d dimensions, wanted u8 [N][H][W][C]", d->file,
            path, mbt_store_type_bytes(got.type), got.rank);
    }
    if (got.dims[0] < 1 || got.dims[0] > DATASET_SAMPLES_MAX || got.dims[1] < 1 ||
        got.dims[1] > DATASET_SIDE_MAX || got.dims[2] < 1 || got.dims[2] > DATASET_SIDE_MAX ||
        got.dims[3] < 1 || got.dims[3] > MBT_CHANNELS_MAX) {
        return mbt_fail(err, MBT_DATA,
                        "%s: %s: got [%" PRIu64 "][%" PRIu64 "][%" PRIu64 "][%" PRIu64
                        "], wanted 1 .. [%" PRId64 "][%d][%d][%d]",
                        d->file, path, got.dims[0], got.dims[1], got.dims[2], got.dims[3],
                        DATASET_SAMPLES_MAX, DATASET_SIDE_MAX, DATASET_SIDE_MAX, MBT_CHANNELS_MAX);
    }
    if (s == 1 && (got.dims[1] != (uint64_t)d->height || got.dims[2] != (uint64_t)d->width ||
                   got.dims[3] != (uint64_t)d->channels)) {
        return mbt_fail(err, MBT_DATA,
                        "%s: %s: got images of %" PRIu64 " x %" PRIu64 " x %" PRIu64
                        ", wanted %d x %d x %d as for training",
                        d->file, path, got.dims[1], got.dims[2], got.dims[3], d->height, d->width,
                        d->channels);
    }
    d->n[s] = (int64_t)got.dims[0];
    d->height = (int)got.dims[1];
    d->width = (int)got.dims[2];
    d->channels = (int)got.dims[3];
    return MBT_OK;
}

static mbt_status read_class_names(mbt_store *store, struct description *d, mbt_error *err)
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

static mbt_status read_moments(mbt_store *store, struct description *d, mbt_error *err)
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

static mbt_status describe(const char *path, struct description *d, mbt_error *err)
{
    mbt_store *store = NULL;
    int64_t schema = 0;
    mbt_status status = find_file(path, d->file, err);
    if (!status) {
        status = mbt_store_open_large(d->file, false, &store, err);
    }
    if (!status) {
        status = mbt_store_get_i64(store, "/", "schema", &schema, err);
    }
    if (!status && schema != MBT_DATASET_SCHEMA) {
        status = mbt_fail(err, MBT_DATA, "%s: schema: got version %" PRId64 ", wanted %d", d->file,
                          schema, MBT_DATASET_SCHEMA);
    }
    if (!status) {
        status = mbt_store_get_text(store, "/", "name", d->name, sizeof d->name, err);
    }
    if (!status && !dataset_good_name(d->name)) {
        status =
            mbt_fail(err, MBT_DATA, "%s: name: it is empty or has control characters", d->file);
    }
    if (!status) {
        status = mbt_store_get_text(store, "/", "digest", d->digest, sizeof d->digest, err);
    }
    if (!status) {
        status = read_class_names(store, d, err);
    }
    for (int s = 0; s < 2 && !status; s++) {
        status = read_images_shape(store, d, s, err);
    }
    if (!status) {
        status = read_moments(store, d, err);
    }
    mbt_store_close(store);
    return status;
}

/* ---- the samples ---- */

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* Where the parts of the block begin: images and labels of both splits. */
struct layout {
    size_t images[2], labels[2], bytes;
};

static struct layout lay_out(const struct description *d)
{
    struct layout layout = {.bytes = 0};
    size_t image_bytes = (size_t)d->height * (size_t)d->width * (size_t)d->channels;
    for (int s = 0; s < 2; s++) {
        layout.images[s] = layout.bytes;
        layout.bytes += rounded((size_t)d->n[s] * image_bytes);
        layout.labels[s] = layout.bytes;
        layout.bytes += rounded((size_t)d->n[s] * sizeof(int32_t));
    }
    return layout;
}

static void place_splits(const struct description *d, const struct layout *layout, uint8_t *block,
                         mbt_split split[2])
{
    for (int s = 0; s < 2; s++) {
        split[s] = (mbt_split){d->n[s], block + layout->images[s],
                               (const int32_t *)(const void *)(block + layout->labels[s])};
    }
}

static mbt_status check_samples(const struct description *d, const mbt_split split[2],
                                mbt_error *err)
{
    char digest[MBT_DIGEST_TEXT];
    for (int s = 0; s < 2; s++) {
        int64_t wrong = dataset_wrong_label(split[s].labels, split[s].n, d->n_classes);
        if (wrong >= 0) {
            return mbt_fail(
                err, MBT_DATA, "%s: %s: sample %" PRId64 ": got label %" PRId32 ", wanted 0 .. %d",
                d->file, dataset_labels[s], wrong, split[s].labels[wrong], d->n_classes - 1);
        }
    }
    mbt_status status = dataset_digest(
        split, (uint64_t)d->height * (uint64_t)d->width * (uint64_t)d->channels, digest, err);
    if (!status && strcmp(digest, d->digest) != 0) {
        status = mbt_fail(err, MBT_DATA, "%s: samples: got digest %s, wanted %s", d->file, digest,
                          d->digest);
    }
    return status;
}

/* What the reading rank of a node does. */
static mbt_status read_samples(const struct description *d, const struct layout *layout,
                               uint8_t *block, const mbt_split split[2], mbt_error *err)
{
    mbt_store *store = NULL;
    mbt_status status = mbt_store_open_large(d->file, false, &store, err);
    for (int s = 0; s < 2 && !status; s++) {
        mbt_store_shape images = images_shape(d, s);
        mbt_store_shape labels = {.type = MBT_STORE_I32, .rank = 1, .dims = {(uint64_t)d->n[s]}};
        status = mbt_store_read(store, dataset_images[s], &images, block + layout->images[s], err);
        if (!status) {
            status =
                mbt_store_read(store, dataset_labels[s], &labels, block + layout->labels[s], err);
        }
    }
    mbt_store_close(store);
    return status ? status : check_samples(d, split, err);
}

/* mbt_limited_work: all that touches the file, in a child; nothing of it is kept. */
static mbt_status try_file(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    (void)answer;
    struct description *d = calloc(1, sizeof *d);
    uint8_t *block = NULL;
    mbt_status status =
        d != NULL ? describe(context, d, err) : mbt_fail(err, MBT_FAILURE, "out of memory");
    if (!status) {
        const struct layout layout = lay_out(d);
        block = malloc(layout.bytes);
        if (block == NULL) {
            status = mbt_fail(err, MBT_DATA, "%s: bad file: %zu MiB of samples are too many",
                              d->file, layout.bytes >> 20);
        } else {
            mbt_split split[2];
            place_splits(d, &layout, block, split);
            status = read_samples(d, &layout, block, split, err);
        }
    }
    free(block);
    free(d);
    return status;
}

/* What rank 0 does: a file of another maker is tried in a child first. */
static mbt_status describe_safely(const char *path, struct description *d, mbt_error *err)
{
    char answer[MBT_LIMITED_ANSWER];
    mbt_status status = find_file(path, d->file, err);
    if (!status && mbt_store_is_foreign(d->file)) {
        status = mbt_limited_run(d->file, try_file, (void *)path, answer, err);
    }
    return status ? status : describe(path, d, err);
}

static void adopt(const struct description *d, class_name *names, mbt_dataset *dataset)
{
    memcpy(dataset->name, d->name, sizeof d->name);
    memcpy(dataset->digest, d->digest, sizeof d->digest);
    dataset->height = d->height;
    dataset->width = d->width;
    dataset->channels = d->channels;
    dataset->n_classes = d->n_classes;
    memcpy(dataset->mean, d->mean, sizeof d->mean);
    memcpy(dataset->deviation, d->deviation, sizeof d->deviation);
    memcpy(names, d->class_names, (size_t)d->n_classes * sizeof *names);
    dataset->class_names = names;
}

mbt_status mbt_dataset_open(mbt_comm *comm, const char *path, mbt_dataset *dataset, mbt_error *err)
{
    memset(dataset, 0, sizeof *dataset);
    struct description *d = calloc(1, sizeof *d);
    class_name *names = calloc(MBT_CLASSES_MAX, sizeof *names);
    mbt_status status = MBT_OK;
    if (d == NULL || names == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    } else if (mbt_comm_rank(comm) == 0) {
        status = describe_safely(path, d, err);
    }
    status = mbt_comm_agree(comm, status, err);
    if (status) {
        goto done;
    }
    assert(d != NULL && names != NULL); /* or the ranks would not have agreed */
    mbt_comm_broadcast(comm, d, sizeof *d);
    struct layout layout = lay_out(d);
    status = mbt_share_create(comm, layout.bytes, &dataset->share, err);
    if (status) { /* the same on every rank */
        goto done;
    }
    uint8_t *block = dataset->share.data;
    mbt_split split[2];
    place_splits(d, &layout, block, split);
    if (dataset->share.writer) {
        status = read_samples(d, &layout, block, split, err);
    }
    status = mbt_comm_agree(comm, status, err);
    if (status) {
        mbt_share_destroy(comm, &dataset->share);
        goto done;
    }
    mbt_share_publish(comm, &dataset->share);
    dataset->train = split[0];
    dataset->test = split[1];
    adopt(d, names, dataset);
    names = NULL;
done:
    free(names);
    free(d);
    if (status) {
        memset(dataset, 0, sizeof *dataset);
    }
    return status;
}

void mbt_dataset_close(mbt_comm *comm, mbt_dataset *dataset)
{
    if (dataset->share.data != NULL) {
        mbt_share_destroy(comm, &dataset->share);
    }
    free(dataset->class_names);
    memset(dataset, 0, sizeof *dataset);
}

mbt_status mbt_dataset_verify(const mbt_dataset *dataset, mbt_error *err)
{
    double mean[MBT_CHANNELS_MAX], deviation[MBT_CHANNELS_MAX];
    const mbt_split split[2] = {dataset->train, dataset->test};
    char digest[MBT_DIGEST_TEXT];
    uint64_t image_pixels = (uint64_t)dataset->height * (uint64_t)dataset->width;
    for (int s = 0; s < 2; s++) {
        int64_t wrong = dataset_wrong_label(split[s].labels, split[s].n, dataset->n_classes);
        if (wrong >= 0) {
            return mbt_fail(
                err, MBT_DATA, "%s: sample %" PRId64 ": got label %" PRId32 ", wanted 0 .. %d",
                dataset_labels[s], wrong, split[s].labels[wrong], dataset->n_classes - 1);
        }
    }
    mbt_status status =
        dataset_digest(split, image_pixels * (uint64_t)dataset->channels, digest, err);
    if (status) {
        return status;
    }
    if (strcmp(digest, dataset->digest) != 0) {
        return mbt_fail(err, MBT_DATA, "samples: got digest %s, wanted %s", digest,
                        dataset->digest);
    }
    dataset_moments(split[0].images, (uint64_t)split[0].n * image_pixels, dataset->channels, mean,
                    deviation);
    for (int c = 0; c < dataset->channels; c++) {
        /* other makers may sum in another order */
        if (fabs(mean[c] - dataset->mean[c]) > 1e-6 ||
            fabs(deviation[c] - dataset->deviation[c]) > 1e-6) {
            return mbt_fail(err, MBT_DATA,
                            "channel %d: got mean %.9g and deviation %.9g of the training images, "
                            "wanted %.9g and %.9g",
                            c, mean[c], deviation[c], dataset->mean[c], dataset->deviation[c]);
        }
    }
    return MBT_OK;
}
