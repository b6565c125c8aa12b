/* The memory passes that the table lists (kernel.h has their equations), and how they find a block
 * of channels. */
#ifndef MBT_KERNELS_PASSES_H
#define MBT_KERNELS_PASSES_H

#include <math.h>

#include "mbt/kernel.h"

mbt_stats_fn mbt_stats_portable, mbt_stats_avx2, mbt_stats_avx512;
mbt_apply_fn mbt_apply_portable, mbt_apply_avx2, mbt_apply_avx512;
mbt_apply_backward_fn mbt_apply_backward_portable, mbt_apply_backward_avx2,
    mbt_apply_backward_avx512;
mbt_norm_backward_fn mbt_norm_backward_portable, mbt_norm_backward_avx2, mbt_norm_backward_avx512;
mbt_depthwise_forward_fn mbt_depthwise_forward_avx2, mbt_depthwise_forward_avx512;
mbt_depthwise_backward_fn mbt_depthwise_backward_avx2, mbt_depthwise_backward_avx512;
extern const mbt_conv_ops mbt_pointwise_avx2, mbt_pointwise_avx512;
mbt_pool_fn mbt_pool_portable, mbt_pool_avx2, mbt_pool_avx512;
mbt_pool_backward_fn mbt_pool_backward_portable, mbt_pool_backward_avx2, mbt_pool_backward_avx512;
mbt_quantise_fn mbt_quantise_portable, mbt_quantise_avx2, mbt_quantise_avx512;

/* Rows of each ring in a depthwise kernel's scratch. */
enum { DEPTHWISE_RING = 4 };

/* An activation cuts at these bounds; its derivative is 1 strictly between them. */
static inline float activation_low(mbt_activation act)
{
    return act == MBT_ACT_NONE ? -INFINITY : 0.0f;
}

static inline float activation_high(mbt_activation act)
{
    return act == MBT_ACT_RELU6 ? 6.0f : INFINITY;
}

/* The 1x1 map that pooling makes. */
static inline mbt_layout pooled_layout(const mbt_layout *l)
{
    mbt_layout out = *l;
    out.h = out.w = 1;
    return out;
}

/* Blocks of a layout over all its sections. */
static inline int block_count(const mbt_layout *l)
{
    return mbt_layout_stored(l) / l->block;
}

/* Where the blocks of a map lie, worked out once a call: to divide for every plane costs more than
 * a plane of 4x4 pixels does. In bytes. */
struct blocks {
    unsigned char *data;
    size_t slab, image, section; /* from one to the next; slab: [H][W][B] */
    int per_section;
};

static inline struct blocks blocks_of(const mbt_layout *l, mbt_map map)
{
    const size_t bytes = mbt_storage_bytes(map.storage);
    return (struct blocks){
        .data = map.data,
        .slab = (size_t)l->h * (size_t)l->w * (size_t)l->block * bytes,
        .image = mbt_layout_image(l) * bytes,
        .section = map.section * bytes,
        .per_section = mbt_layout_section(l) / l->block,
    };
}

/* Block k (over all sections) of the first image; image i's lies i * blocks->image behind. */
static inline void *block_first(const struct blocks *blocks, int k)
{
    return blocks->data + (size_t)(k / blocks->per_section) * blocks->section +
           (size_t)(k % blocks->per_section) * blocks->slab;
}

static inline void *block_at(const mbt_layout *l, mbt_map map, int image, int k)
{
    const struct blocks blocks = blocks_of(l, map);
    return (unsigned char *)block_first(&blocks, k) + (size_t)image * blocks.image;
}

#endif
