/* Reading a checkpoint without knowing the network: what tensors it has, what it says of itself,
 * and whether its content has the state digest that it names.
 *
 * The store has checked the file's own digest by then. Everything here that sizes memory is bounded
 * by the size of the file: what is stored plain cannot be larger. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint_format.h"
#include "mbt/text.h"

/* The part of a data set's path behind "<group>/". */
static const char *name_in(const char *path, const char *group)
{
    return path + strlen(group) + 1;
}

/* Elements of a tensor's shape, with everything about it checked. */
static mbt_status count_elements(const ckpt_file *file, const char *path,
                                 const mbt_store_shape *shape, size_t *count, mbt_error *err)
{
    if (shape->type != MBT_STORE_F32 || shape->rank < 1 || shape->rank > CKPT_RANK_MAX)
        return mbt_fail(err, MBT_DATA, "%s: %s: got %s of rank %d, wanted float32 of rank 1 to %d",
                        file->path, path, shape->type == MBT_STORE_F32 ? "float32" : "another type",
                        shape->rank, CKPT_RANK_MAX);
    size_t room = (file->bytes - file->tensor_bytes) / sizeof(float);
    *count = 1;
    for (int i = 0; i < shape->rank; i++) {
        char text[MBT_STORE_SHAPE_TEXT];
        if (shape->dims[i] == 0 || shape->dims[i] > room / *count)
            return mbt_fail(err, MBT_DATA, "%s: %s: shape %s does not fit into a file of %zu bytes",
                            file->path, path, mbt_store_shape_text(shape, text), file->bytes);
        *count *= (size_t)shape->dims[i];
    }
    return MBT_OK;
}

static mbt_status add_tensor(void *context, const char *path, const mbt_store_shape *shape,
                             mbt_error *err)
{
    ckpt_file *file = context;
    ckpt_tensor tensor = {.shape = *shape, .blocks = 1U << CKPT_BLOCK_MODEL};
    const char *name = name_in(path, CKPT_MODEL);
    if (strlen(name) >= sizeof tensor.name)
        return mbt_fail(err, MBT_DATA, "%s: %.80s...: name longer than %zu bytes", file->path, path,
                        sizeof tensor.name - 1);
    memcpy(tensor.name, name, strlen(name) + 1);
    mbt_status status = count_elements(file, path, shape, &tensor.count, err);
    if (status)
        return status;
    if (file->n_tensors == CKPT_TENSORS_MAX)
        return mbt_fail(err, MBT_DATA, "%s: has more than %d tensors", file->path,
                        CKPT_TENSORS_MAX);
    if (file->n_tensors == file->capacity) {
        int capacity = file->capacity ? 2 * file->capacity : 256;
        ckpt_tensor *tensors = realloc(file->tensors, (size_t)capacity * sizeof *tensors);
        if (!tensors)
            return mbt_fail(err, MBT_FAILURE, "%s: out of memory", file->path);
        file->tensors = tensors;
        file->capacity = capacity;
    }
    file->tensors[file->n_tensors++] = tensor;
    file->tensor_bytes += tensor.count * sizeof(float);
    if (tensor.count > file->largest)
        file->largest = tensor.count;
    return MBT_OK;
}

static int by_name(const void *a, const void *b)
{
    const ckpt_tensor *left = a, *right = b;
    return strcmp(left->name, right->name);
}

/* A block beside the weights, while it is walked. */
struct walk {
    ckpt_file *file;
    int block, n; /* n: tensors met */
};

static mbt_status add_to_block(void *context, const char *path, const mbt_store_shape *shape,
                               mbt_error *err)
{
    struct walk *walk = context;
    ckpt_file *file = walk->file;
    ckpt_tensor key = {0}, *tensor = NULL;
    const char *name = name_in(path, ckpt_blocks[walk->block].group);
    size_t count = 0;
    if (strlen(name) < sizeof key.name) {
        memcpy(key.name, name, strlen(name) + 1);
        tensor =
            bsearch(&key, file->tensors, (size_t)file->n_tensors, sizeof *file->tensors, by_name);
    }
    if (!tensor)
        return mbt_fail(err, MBT_DATA,
                        "%s: %.120s: %s of a tensor that " CKPT_MODEL " does not have", file->path,
                        path, ckpt_blocks[walk->block].what);
    mbt_status status = count_elements(file, path, shape, &count, err);
    if (status)
        return status;
    if (!mbt_store_shape_equal(shape, &tensor->shape)) {
        char got[MBT_STORE_SHAPE_TEXT], wanted[MBT_STORE_SHAPE_TEXT];
        return mbt_fail(err, MBT_DATA, "%s: %s: got %s, wanted %s as in " CKPT_MODEL, file->path,
                        path, mbt_store_shape_text(shape, got),
                        mbt_store_shape_text(&tensor->shape, wanted));
    }
    tensor->blocks |= 1U << walk->block;
    file->tensor_bytes += count * sizeof(float);
    walk->n++;
    return MBT_OK;
}

/* What has squares is what has momentum; what has an average is everything. */
static mbt_status list_block(ckpt_file *file, int block, mbt_error *err)
{
    struct walk walk = {file, block, 0};
    const ckpt_block *b = &ckpt_blocks[block];
    if (!b->always && !mbt_store_has(file->store, b->group))
        return MBT_OK;
    mbt_status status = mbt_store_walk(file->store, b->group, add_to_block, &walk, err);
    for (int i = 0; !status && !b->always && i < file->n_tensors; i++) {
        const ckpt_tensor *tensor = &file->tensors[i];
        bool wanted = !b->trained || ckpt_has(tensor->blocks, CKPT_BLOCK_MOMENTUM);
        if (ckpt_has(tensor->blocks, block) != wanted)
            status =
                mbt_fail(err, MBT_DATA, "%s: %s: got %s of %s, wanted %s", file->path, b->group,
                         wanted ? "none" : b->what, tensor->name, wanted ? b->what : "none");
    }
    file->blocks |= 1U << block;
    return status;
}

static mbt_status list_tensors(ckpt_file *file, mbt_error *err)
{
    mbt_status status = mbt_store_walk(file->store, CKPT_MODEL, add_tensor, file, err);
    if (status)
        return status;
    if (file->n_tensors)
        qsort(file->tensors, (size_t)file->n_tensors, sizeof *file->tensors, by_name);
    file->blocks = 1U << CKPT_BLOCK_MODEL;
    for (int b = CKPT_BLOCK_MODEL + 1; !status && b < CKPT_BLOCKS; b++)
        status = list_block(file, b, err);
    return status;
}

static mbt_status check_format(const ckpt_file *file, mbt_error *err)
{
    char format[64];
    int64_t schema = 0;
    mbt_error ignored;
    if (mbt_store_get_text(file->store, "/", "format", format, sizeof format, &ignored) ||
        strcmp(format, CKPT_FORMAT) != 0)
        return mbt_fail(err, MBT_DATA, "%s: is an HDF5 file, but no " CKPT_FORMAT, file->path);
    mbt_status status = mbt_store_get_i64(file->store, "/", "schema", &schema, err);
    if (!status && schema != MBT_CHECKPOINT_SCHEMA)
        status = mbt_fail(err, MBT_DATA, "%s: schema: got %" PRId64 ", wanted %d", file->path,
                          schema, MBT_CHECKPOINT_SCHEMA);
    return status;
}

mbt_status ckpt_file_open(ckpt_file *file, const char *path, mbt_error *err)
{
    struct stat info;
    mbt_status status = mbt_text_format(file->path, sizeof file->path, err, "path", "%s", path);
    if (status)
        return status;
    status = mbt_store_open(path, CKPT_FILE_BYTES_MAX, &file->store, err);
    if (status)
        return status;
    if (stat(path, &info) != 0)
        status = mbt_fail(err, MBT_FAILURE, "%s: stat: %s", path, strerror(errno));
    else
        file->bytes = (size_t)info.st_size;
    if (!status)
        status = check_format(file, err);
    if (!status)
        status = list_tensors(file, err);
    if (status)
        ckpt_file_close(file);
    return status;
}

void ckpt_file_close(ckpt_file *file)
{
    mbt_store_close(file->store);
    free(file->tensors);
    *file = (ckpt_file){0};
}

int ckpt_file_weights(const ckpt_file *file)
{
    return ckpt_has(file->blocks, CKPT_BLOCK_EMA) ? CKPT_BLOCK_EMA : CKPT_BLOCK_MODEL;
}

mbt_status ckpt_file_values(const ckpt_file *file, int block, const ckpt_tensor *tensor,
                            float *values, mbt_error *err)
{
    char path[CKPT_PATH_IN_FILE];
    mbt_status status = mbt_text_format(path, sizeof path, err, "path in a checkpoint", "%s/%s",
                                        ckpt_blocks[block].group, tensor->name);
    return status ? status : mbt_store_read(file->store, path, &tensor->shape, values, err);
}

/* No run leaves others, and none could go on from them: sums would overflow, nothing be the best.
 */
static mbt_status check_progress(const ckpt_file *file, mbt_progress_state *p, mbt_error *err)
{
    const int64_t samples = p->epoch_counts.samples, large = INT64_C(1) << 62;
    const int64_t most[CKPT_COUNTERS] = {CKPT_STEP_MAX, UINT32_MAX, p->step, large,
                                         samples,       samples,    large,   p->epoch};
    for (int i = 0; i < CKPT_COUNTERS; i++) {
        const int64_t got = *ckpt_counter_of(p, i);
        const int64_t least = ckpt_counter_of(p, i) == &p->epoch_counts.loss ? -large : 0;
        if (got < least || got > most[i])
            return mbt_fail(err, MBT_DATA,
                            "%s: counters: got %s %" PRId64 ", wanted %" PRId64 " to %" PRId64,
                            file->path, ckpt_counters[i].name, got, least, most[i]);
    }
    if (!isfinite(p->epoch_s) || p->epoch_s < 0)
        return mbt_fail(err, MBT_DATA, "%s: counters: got epoch_s %g, wanted seconds", file->path,
                        p->epoch_s);
    if (!(p->best_top1 >= -1 && p->best_top1 <= 100))
        return mbt_fail(err, MBT_DATA,
                        "%s: counters: got best_top1 %g, wanted percent, or -1 for none",
                        file->path, p->best_top1);
    return MBT_OK;
}

static mbt_status read_progress(const ckpt_file *file, mbt_progress_state *progress, mbt_error *err)
{
    mbt_status status = MBT_OK;
    for (int i = 0; !status && i < CKPT_COUNTERS; i++)
        status = mbt_store_get_i64(file->store, "/", ckpt_counters[i].name,
                                   ckpt_counter_of(progress, i), err);
    if (!status)
        status = mbt_store_get_f64(file->store, "/", "epoch_s", &progress->epoch_s, err);
    if (!status)
        status = mbt_store_get_f64(file->store, "/", "best_top1", &progress->best_top1, err);
    return status ? status : check_progress(file, progress, err);
}

/* The state digest of what the file holds. */
static mbt_status digest_content(const ckpt_file *file, const mbt_progress_state *progress,
                                 const mbt_metrics *metrics, char out[MBT_DIGEST_TEXT],
                                 mbt_error *err)
{
    mbt_digest *digest = NULL;
    size_t largest = file->largest ? file->largest : 1;
    float *values = malloc(CKPT_BLOCKS * largest * sizeof *values);
    mbt_status status = MBT_OK;
    if (!values) {
        status = mbt_fail(err, MBT_FAILURE, "%s: out of memory", file->path);
        goto done;
    }
    status = mbt_digest_create(&digest, err);
    for (int i = 0; !status && i < file->n_tensors; i++) {
        const ckpt_tensor *tensor = &file->tensors[i];
        const float *all[CKPT_BLOCKS] = {NULL};
        for (int b = 0; !status && b < CKPT_BLOCKS; b++) {
            if (!ckpt_has(tensor->blocks, b))
                continue;
            all[b] = values + (size_t)b * largest;
            status = ckpt_file_values(file, b, tensor, values + (size_t)b * largest, err);
        }
        if (!status)
            ckpt_digest_tensor(digest, tensor->name, &tensor->shape, tensor->count, all);
    }
    if (status)
        goto done;
    ckpt_digest_rest(digest, progress, metrics);
    mbt_digest_text(digest, out);
done:
    mbt_digest_destroy(digest);
    free(values);
    return status;
}

mbt_status ckpt_file_verify(const ckpt_file *file, mbt_progress_state *progress,
                            mbt_metrics *metrics, char digest[MBT_DIGEST_TEXT], mbt_error *err)
{
    char wanted[MBT_DIGEST_TEXT], got[MBT_DIGEST_TEXT];
    mbt_status status =
        mbt_store_get_text(file->store, "/", "state_digest", wanted, sizeof wanted, err);
    if (!status)
        status = read_progress(file, progress, err);
    if (!status)
        status = mbt_metrics_load(metrics, file->store, CKPT_METRICS, err);
    if (!status)
        status = digest_content(file, progress, metrics, got, err);
    if (status)
        return status;
    if (strcmp(got, wanted) != 0)
        return mbt_fail(err, MBT_DATA, "%s: state digest: got %s from its content, wanted %s",
                        file->path, got, wanted);
    if (digest)
        memcpy(digest, got, sizeof got);
    return MBT_OK;
}

static mbt_status read_texts(const ckpt_file *file, mbt_checkpoint_info *info, mbt_error *err)
{
    const struct {
        const char *name;
        char *out;
        size_t bytes;
    } texts[] = {
        {"network", info->network, sizeof info->network},
        {"state_digest", info->state_digest, sizeof info->state_digest},
        {"data_digest", info->data_digest, sizeof info->data_digest},
        {"plan_digest", info->plan_digest, sizeof info->plan_digest},
    };
    mbt_status status = MBT_OK;
    for (size_t i = 0; !status && i < sizeof texts / sizeof texts[0]; i++)
        status =
            mbt_store_get_text(file->store, "/", texts[i].name, texts[i].out, texts[i].bytes, err);
    if (!status)
        status = mbt_store_get_long_text(file->store, "/", "config", CKPT_TEXT_BYTES_MAX,
                                         &info->config, err);
    if (!status)
        status = mbt_store_get_long_text(file->store, "/", "provenance", CKPT_TEXT_BYTES_MAX,
                                         &info->provenance, err);
    return status;
}

mbt_status mbt_checkpoint_verify(const char *path, char digest[MBT_DIGEST_TEXT], mbt_error *err)
{
    ckpt_file file = {0};
    mbt_checkpoint_info info = {0};
    mbt_status status = ckpt_file_open(&file, path, err);
    if (!status)
        status = read_texts(&file, &info, err);
    if (!status)
        status = ckpt_file_verify(&file, &info.progress, &info.metrics, digest, err);
    mbt_checkpoint_info_clear(&info);
    ckpt_file_close(&file);
    return status;
}

mbt_status mbt_checkpoint_read_info(const char *path, mbt_checkpoint_info *info, mbt_error *err)
{
    ckpt_file file = {0};
    *info = (mbt_checkpoint_info){0};
    mbt_status status = ckpt_file_open(&file, path, err);
    if (!status)
        status = read_progress(&file, &info->progress, err);
    if (!status)
        status = read_texts(&file, info, err);
    if (!status)
        status = mbt_metrics_load(&info->metrics, file.store, CKPT_METRICS, err);
    info->bytes = file.bytes;
    info->n_tensors = file.n_tensors;
    for (int i = 0; i < file.n_tensors; i++)
        info->n_elements += (int64_t)file.tensors[i].count;
    ckpt_file_close(&file);
    if (status)
        mbt_checkpoint_info_clear(info);
    return status;
}

void mbt_checkpoint_info_clear(mbt_checkpoint_info *info)
{
    free(info->config);
    free(info->provenance);
    mbt_metrics_clear(&info->metrics);
    *info = (mbt_checkpoint_info){0};
}
