/* The averaged weights. The statistics go the way of gradients: group by group into the flat block,
 * summed as the configuration says, so that any number of ranks finds the same. */
#include "mbt/ema.h"

#include <stdlib.h>
#include <string.h>

#include "mbt/exec.h"
#include "mbt/team.h"

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

int64_t mbt_ema_samples(const mbt_setup *setup)
{
    const int64_t wanted = setup->config.ema.bn_samples;
    return wanted < setup->n_train ? wanted : setup->n_train;
}

/* How the images are cut into groups: k of n. */
struct cut {
    int k, n;
};

static struct cut cut_samples(const mbt_setup *setup)
{
    const int64_t samples = mbt_ema_samples(setup);
    return samples < setup->group ? (struct cut){1, (int)samples}
                                  : (struct cut){(int)(samples / setup->group), setup->group};
}

/* Statistics under way, of the plans of all workers. */
struct pass {
    mbt_setup *setup;
    mbt_bucket *bucket;
    struct cut cut;
};

static void prepare(void *context, int worker, int group)
{
    const struct pass *pass = context;
    mbt_plan *plan = pass->setup->workers[worker].plan;
    (void)group; /* one for each worker */
    mbt_exec_prepare(plan);
    memset(plan->gradient, 0, plan->params.n_floats * sizeof *plan->gradient);
}

/* Image i of a group is one of the i-th n-th of the split: a set sorted by class gives groups of
 * all classes. */
static void take_group(void *context, int worker, int group)
{
    const struct pass *pass = context;
    mbt_setup *setup = pass->setup;
    const struct cut cut = pass->cut;
    mbt_plan *plan = setup->workers[worker].plan;
    uint32_t ids[MBT_GROUP_MAX];
    const int64_t all = (int64_t)cut.k * cut.n;
    if (worker == 0) {
        mbt_setup_alive(setup);
    }
    for (int i = 0; i < cut.n; i++) {
        const int64_t at = (int64_t)i * cut.k + group;
        ids[i] = setup->train_ids[at * setup->n_train / all];
    }
    mbt_setup_load(setup, worker, &setup->plain, &setup->dataset.train, 0, ids, cut.n,
                   mbt_exec_input(plan));
    mbt_exec_forward(plan, cut.n, NULL);
    mbt_exec_statistics(plan, cut.n, 1.0f / (float)cut.k);
    mbt_bucket_add(mbt_bucket_part(pass->bucket, worker), 0, plan->params.n_floats);
}

static void set_weights(mbt_setup *setup, float *weights)
{
    for (int i = 0; i < setup->n_workers; i++) {
        setup->workers[i].plan->weights = weights;
    }
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

mbt_status mbt_ema_statistics(mbt_setup *setup, mbt_bucket *bucket, float *average, mbt_error *err)
{
    float *weights = setup->plan->weights;
    struct pass pass = {setup, bucket, cut_samples(setup)};
    const int k = pass.cut.k;
    int first, last;
    mbt_sampler_share(k, mbt_comm_rank(setup->comm), mbt_comm_size(setup->comm), &first, &last);

    set_weights(setup, average);
    mbt_team_run(setup->n_workers, 0, setup->n_workers, prepare, &pass);
    mbt_bucket_begin(bucket, k, last - first);
    mbt_team_run(setup->n_workers, first, last, take_group, &pass);
    int64_t bad = !mbt_bucket_finish(bucket);
    set_weights(setup, weights);
    mbt_comm_sum(setup->comm, MBT_COMM_I64, &bad, 1);
    if (bad > 0) {
        return mbt_fail(
            err, MBT_DIVERGED,
            "averaged weights: batch-norm statistics are not finite, or too large to be "
            "summed");
    }
    take_statistics(setup->plan, average);
    return MBT_OK;
}
