/* The sum of gradients over groups and ranks.
 *
 * reduce exact: each group's gradient becomes 64-bit integers round(x * 2^40), and integers are
 * summed: associative, so ranks, threads, order and MPI algorithm change no bit. The gradient was
 * divided by the batch's true size at the loss. A value that is not finite, or reaches 2^62 / k,
 * raises a flag that travels with the step's counts; nothing is updated before it is read.
 * reduce fp32: float sums in group order within a worker (team.h), then over workers, then over
 * ranks: on one node in their order, else as MPI does.
 * reduce bf16: the same, but ranks exchange the rank's sum rounded to bfloat16: half the message,
 * running statistics included.
 * A bucket is a range of the flat block; its sum starts when the last group of each worker has
 * written it, while the backward pass goes on. Depends on setup, team, bf16. */
#ifndef MBT_BUCKET_H
#define MBT_BUCKET_H

#include <stdbool.h>

#include "mbt/setup.h"

typedef struct mbt_bucket mbt_bucket;

/* Whether sums lie in the node's memory, if there is room: those that travel as bf16 do not. */
bool mbt_bucket_shares(const mbt_setup *setup);

/* setup: borrowed; the gradient blocks of its workers' plans are read and, in the end, that of the
 * first is written. Collective. */
mbt_status mbt_bucket_create(const mbt_setup *setup, mbt_bucket **bucket,
                             mbt_error *err) MBT_WARN_UNUSED;
void mbt_bucket_destroy(mbt_bucket *bucket); /* Collective. NULL is allowed. */

/* A step of k groups begins, n_mine of them on this rank, shared by its workers as a team does. A
 * rank without groups starts all its sums here, of zeros: collective over the step. */
void mbt_bucket_begin(mbt_bucket *bucket, int k, int n_mine);

/* What mbt_bucket_add wants for groups of that worker: part of the bucket. */
void *mbt_bucket_part(mbt_bucket *bucket, int worker);

/* mbt_exec_ready: floats [first, first+count) of the gradient are complete for the worker's next
 * group. In the order of the block; workers may call at once. The first worker's calls move
 * messages on, and are collective over the step. */
void mbt_bucket_add(void *part, size_t first, size_t count);

/* The buckets, in the order in which their sums start: ranges of the flat block. */
int mbt_bucket_count(const mbt_bucket *bucket);
void mbt_bucket_range(const mbt_bucket *bucket, int index, size_t *first, size_t *count);

/* All groups are there: waits for all sums and leaves the batch's gradient in that of the setup's
 * plan. Returns false when a value of this rank could not be summed (see above): the gradient is of
 * no use then. Called again before the next mbt_bucket_begin it has nothing to wait for, and turns
 * the same sums into the same gradient. Collective. */
bool mbt_bucket_finish(mbt_bucket *bucket);

#endif
