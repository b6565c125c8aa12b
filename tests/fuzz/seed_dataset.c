/* Writes two data sets of a few tiny images, of pixels and of JPEG and PNG files: seed_dataset
 * PIXELS ENCODED. A small seed is a fast one. */
#include <stdio.h>
#include <stdlib.h>

#include "mbt/dataset.h"

enum { SAMPLES = 3, SIDE = 4, RGB = 3 };

static const char *const classes[] = {"disc", "square"};
static const int32_t labels[SAMPLES] = {0, 1, 1};

/* One pixel. */
static const uint8_t png[] = {0x89, 'P', 'N',  'G',  '\r', '\n', 0x1a, '\n', 0,    0, 0, 13,
                              'I',  'H', 'D',  'R',  0,    0,    0,    1,    0,    0, 0, 1,
                              8,    0,   0,    0,    0,    0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0,
                              10,   'I', 'D',  'A',  'T',  0x78, 0x9c, 0x63, 0x68, 0, 0, 0,
                              0x82, 0,   0x81, 0x77, 0xcd, 0x72, 0xb6, 0,    0,    0, 0, 'I',
                              'E',  'N', 'D',  0xae, 0x42, 0x60, 0x82};

static mbt_status write_pixels(const char *path, mbt_error *err)
{
    uint8_t images[SAMPLES * SIDE * SIDE];
    for (size_t i = 0; i < sizeof images; i++) {
        images[i] = (uint8_t)(37 * i);
    }
    const mbt_dataset_source source = {
        .name = "seed",
        .source = "tests/fuzz",
        .height = SIDE,
        .width = SIDE,
        .channels = 1,
        .n_classes = 2,
        .class_names = classes,
        .split = {{SAMPLES, images, labels, NULL}, {SAMPLES, images, labels, NULL}},
    };
    return mbt_dataset_write(&source, path, err);
}

static mbt_status add(mbt_dataset_writer *writer, mbt_decoder *decoder, int split,
                      const uint8_t *bytes, size_t n, int32_t label, mbt_error *err)
{
    mbt_image_info info;
    uint8_t rgb[SIDE * SIDE * RGB];
    mbt_status status = mbt_decoder_probe(decoder, bytes, n, &info, err);
    if (status == MBT_OK) {
        status = mbt_decoder_run(decoder, bytes, n, &info, rgb, err);
    }
    return status == MBT_OK
               ? mbt_dataset_writer_add(writer, split, bytes, n, &info, rgb, label, err)
               : status;
}

static mbt_status write_encoded(const char *path, mbt_error *err)
{
    const mbt_dataset_source header = {
        .name = "seed", .source = "tests/fuzz", .n_classes = 2, .class_names = classes};
    mbt_dataset_writer *writer = NULL;
    mbt_decoder *decoder = NULL;
    uint8_t pixels[SIDE * SIDE * RGB], *jpeg = NULL;
    size_t n = 0;
    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = (uint8_t)(37 * i);
    }
    mbt_status status = mbt_image_to_jpeg(pixels, SIDE, SIDE, 90, &jpeg, &n, err);
    if (status == MBT_OK) {
        status = mbt_decoder_create(&decoder, err);
    }
    if (status == MBT_OK) {
        status = mbt_dataset_writer_create(&header, path, &writer, err);
    }
    for (int split = 0; split < 2 && status == MBT_OK; split++) {
        status = add(writer, decoder, split, jpeg, n, labels[0], err);
        if (status == MBT_OK) {
            status = add(writer, decoder, split, png, sizeof png, labels[1], err);
        }
    }
    if (status == MBT_OK) {
        status = mbt_dataset_writer_finish(writer, err);
    }
    mbt_dataset_writer_destroy(writer);
    mbt_decoder_destroy(decoder);
    free(jpeg);
    return status;
}

int main(int argc, char **argv)
{
    mbt_error err = {.message = "wanted two files to write"};
    if (argc != 3 || write_pixels(argv[1], &err) != MBT_OK ||
        write_encoded(argv[2], &err) != MBT_OK) {
        (void)fprintf(stderr, "seed_dataset: %s\n", err.message);
        return 1;
    }
    return 0;
}
