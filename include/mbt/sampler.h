/* Which samples a step and a group train on: a pure function of (seed, epoch, step, group).
 *
 * An epoch is a permutation of the training samples; a step takes the next `batch` of them, cut
 * into groups of `group` samples. The last, partial batch of an epoch is cut into near-equal
 * groups (design: at least group/2 samples each when it has that many). Nothing depends on ranks.
 * Depends on rng. */
#ifndef MBT_SAMPLER_H
#define MBT_SAMPLER_H

#include <stdint.h>

#include "mbt/status.h"

typedef struct mbt_sampler mbt_sampler;

/* ids: n sample ids that take part (the training split less the validation samples), copied. */
mbt_status mbt_sampler_create(const uint32_t *ids, int64_t n, int batch, int group, uint64_t seed,
                              mbt_sampler **sampler, mbt_error *err) MBT_WARN_UNUSED;
void mbt_sampler_destroy(mbt_sampler *sampler); /* NULL is allowed */

int64_t mbt_sampler_steps(const mbt_sampler *sampler); /* of an epoch, the partial one included */

/* Lays out the epoch's order (again only when the epoch changes). */
void mbt_sampler_epoch(mbt_sampler *sampler, int64_t epoch);

int mbt_sampler_samples(const mbt_sampler *sampler,
                        int64_t step); /* true size of the step's batch */
int mbt_sampler_groups(const mbt_sampler *sampler, int64_t step); /* k: groups it is cut into */

/* The sample ids of one group of the step, borrowed until the next mbt_sampler_epoch.
 * Returns how many. */
int mbt_sampler_group(const mbt_sampler *sampler, int64_t step, int group, const uint32_t **ids);

/* Splits 0 .. n-1 into n - n_held and n_held ids, by a uniform choice keyed (seed, SPLIT); both
 * lists ascending. held may be NULL when n_held is 0. */
void mbt_sampler_split(uint64_t seed, uint32_t n, uint32_t n_held, uint32_t *kept, uint32_t *held);

/* Groups that a batch of so many samples is cut into. */
int mbt_sampler_cut(int n_samples, int group);

/* Samples of a group when n_samples are cut into k: they differ by at most one, larger groups come
 * first. */
int mbt_sampler_size(int n_samples, int k, int group);

/* The groups [first, last) of k that rank r of n computes: contiguous, sizes differ by at most 1.
 */
void mbt_sampler_share(int k, int rank, int n_ranks, int *first, int *last);

#endif
