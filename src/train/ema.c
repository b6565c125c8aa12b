/* The averaged weights. The statistics go the way of gradients: group by group into the flat block,
 * summed as the configuration says, so that any number of ranks finds the same. */
#include "mbt/ema.h"

#include <stdlib.h>
#include <string.h>

#include "mbt/exec.h"

enum { ALIGNMENT = 64 }; /* kernels read whole cache lines; slices are cut for it */

int64_t mbt_ema_start(const mbt_config *config, int64_t total_steps)
{
    return config->ema.decay > 0 ? (int64_t)(config->ema.start * (double)total_steps) : INT64_MAX;
}

float *mbt_ema_block(size_t n_floats)
{
    const size_t bytes = (n_floats * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    float *block = aligned_alloc(ALIGNMENT, bytes);
    if (block != NULL) {
        memset(block, 0, bytes);
    }
    return block;
}

void mbt_ema_step(const mbt_config *config, bool first, size_t n_floats, const float *weights,
                  float *average)
{
    if (first) {
        memcpy(average, weights, n_floats * sizeof *average);
        return;
    }
    const float take = (float)(1.0 - config->ema.decay);
    for (size_t i = 0; i < n_floats; i++) {
        average[i] += take * (weights[i] - average[i]);
    }
}

/* How the images are cut into groups: k of n. */
struct cut {
    int k, n;
};

static struct cut cut_samples(const mbt_setup *setup)
{
    const int64_t wanted = setup->config.ema.bn_samples;
    const int64_t samples = wanted < setup->n_train ? wanted : setup->n_train;
    return samples < setup->group ? (struct cut){1, (int)samples}
                                  : (struct cut){(int)(samples / setup->group), setup->group};
}

/* Image i of a group is one of the i-th n-th of the split: a set sorted by class gives groups of
 * all classes. */
static void load_group(mbt_setup *setup, struct cut cut, int group, int32_t *labels)
{
    uint32_t ids[MBT_GROUP_MAX];
    const int64_t all = (int64_t)cut.k * cut.n;
    for (int i = 0; i < cut.n; i++) {
        const int64_t at = (int64_t)i * cut.k + group;
        ids[i] = setup->train_ids[at * setup->n_train / all];
    }
    mbt_setup_load(setup, &setup->plain, &setup->dataset.train, 0, ids, cut.n,
                   mbt_exec_input(setup->plan), labels);
}

static void take_statistics(const mbt_plan *plan, float *average)
{
    for (int i = 0; i < plan->params.n_slices; i++) {
        const mbt_slice *slice = &plan->params.slices[i];
        if (!slice->trained) {
            memcpy(average + slice->offset, plan->gradient + slice->offset,
                   slice->stored * sizeof *average);
        }
    }
}

mbt_status mbt_ema_statistics(mbt_setup *setup, mbt_bucket *bucket, int32_t *labels, float *average,
                              mbt_error *err)
{
    mbt_plan *plan = setup->plan;
    float *weights = plan->weights;
    const struct cut cut = cut_samples(setup);
    int first, last;
    mbt_sampler_share(cut.k, mbt_comm_rank(setup->comm), mbt_comm_size(setup->comm), &first, &last);

    plan->weights = average;
    mbt_exec_prepare(plan);
    memset(plan->gradient, 0, plan->params.n_floats * sizeof *plan->gradient);
    mbt_bucket_begin(bucket, cut.k, last - first);
    for (int group = first; group < last; group++) {
        load_group(setup, cut, group, labels);
        mbt_exec_forward(plan, cut.n, NULL);
        mbt_exec_statistics(plan, cut.n, 1.0f / (float)cut.k);
        mbt_bucket_add(bucket, 0, plan->params.n_floats);
    }
    int64_t bad = !mbt_bucket_finish(bucket);
    plan->weights = weights;
    mbt_comm_sum(setup->comm, MBT_COMM_I64, &bad, 1);
    if (bad > 0) {
        return mbt_fail(err, MBT_DIVERGED,
                        "averaged weights: batch-norm statistics are not finite");
    }
    take_statistics(plan, average);
    return MBT_OK;
}
