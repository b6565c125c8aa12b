/* One sample as an 8-bit image of the network's input size: fetched, decoded, cropped, resized,
 * its hue, saturation and lightness shifted.
 *
 * What comes out is a function of (crop, epoch, sample id) and the stored sample alone. Our own
 * memory is taken at creation; the decoding libraries take theirs for each image. A loader serves
 * one thread. Depends on augment, dataset, image. */
#ifndef MBT_LOADER_H
#define MBT_LOADER_H

#include "mbt/augment.h"

/* For samples of both splits, and inputs of the size that `augment` says. */
mbt_status mbt_loader_create(const mbt_dataset *dataset, const mbt_augment *augment,
                             mbt_loader **loader, mbt_error *err) MBT_WARN_UNUSED;
void mbt_loader_destroy(mbt_loader *loader); /* NULL is allowed */

size_t mbt_loader_bytes(const mbt_loader *loader); /* of memory it keeps; NULL: 0 */

/* *image: [H][W][C], borrowed until the next call; stored images that need nothing done are not
 * copied. MBT_DATA names the split's sample when it is damaged. */
mbt_status mbt_loader_image(mbt_loader *loader, const mbt_crop *crop, const mbt_split *split,
                            int64_t epoch, uint32_t sample, const uint8_t **image,
                            mbt_error *err) MBT_WARN_UNUSED;

#endif
