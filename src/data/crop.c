/* Crops: torchvision's RandomResizedCrop and Resize + CenterCrop, MXNet's random scale.
 *
 * Draws of a sample, keyed (seed, CROP, epoch, sample id). Resized: for each of at most ten tries
 * area and aspect ratio, then row and column. Scaled: scale, row, column. Nothing here depends on
 * libm's exp and log, which differ between machines in the last bit. */
#include "crop.h"

#include <assert.h>
#include <math.h>

#include "mbt/rng.h"

enum { TRIES = 10, TERMS = 30 };

/* Taylor's series; |x| is below 2 here. */
static double exponential(double x)
{
    double term = 1, sum = 1;
    for (int k = 1; k < TERMS; k++) {
        term *= x / k;
        sum += term;
    }
    return sum;
}

/* 2 artanh((x - 1) / (x + 1)); x is 1 .. 4 here. */
static double logarithm(double x)
{
    const double z = (x - 1) / (x + 1);
    double power = z, sum = 0;
    for (int k = 1; k < 4 * TERMS; k += 2) {
        sum += power / k;
        power *= z * z;
    }
    return 2 * sum;
}

static double uniform(mbt_rng *rng, double low, double high)
{
    return low + (high - low) * (double)mbt_rng_uniform(rng);
}

static int nearest(double x)
{
    return (int)(x + 0.5);
}

/* A part of the picture, all of it resized to the input's size. */
static crop_box part_of(const mbt_crop *crop, int top, int left, int height, int width)
{
    const int size = crop->size;
    return (crop_box){top, left, {height, size, 0, size}, {width, size, 0, size}};
}

/* torchvision.transforms.RandomResizedCrop.get_params */
static crop_box resized(const mbt_crop *crop, mbt_rng *rng, int height, int width)
{
    const double area = (double)height * width;
    const double log_ratio = logarithm(crop->ratio);
    for (int k = 0; k < TRIES; k++) {
        const double target = area * uniform(rng, crop->scale_min, crop->scale_max);
        const double aspect = exponential(uniform(rng, -log_ratio, log_ratio));
        const int w = nearest(sqrt(target * aspect));
        const int h = nearest(sqrt(target / aspect));
        if (w > 0 && w <= width && h > 0 && h <= height) {
            const int top = (int)mbt_rng_below(rng, (uint32_t)(height - h + 1));
            const int left = (int)mbt_rng_below(rng, (uint32_t)(width - w + 1));
            return part_of(crop, top, left, h, w);
        }
    }
    /* the centre, as much of it as the ratio allows */
    int h = height, w = width;
    if (width * crop->ratio < height) {
        h = nearest(width * crop->ratio);
    } else if (width > height * crop->ratio) {
        w = nearest(height * crop->ratio);
    }
    return part_of(crop, (height - h) / 2, (width - w) / 2, h, w);
}

/* The whole picture with its short side `side`, without a window yet. The long side is cut to a
 * whole number, as torchvision's Resize does. */
static crop_box whole(const mbt_crop *crop, int side, int height, int width)
{
    const int shorter = height < width ? height : width;
    const int rows = (int)((int64_t)side * height / shorter);
    const int columns = (int)((int64_t)side * width / shorter);
    return (crop_box){0, 0, {height, rows, 0, crop->size}, {width, columns, 0, crop->size}};
}

static crop_box scaled(const mbt_crop *crop, mbt_rng *rng, int height, int width)
{
    const int side = nearest(crop->short_side * uniform(rng, crop->scale_min, crop->scale_max));
    crop_box box = whole(crop, side > crop->size ? side : crop->size, height, width);
    box.rows.first = (int)mbt_rng_below(rng, (uint32_t)(box.rows.out - crop->size + 1));
    box.columns.first = (int)mbt_rng_below(rng, (uint32_t)(box.columns.out - crop->size + 1));
    return box;
}

/* Half of an even number; of an odd one, whichever whole number beside it is even. */
static int half(int n)
{
    return n / 2 + (n % 2 & n / 2 % 2);
}

/* torchvision's Resize and CenterCrop */
static crop_box centre(const mbt_crop *crop, int height, int width)
{
    const int side = crop->short_side > crop->size ? crop->short_side : crop->size;
    crop_box box = whole(crop, side, height, width);
    box.rows.first = half(box.rows.out - crop->size);
    box.columns.first = half(box.columns.out - crop->size);
    return box;
}

crop_box crop_choose(const mbt_crop *crop, int64_t epoch, uint32_t sample, int height, int width)
{
    mbt_rng rng = mbt_rng_at(crop->seed, MBT_PURPOSE_CROP, (uint32_t)epoch, sample);
    assert(crop->kind != MBT_CROP_PAD && crop->size > 0);
    switch (crop->kind) {
    case MBT_CROP_RESIZED:
        return resized(crop, &rng, height, width);
    case MBT_CROP_SCALED:
        return scaled(crop, &rng, height, width);
    default:
        return centre(crop, height, width);
    }
}
