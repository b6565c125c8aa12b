/* The skeleton that MobileNetV2 and IGCV3 share (Sandler et al. 2018, table 2; Sun et al. 2018,
 * section 3): stem, seven stages of inverted residuals, last 1x1 convolution, pool, classifier. */
#ifndef MBT_MODEL_INVERTED_RESIDUAL_H
#define MBT_MODEL_INVERTED_RESIDUAL_H

#include "mbt/arch.h"

enum { MBT_STAGES = 7 };

/* A row of blocks per stage, by the name the configuration gives. */
typedef struct mbt_depth {
    const char *name;
    int blocks[MBT_STAGES];
} mbt_depth;

typedef struct mbt_inverted_residual {
    const mbt_depth *depths;
    int n_depths;
    int groups;          /* of both 1x1 convolutions of a block */
    int expand_relu6;    /* activation after the expansion */
    int shuffle;         /* interleave the groups after the expansion */
    int output_shuffle;  /* and back, before the residual add */
    int first_expansion; /* the block with t = 1 has its 1x1 convolution too */
    int (*width)(int channels, double multiplier); /* the family's rounding */
} mbt_inverted_residual;

/* family: a mbt_inverted_residual. */
mbt_status mbt_inverted_residual_build(const mbt_arch_request *request, const void *family,
                                       mbt_graph *graph, mbt_error *err);

#endif
