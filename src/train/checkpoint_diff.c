/* Two checkpoints side by side. Data sets are found by walking the files, so that what a later
 * version stores besides is compared too. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_format.h"
#include "mbt/text.h"

typedef struct entry {
    char path[CKPT_PATH_IN_FILE];
    mbt_store_shape shape;
} entry;

/* The tensors of a file, by path. */
typedef struct listing {
    ckpt_file file;
    entry *entries;
    int n, capacity;
} listing;

bool mbt_checkpoint_counter(const mbt_progress_state *progress, int i, const char **name,
                            int64_t *value)
{
    mbt_progress_state copy = *progress;
    if (i < 0 || i >= CKPT_COUNTERS)
        return false;
    *name = ckpt_counters[i].name;
    *value = *ckpt_counter_of(&copy, i);
    return true;
}

static mbt_status add_entry(void *context, const char *path, const mbt_store_shape *shape,
                            mbt_error *err)
{
    listing *l = context;
    if (strncmp(path, CKPT_METRICS "/", strlen(CKPT_METRICS "/")) == 0)
        return MBT_OK;
    if (shape->type != MBT_STORE_F32 || strlen(path) >= CKPT_PATH_IN_FILE)
        return mbt_fail(err, MBT_DATA, "%s: %.200s: wanted float32 values under a short name",
                        l->file.path, path);
    if (l->n == 2 * CKPT_TENSORS_MAX)
        return mbt_fail(err, MBT_DATA, "%s: has too many tensors", l->file.path);
    if (l->n == l->capacity) {
        const int capacity = l->capacity ? 2 * l->capacity : 256;
        entry *entries = realloc(l->entries, (size_t)capacity * sizeof *entries);
        if (!entries)
            return mbt_fail(err, MBT_FAILURE, "%s: out of memory", l->file.path);
        l->entries = entries;
        l->capacity = capacity;
    }
    memcpy(l->entries[l->n].path, path, strlen(path) + 1);
    l->entries[l->n++].shape = *shape;
    return MBT_OK;
}

static int by_path(const void *a, const void *b)
{
    const entry *left = a, *right = b;
    return strcmp(left->path, right->path);
}

static mbt_status open_listing(listing *l, const char *path, mbt_error *err)
{
    mbt_progress_state progress = {0};
    mbt_metrics metrics = {0};
    mbt_status status = ckpt_file_open(&l->file, path, err);
    if (!status)
        status = ckpt_file_verify(&l->file, &progress, &metrics, NULL, err);
    if (!status)
        status = mbt_store_walk(l->file.store, "/", add_entry, l, err);
    if (!status && l->n)
        qsort(l->entries, (size_t)l->n, sizeof *l->entries, by_path);
    mbt_metrics_clear(&metrics);
    return status;
}

static void close_listing(listing *l)
{
    ckpt_file_close(&l->file);
    free(l->entries);
}

static size_t count_of(const mbt_store_shape *shape)
{
    size_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= (size_t)shape->dims[i];
    return count;
}

static bool same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Relative to the larger of the two; NaN where either is not finite, and then it stays. */
static void compare_values(const float *a, const float *b, size_t count, mbt_tensor_difference *d)
{
    for (size_t i = 0; i < count; i++) {
        if (same_bits(a[i], b[i]))
            continue;
        const double absolute = fabs((double)a[i] - (double)b[i]);
        const double larger = fmax(fabs((double)a[i]), fabs((double)b[i]));
        const double relative = larger > 0 ? absolute / larger : 0; /* 0 and -0 */
        d->n_unlike++;
        if (!(absolute <= d->max_absolute) && !isnan(d->max_absolute))
            d->max_absolute = absolute;
        if (!(relative <= d->max_relative) && !isnan(d->max_relative))
            d->max_relative = relative;
    }
}

/* Of two entries of one path; the store has compared the shapes with what the files hold. */
static mbt_status compare_entries(const listing *a, const listing *b, mbt_tensor_difference *d,
                                  mbt_error *err)
{
    const size_t count = count_of(d->a), n = count ? count : 1;
    float *values = malloc(2 * n * sizeof *values);
    if (!values)
        return mbt_fail(err, MBT_FAILURE, "%s: %s: out of memory", a->file.path, d->path);
    mbt_status status = mbt_store_read(a->file.store, d->path, d->a, values, err);
    if (!status)
        status = mbt_store_read(b->file.store, d->path, d->b, values + n, err);
    d->count = count;
    if (!status)
        compare_values(values, values + n, count, d);
    free(values);
    return status;
}

mbt_status mbt_checkpoint_diff(const char *path_a, const char *path_b, mbt_tensor_visit *visit,
                               void *context, mbt_error *err)
{
    listing a = {0}, b = {0};
    mbt_status status = open_listing(&a, path_a, err);
    if (!status)
        status = open_listing(&b, path_b, err);
    int i = 0, k = 0;
    while (!status && (i < a.n || k < b.n)) {
        const int order = i == a.n ? 1 : k == b.n ? -1 : by_path(&a.entries[i], &b.entries[k]);
        mbt_tensor_difference d = {
            .path = order <= 0 ? a.entries[i].path : b.entries[k].path,
            .a = order <= 0 ? &a.entries[i].shape : NULL,
            .b = order >= 0 ? &b.entries[k].shape : NULL,
        };
        if (order == 0 && mbt_store_shape_equal(d.a, d.b))
            status = compare_entries(&a, &b, &d, err);
        if (!status)
            visit(context, &d);
        i += order <= 0;
        k += order >= 0;
    }
    close_listing(&a);
    close_listing(&b);
    return status;
}
