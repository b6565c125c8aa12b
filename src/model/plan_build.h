/* The steps of making a plan, each in its own file: segments from the graph, kernels and tiles for
 * the segments, memory for all of it. */
#ifndef MBT_MODEL_PLAN_BUILD_H
#define MBT_MODEL_PLAN_BUILD_H

#include "mbt/plan.h"

/* Fills segments, values, norms and params. plan->options must be set. */
mbt_status mbt_plan_make_segments(mbt_plan *plan, const mbt_graph *graph, mbt_error *err);

/* Whether a map in one layout can be read in the other as it is. */
bool mbt_plan_same_layout(const mbt_layout *a, const mbt_layout *b);

/* For a plan that does not train: batch norms become part of the convolutions before them. */
void mbt_plan_fold(mbt_plan *plan);

/* Chooses kernels and tiles and makes the convolutions' instances. */
mbt_status mbt_plan_choose_kernels(mbt_plan *plan, mbt_error *err);
void mbt_plan_release_kernels(mbt_plan *plan);

/* A value, and its gradient, as stored for so many images. */
size_t mbt_plan_value_bytes(const mbt_value *value, int n_images);
size_t mbt_plan_gradient_bytes(const mbt_value *value, int n_images);

/* Maps the arena and hands out every pointer of the plan. */
mbt_status mbt_plan_lay_memory(mbt_plan *plan, mbt_error *err);

#endif
