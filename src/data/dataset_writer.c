/* A data set of encoded samples, written as they come: bytes go to disk shard by shard, the index
 * is kept and written at the end. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_schema.h"
#include "mbt/stop.h"
#include "mbt/text.h"

enum { SHARD_BYTES = MBT_SAMPLE_BYTES_MAX, FIRST_ROOM = 1024, CHANNELS = 3 };

struct written {
    int64_t n, room;
    int64_t *offsets, *sums; /* [room + 1], [room] */
    int32_t *sizes, *labels; /* [room][2], [room] */
    int n_shards;
};

struct mbt_dataset_writer {
    char path[MBT_PATH_BYTES];
    const mbt_dataset_source *header;
    mbt_store *store;
    struct written split[2];
    int now;        /* the split being written */
    uint8_t *shard; /* of it */
    size_t used;
    dataset_counts counts; /* of training pixels */
};

mbt_status mbt_dataset_writer_create(const mbt_dataset_source *header, const char *path,
                                     mbt_dataset_writer **writer, mbt_error *err)
{
    mbt_dataset_writer *made = NULL;
    mbt_status status = mbt_dataset_check_header(header, err);
    if (status) {
        (void)mbt_error_prefix(err, "%s", path);
        return status;
    }
    made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->shard = malloc(SHARD_BYTES);
    }
    if (made == NULL || made->shard == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    } else {
        made->header = header;
        status = mbt_text_format(made->path, sizeof made->path, err, "path", "%s", path);
    }
    if (!status) {
        status = mbt_store_create_large(path, &made->store, err);
    }
    if (status) {
        mbt_dataset_writer_destroy(made);
        return status;
    }
    *writer = made;
    return MBT_OK;
}

void mbt_dataset_writer_destroy(mbt_dataset_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    for (int s = 0; s < 2; s++) {
        free(writer->split[s].offsets);
        free(writer->split[s].sums);
        free(writer->split[s].sizes);
        free(writer->split[s].labels);
    }
    mbt_store_close(writer->store);
    free(writer->shard);
    free(writer);
}

/* realloc that leaves the array as it is when there is no memory. */
static void *grow(void *array, size_t bytes, bool *failed)
{
    void *grown = realloc(array, bytes);
    *failed = *failed || grown == NULL;
    return grown != NULL ? grown : array;
}

static mbt_status make_room(const char *path, struct written *w, mbt_error *err)
{
    if (w->n < w->room) {
        return MBT_OK;
    }
    const size_t room = w->room > 0 ? 2 * (size_t)w->room : FIRST_ROOM;
    bool failed = false;
    w->offsets = grow(w->offsets, (room + 1) * sizeof *w->offsets, &failed);
    w->sums = grow(w->sums, room * sizeof *w->sums, &failed);
    w->sizes = grow(w->sizes, 2 * room * sizeof *w->sizes, &failed);
    w->labels = grow(w->labels, room * sizeof *w->labels, &failed);
    if (failed) {
        return mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    }
    w->offsets[0] = 0;
    w->room = (int64_t)room;
    return MBT_OK;
}

static mbt_status write_shard(mbt_dataset_writer *writer, mbt_error *err)
{
    char name[DATASET_SHARD_NAME];
    const mbt_store_shape shape = {.type = MBT_STORE_U8, .rank = 1, .dims = {writer->used}};
    if (writer->used == 0) {
        return MBT_OK;
    }
    dataset_shard_name(writer->now, writer->split[writer->now].n_shards++, name);
    writer->used = 0;
    return mbt_store_write(writer->store, name, &shape, writer->shard, 0, 0, err);
}

mbt_status mbt_dataset_writer_add(mbt_dataset_writer *writer, int split, const uint8_t *bytes,
                                  size_t n, const mbt_image_info *info, const uint8_t *rgb,
                                  int32_t label, mbt_error *err)
{
    struct written *w = &writer->split[split];
    mbt_status status = make_room(writer->path, w, err);
    if (!status && n > SHARD_BYTES) {
        status = mbt_fail(err, MBT_DATA, "got %zu bytes, wanted at most %d", n, SHARD_BYTES);
    }
    if (!status && (split != writer->now || writer->used + n > SHARD_BYTES)) {
        status = write_shard(writer, err);
        writer->now = split;
    }
    if (status) {
        return status;
    }
    memcpy(writer->shard + writer->used, bytes, n);
    writer->used += n;
    w->offsets[w->n + 1] = w->offsets[w->n] + (int64_t)n;
    w->sums[w->n] = (int64_t)mbt_digest_short(bytes, n);
    w->sizes[2 * w->n] = info->height;
    w->sizes[2 * w->n + 1] = info->width;
    w->labels[w->n] = label;
    w->n++;
    if (split == 0) {
        dataset_count(rgb, (uint64_t)info->height * (uint64_t)info->width, CHANNELS,
                      &writer->counts);
    }
    return MBT_OK;
}

static mbt_status write_index(mbt_dataset_writer *writer, int s, mbt_error *err)
{
    enum { CHUNK_ROWS = 65536 };
    const struct written *w = &writer->split[s];
    const uint64_t n = (uint64_t)w->n;
    const struct {
        const char *path;
        mbt_store_shape shape;
        const void *data;
    } parts[] = {
        {dataset_offsets[s], {.type = MBT_STORE_I64, .rank = 1, .dims = {n + 1}}, w->offsets},
        {dataset_sums[s], {.type = MBT_STORE_I64, .rank = 1, .dims = {n}}, w->sums},
        {dataset_sizes[s], {.type = MBT_STORE_I32, .rank = 2, .dims = {n, 2}}, w->sizes},
        {dataset_labels[s], {.type = MBT_STORE_I32, .rank = 1, .dims = {n}}, w->labels},
    };
    mbt_status status = MBT_OK;
    for (size_t p = 0; p < sizeof parts / sizeof parts[0] && !status; p++) {
        status = mbt_store_write(writer->store, parts[p].path, &parts[p].shape, parts[p].data,
                                 CHUNK_ROWS, 0, err);
    }
    return status;
}

mbt_status mbt_dataset_writer_finish(mbt_dataset_writer *writer, mbt_error *err)
{
    double mean[MBT_CHANNELS_MAX], deviation[MBT_CHANNELS_MAX];
    char digest[MBT_DIGEST_TEXT];
    mbt_encoded encoded[2] = {{0}, {0}};
    mbt_split split[2] = {{0}, {0}};
    mbt_status status = mbt_stop_check(writer->path, err);
    for (int s = 0; s < 2 && !status; s++) {
        const struct written *w = &writer->split[s];
        encoded[s] = (mbt_encoded){.offsets = w->offsets, .sums = w->sums, .sizes = w->sizes};
        split[s] = (mbt_split){.n = w->n, .labels = w->labels, .encoded = &encoded[s]};
        if (w->n < 1) {
            status = mbt_fail(err, MBT_DATA, "%s: got no samples, wanted 1 or more",
                              s == 0 ? "train" : "test");
        }
    }
    if (!status) {
        status =
            dataset_found_moments(&writer->counts, CHANNELS, writer->path, mean, deviation, err);
    }
    if (!status) {
        status = write_shard(writer, err);
    }
    if (!status) {
        status = dataset_index_digest(split, digest, err);
    }
    for (int s = 0; s < 2 && !status; s++) {
        status = write_index(writer, s, err);
    }
    if (!status) {
        status = dataset_write_attributes(writer->store, writer->header, MBT_DATASET_SCHEMA_ENCODED,
                                          mean, deviation, digest, err);
    }
    return status ? status : mbt_store_commit(writer->store, writer->path, NULL, err);
}
