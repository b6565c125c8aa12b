/* mbt-ckpt diff: what two checkpoints do not have in common, in lines. */
#include "mbt_ckpt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mbt/checkpoint.h"
#include "mbt/config.h"
#include "mbt/store.h"

enum { KEYS_BYTES = 2000 };

struct tensors {
    int n, n_unlike;
};

static void print_tensor(void *context, const mbt_tensor_difference *d)
{
    struct tensors *tensors = context;
    char a[MBT_STORE_SHAPE_TEXT], b[MBT_STORE_SHAPE_TEXT];
    tensors->n++;
    if (d->a != NULL && d->b != NULL && d->count > 0 && d->n_unlike == 0) {
        return;
    }
    if (tensors->n_unlike++ == 0) {
        (void)printf("%-52s  %21s  %10s  %10s\n", "tensor", "elements unlike", "max abs",
                     "max rel");
    }
    if (d->a == NULL || d->b == NULL) {
        (void)printf("%-52s  only in %s\n", d->path, d->b == NULL ? "A" : "B");
    } else if (d->count == 0) {
        (void)printf("%-52s  shapes %s, %s\n", d->path, mbt_store_shape_text(d->a, a),
                     mbt_store_shape_text(d->b, b));
    } else {
        (void)printf("%-52s  %10" PRIu64 "/%-10" PRIu64 "  %10.3e  %10.3e\n", d->path, d->n_unlike,
                     d->count, d->max_absolute, d->max_relative);
    }
}

static void print_texts(const char *what, const char *a, const char *b)
{
    if (strcmp(a, b) != 0) {
        (void)printf("%-14s  %s, %s\n", what, a[0] != '\0' ? a : "-", b[0] != '\0' ? b : "-");
    }
}

static void print_counters(const mbt_progress_state *a, const mbt_progress_state *b)
{
    const char *name;
    int64_t of_a, of_b;
    for (int i = 0;
         mbt_checkpoint_counter(a, i, &name, &of_a) && mbt_checkpoint_counter(b, i, &name, &of_b);
         i++) {
        if (of_a != of_b) {
            (void)printf("%-14s  %" PRId64 ", %" PRId64 "\n", name, of_a, of_b);
        }
    }
    if (a->best_top1 < b->best_top1 || a->best_top1 > b->best_top1) {
        (void)printf("%-14s  %.4f, %.4f\n", "best_top1", a->best_top1, b->best_top1);
    }
}

static mbt_status print_metrics(const mbt_metrics *a, const mbt_metrics *b, mbt_error *err)
{
    char texts[2][MBT_DIGEST_TEXT];
    for (int i = 0; i < 2; i++) {
        mbt_digest *digest = NULL;
        const mbt_status status = mbt_digest_create(&digest, err);
        if (status != MBT_OK) {
            return status;
        }
        mbt_metrics_digest(i == 0 ? a : b, digest);
        mbt_digest_text(digest, texts[i]);
        mbt_digest_destroy(digest);
    }
    if (strcmp(texts[0], texts[1]) != 0) {
        (void)printf("%-14s  %d rows, %d rows, unlike\n", "metrics", a->n_rows, b->n_rows);
    }
    return MBT_OK;
}

/* A configuration of another version of the program may hold keys that this one does not know: that
 * is said and no reason to fail. */
static void print_configs(const mbt_checkpoint_info *a, const mbt_checkpoint_info *b)
{
    mbt_config configs[2];
    char keys[KEYS_BYTES];
    mbt_error why = {0};
    mbt_config_defaults(&configs[0]);
    mbt_config_defaults(&configs[1]);
    if (mbt_config_parse(a->config, "A", &configs[0], &why) != MBT_OK ||
        mbt_config_parse(b->config, "B", &configs[1], &why) != MBT_OK) {
        (void)printf("%-14s  cannot be compared: %s\n", "configuration", why.message);
        return;
    }
    mbt_config_difference(&configs[0], &configs[1], keys, sizeof keys);
    if (keys[0] != '\0') {
        (void)printf("%-14s  %s\n", "configuration", keys);
    }
}

mbt_status mbt_ckpt_diff(const char *path_a, const char *path_b, mbt_error *err)
{
    mbt_checkpoint_info a = {0}, b = {0};
    struct tensors tensors = {0};
    mbt_status status = mbt_checkpoint_diff(path_a, path_b, print_tensor, &tensors, err);
    if (status == MBT_OK) {
        status = mbt_checkpoint_read_info(path_a, &a, err);
    }
    if (status == MBT_OK) {
        status = mbt_checkpoint_read_info(path_b, &b, err);
    }
    if (status == MBT_OK) {
        print_texts("network", a.network, b.network);
        print_counters(&a.progress, &b.progress);
        status = print_metrics(&a.metrics, &b.metrics, err);
    }
    if (status == MBT_OK) {
        print_configs(&a, &b);
        print_texts("data digest", a.data_digest, b.data_digest);
        print_texts("plan digest", a.plan_digest, b.plan_digest);
        const bool same = strcmp(a.state_digest, b.state_digest) == 0;
        (void)printf("%-14s  %d of %d unlike\n%-14s  %s\n", "tensors", tensors.n_unlike, tensors.n,
                     "state", same ? "the same" : "differs");
        status = same ? MBT_OK : MBT_DIFFERS;
    }
    mbt_checkpoint_info_clear(&a);
    mbt_checkpoint_info_clear(&b);
    return status;
}
