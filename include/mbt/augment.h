/* From a stored image to the network's input: pad-crop, flip, colour jitter, normalisation.
 *
 * What happens to a sample depends on (seed, epoch, sample id) alone. Order as in the seed
 * project's torchvision pipeline: crop, flip, colour jitter, normalise. Depends on rng, config,
 * dataset. */
#ifndef MBT_AUGMENT_H
#define MBT_AUGMENT_H

#include <stdint.h>

#include "mbt/config.h"
#include "mbt/dataset.h"

/* Plain data, fixed for a run. */
typedef struct mbt_augment {
    int height, width, channels;
    float mean[MBT_CHANNELS_MAX], inverse_deviation[MBT_CHANNELS_MAX]; /* in 0..255 */
    uint64_t seed;
    int pad;               /* pixels; 0 and the fields below off for evaluation */
    mbt_pad_mode pad_mode; /* MBT_PAD_ZERO pads with black (0) pixels before normalising, as
                              torchvision's RandomCrop */
    int flip;
    float brightness, contrast, saturation; /* factor uniform in [max(0, 1-a), 1+a] */
} mbt_augment;

/* The training pipeline of a configuration, and the plain one (normalisation alone). */
void mbt_augment_init(mbt_augment *augment, const mbt_config *config, const mbt_dataset *dataset);
void mbt_augment_init_plain(mbt_augment *augment, const mbt_dataset *dataset);

/* image: uint8 [H][W][C]; out: float [C][H][W]. Colour jitter follows torchvision's ColorJitter on
 * 8-bit images (brightness, contrast, saturation in random order; results rounded to 0..255 after
 * each); it applies to three channels only. */
void mbt_augment_image(const mbt_augment *augment, int64_t epoch, uint32_t sample,
                       const uint8_t *image, float *out);

/* A group at once: ids[n] into the split's images; x: float [n][C][H][W], labels: [n]. */
void mbt_augment_group(const mbt_augment *augment, const mbt_split *split, int64_t epoch,
                       const uint32_t *ids, int n, float *x, int32_t *labels);

#endif
