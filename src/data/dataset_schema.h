/* What reader and writer of data sets share: names and limits of the schema, the digest, the
 * moments. Private to src/data. */
#ifndef MBT_DATASET_SCHEMA_H
#define MBT_DATASET_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "mbt/dataset.h"

enum {
    DATASET_SIDE_MAX = 1024,
    DATASET_SOURCE_BYTES = 256,
    DATASET_CLASSES_MIN = 2,
};

#define DATASET_SAMPLES_MAX ((int64_t)1 << 31)

/* [0]: train, [1]: test */
extern const char *const dataset_images[2];
extern const char *const dataset_labels[2];
extern const char *const dataset_coarse_labels[2];

/* The digest of the schema over both splits; labels count as little-endian on every machine. */
mbt_status dataset_digest(const mbt_split split[2], uint64_t image_bytes,
                          char digest[MBT_DIGEST_TEXT], mbt_error *err) MBT_WARN_UNUSED;

/* Mean and deviation of each channel over n_pixels pixels [n_pixels][C], computed from counts of
 * the 256 values, so that no order of summation shows. */
void dataset_moments(const uint8_t *pixels, uint64_t n_pixels, int channels, double *mean,
                     double *deviation);

/* The first label outside 0 .. n_classes-1, or -1. */
int64_t dataset_wrong_label(const int32_t *labels, int64_t n, int n_classes);

/* True for a name of 1 .. MBT_CLASS_NAME_BYTES-1 bytes without control characters. */
bool dataset_good_name(const char *name);

#endif
