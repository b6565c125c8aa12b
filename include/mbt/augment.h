/* From an image of the input's size to the network's input: pad-crop, flip, colour jitter,
 * normalisation, cutout. What makes other images that size comes before, in the loader.
 *
 * What happens to a sample depends on (seed, epoch, sample id) alone. Order as in the seed
 * project's torchvision pipeline: crop, flip, colour jitter, normalise; then cutout. Depends on
 * rng, config, dataset. */
#ifndef MBT_AUGMENT_H
#define MBT_AUGMENT_H

#include <stdint.h>

#include "mbt/config.h"
#include "mbt/dataset.h"

typedef struct mbt_loader mbt_loader; /* loader.h */

/* How the loader cuts the input from an image; plain data. */
typedef struct mbt_crop {
    mbt_crop_kind kind;
    int size;                           /* side of the input; unused for MBT_CROP_PAD */
    double scale_min, scale_max, ratio; /* see the keys of the same names */
    int short_side;
    int hsl[3]; /* largest shifts of hue, saturation, lightness */
    uint64_t seed;
} mbt_crop;

/* Plain data, fixed for a run. */
typedef struct mbt_augment {
    int height, width, channels; /* of the network's input */
    mbt_crop crop;               /* what comes before: see loader.h */
    float mean[MBT_CHANNELS_MAX], inverse_deviation[MBT_CHANNELS_MAX]; /* in 0..255 */
    uint64_t seed;
    int pad;               /* pixels; 0 and the fields below off for evaluation */
    mbt_pad_mode pad_mode; /* MBT_PAD_ZERO pads with black (0) pixels before normalising, as
                              torchvision's RandomCrop; MBT_PAD_MEAN with what becomes 0 there,
                              with jitter the whole number next to it */
    int flip;
    mbt_flip_mode flip_mode;
    float brightness, contrast, saturation; /* factor uniform in [max(0, 1-a), 1+a] */
    int cutout;                             /* side of the square, pixels */
} mbt_augment;

/* MBT_CONFIG when the input cannot be made from the data set's images as the configuration says. */
mbt_status mbt_augment_check(const mbt_config *config, const mbt_dataset *dataset,
                             mbt_error *err) MBT_WARN_UNUSED;

/* The training pipeline of a configuration that was checked, and the plain one: the centre or all
 * of the image, and normalisation. */
void mbt_augment_init(mbt_augment *augment, const mbt_config *config, const mbt_dataset *dataset);
void mbt_augment_init_plain(mbt_augment *augment, const mbt_config *config,
                            const mbt_dataset *dataset);

/* image: uint8 [H][W][C]; out: float [C][H][W]. Colour jitter follows torchvision's ColorJitter on
 * 8-bit images (brightness, contrast, saturation in random order; results rounded to 0..255 after
 * each); it applies to three channels only. */
void mbt_augment_image(const mbt_augment *augment, int64_t epoch, uint32_t sample,
                       const uint8_t *image, float *out);

/* A group at once: ids[n] into the split's images, which the loader fetches; x: float
 * [n][C][H][W], labels: [n]. MBT_DATA when a streamed image is damaged. */
mbt_status mbt_augment_group(const mbt_augment *augment, mbt_loader *loader, const mbt_split *split,
                             int64_t epoch, const uint32_t *ids, int n, float *x, int32_t *labels,
                             mbt_error *err) MBT_WARN_UNUSED;

#endif
