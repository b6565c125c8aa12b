/* Writing a checkpoint: the image is built in memory, put in place in one rename, then the links
 * move. At every moment what last.h5 names is a whole file. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_format.h"
#include "mbt/text.h"

/* What the file says of a tensor, by kind. */
static const struct {
    const char *kind;
    int rank;
    const char *dimensions[CKPT_RANK_MAX];
} kinds[] = {
    [MBT_PARAM_CONV] = {"conv", 4, {"O", "I", "kH", "kW"}},
    [MBT_PARAM_DEPTHWISE] = {"depthwise", 4, {"O", "I", "kH", "kW"}},
    [MBT_PARAM_LINEAR] = {"linear", 2, {"K", "C"}},
    [MBT_PARAM_BIAS] = {"bias", 1, {"K"}},
    [MBT_PARAM_GAMMA] = {"gamma", 1, {"C"}},
    [MBT_PARAM_BETA] = {"beta", 1, {"C"}},
    [MBT_PARAM_MEAN] = {"mean", 1, {"C"}},
    [MBT_PARAM_VAR] = {"var", 1, {"C"}},
};

static mbt_status check_finite(const mbt_state *state, const mbt_slice *slice, const char *what,
                               const float *values, mbt_error *err)
{
    for (size_t i = 0; i < slice->count; i++)
        if (!isfinite(values[i]))
            return mbt_fail(err, MBT_DIVERGED,
                            "checkpoint at step %" PRId64
                            ": %s of %s: element %zu is %g, wanted finite values; nothing saved",
                            state->progress.step, what, slice->name, i, (double)values[i]);
    return MBT_OK;
}

/* One tensor from a flat block to its group; values is scratch. */
static mbt_status write_tensor(mbt_store *store, const mbt_state *state, const mbt_slice *slice,
                               int block, float *values, mbt_error *err)
{
    char path[CKPT_PATH_IN_FILE];
    mbt_store_shape shape = ckpt_slice_shape(slice);
    if (kinds[slice->kind].rank != slice->rank)
        return mbt_fail(err, MBT_FAILURE, "checkpoint: %s: got rank %d, wanted %d for kind %s",
                        slice->name, slice->rank, kinds[slice->kind].rank, kinds[slice->kind].kind);
    mbt_slice_unpack(slice, ckpt_block_of(state, block), values);
    mbt_status status = check_finite(state, slice, ckpt_blocks[block].what, values, err);
    if (!status)
        status = mbt_text_format(path, sizeof path, err, "path in a checkpoint", "%s/%s",
                                 ckpt_blocks[block].group, slice->name);
    if (!status)
        status = mbt_store_write(store, path, &shape, values, 0, 0, err);
    if (!status)
        status = mbt_store_set_text(store, path, "kind", kinds[slice->kind].kind, err);
    if (!status)
        status = mbt_store_set_texts(store, path, "dimensions", slice->rank,
                                     kinds[slice->kind].dimensions, err);
    return status;
}

/* A block's group, and in it the tensors that the block has. */
static mbt_status write_block(mbt_store *store, const mbt_state *state, const mbt_slice **sorted,
                              int block, float *values, mbt_error *err)
{
    mbt_status status = mbt_store_make_group(store, ckpt_blocks[block].group, err);
    for (int i = 0; !status && i < state->params->n_slices; i++)
        if (sorted[i]->trained || !ckpt_blocks[block].trained)
            status = write_tensor(store, state, sorted[i], block, values, err);
    return status;
}

static mbt_status write_tensors(mbt_store *store, const mbt_state *state, mbt_error *err)
{
    const mbt_slice **sorted = NULL;
    float *values = malloc(ckpt_largest_slice(state->params) * sizeof *values);
    mbt_status status = MBT_OK;
    if (!values) {
        status = mbt_fail(err, MBT_FAILURE, "checkpoint: out of memory");
        goto done;
    }
    status = ckpt_sort_slices(state->params, &sorted, err);
    for (int b = 0; !status && b < CKPT_BLOCKS; b++)
        if (ckpt_block_of(state, b))
            status = write_block(store, state, sorted, b, values, err);
done:
    free(sorted);
    free(values);
    return status;
}

static mbt_status write_texts(mbt_store *store, const mbt_state *state, const char *digest,
                              mbt_error *err)
{
    char *config = NULL;
    mbt_status status = mbt_config_echo(state->config, &config, err);
    if (status)
        return status;
    const struct {
        const char *name, *value;
    } texts[] = {
        {"format", CKPT_FORMAT},
        {"network", state->config->network.name},
        {"config", config},
        {"data_digest", state->data_digest},
        {"plan_digest", state->plan_digest},
        {"provenance", state->provenance},
        {"state_digest", digest},
    };
    for (size_t i = 0; !status && i < sizeof texts / sizeof texts[0]; i++)
        status = mbt_store_set_text(store, "/", texts[i].name, texts[i].value ? texts[i].value : "",
                                    err);
    free(config);
    return status;
}

static mbt_status write_progress(mbt_store *store, const mbt_progress_state *progress,
                                 mbt_error *err)
{
    mbt_progress_state copy = *progress;
    mbt_status status = mbt_store_set_i64(store, "/", "schema", MBT_CHECKPOINT_SCHEMA, err);
    for (int i = 0; !status && i < CKPT_COUNTERS; i++)
        status =
            mbt_store_set_i64(store, "/", ckpt_counters[i].name, *ckpt_counter_of(&copy, i), err);
    if (!status)
        status = mbt_store_set_f64(store, "/", "epoch_s", copy.epoch_s, err);
    if (!status)
        status = mbt_store_set_f64(store, "/", "best_top1", copy.best_top1, err);
    return status;
}

mbt_status mbt_checkpoint_save(const mbt_state *state, const char *folder, bool is_best,
                               const mbt_guard *guard, char digest[MBT_DIGEST_TEXT], mbt_error *err)
{
    int64_t step = state->progress.step;
    char path[MBT_PATH_BYTES];
    mbt_store *store = NULL;
    mbt_status status = mbt_checkpoint_path(folder, step, path, err);
    if (!status)
        status = mbt_state_digest(state, digest, err);
    if (!status)
        status = mbt_store_create(&store, err);
    if (!status)
        status = write_tensors(store, state, err);
    if (!status)
        status = write_texts(store, state, digest, err);
    if (!status)
        status = write_progress(store, &state->progress, err);
    if (!status)
        status = mbt_metrics_store(state->metrics, store, CKPT_METRICS, err);
    if (!status && guard != NULL)
        status = guard->ask(guard->context, err);
    if (!status)
        status = mbt_store_commit(store, path, NULL, err);
    if (!status && guard != NULL)
        status = guard->ask(guard->context, err);
    /* best before last: a run killed between the two goes on from the older last.h5, repeats this
     * save and loses nothing; the other way round best.h5 would stay behind for good. */
    if (!status && is_best)
        status = ckpt_move_link(folder, CKPT_BEST, step, err);
    if (!status)
        status = ckpt_move_link(folder, CKPT_LAST, step, err);
    mbt_store_close(store);
    return status;
}
