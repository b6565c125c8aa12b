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
    DATASET_SHARD_NAME = 32,
};

#define DATASET_SAMPLES_MAX ((int64_t)1 << 31)

/* [0]: train, [1]: test */
extern const char *const dataset_images[2];
extern const char *const dataset_labels[2];
extern const char *const dataset_coarse_labels[2];
extern const char *const dataset_offsets[2];
extern const char *const dataset_sums[2];
extern const char *const dataset_sizes[2];

/* "/train/bytes/00007" */
void dataset_shard_name(int split, int shard, char name[DATASET_SHARD_NAME]);

/* The digest of the schema over both splits; labels count as little-endian on every machine. */
mbt_status dataset_digest(const mbt_split split[2], uint64_t image_bytes,
                          char digest[MBT_DIGEST_TEXT], mbt_error *err) MBT_WARN_UNUSED;

/* The same of encoded samples, over their index. */
mbt_status dataset_index_digest(const mbt_split split[2], char digest[MBT_DIGEST_TEXT],
                                mbt_error *err) MBT_WARN_UNUSED;

/* How often each channel has each of the 256 values: mean and deviation come from that, so that no
 * order of summation shows. Plain data, zero-initialised. */
typedef struct dataset_counts {
    uint64_t of[MBT_CHANNELS_MAX][256];
} dataset_counts;

/* pixels: [n_pixels][C] */
void dataset_count(const uint8_t *pixels, uint64_t n_pixels, int channels, dataset_counts *counts);
void dataset_moments(const dataset_counts *counts, int channels, double *mean, double *deviation);

/* Whether mean and deviation are those of the open data set: other makers may sum otherwise. */
mbt_status dataset_compare_moments(const mbt_dataset *dataset, const dataset_counts *counts,
                                   mbt_error *err) MBT_WARN_UNUSED;

/* The moments of a data set being written; MBT_DATA when a channel says nothing. */
mbt_status dataset_found_moments(const dataset_counts *counts, int channels, const char *path,
                                 double *mean, double *deviation, mbt_error *err) MBT_WARN_UNUSED;

/* The attributes of a data set being written. */
mbt_status dataset_write_attributes(mbt_store *store, const mbt_dataset_source *source,
                                    int64_t schema, const double *mean, const double *deviation,
                                    const char *digest, mbt_error *err) MBT_WARN_UNUSED;

/* The first label outside 0 .. n_classes-1, or -1. */
int64_t dataset_wrong_label(const int32_t *labels, int64_t n, int n_classes);

/* True for a name of 1 .. MBT_CLASS_NAME_BYTES-1 bytes without control characters. */
bool dataset_good_name(const char *name);

#endif
