/* One kind of image file. Private to src/data; the table of kinds is in image.c. */
#ifndef MBT_DATA_CODEC_H
#define MBT_DATA_CODEC_H

#include "mbt/image.h"

typedef struct codec {
    const char *name;
    const char *magic; /* what its files begin with */
    size_t magic_bytes;
    /* handle: the decoder's turbojpeg handle; codecs that need none ignore it */
    mbt_status (*probe)(void *handle, const uint8_t *bytes, size_t n, mbt_image_info *info,
                        mbt_error *err);
    mbt_status (*decode)(void *handle, const uint8_t *bytes, size_t n, const mbt_image_info *info,
                         uint8_t *rgb, mbt_error *err);
} codec;

mbt_status codec_jpeg_handle(void **handle, mbt_error *err) MBT_WARN_UNUSED;
void codec_jpeg_release(void *handle);
mbt_status codec_jpeg_probe(void *handle, const uint8_t *bytes, size_t n, mbt_image_info *info,
                            mbt_error *err) MBT_WARN_UNUSED;
mbt_status codec_jpeg_decode(void *handle, const uint8_t *bytes, size_t n,
                             const mbt_image_info *info, uint8_t *rgb,
                             mbt_error *err) MBT_WARN_UNUSED;
mbt_status codec_png_probe(void *handle, const uint8_t *bytes, size_t n, mbt_image_info *info,
                           mbt_error *err) MBT_WARN_UNUSED;
mbt_status codec_png_decode(void *handle, const uint8_t *bytes, size_t n,
                            const mbt_image_info *info, uint8_t *rgb,
                            mbt_error *err) MBT_WARN_UNUSED;

#endif
