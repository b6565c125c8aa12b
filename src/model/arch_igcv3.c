/* IGCV3-D and IGCV3-W (Sun et al. 2018): MobileNetV2's blocks with interleaved group
 * convolutions, narrower and deeper, or as many and twice as wide.
 *
 * Deviation: the paper does not list the blocks of its 0.7 and 0.5 networks for CIFAR; these rows
 * are ones whose parameter counts fit the printed ones. Nor those of its 0.7 and 1.4 for ImageNet
 * (210 and 610 M multiply-accumulates): widths 0.7 and 1.4 have 175 and 590 M. */
#include <math.h>

#include "arch_rows.h"
#include "inverted_residual.h"

/* The official code's rule: rounded, then up to a multiple of the groups.
 * Deviation: it multiplies the input of a stage's first block twice, which for other widths than 1
 * expands from channels that are not there. */
static int width(int channels, double multiplier)
{
    const int c = (int)lround(channels * multiplier);
    return c + c % 2;
}

static int width_of_fours(int channels, double multiplier)
{
    return ((int)lround(channels * multiplier) + 3) / 4 * 4;
}

static const mbt_depth depths[] = {
    {"1.0", {1, 4, 6, 8, 6, 6, 1}},
    {"0.7", {1, 3, 4, 6, 4, 4, 1}},
    {"0.5", {1, 2, 3, 4, 2, 2, 1}},
};

/* No activation after the expansion, as the official symbol files. */
static const mbt_inverted_residual official_blocks = {
    .groups = {2, 2}, .shuffle = 1, .first_expansion = 1};
static const mbt_skeleton official = MBT_MOBILE_SKELETON(depths, &official_blocks, width);

/* SeesawNet's reproduction of the paper's CIFAR rows. */
static const mbt_inverted_residual seesaw_blocks = {
    .groups = {2, 2}, .shuffle = 1, .output_shuffle = 1, .first_expansion = 1};
static const mbt_skeleton seesaw = MBT_MOBILE_SKELETON(depths, &seesaw_blocks, width);

/* The seed project's PyTorch network. */
static const mbt_inverted_residual seed_blocks = {
    .groups = {2, 2}, .expand_relu6 = 1, .shuffle = 1, .output_shuffle = 1, .first_expansion = 1};
static const mbt_skeleton seed = MBT_MOBILE_SKELETON(depths, &seed_blocks, width);

/* symbols/igcv3_g2g4.py: G1 = 2, G2 = 4. */
static const mbt_inverted_residual g2g4_blocks = {
    .groups = {2, 4}, .shuffle = 1, .first_expansion = 1};
static const mbt_skeleton g2g4 = MBT_MOBILE_SKELETON(depths, &g2g4_blocks, width_of_fours);

/* IGCV3-W (section 4; symbols/igcv3_wider.py): as many blocks as MobileNetV2 has. */
static const mbt_depth wider_depths[] = {{"1.0", {1, 2, 3, 4, 3, 3, 1}}};
static const mbt_skeleton wider = {.depths = wider_depths,
                                   .n_depths = 1,
                                   .channels = {32, 48, 64, 128, 192, 320, 640},
                                   .width = width,
                                   .activate = mbt_graph_relu6,
                                   .block = mbt_inverted_residual_block,
                                   .family = &official_blocks};

const mbt_arch_row mbt_arch_igcv3d = {"igcv3d", "IGCV3-D, the official network", mbt_skeleton_build,
                                      &official};
const mbt_arch_row mbt_arch_igcv3d_seesaw = {"igcv3d_seesaw", "IGCV3-D with the output permutation",
                                             mbt_skeleton_build, &seesaw};
const mbt_arch_row mbt_arch_igcv3d_seed = {
    "igcv3d_seed", "IGCV3-D with ReLU6 after the expansion and the output permutation",
    mbt_skeleton_build, &seed};
const mbt_arch_row mbt_arch_igcv3_g2g4 = {
    "igcv3_g2g4", "IGCV3-D with two groups and four behind them", mbt_skeleton_build, &g2g4};
const mbt_arch_row mbt_arch_igcv3w = {"igcv3w", "IGCV3-W: wider, fewer blocks", mbt_skeleton_build,
                                      &wider};
