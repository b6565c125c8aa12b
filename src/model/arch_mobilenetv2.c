/* MobileNetV2 (Sandler et al. 2018, table 2). */
#include "arch_rows.h"
#include "inverted_residual.h"

static int width(int channels, double multiplier)
{
    return (int)(channels * multiplier);
}

/* torchvision's and TF-Slim's: the nearest multiple of 8 that takes no more than a tenth away. */
static int width_of_eights(int channels, double multiplier)
{
    const double wanted = channels * multiplier;
    const int nearest = (int)(wanted + 4) / 8 * 8;
    const int c = nearest > 8 ? nearest : 8;
    return c < 0.9 * wanted ? c + 8 : c;
}

static const mbt_depth depths[] = {{"1.0", {1, 2, 3, 4, 3, 3, 1}}};

/* Table 2 read literally: the block with t = 1 has its 1x1 convolution, as in the seed project. */
static const mbt_inverted_residual literal = {
    .groups = {1, 1}, .expand_relu6 = 1, .first_expansion = 1};
static const mbt_skeleton with_first = MBT_MOBILE_SKELETON(depths, &literal, width);

/* Without it, as torchvision and the authors' later code. */
static const mbt_inverted_residual torchvision = {.groups = {1, 1}, .expand_relu6 = 1};
static const mbt_skeleton without_first =
    MBT_MOBILE_SKELETON(depths, &torchvision, width_of_eights);

const mbt_arch_row mbt_arch_mobilenetv2 = {"mobilenetv2", "MobileNetV2, table 2 of the paper",
                                           mbt_skeleton_build, &with_first};
const mbt_arch_row mbt_arch_mobilenetv2_torchvision = {
    "mobilenetv2_torchvision", "MobileNetV2 without the 1x1 convolution of the first block",
    mbt_skeleton_build, &without_first};
