/* Names of the schema, and what both the writer and the checks of a data set compute. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dataset_schema.h"

const char *const dataset_images[2] = {"/train/images", "/test/images"};
const char *const dataset_labels[2] = {"/train/labels", "/test/labels"};
const char *const dataset_coarse_labels[2] = {"/train/coarse_labels", "/test/coarse_labels"};

const char *const dataset_offsets[2] = {"/train/offsets", "/test/offsets"};
const char *const dataset_sums[2] = {"/train/sums", "/test/sums"};
const char *const dataset_sizes[2] = {"/train/sizes", "/test/sizes"};

void dataset_shard_name(int split, int shard, char name[DATASET_SHARD_NAME])
{
    (void)snprintf(name, DATASET_SHARD_NAME, "/%s/bytes/%05d", split == 0 ? "train" : "test",
                   shard);
}

static void add_labels(mbt_digest *digest, const int32_t *labels, int64_t n)
{
    enum { PIECE = 1024 };
    uint8_t bytes[4 * PIECE];
    for (int64_t i = 0; i < n; i += PIECE) {
        int64_t count = n - i < PIECE ? n - i : PIECE;
        for (int64_t k = 0; k < count; k++) {
            uint32_t value = (uint32_t)labels[i + k];
            for (int b = 0; b < 4; b++) {
                bytes[4 * k + b] = (uint8_t)(value >> (8 * b));
            }
        }
        mbt_digest_add(digest, bytes, (size_t)(4 * count));
    }
}

mbt_status dataset_digest(const mbt_split split[2], uint64_t image_bytes,
                          char digest[MBT_DIGEST_TEXT], mbt_error *err)
{
    mbt_digest *sum = NULL;
    mbt_status status = mbt_digest_create(&sum, err);
    if (status) {
        return status;
    }
    for (int s = 0; s < 2; s++) {
        mbt_digest_add(sum, split[s].images, (size_t)((uint64_t)split[s].n * image_bytes));
        add_labels(sum, split[s].labels, split[s].n);
    }
    mbt_digest_text(sum, digest);
    mbt_digest_destroy(sum);
    return MBT_OK;
}

static void add_longs(mbt_digest *digest, const int64_t *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const uint64_t value = (uint64_t)values[i];
        uint8_t bytes[8];
        for (int b = 0; b < 8; b++) {
            bytes[b] = (uint8_t)(value >> (8 * b));
        }
        mbt_digest_add(digest, bytes, sizeof bytes);
    }
}

mbt_status dataset_index_digest(const mbt_split split[2], char digest[MBT_DIGEST_TEXT],
                                mbt_error *err)
{
    mbt_digest *sum = NULL;
    mbt_status status = mbt_digest_create(&sum, err);
    if (status) {
        return status;
    }
    for (int s = 0; s < 2; s++) {
        const int64_t n = split[s].n;
        add_longs(sum, split[s].encoded->offsets, n + 1);
        add_longs(sum, split[s].encoded->sums, n);
        add_labels(sum, split[s].encoded->sizes, 2 * n);
        add_labels(sum, split[s].labels, n);
    }
    mbt_digest_text(sum, digest);
    mbt_digest_destroy(sum);
    return MBT_OK;
}

void dataset_count(const uint8_t *pixels, uint64_t n_pixels, int channels, dataset_counts *counts)
{
    for (uint64_t p = 0; p < n_pixels; p++) {
        for (int c = 0; c < channels; c++) {
            counts->of[c][*pixels++]++;
        }
    }
}

void dataset_moments(const dataset_counts *counts, int channels, double *mean, double *deviation)
{
    for (int c = 0; c < channels; c++) {
        double n = 0, sum = 0, squares = 0;
        for (int v = 0; v < 256; v++) {
            n += (double)counts->of[c][v];
            sum += (double)counts->of[c][v] * v;
        }
        mean[c] = sum / n;
        for (int v = 0; v < 256; v++) {
            squares += (double)counts->of[c][v] * (v - mean[c]) * (v - mean[c]);
        }
        deviation[c] = sqrt(squares / n);
    }
}

mbt_status dataset_compare_moments(const mbt_dataset *dataset, const dataset_counts *counts,
                                   mbt_error *err)
{
    double mean[MBT_CHANNELS_MAX], deviation[MBT_CHANNELS_MAX];
    dataset_moments(counts, dataset->channels, mean, deviation);
    for (int c = 0; c < dataset->channels; c++) {
        if (fabs(mean[c] - dataset->mean[c]) > 1e-6 ||
            fabs(deviation[c] - dataset->deviation[c]) > 1e-6) {
            return mbt_fail(err, MBT_DATA,
                            "channel %d: got mean %.9g and deviation %.9g of the training images, "
                            "wanted %.9g and %.9g",
                            c, mean[c], deviation[c], dataset->mean[c], dataset->deviation[c]);
        }
    }
    return MBT_OK;
}

int64_t dataset_wrong_label(const int32_t *labels, int64_t n, int n_classes)
{
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] >= n_classes) {
            return i;
        }
    }
    return -1;
}

bool dataset_good_name(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) {
            return false;
        }
    }
    return n > 0 && n < MBT_CLASS_NAME_BYTES;
}
