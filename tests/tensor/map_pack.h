/* Feature maps from and to PyTorch's order, for tests that fill a network's maps or read them: no
 * program converts a whole map. Depends on tensor. */
#ifndef MAP_PACK_H
#define MAP_PACK_H

#include "mbt/tensor.h"

/* Between PyTorch's [N][C][H][W] and the stored layout of an fp32 map; padding is written as zero.
 */
void map_pack(const mbt_layout *l, int n_images, const float *nchw, mbt_map map);
void map_unpack(const mbt_layout *l, int n_images, mbt_map map, float *nchw);

#endif
