/* Image files by their first bytes. */
#include "mbt/image.h"

#include <stdlib.h>
#include <string.h>

#include "codec.h"

struct mbt_decoder {
    void *jpeg;
};

static const codec codecs[] = {
    {"JPEG", "\xff\xd8\xff", 3, codec_jpeg_probe, codec_jpeg_decode},
    {"PNG", "\x89PNG\r\n\x1a\n", 8, codec_png_probe, codec_png_decode},
};
enum { N_CODECS = sizeof codecs / sizeof codecs[0] };

mbt_status mbt_decoder_create(mbt_decoder **decoder, mbt_error *err)
{
    *decoder = calloc(1, sizeof **decoder);
    if (*decoder == NULL) {
        return mbt_fail(err, MBT_FAILURE, "image decoder: out of memory");
    }
    mbt_status status = codec_jpeg_handle(&(*decoder)->jpeg, err);
    if (status != MBT_OK) {
        free(*decoder);
        *decoder = NULL;
    }
    return status;
}

void mbt_decoder_destroy(mbt_decoder *decoder)
{
    if (decoder != NULL) {
        codec_jpeg_release(decoder->jpeg);
        free(decoder);
    }
}

static const codec *codec_of(const uint8_t *bytes, size_t n)
{
    for (int i = 0; i < N_CODECS; i++) {
        if (n >= codecs[i].magic_bytes &&
            memcmp(bytes, codecs[i].magic, codecs[i].magic_bytes) == 0) {
            return &codecs[i];
        }
    }
    return NULL;
}

mbt_status mbt_decoder_probe(mbt_decoder *decoder, const uint8_t *bytes, size_t n,
                             mbt_image_info *info, mbt_error *err)
{
    const codec *of = codec_of(bytes, n);
    if (of == NULL) {
        return mbt_fail(err, MBT_DATA, "got %zu bytes that are neither JPEG nor PNG", n);
    }
    *info = (mbt_image_info){.kind = of->name};
    mbt_status status = of->probe(decoder->jpeg, bytes, n, info, err);
    if (status != MBT_OK) { /* TurboJPEG would go on in the middle of the bad header */
        codec_jpeg_release(decoder->jpeg);
        return codec_jpeg_handle(&decoder->jpeg, err) == MBT_OK ? status : MBT_FAILURE;
    }
    if (info->height < 1 || info->width < 1 || info->height > MBT_IMAGE_SIDE_MAX ||
        info->width > MBT_IMAGE_SIDE_MAX ||
        (int64_t)info->height * info->width > MBT_IMAGE_PIXELS_MAX) {
        status = mbt_fail(
            err, MBT_DATA, "got a %s of %d x %d pixels, wanted sides up to %d and up to %d pixels",
            of->name, info->width, info->height, MBT_IMAGE_SIDE_MAX, MBT_IMAGE_PIXELS_MAX);
    }
    return status;
}

mbt_status mbt_decoder_run(mbt_decoder *decoder, const uint8_t *bytes, size_t n,
                           const mbt_image_info *info, uint8_t *rgb, mbt_error *err)
{
    const codec *of = codec_of(bytes, n);
    return of != NULL ? of->decode(decoder->jpeg, bytes, n, info, rgb, err)
                      : mbt_fail(err, MBT_DATA, "got %zu bytes that are neither JPEG nor PNG", n);
}
