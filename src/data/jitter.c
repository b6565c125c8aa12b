/* Colour jitter on 8-bit images as Pillow computes it. */
#include "jitter.h"

#include <assert.h>
#include <stdint.h>

enum { RGB = 3 };

/* Pillow's L: ITU-R 601-2 luma in 16-bit fixed point, rounded. */
static float grey(const float *red, size_t plane)
{
    return (float)(((int)red[0] * 19595 + (int)red[plane] * 38470 + (int)red[2 * plane] * 7471 +
                    0x8000) >>
                   16);
}

/* int(mean + 0.5) of the grey image, in whole numbers. */
static float mean_grey(const float *image, size_t plane)
{
    int64_t n = (int64_t)plane;
    int64_t sum = 0;
    assert(n > 0);
    for (size_t i = 0; i < plane; i++) {
        sum += (int64_t)grey(image + i, plane);
    }
    int64_t mean = (2 * sum + n) / (2 * n);
    return (float)mean;
}

/* Image.blend on bytes: float arithmetic, cut to 0..255, the fraction dropped. */
static float blend(float from, float to, float factor)
{
    float value = from + factor * (to - from);
    if (value <= 0.0f) {
        return 0.0f;
    }
    return value >= 255.0f ? 255.0f : (float)(int)value;
}

void mbt_jitter_apply(mbt_jitter kind, float factor, size_t plane, float *image)
{
    if (factor == 1.0f) { /* Pillow copies */
        return;
    }
    if (kind == MBT_JITTER_SATURATION) {
        for (size_t i = 0; i < plane; i++) {
            float from = grey(image + i, plane);
            for (size_t c = 0; c < RGB; c++) {
                image[c * plane + i] = blend(from, image[c * plane + i], factor);
            }
        }
        return;
    }
    float from = kind == MBT_JITTER_CONTRAST ? mean_grey(image, plane) : 0.0f;
    for (size_t i = 0; i < RGB * plane; i++) {
        image[i] = blend(from, image[i], factor);
    }
}
