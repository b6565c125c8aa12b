/* Skeletons that families share. Of MobileNetV2, IGCV3 and our IGCV2 (Sandler et al. 2018, table 2;
 * Sun et al. 2018, section 3): stem, seven stages of blocks, last 1x1 convolution, pool,
 * classifier.
 */
#ifndef MBT_MODEL_SKELETON_H
#define MBT_MODEL_SKELETON_H

#include "mbt/arch.h"

enum { MBT_STAGES = 7 };

/* A row of blocks per stage, by the name the configuration gives. */
typedef struct mbt_depth {
    const char *name;
    int blocks[MBT_STAGES];
} mbt_depth;

/* A block to append: where it stands and what it has to make of its input. */
typedef struct mbt_block_place {
    const char *prefix; /* of its nodes' names: "blocks.3" */
    int stage, expansion, c_out, stride;
} mbt_block_place;
typedef int mbt_block_fn(mbt_graph *graph, const void *family, int in,
                         const mbt_block_place *place);

typedef struct mbt_skeleton {
    const mbt_depth *depths;
    int n_depths;
    int channels[MBT_STAGES];                      /* of each stage */
    int (*width)(int channels, double multiplier); /* the family's rounding */
    int (*activate)(mbt_graph *graph, int in);     /* behind stem and last convolution */
    mbt_block_fn *block;
    const void *family; /* of block */
} mbt_skeleton;

/* skeleton: a mbt_skeleton. */
mbt_status mbt_skeleton_build(const mbt_arch_request *request, const void *skeleton,
                              mbt_graph *graph, mbt_error *err);

/* The layout of IGCV1 and IGCV2 on CIFAR, ResNet's (He et al. 2016, section 4.2): a stem of c
 * channels, three stages of c, 2c and 4c with `blocks` each, whose later ones begin with stride 2,
 * pool, classifier. A ReLU stands behind the stem. MBT_CONFIG for another downsampling than 4.
 */
mbt_status mbt_three_stages_build(const mbt_arch_request *request, int c, int blocks,
                                  mbt_block_fn *block, const void *family, mbt_graph *graph,
                                  mbt_error *err);

/* A convolution and its batch norm: PREFIX.PART and PREFIX.PART_bn. */
int mbt_conv_bn(mbt_graph *graph, int in, const char *prefix, const char *part, int c_out,
                int kernel, int stride, int groups);

/* The identity is added when a block keeps its shape; bn is the block's last batch norm. */
int mbt_add_identity(mbt_graph *graph, int x, int bn, int in, int stride);

/* MBT_CONFIG: got something else than the names that are wanted, comma separated. */
mbt_status mbt_arch_refuse(const mbt_arch_request *request, const char *key, const char *got,
                           const char *wanted, mbt_error *err);

#endif
