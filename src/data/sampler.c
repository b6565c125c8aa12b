/* Which samples a step and a group train on.
 *
 * The epoch's order is one permutation of positions, keyed by (seed, ORDER, epoch), read through
 * the list of taking-part ids; steps and groups are ranges of it. Both a whole batch that is no
 * multiple of the group size and the epoch's last batch are cut by the same rule, so there is one
 * function that says where a group begins. */
#include "mbt/sampler.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/rng.h"

struct mbt_sampler {
    uint64_t seed;
    int64_t n, epoch; /* epoch: the one laid out, -1 before the first */
    int batch, group;
    uint32_t *ids;   /* [n] */
    uint32_t *order; /* [n] sample ids in the epoch's order */
};

mbt_status mbt_sampler_create(const uint32_t *ids, int64_t n, int batch, int group, uint64_t seed,
                              mbt_sampler **sampler, mbt_error *err)
{
    *sampler = NULL;
    if (n < 1 || n > INT32_MAX) {
        return mbt_fail(err, MBT_DATA, "sampler: got %lld training samples, wanted 1 to %d",
                        (long long)n, INT32_MAX);
    }
    if (batch < 1 || group < 1 || group > batch) {
        return mbt_fail(err, MBT_CONFIG,
                        "sampler: got batch %d and group %d, wanted 1 <= group <= batch", batch,
                        group);
    }
    mbt_sampler *made = calloc(1, sizeof *made);
    size_t bytes = (size_t)n * sizeof *ids;
    if (made) {
        made->ids = malloc(bytes);
        made->order = malloc(bytes);
    }
    if (!made || !made->ids || !made->order) {
        mbt_sampler_destroy(made);
        return mbt_fail(err, MBT_FAILURE, "sampler: no memory for %lld samples", (long long)n);
    }
    memcpy(made->ids, ids, bytes);
    made->seed = seed;
    made->n = n;
    made->epoch = -1;
    made->batch = batch;
    made->group = group;
    *sampler = made;
    return MBT_OK;
}

void mbt_sampler_destroy(mbt_sampler *sampler)
{
    if (sampler) {
        free(sampler->order);
        free(sampler->ids);
        free(sampler);
    }
}

int64_t mbt_sampler_steps(const mbt_sampler *sampler)
{
    return (sampler->n + sampler->batch - 1) / sampler->batch;
}

void mbt_sampler_epoch(mbt_sampler *sampler, int64_t epoch)
{
    assert(epoch >= 0 && epoch <= UINT32_MAX);
    if (epoch == sampler->epoch) {
        return;
    }
    mbt_rng_permutation(sampler->seed, (uint32_t)epoch, (uint32_t)sampler->n, sampler->order);
    for (int64_t i = 0; i < sampler->n; i++) {
        sampler->order[i] = sampler->ids[sampler->order[i]];
    }
    sampler->epoch = epoch;
}

int mbt_sampler_samples(const mbt_sampler *sampler, int64_t step)
{
    assert(step >= 0 && step < mbt_sampler_steps(sampler));
    int64_t left = sampler->n - step * sampler->batch;
    return left < sampler->batch ? (int)left : sampler->batch;
}

int mbt_sampler_cut(int n_samples, int group)
{
    return (n_samples + group - 1) / group;
}

int mbt_sampler_groups(const mbt_sampler *sampler, int64_t step)
{
    return mbt_sampler_cut(mbt_sampler_samples(sampler, step), sampler->group);
}

/* With k = ceil(samples / group) the smallest has at least group/2 samples, or all there are. */
int mbt_sampler_size(int n_samples, int k, int group)
{
    return n_samples / k + (group < n_samples % k);
}

int mbt_sampler_group(const mbt_sampler *sampler, int64_t step, int group, const uint32_t **ids)
{
    int samples = mbt_sampler_samples(sampler, step);
    int k = mbt_sampler_groups(sampler, step);
    assert(sampler->epoch >= 0 && group >= 0 && group < k);
    int n_larger = samples % k;
    int first = group * (samples / k) + (group < n_larger ? group : n_larger);
    *ids = sampler->order + step * sampler->batch + first;
    return mbt_sampler_size(samples, k, group);
}

/* Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S: every subset of n_held ids is
 * equally likely, the lists come out ascending, and no memory is needed that could be missing. */
void mbt_sampler_split(uint64_t seed, uint32_t n, uint32_t n_held, uint32_t *kept, uint32_t *held)
{
    assert(n_held <= n);
    mbt_rng rng = mbt_rng_at(seed, MBT_PURPOSE_SPLIT, 0, 0);
    uint32_t n_taken = 0;
    for (uint32_t id = 0; id < n; id++) {
        if (n_held > 0 && mbt_rng_below(&rng, n - id) < n_held - n_taken) {
            held[n_taken++] = id;
        } else {
            kept[id - n_taken] = id;
        }
    }
}

void mbt_sampler_share(int k, int rank, int n_ranks, int *first, int *last)
{
    assert(k >= 0 && n_ranks > 0 && rank >= 0 && rank < n_ranks);
    *first = (int)((int64_t)k * rank / n_ranks);
    *last = (int)((int64_t)k * (rank + 1) / n_ranks);
}
