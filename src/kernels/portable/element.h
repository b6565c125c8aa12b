/* An element of a map in either storage. */
#ifndef MBT_KERNELS_PORTABLE_ELEMENT_H
#define MBT_KERNELS_PORTABLE_ELEMENT_H

#include <math.h>
#include <string.h>

#include "kernels/passes.h"

static inline float element(const void *block, size_t at, mbt_storage storage)
{
    float v;
    if (storage == MBT_STORAGE_FP32) {
        return ((const float *)block)[at];
    }
    const uint32_t bits = (uint32_t)((const uint16_t *)block)[at] << 16;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Stores v and returns what is kept of it. */
static inline float element_keep(void *block, size_t at, float v, mbt_storage storage)
{
    const uint32_t own_nan = 0xffc00000u; /* what the processor makes */
    uint32_t bits;
    if (storage == MBT_STORAGE_FP32) {
        ((float *)block)[at] = v;
        return v;
    }
    memcpy(&bits, &v, sizeof bits);
    bits = isnan(v) ? own_nan : bits + 0x8000u; /* the addition would carry some NaN into zero */
    ((uint16_t *)block)[at] = (uint16_t)(bits >> 16);
    return element(block, at, storage);
}

/* One pixel of a moved block, elements `at` .. of the blocks it draws on. */
static inline void gather_pixel(const mbt_layout *l, mbt_map from, int image,
                                const mbt_shuffle_block *move, size_t at, float *to)
{
    memset(to, 0, (size_t)l->block * sizeof *to);
    for (int k = 0; k < move->n_from; k++) {
        const void *block = block_at(l, from, image, move->from[k]);
        for (int c = 0; c < l->block; c++) {
            if ((move->mask[k] >> c & 1u) != 0) {
                to[c] = element(block, at + (size_t)move->lane[k][c], from.storage);
            }
        }
    }
}

#endif
