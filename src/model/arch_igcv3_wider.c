/* IGCV3-W (Sun et al. 2018, section 4; official symbols/igcv3_wider.py), networks.md A.2: IGCV3's
 * blocks as many as MobileNetV2 has and twice as wide. */
#include <math.h>

#include "arch_rows.h"
#include "inverted_residual.h"

/* Rounded, then up to an even number. */
static int width(int channels, double multiplier)
{
    const int c = (int)lround(channels * multiplier);
    return c + c % 2;
}

static const mbt_depth depths[] = {{"1.0", {1, 2, 3, 4, 3, 3, 1}}};
static const mbt_inverted_residual blocks = {.groups = {2, 2}, .shuffle = 1, .first_expansion = 1};
static const mbt_skeleton wider = {.depths = depths,
                                   .n_depths = 1,
                                   .channels = {32, 48, 64, 128, 192, 320, 640},
                                   .width = width,
                                   .activate = mbt_graph_relu6,
                                   .block = mbt_inverted_residual_block,
                                   .family = &blocks};

const mbt_arch_row mbt_arch_igcv3w = {"igcv3w", "IGCV3-W: wider, fewer blocks", mbt_skeleton_build,
                                      &wider};
