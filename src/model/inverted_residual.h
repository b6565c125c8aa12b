/* The block of MobileNetV2 (Sandler et al. 2018, figure 4d) and of IGCV3 (Sun et al. 2018, figure
 * 2): 1x1 convolution, depthwise 3x3, 1x1 convolution. */
#ifndef MBT_MODEL_INVERTED_RESIDUAL_H
#define MBT_MODEL_INVERTED_RESIDUAL_H

#include "skeleton.h"

typedef struct mbt_inverted_residual {
    int groups[2];       /* of the expansion and of the projection */
    int expand_relu6;    /* activation after the expansion */
    int shuffle;         /* interleave the groups after the expansion */
    int output_shuffle;  /* and back, before the residual add */
    int first_expansion; /* the block with t = 1 has its 1x1 convolution too */
} mbt_inverted_residual;

/* family: a mbt_inverted_residual. */
mbt_block_fn mbt_inverted_residual_block;

/* An mbt_skeleton of these blocks, whose t and c of the stages are those of the papers' tables.
 * rows: an array of mbt_depth; family: of the blocks; rule: of widths. */
#define MBT_MOBILE_SKELETON(rows, blocks, rule)                                                    \
    {                                                                                              \
        .depths = (rows), .n_depths = sizeof(rows) / sizeof(rows)[0],                              \
        .channels = {16, 24, 32, 64, 96, 160, 320}, .width = (rule), .activate = mbt_graph_relu6,  \
        .block = mbt_inverted_residual_block, .family = (blocks)                                   \
    }

#endif
