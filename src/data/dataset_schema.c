/* Names of the schema, and what both the writer and the checks of a data set compute. */
#include <math.h>
#include <string.h>

#include "dataset_schema.h"

const char *const dataset_images[2] = {"/train/images", "/test/images"};
const char *const dataset_labels[2] = {"/train/labels", "/test/labels"};
const char *const dataset_coarse_labels[2] = {"/train/coarse_labels", "/test/coarse_labels"};

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

void dataset_moments(const uint8_t *pixels, uint64_t n_pixels, int channels, double *mean,
                     double *deviation)
{
    uint64_t count[MBT_CHANNELS_MAX][256] = {0};
    for (uint64_t p = 0; p < n_pixels; p++) {
        for (int c = 0; c < channels; c++) {
            count[c][*pixels++]++;
        }
    }
    for (int c = 0; c < channels; c++) {
        double sum = 0, squares = 0;
        for (int v = 0; v < 256; v++) {
            sum += (double)count[c][v] * v;
        }
        mean[c] = sum / (double)n_pixels;
        for (int v = 0; v < 256; v++) {
            squares += (double)count[c][v] * (v - mean[c]) * (v - mean[c]);
        }
        deviation[c] = sqrt(squares / (double)n_pixels);
    }
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
