/* From an image to the network's input.
 *
 * Draws of a sample, keyed (seed, AUGMENT, epoch, sample id), in this order: crop row, crop column
 * (each 0 .. 2*pad), flip, order of the jitter, brightness, contrast, saturation, row and column of
 * the cutout's centre. All are drawn whether they are used or not, so switching one step off leaves
 * the others as they were.
 *
 * The image is worked on in place in `out`: planes of floats that hold whole numbers 0..255 until
 * the last step normalises them; so no scratch is needed. */
#include "mbt/augment.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "jitter.h"
#include "mbt/loader.h"
#include "mbt/rng.h"

enum { N_ORDERS = 6, RGB = 3 };

typedef struct draws {
    int row, column; /* of the crop in the padded image */
    bool flip;
    unsigned order;                 /* of the jitter, row of `orders` */
    float factor[MBT_JITTER_COUNT]; /* 1: as it is */
    int cut_row, cut_column;        /* centre of the cutout */
} draws;

static void init_common(mbt_augment *augment, const mbt_config *config, const mbt_dataset *dataset)
{
    const mbt_config_list *means = &config->augment.mean;
    const mbt_config_list *deviations = &config->augment.deviation;
    const int size = (int)config->data.image_size;
    *augment = (mbt_augment){.height = size > 0 ? size : dataset->height,
                             .width = size > 0 ? size : dataset->width,
                             .channels = dataset->channels,
                             .crop = {.size = size, .seed = (uint64_t)config->train.seed}};
    for (int c = 0; c < dataset->channels; c++) {
        const double mean = means->count > 0 ? means->value[c] : dataset->mean[c];
        const double deviation =
            deviations->count > 0 ? deviations->value[c] : dataset->deviation[c];
        augment->mean[c] = (float)mean;
        augment->inverse_deviation[c] = (float)(1.0 / deviation);
    }
}

/* Whether images are stored in the input's size. */
static bool fits(const mbt_config *config, const mbt_dataset *dataset)
{
    const int64_t size = config->data.image_size;
    return dataset->height > 0 &&
           (size == 0 || (size == dataset->height && size == dataset->width));
}

static mbt_status check_list(const char *key, const mbt_config_list *list, int channels,
                             mbt_error *err)
{
    return list->count == 0 || list->count == channels
               ? MBT_OK
               : mbt_fail(err, MBT_CONFIG, "%s: got %d numbers, the images have %d channels", key,
                          list->count, channels);
}

mbt_status mbt_augment_check(const mbt_config *config, const mbt_dataset *dataset, mbt_error *err)
{
    const bool hsl = config->augment.hsl_hue > 0 || config->augment.hsl_saturation > 0 ||
                     config->augment.hsl_lightness > 0;
    if (dataset->height == 0 && config->data.image_size == 0) {
        return mbt_fail(err, MBT_CONFIG,
                        "data.image_size: got 0, the images of %s have sizes of their own: wanted "
                        "the side of the network's input",
                        dataset->name);
    }
    if (config->augment.crop == MBT_CROP_PAD && !fits(config, dataset)) {
        return mbt_fail(err, MBT_CONFIG,
                        "augment.crop: got pad, the images of %s are not of data.image_size, "
                        "%d x %d: wanted resized or scaled",
                        dataset->name, (int)config->data.image_size, (int)config->data.image_size);
    }
    if (hsl && dataset->channels != RGB) {
        return mbt_fail(err, MBT_CONFIG,
                        "augment.hsl_hue, .hsl_saturation, .hsl_lightness: got one above 0, the "
                        "images have %d channels, wanted 3",
                        dataset->channels);
    }
    mbt_status status = check_list("augment.mean", &config->augment.mean, dataset->channels, err);
    return status ? status
                  : check_list("augment.deviation", &config->augment.deviation, dataset->channels,
                               err);
}

void mbt_augment_init(mbt_augment *augment, const mbt_config *config, const mbt_dataset *dataset)
{
    init_common(augment, config, dataset);
    augment->crop.kind = config->augment.crop;
    augment->crop.scale_min = config->augment.scale_min;
    augment->crop.scale_max = config->augment.scale_max;
    augment->crop.ratio = config->augment.ratio;
    augment->crop.short_side = (int)config->augment.short_side;
    augment->crop.hsl[0] = (int)config->augment.hsl_hue;
    augment->crop.hsl[1] = (int)config->augment.hsl_saturation;
    augment->crop.hsl[2] = (int)config->augment.hsl_lightness;
    augment->seed = (uint64_t)config->train.seed;
    augment->pad = config->augment.crop == MBT_CROP_PAD ? (int)config->augment.pad : 0;
    augment->pad_mode = config->augment.pad_mode;
    augment->flip = config->augment.flip;
    augment->flip_mode = config->augment.flip_mode;
    augment->cutout = (int)config->augment.cutout;
    augment->brightness = (float)config->augment.brightness;
    augment->contrast = (float)config->augment.contrast;
    augment->saturation = (float)config->augment.saturation;
}

void mbt_augment_init_plain(mbt_augment *augment, const mbt_config *config,
                            const mbt_dataset *dataset)
{
    const int64_t side = config->evaluate.short_side;
    init_common(augment, config, dataset);
    augment->crop.kind =
        fits(config, dataset) && side <= config->data.image_size ? MBT_CROP_PAD : MBT_CROP_CENTRE;
    augment->crop.short_side = (int)(side > 0 ? side : (8 * config->data.image_size + 3) / 7);
}

static float draw_factor(mbt_rng *rng, float amount)
{
    float low = amount < 1.0f ? 1.0f - amount : 0.0f;
    return low + (1.0f + amount - low) * mbt_rng_uniform(rng);
}

/* Jordan, "94% on CIFAR-10 in 3.29 seconds", 2024, section 3.6: after a first draw an image turns
 * from epoch to epoch, so that two epochs show both sides of every image. */
static bool alternates(const mbt_augment *augment, int64_t epoch, uint32_t sample)
{
    mbt_rng rng = mbt_rng_at(augment->seed, MBT_PURPOSE_FLIP, 0, sample);
    return (mbt_rng_below(&rng, 2) + (uint64_t)epoch) % 2 != 0;
}

static draws draw(const mbt_augment *augment, int64_t epoch, uint32_t sample)
{
    mbt_rng rng = mbt_rng_at(augment->seed, MBT_PURPOSE_AUGMENT, (uint32_t)epoch, sample);
    uint32_t n_offsets = 2 * (uint32_t)augment->pad + 1;
    draws d;
    d.row = (int)mbt_rng_below(&rng, n_offsets);
    d.column = (int)mbt_rng_below(&rng, n_offsets);
    bool coin = mbt_rng_below(&rng, 2) != 0;
    if (augment->flip_mode == MBT_FLIP_ALTERNATING) {
        coin = alternates(augment, epoch, sample);
    }
    d.flip = coin && augment->flip;
    d.order = mbt_rng_below(&rng, N_ORDERS);
    d.factor[MBT_JITTER_BRIGHTNESS] = draw_factor(&rng, augment->brightness);
    d.factor[MBT_JITTER_CONTRAST] = draw_factor(&rng, augment->contrast);
    d.factor[MBT_JITTER_SATURATION] = draw_factor(&rng, augment->saturation);
    d.cut_row = (int)mbt_rng_below(&rng, (uint32_t)augment->height);
    d.cut_column = (int)mbt_rng_below(&rng, (uint32_t)augment->width);
    return d;
}

/* The stored row or column that position `at` (from -pad) of the padded image shows, -1 for none.
 * Reflection leaves the edge unrepeated and, as numpy's, goes back and forth where the pad is
 * wider than the image. */
static int source(int at, int size, mbt_pad_mode mode)
{
    if (at >= 0 && at < size) {
        return at;
    }
    if (mode != MBT_PAD_REFLECT) {
        return -1;
    }
    int period = size > 1 ? 2 * (size - 1) : 1;
    at = (at % period + period) % period;
    return at < size ? at : period - at;
}

static void crop_and_flip(const mbt_augment *augment, const draws *d, const uint8_t *image,
                          float *out)
{
    int height = augment->height;
    int width = augment->width;
    int channels = augment->channels;
    size_t plane = (size_t)height * (size_t)width;
    static const float black[MBT_CHANNELS_MAX] = {0};
    const bool jitter = channels == RGB && (augment->brightness > 0 || augment->contrast > 0 ||
                                            augment->saturation > 0);
    float mean[MBT_CHANNELS_MAX];
    for (int c = 0; c < channels; c++) { /* jitter works on whole numbers */
        mean[c] = jitter ? roundf(augment->mean[c]) : augment->mean[c];
    }
    const float *fill = augment->pad_mode == MBT_PAD_MEAN ? mean : black;
    for (int y = 0; y < height; y++) {
        int row = source(y + d->row - augment->pad, height, augment->pad_mode);
        for (int x = 0; x < width; x++) {
            int cut_x = d->flip ? width - 1 - x : x;
            int column = source(cut_x + d->column - augment->pad, width, augment->pad_mode);
            float *to = out + (ptrdiff_t)y * width + x;
            bool border = row < 0 || column < 0;
            const uint8_t *from =
                border ? image : image + ((ptrdiff_t)row * width + column) * channels;
            for (int c = 0; c < channels; c++) {
                to[(size_t)c * plane] = border ? fill[c] : (float)from[c];
            }
        }
    }
}

static void apply_jitters(const mbt_augment *augment, const draws *d, float *image)
{
    static const mbt_jitter orders[N_ORDERS][MBT_JITTER_COUNT] = {
        {MBT_JITTER_BRIGHTNESS, MBT_JITTER_CONTRAST, MBT_JITTER_SATURATION},
        {MBT_JITTER_BRIGHTNESS, MBT_JITTER_SATURATION, MBT_JITTER_CONTRAST},
        {MBT_JITTER_CONTRAST, MBT_JITTER_BRIGHTNESS, MBT_JITTER_SATURATION},
        {MBT_JITTER_CONTRAST, MBT_JITTER_SATURATION, MBT_JITTER_BRIGHTNESS},
        {MBT_JITTER_SATURATION, MBT_JITTER_BRIGHTNESS, MBT_JITTER_CONTRAST},
        {MBT_JITTER_SATURATION, MBT_JITTER_CONTRAST, MBT_JITTER_BRIGHTNESS},
    };
    size_t plane = (size_t)augment->height * (size_t)augment->width;
    for (int i = 0; i < MBT_JITTER_COUNT; i++) {
        mbt_jitter kind = orders[d->order][i];
        mbt_jitter_apply(kind, d->factor[kind], plane, image);
    }
}

static void normalise(const mbt_augment *augment, float *image)
{
    size_t plane = (size_t)augment->height * (size_t)augment->width;
    for (int c = 0; c < augment->channels; c++) {
        float *channel = image + (size_t)c * plane;
        float mean = augment->mean[c];
        float scale = augment->inverse_deviation[c];
        for (size_t i = 0; i < plane; i++) {
            channel[i] = (channel[i] - mean) * scale;
        }
    }
}

static int at_least(int a, int b)
{
    return a > b ? a : b;
}

static int at_most(int a, int b)
{
    return a < b ? a : b;
}

/* DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017:
 * the square may reach beyond the image; what it covers is 0 after normalising, the mean. */
static void cut_out(const mbt_augment *augment, const draws *d, float *image)
{
    const int height = augment->height, width = augment->width, side = augment->cutout;
    const int top = at_least(d->cut_row - side / 2, 0);
    const int left = at_least(d->cut_column - side / 2, 0);
    const int bottom = at_most(d->cut_row - side / 2 + side, height);
    const int right = at_most(d->cut_column - side / 2 + side, width);
    for (int c = 0; c < augment->channels; c++) {
        for (int y = top; y < bottom; y++) {
            float *row = image + ((ptrdiff_t)c * height + y) * width;
            for (int x = left; x < right; x++) {
                row[x] = 0.0f;
            }
        }
    }
}

void mbt_augment_image(const mbt_augment *augment, int64_t epoch, uint32_t sample,
                       const uint8_t *image, float *out)
{
    assert(epoch >= 0 && epoch <= UINT32_MAX && augment->pad >= 0);
    draws d = draw(augment, epoch, sample);
    crop_and_flip(augment, &d, image, out);
    if (augment->channels == RGB) {
        apply_jitters(augment, &d, out);
    }
    normalise(augment, out);
    if (augment->cutout > 0) {
        cut_out(augment, &d, out);
    }
}

mbt_status mbt_augment_group(const mbt_augment *augment, mbt_loader *loader, const mbt_split *split,
                             int64_t epoch, const uint32_t *ids, int n, float *x, int32_t *labels,
                             mbt_error *err)
{
    size_t values = (size_t)augment->height * (size_t)augment->width * (size_t)augment->channels;
    for (int i = 0; split->encoded != NULL && i < n; i++) {
        mbt_encoded_announce(split->encoded, ids[i]);
    }
    for (int i = 0; i < n; i++) {
        const uint8_t *image;
        assert((int64_t)ids[i] < split->n);
        mbt_status status =
            mbt_loader_image(loader, &augment->crop, split, epoch, ids[i], &image, err);
        if (status) {
            return status;
        }
        mbt_augment_image(augment, epoch, ids[i], image, x + (size_t)i * values);
        labels[i] = split->labels[ids[i]];
    }
    return MBT_OK;
}
