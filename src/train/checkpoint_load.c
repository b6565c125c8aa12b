/* Loading a checkpoint into a network. Everything is checked before the first float of the caller's
 * state changes: tensors against the network, data set, state digest. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_format.h"

/* How the tensors of a file differ from those of a network. */
typedef struct difference {
    int missing, extra, other; /* tensors absent in the file, unknown to the network, unlike */
    char name[MBT_PARAM_NAME_BYTES]; /* of the first, by name */
    char got[MBT_STORE_SHAPE_TEXT + 32], wanted[MBT_STORE_SHAPE_TEXT + 32];
} difference;

/* The shape, and whether it has momentum when that is compared, or "nothing". */
static void describe(const mbt_store_shape *shape, bool trained, bool with_momentum, char *out,
                     size_t bytes)
{
    if (!shape) {
        memcpy(out, "nothing", sizeof "nothing");
        return;
    }
    (void)mbt_store_shape_text(shape, out);
    if (with_momentum) {
        const size_t used = strlen(out);
        (void)snprintf(out + used, bytes - used, "%s",
                       trained ? " with momentum" : " without momentum");
    }
}

static bool shapes_agree(const mbt_slice *slice, const ckpt_tensor *tensor)
{
    const mbt_store_shape wanted = ckpt_slice_shape(slice);
    return mbt_store_shape_equal(&wanted, &tensor->shape);
}

static bool has_momentum(const ckpt_tensor *tensor)
{
    return ckpt_has(tensor->blocks, CKPT_BLOCK_MOMENTUM);
}

/* Takes note of one pair that is not alike; either may be NULL. */
static void note(difference *d, const mbt_slice *slice, const ckpt_tensor *tensor)
{
    bool first = d->missing + d->extra + d->other == 0;
    int *count = !tensor ? &d->missing : !slice ? &d->extra : &d->other;
    (*count)++;
    if (!first)
        return;
    memcpy(d->name, slice ? slice->name : tensor->name, sizeof d->name);
    /* momentum is worth a word only where it alone makes the difference */
    bool momentum = slice && tensor && shapes_agree(slice, tensor);
    mbt_store_shape wanted = slice ? ckpt_slice_shape(slice) : (mbt_store_shape){0};
    describe(tensor ? &tensor->shape : NULL, tensor && has_momentum(tensor), momentum, d->got,
             sizeof d->got);
    describe(slice ? &wanted : NULL, slice && slice->trained, momentum, d->wanted,
             sizeof d->wanted);
}

/* Walks the slices and the file's tensors, both by name, and notes what differs. */
static mbt_status compare(const ckpt_file *file, const mbt_params *params, bool with_momentum,
                          difference *d, mbt_error *err)
{
    const mbt_slice **sorted = NULL;
    mbt_status status = ckpt_sort_slices(params, &sorted, err);
    int i = 0, k = 0;
    while (!status && (i < params->n_slices || k < file->n_tensors)) {
        const mbt_slice *slice = i < params->n_slices ? sorted[i] : NULL;
        const ckpt_tensor *tensor = k < file->n_tensors ? &file->tensors[k] : NULL;
        int order = !slice ? 1 : !tensor ? -1 : strcmp(slice->name, tensor->name);
        if (order < 0)
            note(d, slice, NULL);
        else if (order > 0)
            note(d, NULL, tensor);
        else if (!shapes_agree(slice, tensor) ||
                 (with_momentum && slice->trained != has_momentum(tensor)))
            note(d, slice, tensor);
        i += order <= 0;
        k += order >= 0;
    }
    free(sorted);
    return status;
}

static mbt_status check_tensors(const ckpt_file *file, const mbt_params *params, bool with_momentum,
                                mbt_error *err)
{
    char network[MBT_NAME_BYTES];
    difference d = {0};
    mbt_status status =
        mbt_store_get_text(file->store, "/", "network", network, sizeof network, err);
    if (!status)
        status = compare(file, params, with_momentum, &d, err);
    if (status || d.missing + d.extra + d.other == 0)
        return status;
    return mbt_fail(err, MBT_DATA,
                    "%s: checkpoint of another network (%s): tensor %s: got %s, wanted %s; of %d "
                    "tensors %d are missing, %d are unlike, %d are too many",
                    file->path, network, d.name, d.got, d.wanted, params->n_slices, d.missing,
                    d.other, d.extra);
}

/* The data set's digest must match when the state has one; whether the plan's does is told. */
static mbt_status check_origin(const ckpt_file *file, const mbt_state *state, bool *plan_changed,
                               mbt_error *err)
{
    char data[MBT_DIGEST_TEXT], plan[MBT_DIGEST_TEXT];
    mbt_status status = mbt_store_get_text(file->store, "/", "data_digest", data, sizeof data, err);
    if (!status)
        status = mbt_store_get_text(file->store, "/", "plan_digest", plan, sizeof plan, err);
    if (status)
        return status;
    if (state->data_digest && state->data_digest[0] && strcmp(data, state->data_digest) != 0)
        return mbt_fail(err, MBT_DATA, "%s: trained on another data set: digest: got %s, wanted %s",
                        file->path, data[0] ? data : "none", state->data_digest);
    *plan_changed = state->plan_digest && strcmp(plan, state->plan_digest) != 0;
    return MBT_OK;
}

/* Reads every tensor of a block of the file into a flat block; what is not there is zero. */
static mbt_status read_block(const ckpt_file *file, const mbt_params *params, int block, float *to,
                             mbt_error *err)
{
    float *values = malloc((file->largest ? file->largest : 1) * sizeof *values);
    mbt_status status = MBT_OK;
    if (!values)
        return mbt_fail(err, MBT_FAILURE, "%s: out of memory", file->path);
    for (int i = 0; !status && i < file->n_tensors; i++) {
        const ckpt_tensor *tensor = &file->tensors[i];
        const mbt_slice *slice = mbt_params_find(params, tensor->name);
        memset(values, 0, tensor->count * sizeof *values); /* of what is not trained */
        if (ckpt_has(tensor->blocks, block))
            status = ckpt_file_values(file, block, tensor, values, err);
        if (!status)
            mbt_slice_pack(slice, values, to);
    }
    free(values);
    return status;
}

static mbt_status check_blocks(const ckpt_file *file, const mbt_state *state, mbt_error *err)
{
    if (!state->square || ckpt_has(file->blocks, CKPT_BLOCK_SQUARE))
        return MBT_OK;
    return mbt_fail(err, MBT_DATA,
                    "%s: has no " CKPT_SQUARE ", wanted a checkpoint of training with RMSprop",
                    file->path);
}

static mbt_status read_blocks(const ckpt_file *file, mbt_state *state, mbt_error *err)
{
    mbt_status status = MBT_OK;
    if (!ckpt_has(file->blocks, CKPT_BLOCK_EMA))
        state->ema = NULL;
    for (int b = 0; !status && b < CKPT_BLOCKS; b++)
        if (ckpt_block_of(state, b))
            status = read_block(file, state->params, b, ckpt_block_of(state, b), err);
    return status;
}

mbt_status mbt_checkpoint_load(mbt_state *state, const char *path, bool *plan_digest_changed,
                               mbt_error *err)
{
    ckpt_file file = {0};
    mbt_progress_state progress = {0};
    mbt_metrics metrics = {0};
    mbt_status status = ckpt_file_open(&file, path, err);
    if (!status)
        status = check_tensors(&file, state->params, true, err);
    if (!status)
        status = check_blocks(&file, state, err);
    if (!status)
        status = check_origin(&file, state, plan_digest_changed, err);
    if (!status)
        status = ckpt_file_verify(&file, &progress, &metrics, NULL, err);
    if (!status)
        status = read_blocks(&file, state, err);
    if (!status) {
        mbt_metrics_clear(state->metrics);
        *state->metrics = metrics;
        metrics = (mbt_metrics){0};
        state->progress = progress;
    }
    mbt_metrics_clear(&metrics);
    ckpt_file_close(&file);
    return status;
}

mbt_status mbt_checkpoint_load_weights(const mbt_params *params, float *weights, const char *path,
                                       mbt_progress_state *progress, mbt_error *err)
{
    ckpt_file file = {0};
    mbt_progress_state of_file = {0};
    mbt_metrics metrics = {0};
    mbt_status status = ckpt_file_open(&file, path, err);
    if (!status)
        status = check_tensors(&file, params, false, err);
    if (!status)
        status = ckpt_file_verify(&file, &of_file, &metrics, NULL, err);
    if (!status)
        status = read_block(&file, params, ckpt_file_weights(&file), weights, err);
    if (!status && progress != NULL)
        *progress = of_file;
    mbt_metrics_clear(&metrics);
    ckpt_file_close(&file);
    return status;
}
