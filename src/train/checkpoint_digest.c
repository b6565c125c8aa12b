/* The state digest: what it covers and in which order.
 *
 * XXH3-128 over, for each tensor in the order of the names: name with its zero byte, rank and
 * dimensions (64-bit), canonical float32 values, one byte that says what follows (1 momentum, 2
 * squares, 4 average), and the values of these; then the progress counters and the bits of the best
 * accuracy; then the metric columns that do not depend on timing. Little-endian, as every machine
 * this runs on. Stored forms, blocks and the order of slices do not show in it. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint_format.h"

const ckpt_counter ckpt_counters[CKPT_COUNTERS] = {
    {"step", offsetof(mbt_progress_state, step)},
    {"epoch", offsetof(mbt_progress_state, epoch)},
    {"step_in_epoch", offsetof(mbt_progress_state, step_in_epoch)},
    {"epoch_samples", offsetof(mbt_progress_state, epoch_counts.samples)},
    {"epoch_top1", offsetof(mbt_progress_state, epoch_counts.top1)},
    {"epoch_top5", offsetof(mbt_progress_state, epoch_counts.top5)},
    {"epoch_loss", offsetof(mbt_progress_state, epoch_counts.loss)},
    {"best_epoch", offsetof(mbt_progress_state, best_epoch)},
};

const ckpt_block ckpt_blocks[CKPT_BLOCKS] = {
    [CKPT_BLOCK_MODEL] = {CKPT_MODEL, "values", offsetof(mbt_state, weights), false, true},
    [CKPT_BLOCK_MOMENTUM] = {CKPT_MOMENTUM, "momentum", offsetof(mbt_state, momentum), true, true},
    [CKPT_BLOCK_SQUARE] = {CKPT_SQUARE, "squares", offsetof(mbt_state, square), true, false},
    [CKPT_BLOCK_EMA] = {CKPT_EMA, "average", offsetof(mbt_state, ema), false, false},
};

float *ckpt_block_of(const mbt_state *state, int block)
{
    float *floats;
    memcpy(&floats, (const char *)state + ckpt_blocks[block].offset, sizeof floats);
    return floats;
}

void ckpt_set_block(mbt_state *state, int block, float *floats)
{
    memcpy((char *)state + ckpt_blocks[block].offset, &floats, sizeof floats);
}

bool ckpt_has(unsigned blocks, int block)
{
    return (blocks >> block & 1U) != 0;
}

int64_t *ckpt_counter_of(mbt_progress_state *progress, int i)
{
    return (int64_t *)(void *)((char *)progress + ckpt_counters[i].offset);
}

static int by_name(const void *a, const void *b)
{
    const mbt_slice *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

mbt_status ckpt_sort_slices(const mbt_params *params, const mbt_slice ***sorted, mbt_error *err)
{
    size_t n = (size_t)params->n_slices;
    const mbt_slice **slices = malloc((n ? n : 1) * sizeof *slices);
    if (!slices)
        return mbt_fail(err, MBT_FAILURE, "checkpoint: out of memory for %zu tensors", n);
    for (size_t i = 0; i < n; i++)
        slices[i] = &params->slices[i];
    qsort(slices, n, sizeof *slices, by_name);
    *sorted = slices;
    return MBT_OK;
}

size_t ckpt_largest_slice(const mbt_params *params)
{
    size_t largest = 1;
    for (int i = 0; i < params->n_slices; i++)
        if (params->slices[i].count > largest)
            largest = params->slices[i].count;
    return largest;
}

mbt_store_shape ckpt_slice_shape(const mbt_slice *slice)
{
    mbt_store_shape shape = {.type = MBT_STORE_F32, .rank = slice->rank};
    for (int i = 0; i < slice->rank; i++)
        shape.dims[i] = (uint64_t)slice->dims[i];
    return shape;
}

void ckpt_digest_tensor(mbt_digest *digest, const char *name, const mbt_store_shape *shape,
                        size_t count, const float *const values[CKPT_BLOCKS])
{
    const int64_t rank = shape->rank;
    unsigned char more = 0;
    for (int b = 1; b < CKPT_BLOCKS; b++)
        more |= (unsigned char)(values[b] ? 1U << (b - 1) : 0);
    mbt_digest_add(digest, name, strlen(name) + 1);
    mbt_digest_add(digest, &rank, sizeof rank);
    mbt_digest_add(digest, shape->dims, (size_t)shape->rank * sizeof shape->dims[0]);
    for (int b = 0; b < CKPT_BLOCKS; b++) {
        if (values[b])
            mbt_digest_add(digest, values[b], count * sizeof *values[b]);
        if (b == 0)
            mbt_digest_add(digest, &more, 1);
    }
}

void ckpt_digest_rest(mbt_digest *digest, const mbt_progress_state *progress,
                      const mbt_metrics *metrics)
{
    mbt_progress_state copy = *progress;
    for (int i = 0; i < CKPT_COUNTERS; i++)
        mbt_digest_add(digest, ckpt_counter_of(&copy, i), sizeof(int64_t));
    mbt_digest_add(digest, &copy.best_top1, sizeof copy.best_top1);
    mbt_metrics_digest(metrics, digest);
}

mbt_status mbt_state_digest(const mbt_state *state, char out[MBT_DIGEST_TEXT], mbt_error *err)
{
    size_t largest = ckpt_largest_slice(state->params);
    const mbt_slice **sorted = NULL;
    mbt_digest *digest = NULL;
    float *values = malloc(CKPT_BLOCKS * largest * sizeof *values);
    mbt_status status = MBT_OK;
    if (!values) {
        status = mbt_fail(err, MBT_FAILURE, "state digest: out of memory");
        goto done;
    }
    status = ckpt_sort_slices(state->params, &sorted, err);
    if (status)
        goto done;
    status = mbt_digest_create(&digest, err);
    if (status)
        goto done;
    for (int i = 0; i < state->params->n_slices; i++) {
        const mbt_slice *slice = sorted[i];
        mbt_store_shape shape = ckpt_slice_shape(slice);
        const float *all[CKPT_BLOCKS] = {NULL};
        for (int b = 0; b < CKPT_BLOCKS; b++) {
            const float *block = ckpt_block_of(state, b);
            float *to = values + (size_t)b * largest;
            if (!block || (ckpt_blocks[b].trained && !slice->trained))
                continue;
            mbt_slice_unpack(slice, block, to);
            all[b] = to;
        }
        ckpt_digest_tensor(digest, slice->name, &shape, slice->count, all);
    }
    ckpt_digest_rest(digest, &state->progress, state->metrics);
    mbt_digest_text(digest, out);
done:
    mbt_digest_destroy(digest);
    free(sorted);
    free(values);
    return status;
}
