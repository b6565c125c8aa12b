/* Encoded samples: their index, and where their bytes are kept. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset_read.h"
#include "mbt/available.h"

enum { SHARDS_MAX = 100000, CHANNELS = 3 };

/* ---- the index ---- */

static mbt_status describe_encoded(mbt_store *store, dataset_description *d, int s, mbt_error *err)
{
    mbt_store_shape got;
    mbt_status status = mbt_store_shape_of(store, dataset_offsets[s], &got, err);
    if (status) {
        return status;
    }
    if (got.type != MBT_STORE_I64 || got.rank != 1 || got.dims[0] < 2 ||
        got.dims[0] > (uint64_t)DATASET_SAMPLES_MAX) {
        return mbt_fail(err, MBT_DATA,
                        "%s: %s: got [%" PRIu64 "] in %d dimensions, wanted i64 [N+1], N from 1",
                        d->file, dataset_offsets[s], got.rank > 0 ? got.dims[0] : 0, got.rank);
    }
    d->n[s] = (int64_t)got.dims[0] - 1;
    d->channels = CHANNELS;
    return MBT_OK;
}

static void lay_out_encoded(const dataset_description *d, int s, dataset_block *block,
                            mbt_split *split, mbt_encoded *encoded)
{
    const uint64_t n = (uint64_t)d->n[s];
    split->n = d->n[s];
    split->labels = dataset_part(block, n, sizeof(int32_t));
    encoded->offsets = dataset_part(block, n + 1, sizeof(int64_t));
    encoded->sums = dataset_part(block, n, sizeof(int64_t));
    encoded->sizes = dataset_part(block, n, 2 * sizeof(int32_t));
    encoded->positions = dataset_part(block, n, sizeof(int64_t));
}

/* Offsets ascend, sizes are an image's. */
static mbt_status check_index(const dataset_description *d, int s, const mbt_encoded *e,
                              mbt_error *err)
{
    for (int64_t i = 0; i < d->n[s]; i++) {
        const int64_t first = e->offsets[i], end = e->offsets[i + 1];
        const int32_t *size = e->sizes + 2 * i;
        if ((i == 0 && first != 0) || end <= first || end - first > MBT_SAMPLE_BYTES_MAX) {
            return mbt_fail(err, MBT_DATA,
                            "%s: %s: sample %" PRId64 ": got bytes %" PRId64 " to %" PRId64
                            ", wanted 1 .. %d of them, one sample behind the other",
                            d->file, dataset_offsets[s], i, first, end, MBT_SAMPLE_BYTES_MAX);
        }
        if (size[0] < 1 || size[0] > MBT_IMAGE_SIDE_MAX || size[1] < 1 ||
            size[1] > MBT_IMAGE_SIDE_MAX || (int64_t)size[0] * size[1] > MBT_IMAGE_PIXELS_MAX) {
            return mbt_fail(err, MBT_DATA,
                            "%s: %s: sample %" PRId64 ": got %" PRId32 " x %" PRId32 " pixels",
                            d->file, dataset_sizes[s], i, size[1], size[0]);
        }
    }
    return MBT_OK;
}

/* Goes through the shards and says of each sample where in the file it lies. */
static mbt_status find_positions(mbt_store *store, const dataset_description *d, int s,
                                 const mbt_encoded *e, mbt_error *err)
{
    int64_t *positions = (int64_t *)e->positions;
    const int64_t total = e->offsets[d->n[s]];
    int64_t first = 0, i = 0; /* of the shard, in all bytes; the next sample */
    char name[DATASET_SHARD_NAME];
    for (int shard = 0; first < total; shard++) {
        uint64_t bytes = 0, offset = 0;
        dataset_shard_name(s, shard, name);
        mbt_status status = shard < SHARDS_MAX ? mbt_store_locate(store, name, &bytes, &offset, err)
                                               : mbt_fail(err, MBT_DATA, "%s: more than %d shards",
                                                          d->file, SHARDS_MAX);
        if (status) {
            return status;
        }
        const int64_t last = first + (int64_t)bytes;
        while (i < d->n[s] && e->offsets[i + 1] <= last) {
            positions[i] = (int64_t)offset + e->offsets[i] - first;
            i++;
        }
        if (bytes == 0 || e->offsets[i] != last) {
            return mbt_fail(err, MBT_DATA,
                            "%s: %s: its %" PRIu64 " bytes do not end where sample %" PRId64
                            " begins",
                            d->file, name, bytes, i);
        }
        first = last;
    }
    return MBT_OK;
}

static mbt_status read_encoded(mbt_store *store, const dataset_description *d, int s,
                               const mbt_split *split, mbt_error *err)
{
    const mbt_encoded *e = split->encoded;
    const uint64_t n = (uint64_t)d->n[s];
    const struct {
        const char *path;
        mbt_store_shape shape;
        const void *data;
    } parts[] = {
        {dataset_offsets[s], {.type = MBT_STORE_I64, .rank = 1, .dims = {n + 1}}, e->offsets},
        {dataset_sums[s], {.type = MBT_STORE_I64, .rank = 1, .dims = {n}}, e->sums},
        {dataset_sizes[s], {.type = MBT_STORE_I32, .rank = 2, .dims = {n, 2}}, e->sizes},
    };
    mbt_status status = dataset_read_labels(store, d, s, split, err);
    for (size_t p = 0; p < sizeof parts / sizeof parts[0] && !status; p++) {
        status = mbt_store_read(store, parts[p].path, &parts[p].shape, (void *)parts[p].data, err);
    }
    if (!status) {
        status = check_index(d, s, e, err);
    }
    return status ? status : find_positions(store, d, s, e, err);
}

static mbt_status digest_encoded(const dataset_description *d, const mbt_split split[2],
                                 char digest[MBT_DIGEST_TEXT], mbt_error *err)
{
    (void)d;
    return dataset_index_digest(split, digest, err);
}

const dataset_form dataset_form_encoded = {MBT_DATASET_SCHEMA_ENCODED, describe_encoded,
                                           lay_out_encoded, read_encoded, digest_encoded};

/* ---- in memory, or streamed ---- */

/* Half of what is available on the node that has least. */
static size_t available_bytes(mbt_comm *comm)
{
    int64_t bytes = (int64_t)(mbt_available_bytes("") / 2);
    mbt_comm_min(comm, MBT_COMM_I64, &bytes, 1);
    return (size_t)bytes;
}

/* Every sample of one split into the shared block. */
static mbt_status load_split(const mbt_dataset *dataset, const dataset_description *d, int s,
                             uint8_t *to, mbt_error *err)
{
    const mbt_encoded *e = &dataset->encoded[s];
    const uint8_t *bytes;
    size_t n;
    mbt_status status = MBT_OK;
    for (int64_t i = 0; i < d->n[s] && !status; i++) {
        status = mbt_encoded_bytes(e, i, to + e->offsets[i], &bytes, &n, err);
    }
    if (status) {
        (void)mbt_error_prefix(err, "%s: %s", d->file, s == 0 ? "train" : "test");
    }
    return status;
}

/* From streamed to held: all is read by way of the open file, and then that is closed. */
static mbt_status load_all(mbt_comm *comm, const dataset_description *d, mbt_dataset *dataset,
                           mbt_error *err)
{
    const int fd = dataset->encoded[0].fd;
    uint8_t *block = dataset->bytes.data;
    uint8_t *begin[2] = {block, block + dataset->encoded[0].offsets[d->n[0]]};
    mbt_status status = MBT_OK;
    for (int s = 0; s < 2 && !status && dataset->bytes.writer; s++) {
        status = load_split(dataset, d, s, begin[s], err);
    }
    status = mbt_comm_agree(comm, status, err);
    if (status) {
        return status;
    }
    mbt_share_publish(comm, &dataset->bytes);
    (void)close(fd);
    dataset->streamed = false;
    for (int s = 0; s < 2; s++) {
        dataset->encoded[s].bytes = begin[s];
        dataset->encoded[s].fd = -1;
    }
    return MBT_OK;
}

mbt_status dataset_hold_bytes(mbt_comm *comm, const dataset_description *d, size_t memory,
                              mbt_dataset *dataset, mbt_error *err)
{
    const int fd = open(d->file, O_RDONLY | O_CLOEXEC);
    mbt_status status = MBT_OK;
    if (fd < 0) {
        status = mbt_fail(err, MBT_DATA, "%s: cannot open: %s", d->file, strerror(errno));
    }
    dataset->streamed = fd >= 0;
    for (int s = 0; s < 2; s++) {
        dataset->encoded[s].fd = fd;
        dataset->sample_bytes += (size_t)dataset->encoded[s].offsets[d->n[s]];
    }
    const size_t limit = memory > 0 ? memory : available_bytes(comm);
    status = mbt_comm_agree(comm, status, err);
    if (status || dataset->sample_bytes > limit) {
        return status;
    }
    status = mbt_share_create(comm, dataset->sample_bytes, &dataset->bytes, err);
    if (!status && !dataset->bytes.shared) { /* no copy for each rank */
        mbt_share_destroy(comm, &dataset->bytes);
        dataset->no_shared_room = true;
        return MBT_OK;
    }
    return status ? status : load_all(comm, d, dataset, err);
}

/* ---- verifying ---- */

mbt_status dataset_verify_encoded(const mbt_dataset *dataset, mbt_error *err)
{
    const mbt_split *splits[2] = {&dataset->train, &dataset->test};
    dataset_counts counts = {{{0}}};
    mbt_extent largest = {0};
    mbt_decoder *decoder = NULL;
    mbt_encoded_largest(splits[0], &largest);
    mbt_encoded_largest(splits[1], &largest);
    uint8_t *buffer = malloc(largest.bytes), *rgb = malloc(CHANNELS * largest.pixels);
    mbt_status status = buffer != NULL && rgb != NULL
                            ? mbt_decoder_create(&decoder, err)
                            : mbt_fail(err, MBT_FAILURE, "verifying samples: out of memory");
    for (int s = 0; s < 2 && !status; s++) {
        for (int64_t i = 0; i < splits[s]->n && !status; i++) {
            const int32_t *size = splits[s]->encoded->sizes + 2 * i;
            status = mbt_encoded_decode(splits[s]->encoded, i, decoder, buffer, rgb, err);
            if (!status && s == 0) {
                dataset_count(rgb, (uint64_t)size[0] * (uint64_t)size[1], CHANNELS, &counts);
            }
        }
        if (status) {
            (void)mbt_error_prefix(err, "%s", s == 0 ? "train" : "test");
        }
    }
    mbt_decoder_destroy(decoder);
    free(buffer);
    free(rgb);
    return status ? status : dataset_compare_moments(dataset, &counts, err);
}
