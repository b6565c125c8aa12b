/* What forward and backward share: the cut into tiles, views of maps, a segment's source. */
#ifndef MBT_MODEL_EXEC_TILE_H
#define MBT_MODEL_EXEC_TILE_H

#include "mbt/exec.h"

/* Images first .. first+count-1 of the group, in a lane of scratch. */
typedef struct mbt_tile {
    int first, count;
    mbt_lane *lane;
} mbt_tile;

/* n images are cut into whole tiles, and the rest one by one. */
int mbt_tile_count(const mbt_segment *segment, int n);
mbt_tile mbt_tile_at(const mbt_segment *segment, int n, int index, mbt_lane *lane);

/* A stored value, or its gradient, at the tile. */
mbt_map mbt_tile_value(const mbt_plan *plan, int value, const mbt_tile *tile);
mbt_map mbt_tile_gradient(const mbt_plan *plan, int value, const mbt_tile *tile);
/* A scratch map of the segment's z or output for this tile; scratch is the lane's. */
mbt_map mbt_tile_scratch(const mbt_layout *layout, float *scratch, mbt_storage storage,
                         const mbt_tile *tile);

/* z of the segment for the tile: computed, or where it is stored. `again`: for the backward pass,
 * when a stored z is there already. */
mbt_map mbt_tile_source(mbt_plan *plan, const mbt_segment *segment, const mbt_tile *tile,
                        const mbt_exec_dropout *dropout, bool again);

/* Whether the group's map is read from memory next whatever we do: writing it past the cache leaves
 * the cache to the tile. */
bool mbt_tile_streams(const mbt_plan *plan, const mbt_layout *layout, mbt_storage storage);

/* The convolution's weights as forward wants them: with batch norm folded in when the plan does. */
float *mbt_segment_weights(const mbt_plan *plan, const mbt_segment *segment);

/* a and b of the segment's norm, from the running statistics. */
void mbt_norm_from_running(mbt_plan *plan, const mbt_segment *segment);

/* The group's mean and unbiased variance of the segment's norm, times scale, into the gradient. */
void mbt_norm_statistics(mbt_plan *plan, const mbt_segment *segment, int n, float scale);

/* Runs a convolution pass on the tile. */
void mbt_tile_conv(const mbt_plan *plan, const mbt_segment *segment, const mbt_conv_pass *pass,
                   const mbt_tile *tile, mbt_map in, mbt_map out, float *weights);

/* to = from * mask of dropout, scaled by 1/(1-p); the same mask for the same sample and channel. A
 * copy without dropout. from and to may be one map. */
void mbt_dropout_scale(const mbt_segment *segment, const mbt_tile *tile,
                       const mbt_exec_dropout *dropout, mbt_map from, mbt_map to);

/* Whether threads share this call's group: not when each of them computes one of its own. */
bool mbt_exec_is_shared(const mbt_plan *plan);

/* In the thread of the first lane: the time since the last mark was spent on `op` of the segment.
 * MBT_OP_COUNT: on none that counts.
 */
void mbt_tile_mark(mbt_plan *plan, const mbt_segment *segment, const mbt_lane *lane, mbt_op op);

#endif
