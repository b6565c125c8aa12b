/* What the modules of src/data make of image files, for check_pictures.py to compare.
 *
 *   picture_probe decode FILE                  pixels of an image file
 *   picture_probe fit FILE SIDE SQUARE         made to fit a short side
 *   picture_probe load DATA SPLIT KIND SIZE SHORT_SIDE EPOCH HUE SATURATION LIGHTNESS
 *                                              every sample of a data set as the loader gives it,
 *                                              each behind a line "top left height width  rows
 *                                              columns  first row, first column"
 * Pixels go to stdout as they are, behind a line with height and width. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/crop.h"
#include "mbt/comm.h"
#include "mbt/file.h"
#include "mbt/loader.h"

static mbt_error err;

static void ok(mbt_status status)
{
    if (status != MBT_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        exit((int)status);
    }
}

static void put(const uint8_t *rgb, int height, int width)
{
    (void)printf("%d %d\n", height, width);
    (void)fwrite(rgb, 3, (size_t)height * (size_t)width, stdout);
}

static uint8_t *decode(const char *path, mbt_image_info *info)
{
    char *bytes = NULL;
    size_t n = 0;
    mbt_decoder *decoder = NULL;
    ok(mbt_file_read(path, MBT_SAMPLE_BYTES_MAX, &bytes, &n, &err));
    ok(mbt_decoder_create(&decoder, &err));
    ok(mbt_decoder_probe(decoder, (const uint8_t *)bytes, n, info, &err));
    uint8_t *rgb = malloc((size_t)info->height * (size_t)info->width * 3);
    ok(mbt_decoder_run(decoder, (const uint8_t *)bytes, n, info, rgb, &err));
    mbt_decoder_destroy(decoder);
    free(bytes);
    return rgb;
}

static void load(char **argv)
{
    mbt_comm *comm = NULL;
    mbt_dataset dataset;
    mbt_loader *loader = NULL;
    ok(mbt_comm_create(NULL, NULL, &comm, &err));
    ok(mbt_dataset_open(comm, argv[0], MBT_DATASET_STREAM, &dataset, &err));
    const mbt_split *split = strcmp(argv[1], "train") == 0 ? &dataset.train : &dataset.test;
    const int size = atoi(argv[3]);
    mbt_augment augment = {.height = size,
                           .width = size,
                           .channels = 3,
                           .crop = {.kind = strcmp(argv[2], "resized") == 0  ? MBT_CROP_RESIZED
                                            : strcmp(argv[2], "scaled") == 0 ? MBT_CROP_SCALED
                                                                             : MBT_CROP_CENTRE,
                                    .size = size,
                                    .scale_min = strcmp(argv[2], "scaled") == 0 ? 0.533 : 0.08,
                                    .scale_max = 1,
                                    .ratio = 4.0 / 3,
                                    .short_side = atoi(argv[4]),
                                    .hsl = {atoi(argv[6]), atoi(argv[7]), atoi(argv[8])},
                                    .seed = 1}};
    const int64_t epoch = atoi(argv[5]);
    ok(mbt_loader_create(&dataset, &augment, &loader, &err));
    for (uint32_t i = 0; i < split->n; i++) {
        const uint8_t *image;
        const int32_t *sizes = split->encoded->sizes + 2 * (size_t)i;
        const crop_box box = crop_choose(&augment.crop, epoch, i, sizes[0], sizes[1]);
        ok(mbt_loader_image(loader, &augment.crop, split, epoch, i, &image, &err));
        (void)printf("%d %d %d %d %d %d %d %d\n", box.top, box.left, box.rows.in, box.columns.in,
                     box.rows.out, box.columns.out, box.rows.first, box.columns.first);
        put(image, size, size);
    }
    mbt_loader_destroy(loader);
    mbt_dataset_close(comm, &dataset);
    mbt_comm_destroy(comm);
}

int main(int argc, char **argv)
{
    mbt_image_info info = {0};
    if (argc == 3 && strcmp(argv[1], "decode") == 0) {
        uint8_t *rgb = decode(argv[2], &info);
        put(rgb, info.height, info.width);
        free(rgb);
    } else if (argc == 5 && strcmp(argv[1], "fit") == 0) {
        uint8_t *rgb = decode(argv[2], &info), *out = NULL;
        int height, width;
        ok(mbt_image_fit(rgb, info.height, info.width, atoi(argv[3]), atoi(argv[4]) != 0, &out,
                         &height, &width, &err));
        put(out, height, width);
        free(rgb);
        free(out);
    } else if (argc == 11 && strcmp(argv[1], "load") == 0) {
        load(argv + 2);
    } else {
        return MBT_USAGE;
    }
    return MBT_OK;
}
