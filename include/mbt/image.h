/* Image files in memory: JPEG and PNG to 8-bit RGB, and RGB to JPEG.
 *
 * Pixels are as stored: no colour profile, no gamma, no EXIF rotation, transparency dropped; grey
 * becomes RGB, CMYK is taken as Adobe's inverted one, 16 bits give their upper 8, as in Pillow.
 * What a file is, its first bytes say, not its name. Depends on status. */
#ifndef MBT_IMAGE_H
#define MBT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mbt/status.h"

enum { MBT_IMAGE_SIDE_MAX = 16384, MBT_IMAGE_PIXELS_MAX = 1 << 27 };

typedef struct mbt_image_info {
    const char *kind; /* "JPEG", "PNG": static storage */
    int height, width;
    bool cmyk; /* decoding it takes memory of its own */
} mbt_image_info;

/* What the decoding libraries keep between images; one for each thread. */
typedef struct mbt_decoder mbt_decoder;
mbt_status mbt_decoder_create(mbt_decoder **decoder, mbt_error *err) MBT_WARN_UNUSED;
void mbt_decoder_destroy(mbt_decoder *decoder); /* NULL is allowed */

/* MBT_DATA when the bytes are neither JPEG nor PNG, are cut, or promise an image beyond the limits.
 */
mbt_status mbt_decoder_probe(mbt_decoder *decoder, const uint8_t *bytes, size_t n,
                             mbt_image_info *info, mbt_error *err) MBT_WARN_UNUSED;

/* rgb: [height][width][3] of what probing said. MBT_DATA for whatever the library complains about:
 * a warning of libjpeg means pixels that are not those of the picture. */
mbt_status mbt_decoder_run(mbt_decoder *decoder, const uint8_t *bytes, size_t n,
                           const mbt_image_info *info, uint8_t *rgb,
                           mbt_error *err) MBT_WARN_UNUSED;

/* Baseline JPEG with 4:2:0 chroma; quality 1 .. 100. The caller frees *bytes. */
mbt_status mbt_image_to_jpeg(const uint8_t *rgb, int height, int width, int quality,
                             uint8_t **bytes, size_t *n, mbt_error *err) MBT_WARN_UNUSED;

/* The whole image with its short side `side` (the long one rounded down), or, as a square, only the
 * middle of that; antialiased, as Pillow's BILINEAR. The caller frees *out. */
mbt_status mbt_image_fit(const uint8_t *rgb, int height, int width, int side, bool square,
                         uint8_t **out, int *out_height, int *out_width,
                         mbt_error *err) MBT_WARN_UNUSED;

#endif
