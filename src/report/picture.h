/* Pictures as PNG. Private to report/. */
#ifndef MBT_REPORT_PICTURE_H
#define MBT_REPORT_PICTURE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mbt/status.h"

/* The drawing of an SVG file at `scale` as a PNG file in memory; caller frees *png. */
mbt_status picture_of_svg(const char *svg, size_t bytes, double scale, unsigned char **png,
                          size_t *png_bytes, mbt_error *err) MBT_WARN_UNUSED;

/* pixels: [height][width][channels], 1 or 3 channels. Writes "data:image/png;base64,...". */
mbt_status picture_put_data(const uint8_t *pixels, int height, int width, int channels, FILE *out,
                            mbt_error *err) MBT_WARN_UNUSED;

#endif
