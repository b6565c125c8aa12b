/* Predictions of a split: taken chunk by chunk, put together over ranks, stored, read back. */
#include "mbt/predictions.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/dataset.h"
#include "mbt/text.h"

/* SAMPLES_MAX bounds what a damaged or foreign file can make us allocate. */
enum { SAMPLES_MAX = 1 << 26, CHUNK_ROWS = 4096, DEFLATE = 4 };

/* The data sets of a group. confusion is [C][C], logits [n][C], the others [n]. */
enum { LABEL, PREDICTED, PROBABILITY, CONFUSION, LOGITS, N_SETS };
static const struct {
    const char *name, *unit, *description;
    mbt_store_type type;
} sets[N_SETS] = {
    [LABEL] = {"label", "class", "true class of the sample", MBT_STORE_I64},
    [PREDICTED] = {"predicted", "class", "class with the largest logit", MBT_STORE_I64},
    [PROBABILITY] = {"probability", "1", "softmax of the predicted class", MBT_STORE_F32},
    [CONFUSION] = {"confusion", "samples", "samples by true class (row) and predicted one (column)",
                   MBT_STORE_I64},
    [LOGITS] = {"logits", "nat", "output of the network before softmax", MBT_STORE_F32},
};

mbt_status mbt_predictions_create(int64_t n, int n_classes, bool keep_logits,
                                  mbt_predictions *predictions, mbt_error *err)
{
    mbt_predictions *p = predictions;
    *p = (mbt_predictions){.n = n, .n_classes = n_classes};
    const size_t room = (size_t)n + 1; /* no samples are still memory */
    p->labels = calloc(room, sizeof *p->labels);
    p->predicted = calloc(room, sizeof *p->predicted);
    p->probability = calloc(room, sizeof *p->probability);
    p->logits = keep_logits ? calloc(room * (size_t)n_classes, sizeof *p->logits) : NULL;
    const bool whole = p->labels != NULL && p->predicted != NULL && p->probability != NULL &&
                       (!keep_logits || p->logits != NULL);
    return whole ? MBT_OK
                 : mbt_fail(err, MBT_FAILURE, "predictions: no memory for %" PRId64 " samples", n);
}

void mbt_predictions_clear(mbt_predictions *predictions)
{
    free(predictions->labels);
    free(predictions->predicted);
    free(predictions->probability);
    free(predictions->logits);
    *predictions = (mbt_predictions){0};
}

void mbt_predictions_put(mbt_predictions *predictions, int64_t first, int count,
                         const float *logits, int stride, const int32_t *labels)
{
    const int n_classes = predictions->n_classes;
    for (int i = 0; i < count; i++) {
        const float *row = logits + (ptrdiff_t)i * stride;
        const int64_t at = first + i;
        int top = 0;
        double sum = 0;
        for (int k = 1; k < n_classes; k++) {
            top = row[k] > row[top] ? k : top;
        }
        for (int k = 0; k < n_classes; k++) {
            sum += exp((double)row[k] - (double)row[top]);
        }
        predictions->labels[at] = labels[i];
        predictions->predicted[at] = top;
        predictions->probability[at] = (float)(1.0 / sum);
        if (predictions->logits != NULL) {
            memcpy(predictions->logits + at * n_classes, row, (size_t)n_classes * sizeof *row);
        }
    }
}

void mbt_predictions_confusion(const mbt_predictions *predictions, int64_t *counts)
{
    const int64_t c = predictions->n_classes;
    memset(counts, 0, (size_t)(c * c) * sizeof *counts);
    for (int64_t i = 0; i < predictions->n; i++) {
        counts[predictions->labels[i] * c + predictions->predicted[i]]++;
    }
}

static mbt_status store_set(mbt_store *store, const char *group, int set, int rank, uint64_t rows,
                            uint64_t columns, const void *data, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    const mbt_store_shape shape = {
        .type = sets[set].type, .rank = rank, .dims = {rows, rank > 1 ? columns : 0}};
    const uint64_t chunk = rows < CHUNK_ROWS ? rows : CHUNK_ROWS;
    mbt_status status = mbt_text_path(group, sets[set].name, path, err);
    if (status == MBT_OK) {
        status = mbt_store_write(store, path, &shape, data, chunk, DEFLATE, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_set_text(store, path, "unit", sets[set].unit, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_set_text(store, path, "description", sets[set].description, err);
    }
    return status;
}

mbt_status mbt_predictions_store(const mbt_predictions *predictions, mbt_store *store,
                                 const char *group, mbt_error *err)
{
    const uint64_t n = (uint64_t)predictions->n, c = (uint64_t)predictions->n_classes;
    int64_t *counts = malloc((size_t)(c * c) * sizeof *counts);
    if (counts == NULL) {
        return mbt_fail(err, MBT_FAILURE, "predictions: no memory for %" PRIu64 " classes", c);
    }
    mbt_predictions_confusion(predictions, counts);
    mbt_status status = store_set(store, group, LABEL, 1, n, 0, predictions->labels, err);
    if (status == MBT_OK) {
        status = store_set(store, group, PREDICTED, 1, n, 0, predictions->predicted, err);
    }
    if (status == MBT_OK) {
        status = store_set(store, group, PROBABILITY, 1, n, 0, predictions->probability, err);
    }
    if (status == MBT_OK) {
        status = store_set(store, group, CONFUSION, 2, c, c, counts, err);
    }
    if (status == MBT_OK && predictions->logits != NULL) {
        status = store_set(store, group, LOGITS, 2, n, c, predictions->logits, err);
    }
    free(counts);
    return status;
}

static mbt_status load_set(mbt_store *store, const char *group, int set, uint64_t n, void *data,
                           mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    const mbt_store_shape shape = {.type = sets[set].type, .rank = 1, .dims = {n}};
    mbt_status status = mbt_text_path(group, sets[set].name, path, err);
    return status == MBT_OK ? mbt_store_read(store, path, &shape, data, err) : status;
}

static mbt_status check_classes(const mbt_predictions *p, const char *group, mbt_error *err)
{
    for (int64_t i = 0; i < p->n; i++) {
        const int64_t label = p->labels[i], predicted = p->predicted[i];
        if (label < 0 || label >= p->n_classes || predicted < 0 || predicted >= p->n_classes) {
            return mbt_fail(err, MBT_DATA,
                            "%s: sample %" PRId64 ": got classes %" PRId64 " and %" PRId64
                            ", wanted 0 to %d",
                            group, i, label, predicted, p->n_classes - 1);
        }
    }
    return MBT_OK;
}

/* The counts that the file has are those of its samples. */
static mbt_status check_confusion(const mbt_predictions *p, mbt_store *store, const char *group,
                                  mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    const uint64_t c = (uint64_t)p->n_classes;
    const size_t bytes = (size_t)(c * c) * sizeof(int64_t);
    const mbt_store_shape shape = {.type = sets[CONFUSION].type, .rank = 2, .dims = {c, c}};
    int64_t *stored = malloc(2 * bytes);
    if (stored == NULL) {
        return mbt_fail(err, MBT_FAILURE, "predictions: no memory for %" PRIu64 " classes", c);
    }
    int64_t *counted = stored + c * c;
    mbt_status status = mbt_text_path(group, sets[CONFUSION].name, path, err);
    if (status == MBT_OK) {
        status = mbt_store_read(store, path, &shape, stored, err);
    }
    if (status == MBT_OK) {
        mbt_predictions_confusion(p, counted);
        if (memcmp(stored, counted, bytes) != 0) {
            status =
                mbt_fail(err, MBT_DATA, "%s: other counts than labels and predictions give", path);
        }
    }
    free(stored);
    return status;
}

mbt_status mbt_predictions_load(mbt_predictions *predictions, mbt_store *store, const char *group,
                                mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_store_shape samples = {0}, counts = {0};
    *predictions = (mbt_predictions){0};
    mbt_status status = mbt_text_path(group, sets[LABEL].name, path, err);
    if (status == MBT_OK) {
        status = mbt_store_shape_of(store, path, &samples, err);
    }
    if (status == MBT_OK) {
        status = mbt_text_path(group, sets[CONFUSION].name, path, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_shape_of(store, path, &counts, err);
    }
    if (status != MBT_OK) {
        return status;
    }
    if (samples.rank != 1 || samples.dims[0] > SAMPLES_MAX || counts.rank != 2 ||
        counts.dims[0] < 1 || counts.dims[0] > MBT_CLASSES_MAX) {
        return mbt_fail(err, MBT_DATA,
                        "%s: got ranks %d and %d, wanted at most %d samples and %d classes", group,
                        samples.rank, counts.rank, SAMPLES_MAX, MBT_CLASSES_MAX);
    }
    mbt_predictions read = {0};
    status =
        mbt_predictions_create((int64_t)samples.dims[0], (int)counts.dims[0], false, &read, err);
    if (status == MBT_OK) {
        status = load_set(store, group, LABEL, samples.dims[0], read.labels, err);
    }
    if (status == MBT_OK) {
        status = load_set(store, group, PREDICTED, samples.dims[0], read.predicted, err);
    }
    if (status == MBT_OK) {
        status = load_set(store, group, PROBABILITY, samples.dims[0], read.probability, err);
    }
    if (status == MBT_OK) {
        status = check_classes(&read, group, err);
    }
    if (status == MBT_OK) {
        status = check_confusion(&read, store, group, err);
    }
    if (status == MBT_OK) {
        *predictions = read;
    } else {
        mbt_predictions_clear(&read);
    }
    return status;
}
