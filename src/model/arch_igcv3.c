/* IGCV3-D (Sun et al. 2018), networks.md A.2: MobileNetV2's blocks with interleaved group
 * convolutions, narrower and deeper.
 *
 * Deviation: the paper does not list the blocks of its 0.7 and 0.5 networks; these rows are the
 * ones of networks.md whose parameter counts fit the printed ones. */
#include <math.h>

#include "arch_rows.h"
#include "inverted_residual.h"

/* The official code's rule: rounded, then up to an even number. */
static int width(int channels, double multiplier)
{
    const int c = (int)lround(channels * multiplier);
    return c + c % 2;
}

static const mbt_depth depths[] = {
    {"1.0", {1, 4, 6, 8, 6, 6, 1}},
    {"0.7", {1, 3, 4, 6, 4, 4, 1}},
    {"0.5", {1, 2, 3, 4, 2, 2, 1}},
};

/* No activation after the expansion, as the official symbol files. */
static const mbt_inverted_residual official = {.depths = depths,
                                               .n_depths = 3,
                                               .groups = 2,
                                               .shuffle = 1,
                                               .first_expansion = 1,
                                               .width = width};

/* SeesawNet's reproduction of the paper's CIFAR rows. */
static const mbt_inverted_residual seesaw = {.depths = depths,
                                             .n_depths = 3,
                                             .groups = 2,
                                             .shuffle = 1,
                                             .output_shuffle = 1,
                                             .first_expansion = 1,
                                             .width = width};

/* The seed project's PyTorch network. */
static const mbt_inverted_residual seed = {.depths = depths,
                                           .n_depths = 3,
                                           .groups = 2,
                                           .expand_relu6 = 1,
                                           .shuffle = 1,
                                           .output_shuffle = 1,
                                           .first_expansion = 1,
                                           .width = width};

const mbt_arch_row mbt_arch_igcv3d = {"igcv3d", "IGCV3-D, the official network",
                                      mbt_inverted_residual_build, &official};
const mbt_arch_row mbt_arch_igcv3d_seesaw = {"igcv3d_seesaw", "IGCV3-D with the output permutation",
                                             mbt_inverted_residual_build, &seesaw};
const mbt_arch_row mbt_arch_igcv3d_seed = {
    "igcv3d_seed", "IGCV3-D with ReLU6 after the expansion and the output permutation",
    mbt_inverted_residual_build, &seed};
