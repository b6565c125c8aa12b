/* The average of the weights over steps, and batch norm's statistics for it.
 *
 *   m = w at the first step that is averaged, then m += (1 - decay) * (w - m) after every step
 *
 * in float, elementwise, without contraction: the same on every machine. Running statistics are
 * averaged like weights; before an evaluation of the training they give way to those that
 * batch-norm groups of training images really have under the averaged weights. Depends on setup,
 * bucket. */
#ifndef MBT_EMA_H
#define MBT_EMA_H

#include <stdint.h>

#include "mbt/bucket.h"
#include "mbt/setup.h"

/* Steps done before the average begins: ema.start of all steps; INT64_MAX without an average. */
int64_t mbt_ema_start(const mbt_config *config, int64_t total_steps);

/* A flat block for the average, zeroed; NULL when memory is short. Released by free. */
float *mbt_ema_block(size_t n_floats);

/* One step of the average; `first`: it begins with these weights. */
void mbt_ema_step(const mbt_config *config, bool first, size_t n_floats, const float *weights,
                  float *average);

/* Images that the statistics are taken of: ema.bn_samples, or all that there are; then the whole
 * groups of them, when they make one. */
int64_t mbt_ema_samples(const mbt_setup *setup);

/* Replaces the running statistics in `average` by the mean over batch-norm groups of
 * mbt_ema_samples training images, as they are stored, of the groups' means and unbiased variances.
 * The images are spread over the whole training split, and so is each group. The training plans'
 * weights are untouched. MBT_DIVERGED when a statistic is not finite or too large. Collective. */
mbt_status mbt_ema_statistics(mbt_setup *setup, mbt_bucket *bucket, float *average,
                              mbt_error *err) MBT_WARN_UNUSED;

#endif
