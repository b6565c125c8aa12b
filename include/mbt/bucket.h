/* The sum of gradients over groups and ranks.
 *
 * reduce exact: each group's gradient becomes 64-bit integers round(x * 2^40), and integers are
 * summed: associative, so ranks, threads, order and MPI algorithm change no bit. The gradient was
 * divided by the batch's true size at the loss. A value that is not finite, or reaches 2^62 / k,
 * raises a flag that travels with the step's counts; nothing is updated before it is read.
 * reduce fp32: float sums in group order within a rank, then MPI's.
 * reduce bf16: the same, but ranks exchange the rank's sum rounded to bfloat16: half the message,
 * running statistics included.
 * A bucket is a range of the flat block; its sum starts when the last group of this rank has
 * written it, while the backward pass goes on. Depends on comm, plan, config, bf16. */
#ifndef MBT_BUCKET_H
#define MBT_BUCKET_H

#include <stdbool.h>

#include "mbt/comm.h"
#include "mbt/config.h"
#include "mbt/plan.h"

typedef struct mbt_bucket mbt_bucket;

/* plan: borrowed; its gradient block is read and, in the end, written. */
mbt_status mbt_bucket_create(mbt_comm *comm, mbt_plan *plan, mbt_reduce reduce, mbt_bucket **bucket,
                             mbt_error *err) MBT_WARN_UNUSED;
void mbt_bucket_destroy(mbt_bucket *bucket); /* NULL is allowed */

/* A step of k groups begins, n_mine of them on this rank. */
void mbt_bucket_begin(mbt_bucket *bucket, int k, int n_mine);

/* mbt_exec_ready: floats [first, first+count) of the gradient are complete for the next group.
 * bucket is the context. Collective over the step, in the order of the block. */
void mbt_bucket_add(void *bucket, size_t first, size_t count);

/* The buckets, in the order in which their sums start: ranges of the flat block. */
int mbt_bucket_count(const mbt_bucket *bucket);
void mbt_bucket_range(const mbt_bucket *bucket, int index, size_t *first, size_t *count);

/* Waits for all sums and leaves the batch's gradient in plan->gradient. Returns false when a value
 * of this rank could not be summed (see above): the gradient is of no use then. Called again before
 * the next mbt_bucket_begin it has nothing to wait for, and turns the same sums into the same
 * gradient. Collective. */
bool mbt_bucket_finish(mbt_bucket *bucket);

#endif
