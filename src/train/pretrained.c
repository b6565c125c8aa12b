/* Weights in and out. The file may come from anywhere: every name, shape and value is checked, and
 * nothing of the network changes before all of them are. */
#include "mbt/pretrained.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_format.h"
#include "mbt/limited.h"
#include "mbt/text.h"

enum { SAID_OF_EACH = 5 }; /* lines for tensors of one kind of mismatch */

/* What is known while a file is walked. */
struct intake {
    const mbt_params *params;
    const char *path;
    mbt_store *store;
    float *taken; /* flat block: the network's values, then the file's over them */
    float *values;
    bool *found; /* [n_slices]: the file has a tensor of that name */
    mbt_log *log;
    mbt_pretrained_report report;
};

/* "features.weight" of "/model/module.features.weight". */
static const char *tensor_name(const char *path)
{
    static const char *const before[] = {"/", "model/", "ema/", "module."};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        const size_t length = strlen(before[i]);
        path += strncmp(path, before[i], length) == 0 ? length : 0;
    }
    return path;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static mbt_status check_values(const struct intake *in, const char *path, size_t count,
                               mbt_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(in->values[i])) {
            return mbt_fail(err, MBT_DATA, "%s: %s: element %zu is %g, wanted finite values",
                            in->path, path, i, (double)in->values[i]);
        }
    }
    return MBT_OK;
}

/* mbt_store_visit. */
static mbt_status take_tensor(void *context, const char *path, const mbt_store_shape *shape,
                              mbt_error *err)
{
    struct intake *in = context;
    const char *name = tensor_name(path);
    if (ends_with(name, ".num_batches_tracked")) {
        return MBT_OK;
    }
    const mbt_slice *slice = mbt_params_find(in->params, name);
    if (slice == NULL) {
        if (in->report.extra++ < SAID_OF_EACH) {
            mbt_log_root(in->log, MBT_LOG_INFO, "%s: %s is not a tensor of this network", in->path,
                         name);
        }
        return MBT_OK;
    }
    bool *found = &in->found[slice - in->params->slices];
    if (*found) {
        return mbt_fail(err, MBT_DATA, "%s: has tensor %s twice", in->path, name);
    }
    *found = true;
    const mbt_store_shape want = ckpt_slice_shape(slice);
    if (!mbt_store_shape_equal(shape, &want)) {
        char got[MBT_STORE_SHAPE_TEXT], wanted[MBT_STORE_SHAPE_TEXT];
        if (in->report.unlike++ < SAID_OF_EACH) {
            mbt_log_root(in->log, MBT_LOG_INFO, "%s: %s keeps its own values: got %s%s, wanted %s",
                         in->path, name,
                         shape->type == MBT_STORE_F32 ? "" : "another type than float32, ",
                         mbt_store_shape_text(shape, got), mbt_store_shape_text(&want, wanted));
        }
        return MBT_OK;
    }
    mbt_status status = mbt_store_read(in->store, path, &want, in->values, err);
    if (status == MBT_OK) {
        status = check_values(in, path, slice->count, err);
    }
    if (status == MBT_OK) {
        mbt_slice_pack(slice, in->values, in->taken);
        in->report.matched++;
    }
    return status;
}

static void count_missing(struct intake *in)
{
    for (int i = 0; i < in->params->n_slices; i++) {
        if (!in->found[i] && in->report.missing++ < SAID_OF_EACH) {
            mbt_log_root(in->log, MBT_LOG_INFO, "%s: has no %s; it keeps its own values", in->path,
                         in->params->slices[i].name);
        }
    }
}

static mbt_status take_all(struct intake *in, mbt_error *err)
{
    const char *group = mbt_store_has(in->store, CKPT_MODEL) ? CKPT_MODEL : "/";
    if (mbt_store_has(in->store, CKPT_MODEL) && mbt_store_has(in->store, CKPT_EMA)) {
        group = CKPT_EMA; /* a checkpoint's average is what it was evaluated with */
    }
    mbt_status status = mbt_store_walk(in->store, group, take_tensor, in, err);
    if (status != MBT_OK) {
        return status;
    }
    if (in->report.matched == 0) {
        return mbt_fail(
            err, MBT_DATA,
            "%s: none of its tensors has a name and shape of this network: of %d wanted "
            "(%s, ...) %d are unlike; %d others are there",
            in->path, in->params->n_slices, in->params->slices[0].name, in->report.unlike,
            in->report.extra);
    }
    count_missing(in);
    mbt_log_root(in->log, MBT_LOG_INFO,
                 "%s: %d of %d tensors taken, %d missing, %d of another shape, %d not used",
                 in->path, in->report.matched, in->params->n_slices, in->report.missing,
                 in->report.unlike, in->report.extra);
    return MBT_OK;
}

static mbt_status load(const mbt_params *params, const char *path, float *weights, mbt_log *log,
                       mbt_pretrained_report *report, mbt_error *err)
{
    const size_t largest = ckpt_largest_slice(params);
    struct intake in = {.params = params, .path = path, .log = log};
    mbt_status status = MBT_OK;
    in.taken = malloc(params->n_floats * sizeof *in.taken);
    in.values = malloc((largest > 0 ? largest : 1) * sizeof *in.values);
    in.found = calloc((size_t)params->n_slices + 1, sizeof *in.found);
    if (in.taken == NULL || in.values == NULL || in.found == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
        goto done;
    }
    memcpy(in.taken, weights, params->n_floats * sizeof *weights);
    status =
        mbt_store_open_large(path, true, &in.store, err); /* values have no sums of their own */
    if (status == MBT_OK) {
        status = take_all(&in, err);
    }
    if (status == MBT_OK) {
        memcpy(weights, in.taken, params->n_floats * sizeof *weights);
        *report = in.report;
    }
done:
    mbt_store_close(in.store);
    free(in.found);
    free(in.values);
    free(in.taken);
    return status;
}

struct trial {
    const mbt_params *params;
    const char *path;
    float *weights;
};

/* mbt_limited_work: weights change in the child alone, and its log says nothing. */
static mbt_status try_load(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    const struct trial *trial = context;
    mbt_pretrained_report report;
    mbt_log mute;
    (void)answer;
    mbt_log_init(&mute, MBT_LOG_ERROR, 0, 1);
    return load(trial->params, trial->path, trial->weights, &mute, &report, err);
}

mbt_status mbt_pretrained_load(const mbt_params *params, const char *path, float *weights,
                               mbt_log *log, mbt_pretrained_report *report, mbt_error *err)
{
    struct trial trial = {params, path, weights};
    char answer[MBT_LIMITED_ANSWER];
    mbt_status status =
        mbt_store_is_foreign(path) ? mbt_limited_run(path, try_load, &trial, answer, err) : MBT_OK;
    return status == MBT_OK ? load(params, path, weights, log, report, err) : status;
}

static mbt_status copy_tensors(const ckpt_file *file, mbt_store *to, mbt_error *err)
{
    float *values = malloc((file->largest > 0 ? file->largest : 1) * sizeof *values);
    mbt_status status =
        values != NULL ? MBT_OK : mbt_fail(err, MBT_FAILURE, "%s: out of memory", file->path);
    for (int i = 0; i < file->n_tensors && status == MBT_OK; i++) {
        const ckpt_tensor *tensor = &file->tensors[i];
        char path[CKPT_PATH_IN_FILE];
        status = ckpt_file_values(file, ckpt_file_weights(file), tensor, values, err);
        if (status == MBT_OK) {
            status = mbt_text_format(path, sizeof path, err, "tensor's name", "/%s", tensor->name);
        }
        if (status == MBT_OK) {
            status = mbt_store_write(to, path, &tensor->shape, values, 0, 0, err);
        }
    }
    free(values);
    return status;
}

/* Where the weights are from. */
static mbt_status copy_origin(const ckpt_file *file, mbt_store *to, mbt_error *err)
{
    char network[MBT_NAME_BYTES], digest[MBT_DIGEST_TEXT];
    char *config = NULL;
    mbt_status status =
        mbt_store_get_text(file->store, "/", "network", network, sizeof network, err);
    if (status == MBT_OK) {
        status = mbt_store_get_text(file->store, "/", "state_digest", digest, sizeof digest, err);
    }
    if (status == MBT_OK) {
        status =
            mbt_store_get_long_text(file->store, "/", "config", CKPT_TEXT_BYTES_MAX, &config, err);
    }
    const struct {
        const char *name, *value;
    } texts[] = {{"format", "mbtrain weights"},
                 {"network", network},
                 {"state_digest", digest},
                 {"config", config}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && status == MBT_OK; i++) {
        status = mbt_store_set_text(to, "/", texts[i].name, texts[i].value, err);
    }
    free(config);
    return status;
}

mbt_status mbt_pretrained_export(const char *path, const char *target, int *n_tensors,
                                 mbt_error *err)
{
    ckpt_file file = {0};
    mbt_progress_state progress = {0};
    mbt_metrics metrics = {0};
    mbt_store *to = NULL;
    mbt_status status = ckpt_file_open(&file, path, err);
    if (status == MBT_OK) {
        status = ckpt_file_verify(&file, &progress, &metrics, NULL, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_create(&to, err);
    }
    if (status == MBT_OK) {
        status = copy_tensors(&file, to, err);
    }
    if (status == MBT_OK) {
        status = copy_origin(&file, to, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_commit(to, target, NULL, err);
        *n_tensors = file.n_tensors;
    }
    mbt_store_close(to);
    mbt_metrics_clear(&metrics);
    ckpt_file_close(&file);
    return status;
}
