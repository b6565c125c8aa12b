/* Colour jitter: what torchvision's ColorJitter gets from Pillow for 8-bit RGB images
 * (ImageEnhance.py; Blend.c and Convert.c of its libImaging), byte for byte. Private to data.
 * Depends on nothing. */
#ifndef MBT_DATA_JITTER_H
#define MBT_DATA_JITTER_H

#include <stddef.h>

typedef enum mbt_jitter {
    MBT_JITTER_BRIGHTNESS, /* blends with black */
    MBT_JITTER_CONTRAST,   /* with the mean of the grey image */
    MBT_JITTER_SATURATION, /* with the grey image */
    MBT_JITTER_COUNT
} mbt_jitter;

/* image: three planes, red, green, blue, of `plane` floats each that hold whole numbers 0..255,
 * before and after. A factor of 0 gives what is blended with, 1 the image; any factor >= 0 is
 * allowed. */
void mbt_jitter_apply(mbt_jitter kind, float factor, size_t plane, float *image);

#endif
