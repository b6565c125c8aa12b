/* Test images from the store, one row at a time, or decoded from a streamed data set: a page shows
 * few of them, and the set may be larger than memory. */
#include "test_images.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MAX = 1024, RGB = 3, SMALL_SIDE = 96 };
static const char IMAGES[] = "/test/images";

static mbt_status take(uint8_t **bytes, size_t n, mbt_error *err)
{
    *bytes = malloc(n + 1);
    return *bytes != NULL ? MBT_OK : mbt_fail(err, MBT_FAILURE, "test images: out of memory");
}

static mbt_status open_stored(const char *path, int64_t n, test_images *images, mbt_error *err)
{
    mbt_store_shape *s = &images->shape;
    const mbt_status status = mbt_store_shape_of(images->store, IMAGES, s, err);
    if (status != MBT_OK) {
        return status;
    }
    if (s->type != MBT_STORE_U8 || s->rank != 4 || s->dims[0] != (uint64_t)n ||
        s->dims[1] > SIDE_MAX || s->dims[2] > SIDE_MAX || s->dims[3] > MBT_CHANNELS_MAX) {
        return mbt_fail(err, MBT_DATA, "%s: %s does not hold %" PRId64 " images as pixels", path,
                        IMAGES, n);
    }
    images->height = (int)s->dims[1];
    images->width = (int)s->dims[2];
    images->channels = (int)s->dims[3];
    return take(&images->pixels, (size_t)(s->dims[1] * s->dims[2] * s->dims[3]), err);
}

static mbt_status open_encoded(const char *path, int64_t n, test_images *images, mbt_error *err)
{
    mbt_dataset *d = &images->dataset;
    mbt_extent most = {0};
    mbt_store_close(images->store); /* one reader of a file is enough */
    images->store = NULL;
    mbt_status status = mbt_comm_create(NULL, NULL, &images->comm, err);
    if (status == MBT_OK) {
        status = mbt_dataset_open(images->comm, path, MBT_DATASET_STREAM, d, err);
    }
    if (status == MBT_OK && d->test.n != n) {
        status = mbt_fail(err, MBT_DATA, "%s: has %" PRId64 " test images, the run saw %" PRId64,
                          path, d->test.n, n);
    }
    if (status == MBT_OK) {
        mbt_encoded_largest(&d->test, &most);
        status = mbt_decoder_create(&images->decoder, err);
    }
    if (status == MBT_OK) {
        status = take(&images->file, most.bytes, err);
    }
    return status == MBT_OK ? take(&images->decoded, RGB * most.pixels, err) : status;
}

mbt_status test_images_open(const mbt_outcome *run, int64_t n, test_images *images, mbt_error *err)
{
    char path[MBT_PATH_BYTES], digest[MBT_DIGEST_TEXT];
    int64_t schema = 0;
    mbt_status status = mbt_dataset_find(run->config.data.path, path, err);
    if (status == MBT_OK) {
        status = mbt_store_open_large(path, false, &images->store, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_get_text(images->store, "/", "digest", digest, sizeof digest, err);
    }
    if (status == MBT_OK && strcmp(digest, run->facts.data_digest) != 0) {
        status = mbt_fail(err, MBT_DATA, "%s: is another data set than the run's", path);
    }
    if (status == MBT_OK) {
        status = mbt_store_get_i64(images->store, "/", "schema", &schema, err);
    }
    if (status != MBT_OK) {
        return status;
    }
    return schema == MBT_DATASET_SCHEMA_ENCODED ? open_encoded(path, n, images, err)
                                                : open_stored(path, n, images, err);
}

void test_images_close(test_images *images)
{
    free(images->pixels);
    free(images->file);
    free(images->decoded);
    mbt_decoder_destroy(images->decoder);
    if (images->comm != NULL) {
        mbt_dataset_close(images->comm, &images->dataset);
        mbt_comm_destroy(images->comm);
    }
    mbt_store_close(images->store);
    memset(images, 0, sizeof *images);
}

static mbt_status decode_small(test_images *images, int64_t i, mbt_error *err)
{
    const mbt_encoded *encoded = images->dataset.test.encoded;
    const int32_t *size = encoded->sizes + 2 * i;
    const mbt_status status =
        mbt_encoded_decode(encoded, i, images->decoder, images->file, images->decoded, err);
    free(images->pixels);
    images->pixels = NULL;
    images->channels = RGB;
    if (status != MBT_OK) {
        return mbt_error_prefix(err, "test");
    }
    return mbt_image_fit(images->decoded, size[0], size[1], SMALL_SIDE, true, &images->pixels,
                         &images->height, &images->width, err);
}

mbt_status test_images_read(test_images *images, int64_t i, mbt_error *err)
{
    return images->store != NULL ? mbt_store_read_rows(images->store, IMAGES, &images->shape,
                                                       (uint64_t)i, 1, images->pixels, err)
                                 : decode_small(images, i, err);
}
