/* The images of a run's test split, one by one, as small pixels for a page. Private to report/. */
#ifndef MBT_REPORT_TEST_IMAGES_H
#define MBT_REPORT_TEST_IMAGES_H

#include "mbt/dataset.h"
#include "mbt/outcome.h"
#include "mbt/store.h"

typedef struct test_images {
    uint8_t *pixels; /* of the image that was read last: [height][width][channels] */
    int height, width, channels;
    /* images of one size: read from */
    mbt_store *store;
    mbt_store_shape shape; /* [n][height][width][channels] */
    /* JPEG and PNG files: read from */
    mbt_comm *comm;
    mbt_dataset dataset;
    mbt_decoder *decoder;
    uint8_t *file, *decoded; /* the largest sample, and its pixels */
} test_images;

/* Finds the data set as training does and checks that it is the one the run was trained on, with n
 * test images. images: zeroed by the caller, cleared by test_images_close also after a failure. */
mbt_status test_images_open(const mbt_outcome *run, int64_t n, test_images *images,
                            mbt_error *err) MBT_WARN_UNUSED;
void test_images_close(test_images *images);

/* Image i into images->pixels: as it is stored, or the middle of an encoded one made small. */
mbt_status test_images_read(test_images *images, int64_t i, mbt_error *err) MBT_WARN_UNUSED;

#endif
