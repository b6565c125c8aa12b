/* Jitter of hue, saturation and lightness as MXNet's default augmenter: the 8-bit HLS of OpenCV
 * (hue 0..180), a whole number added to each and cut at the ends, and back. Private to src/data.
 * Depends on nothing. */
#ifndef MBT_DATA_HSL_H
#define MBT_DATA_HSL_H

#include <stddef.h>
#include <stdint.h>

typedef struct hsl_shift {
    int hue, saturation, lightness;
} hsl_shift;

/* rgb: n pixels, in place. */
void hsl_apply(const hsl_shift *shift, size_t n, uint8_t *rgb);

#endif
