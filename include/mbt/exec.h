/* Running a plan: forward, backward, evaluation of one group. A loop that neither chooses nor
 * allocates. The plan's threads share the group; called in a parallel region the calling thread
 * computes it alone. Depends on plan, timer, OpenMP. */
#ifndef MBT_EXEC_H
#define MBT_EXEC_H

#include <stdint.h>

#include "mbt/plan.h"

/* Called when a range of the gradient block is complete for this group; ranges come in order of
 * the flat block and cover it. Between tiles it is called with count 0: messages under way may be
 * moved on. */
typedef void mbt_exec_ready(void *context, size_t first, size_t count);

/* What dropout draws depend on; sample_ids [n]. rate 0 of the graph: not used. */
typedef struct mbt_exec_dropout {
    uint64_t seed;
    uint32_t epoch;
    const uint32_t *sample_ids;
} mbt_exec_dropout;

/* Weights changed: lay out the copies that kernels want. Once per step, before the first group. */
void mbt_exec_prepare(mbt_plan *plan);

/* The network's input, float [group][C][H][W], to be filled before forward. */
float *mbt_exec_input(mbt_plan *plan);

/* Training forward of n images with statistics of this group. dropout NULL: off. */
void mbt_exec_forward(mbt_plan *plan, int n, const mbt_exec_dropout *dropout);

/* Forward with running statistics. */
void mbt_exec_evaluate(mbt_plan *plan, int n);

/* The output value after forward or evaluate: [n][stored channels] for a classifier, and where its
 * gradient must be before backward. */
const float *mbt_exec_output(const mbt_plan *plan);
float *mbt_exec_output_gradient(mbt_plan *plan);

/* Backward of the group that forward ran on. Fills plan->gradient; running-statistics slices get
 * the group's mean and unbiased variance times stats_scale (1/k). ready may be NULL. */
void mbt_exec_backward(mbt_plan *plan, int n, float stats_scale, const mbt_exec_dropout *dropout,
                       mbt_exec_ready *ready, void *context);

/* Into plan->gradient what backward would put there of running statistics: mean and unbiased
 * variance of the group of n that forward ran on, times scale. */
void mbt_exec_statistics(mbt_plan *plan, int n, float scale);

/* From now on every operation's time is added to seconds[segment * MBT_OP_COUNT + op], of which
 * there are plan->n_segments * MBT_OP_COUNT: borrowed until the next call. NULL: measure nothing.
 * MBT_OP_QUANTISE has what backward's caller did with the segment's gradient (ready). Where threads
 * share a group the first one's operations are measured. */
void mbt_exec_profile(mbt_plan *plan, double *seconds);

#endif
