/* From a stored sample to an image of the input's size. */
#include "mbt/loader.h"

#include <stdlib.h>
#include <string.h>

#include "crop.h"
#include "hsl.h"
#include "mbt/rng.h"

enum { RGB = 3, ALIGN = 64 };

struct mbt_loader {
    int height, width, channels; /* of stored images; 0, 0, 3 when they are encoded */
    size_t cut_bytes;            /* of an image that goes out */
    mbt_decoder *decoder;        /* NULL unless images are encoded */
    uint8_t *block;              /* what the pointers below are parts of */
    size_t block_bytes;
    uint8_t *file, *pixels, *cut, *scratch;
};

/* A stored image as pixels. */
struct picture {
    const uint8_t *pixels;
    int height, width;
};

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* The parts that samples of this data set need, one behind the other. */
static mbt_status take_memory(mbt_loader *loader, const mbt_dataset *dataset,
                              const mbt_augment *augment, mbt_error *err)
{
    mbt_extent most = {.height = dataset->height, .width = dataset->width};
    if (dataset->train.encoded != NULL) {
        mbt_encoded_largest(&dataset->train, &most);
        mbt_encoded_largest(&dataset->test, &most);
    }
    const size_t file = rounded(dataset->streamed ? most.bytes : 0);
    const size_t pixels = rounded(RGB * most.pixels);
    const size_t cut = rounded(loader->cut_bytes);
    loader->block_bytes = file + pixels + cut;
    if (augment->crop.size > 0) {
        loader->block_bytes += resize_scratch_bytes(most.height, most.width, augment->crop.size,
                                                    augment->crop.size, loader->channels);
    }
    loader->block = malloc(loader->block_bytes);
    if (loader->block == NULL) {
        return mbt_fail(err, MBT_FAILURE, "loading images: no memory for %zu bytes",
                        loader->block_bytes);
    }
    memset(loader->block, 0, loader->block_bytes); /* touched now, not in a step */
    loader->file = loader->block;
    loader->pixels = loader->file + file;
    loader->cut = loader->pixels + pixels;
    loader->scratch = loader->cut + cut;
    return MBT_OK;
}

mbt_status mbt_loader_create(const mbt_dataset *dataset, const mbt_augment *augment,
                             mbt_loader **loader, mbt_error *err)
{
    mbt_loader *made = calloc(1, sizeof *made);
    *loader = NULL;
    if (made == NULL) {
        return mbt_fail(err, MBT_FAILURE, "loading images: out of memory");
    }
    made->height = dataset->height;
    made->width = dataset->width;
    made->channels = dataset->channels;
    made->cut_bytes = (size_t)augment->height * (size_t)augment->width * (size_t)augment->channels;
    mbt_status status = take_memory(made, dataset, augment, err);
    if (status == MBT_OK && dataset->train.encoded != NULL) {
        status = mbt_decoder_create(&made->decoder, err);
    }
    if (status != MBT_OK) {
        mbt_loader_destroy(made);
        return status;
    }
    *loader = made;
    return MBT_OK;
}

void mbt_loader_destroy(mbt_loader *loader)
{
    if (loader != NULL) {
        mbt_decoder_destroy(loader->decoder);
        free(loader->block);
        free(loader);
    }
}

size_t mbt_loader_bytes(const mbt_loader *loader)
{
    return loader != NULL ? loader->block_bytes : 0;
}

static void cut_out(mbt_loader *loader, const mbt_crop *crop, int64_t epoch, uint32_t sample,
                    const struct picture *picture)
{
    const crop_box box = crop_choose(crop, epoch, sample, picture->height, picture->width);
    const size_t stride = (size_t)picture->width * (size_t)loader->channels;
    const uint8_t *from =
        picture->pixels + (size_t)box.top * stride + (size_t)box.left * (size_t)loader->channels;
    resize_image(from, stride, loader->channels, &box.rows, &box.columns, loader->scratch,
                 loader->cut);
}

/* Towards zero, as the original turns its draws into whole numbers. */
static int draw_shift(mbt_rng *rng, int most)
{
    return (int)(mbt_rng_uniform(rng) * (float)most * 2 - (float)most);
}

static void shift_colours(mbt_loader *loader, const mbt_crop *crop, int64_t epoch, uint32_t sample)
{
    mbt_rng rng = mbt_rng_at(crop->seed, MBT_PURPOSE_HSL, (uint32_t)epoch, sample);
    hsl_shift shift;
    shift.hue = draw_shift(&rng, crop->hsl[0]);
    shift.saturation = draw_shift(&rng, crop->hsl[1]);
    shift.lightness = draw_shift(&rng, crop->hsl[2]);
    hsl_apply(&shift, loader->cut_bytes / RGB, loader->cut);
}

mbt_status mbt_loader_image(mbt_loader *loader, const mbt_crop *crop, const mbt_split *split,
                            int64_t epoch, uint32_t sample, const uint8_t **image, mbt_error *err)
{
    struct picture picture = {NULL, loader->height, loader->width};
    const bool shifts = crop->hsl[0] > 0 || crop->hsl[1] > 0 || crop->hsl[2] > 0;
    if (split->encoded != NULL) {
        const int32_t *size = split->encoded->sizes + 2 * (size_t)sample;
        const mbt_status status = mbt_encoded_decode(split->encoded, sample, loader->decoder,
                                                     loader->file, loader->pixels, err);
        if (status != MBT_OK) {
            return status;
        }
        picture = (struct picture){loader->pixels, size[0], size[1]};
    } else {
        const size_t bytes =
            (size_t)loader->height * (size_t)loader->width * (size_t)loader->channels;
        picture.pixels = split->images + sample * bytes;
    }
    if (crop->kind == MBT_CROP_PAD && !shifts) {
        *image = picture.pixels;
        return MBT_OK;
    }
    if (crop->kind == MBT_CROP_PAD) {
        memcpy(loader->cut, picture.pixels, loader->cut_bytes);
    } else {
        cut_out(loader, crop, epoch, sample, &picture);
    }
    if (shifts) {
        shift_colours(loader, crop, epoch, sample);
    }
    *image = loader->cut;
    return MBT_OK;
}
