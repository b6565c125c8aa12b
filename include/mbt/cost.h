/* What an operation of a plan has to do at least: arithmetic, and bytes to and from memory. Pure
 * functions of plan and segment; what was measured is compared with them. Depends on plan. */
#ifndef MBT_COST_H
#define MBT_COST_H

#include "mbt/plan.h"

typedef struct mbt_cost {
    double flops; /* a multiply-add is two; padding is none */
    double bytes; /* maps and weights that cannot stay in cache between two uses; with padding */
    double bf16_flops; /* of the flops, those on products of bf16 */
} mbt_cost;

/* Of operation `op` (mbt_exec_profile's) of the segment on n images, over a forward pass and, when
 * the plan trains, a backward pass. Zero where the segment has no such operation, and for
 * MBT_OP_QUANTISE: what the reduction takes depends on its kind, not on the plan. */
mbt_cost mbt_cost_of(const mbt_plan *plan, const mbt_segment *segment, mbt_op op, int n);

void mbt_cost_add(mbt_cost *sum, mbt_cost more);

/* Images of a group of n that the first lane works on. */
int mbt_cost_first_lane(const mbt_plan *plan, const mbt_segment *segment, int n);

#endif
