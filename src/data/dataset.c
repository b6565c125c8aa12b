/* A data set from a file into memory that the ranks of a node share.
 *
 * Rank 0 alone reads what describes the file and tells the others; then one rank per node opens the
 * file, compares it with that description, and reads and checks the samples. After either phase all
 * ranks agree, so they leave together. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset_read.h"
#include "mbt/limited.h"

enum { ALIGN = 128 };

void *dataset_part(dataset_block *block, uint64_t n, size_t element_bytes)
{
    uint8_t *part = block->data != NULL ? block->data + block->used : NULL;
    block->used += ((size_t)n * element_bytes + ALIGN - 1) / ALIGN * ALIGN;
    return part;
}

/* ---- images of one size ---- */

static mbt_store_shape images_shape(const dataset_description *d, int s)
{
    return (mbt_store_shape){.type = MBT_STORE_U8,
                             .rank = 4,
                             .dims = {(uint64_t)d->n[s], (uint64_t)d->height, (uint64_t)d->width,
                                      (uint64_t)d->channels}};
}

static mbt_status describe_images(mbt_store *store, dataset_description *d, int s, mbt_error *err)
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

static size_t image_bytes(const dataset_description *d)
{
    return (size_t)d->height * (size_t)d->width * (size_t)d->channels;
}

static void lay_out_images(const dataset_description *d, int s, dataset_block *block,
                           mbt_split *split, mbt_encoded *encoded)
{
    (void)encoded;
    split->n = d->n[s];
    split->images = dataset_part(block, (uint64_t)d->n[s], image_bytes(d));
    split->labels = dataset_part(block, (uint64_t)d->n[s], sizeof(int32_t));
}

/* The arrays are the reading rank's to fill; everybody else's view of them is constant. */
mbt_status dataset_read_labels(mbt_store *store, const dataset_description *d, int s,
                               const mbt_split *split, mbt_error *err)
{
    mbt_store_shape labels = {.type = MBT_STORE_I32, .rank = 1, .dims = {(uint64_t)d->n[s]}};
    mbt_status status =
        mbt_store_read(store, dataset_labels[s], &labels, (void *)split->labels, err);
    int64_t wrong = status ? -1 : dataset_wrong_label(split->labels, split->n, d->n_classes);
    if (wrong >= 0) {
        status = mbt_fail(
            err, MBT_DATA, "%s: %s: sample %" PRId64 ": got label %" PRId32 ", wanted 0 .. %d",
            d->file, dataset_labels[s], wrong, split->labels[wrong], d->n_classes - 1);
    }
    return status;
}

static mbt_status read_images(mbt_store *store, const dataset_description *d, int s,
                              const mbt_split *split, mbt_error *err)
{
    mbt_store_shape images = images_shape(d, s);
    mbt_status status =
        mbt_store_read(store, dataset_images[s], &images, (void *)split->images, err);
    return status ? status : dataset_read_labels(store, d, s, split, err);
}

static mbt_status digest_images(const dataset_description *d, const mbt_split split[2],
                                char digest[MBT_DIGEST_TEXT], mbt_error *err)
{
    return dataset_digest(split, image_bytes(d), digest, err);
}

const dataset_form dataset_form_images = {MBT_DATASET_SCHEMA, describe_images, lay_out_images,
                                          read_images, digest_images};

/* ---- opening ---- */

static void lay_out(const dataset_description *d, dataset_block *block, mbt_split split[2],
                    mbt_encoded encoded[2])
{
    for (int s = 0; s < 2; s++) {
        dataset_form_at(d->form)->lay_out(d, s, block, &split[s], &encoded[s]);
    }
}

/* What the reading rank of a node does. */
static mbt_status read_samples(const dataset_description *d, const mbt_split split[2],
                               mbt_error *err)
{
    const dataset_form *form = dataset_form_at(d->form);
    char digest[MBT_DIGEST_TEXT];
    mbt_store *store = NULL;
    mbt_status status = mbt_store_open_large(d->file, false, &store, err);
    for (int s = 0; s < 2 && !status; s++) {
        status = form->read(store, d, s, &split[s], err);
    }
    mbt_store_close(store);
    if (!status) {
        status = form->digest(d, split, digest, err);
    }
    if (!status && strcmp(digest, d->digest) != 0) {
        status = mbt_fail(err, MBT_DATA, "%s: samples: got digest %s, wanted %s", d->file, digest,
                          d->digest);
    }
    return status;
}

static void point_to_index(const dataset_description *d, mbt_split split[2], mbt_encoded encoded[2])
{
    for (int s = 0; s < 2; s++) {
        split[s].encoded = d->height == 0 ? &encoded[s] : NULL;
    }
}

/* mbt_limited_work: all that touches the file, in a child; nothing of it is kept. */
static mbt_status try_file(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    (void)answer;
    dataset_description *d = calloc(1, sizeof *d);
    mbt_split split[2] = {{0}, {0}};
    mbt_encoded encoded[2] = {{0}, {0}};
    dataset_block block = {0};
    mbt_status status =
        d != NULL ? dataset_describe(context, d, err) : mbt_fail(err, MBT_FAILURE, "out of memory");
    if (!status) {
        lay_out(d, &block, split, encoded); /* its size */
        block.data = malloc(block.used);
        if (block.data == NULL) {
            status = mbt_fail(err, MBT_DATA, "%s: bad file: %zu MiB of samples are too many",
                              d->file, block.used >> 20);
        } else {
            block.used = 0;
            point_to_index(d, split, encoded);
            lay_out(d, &block, split, encoded);
            status = read_samples(d, split, err);
        }
    }
    free(block.data);
    free(d);
    return status;
}

/* What rank 0 does: a file of another maker is tried in a child first. */
static mbt_status describe_safely(const char *path, dataset_description *d, mbt_error *err)
{
    char answer[MBT_LIMITED_ANSWER];
    mbt_status status = mbt_dataset_find(path, d->file, err);
    if (!status && mbt_store_is_foreign(d->file)) {
        status = mbt_limited_run(d->file, try_file, (void *)path, answer, err);
    }
    return status ? status : dataset_describe(path, d, err);
}

static void adopt(const dataset_description *d, class_name *names, const mbt_split split[2],
                  const mbt_encoded encoded[2], mbt_dataset *dataset)
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
    dataset->train = split[0];
    dataset->test = split[1];
    if (d->height == 0) {
        memcpy(dataset->encoded, encoded, sizeof dataset->encoded);
        dataset->train.encoded = &dataset->encoded[0];
        dataset->test.encoded = &dataset->encoded[1];
    }
}

mbt_status mbt_dataset_open(mbt_comm *comm, const char *path, size_t memory, mbt_dataset *dataset,
                            mbt_error *err)
{
    memset(dataset, 0, sizeof *dataset);
    dataset_description *d = calloc(1, sizeof *d);
    class_name *names = calloc(MBT_CLASSES_MAX, sizeof *names);
    mbt_split split[2] = {{0}, {0}};
    mbt_encoded encoded[2] = {{0}, {0}};
    dataset_block block = {0};
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
    lay_out(d, &block, split, encoded); /* its size */
    status = mbt_share_create(comm, block.used, &dataset->share, err);
    if (status) { /* the same on every rank */
        goto done;
    }
    block = (dataset_block){.data = dataset->share.data};
    point_to_index(d, split, encoded);
    lay_out(d, &block, split, encoded);
    if (dataset->share.writer) {
        status = read_samples(d, split, err);
    }
    status = mbt_comm_agree(comm, status, err);
    if (status) {
        goto done;
    }
    mbt_share_publish(comm, &dataset->share);
    adopt(d, names, split, encoded, dataset);
    names = NULL;
    if (d->height == 0) {
        status = dataset_hold_bytes(comm, d, memory, dataset, err);
    }
done:
    free(names);
    free(d);
    if (status) {
        mbt_dataset_close(comm, dataset);
    }
    return status;
}

void mbt_dataset_close(mbt_comm *comm, mbt_dataset *dataset)
{
    if (dataset->bytes.data != NULL) {
        mbt_share_destroy(comm, &dataset->bytes);
    }
    if (dataset->share.data != NULL) {
        mbt_share_destroy(comm, &dataset->share);
    }
    if (dataset->streamed) {
        (void)close(dataset->encoded[0].fd);
    }
    free(dataset->class_names);
    memset(dataset, 0, sizeof *dataset);
}

static mbt_status verify_images(const mbt_dataset *dataset, mbt_error *err)
{
    const mbt_split split[2] = {dataset->train, dataset->test};
    const uint64_t pixels = (uint64_t)dataset->height * (uint64_t)dataset->width;
    dataset_counts counts = {{{0}}};
    char digest[MBT_DIGEST_TEXT];
    mbt_status status = dataset_digest(split, pixels * (uint64_t)dataset->channels, digest, err);
    if (status) {
        return status;
    }
    if (strcmp(digest, dataset->digest) != 0) {
        return mbt_fail(err, MBT_DATA, "samples: got digest %s, wanted %s", digest,
                        dataset->digest);
    }
    dataset_count(split[0].images, (uint64_t)split[0].n * pixels, dataset->channels, &counts);
    return dataset_compare_moments(dataset, &counts, err);
}

mbt_status mbt_dataset_verify(const mbt_dataset *dataset, mbt_error *err)
{
    const mbt_split split[2] = {dataset->train, dataset->test};
    for (int s = 0; s < 2; s++) {
        int64_t wrong = dataset_wrong_label(split[s].labels, split[s].n, dataset->n_classes);
        if (wrong >= 0) {
            return mbt_fail(
                err, MBT_DATA, "%s: sample %" PRId64 ": got label %" PRId32 ", wanted 0 .. %d",
                dataset_labels[s], wrong, split[s].labels[wrong], dataset->n_classes - 1);
        }
    }
    return dataset->train.encoded != NULL ? dataset_verify_encoded(dataset, err)
                                          : verify_images(dataset, err);
}
