/* JPEG by TurboJPEG, the only file that knows it. It keeps libjpeg's error exits to itself. */
#include <stdbool.h>
#include <stdlib.h>
#include <turbojpeg.h>

#include "codec.h"

enum { RGB = 3, CMYK = 4 };

static mbt_status complain(void *handle, mbt_error *err)
{
    return mbt_fail(err, MBT_DATA, "JPEG: %s", tjGetErrorStr2(handle));
}

mbt_status codec_jpeg_handle(void **handle, mbt_error *err)
{
    *handle = tjInitDecompress();
    return *handle != NULL ? MBT_OK
                           : mbt_fail(err, MBT_FAILURE, "JPEG decoder: %s", tjGetErrorStr2(NULL));
}

void codec_jpeg_release(void *handle)
{
    (void)tjDestroy(handle);
}

mbt_status codec_jpeg_probe(void *handle, const uint8_t *bytes, size_t n, mbt_image_info *info,
                            mbt_error *err)
{
    int subsampling = 0, colours = -1;
    const bool failed = tjDecompressHeader3(handle, bytes, n, &info->width, &info->height,
                                            &subsampling, &colours) != 0;
    /* A sampling of the colours that has no name there is decoded all the same. */
    if (failed && !(subsampling < 0 && colours >= 0 && info->width > 0)) {
        return complain(handle, err);
    }
    if (info->width == 0) {
        return mbt_fail(err, MBT_DATA, "JPEG: got %zu bytes, which end before the picture begins",
                        n);
    }
    info->cmyk = colours == TJCS_CMYK || colours == TJCS_YCCK;
    return MBT_OK;
}

static int decode_as(void *handle, const uint8_t *bytes, size_t n, const mbt_image_info *info,
                     int format, uint8_t *pixels)
{
    return tjDecompress2(handle, bytes, n, pixels, info->width, 0, info->height, format,
                         TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS);
}

/* Pillow's rule (Convert.c, cmyk2rgb) on ink amounts that Adobe stores inverted. */
static uint8_t mix(int colour, int black)
{
    const int product = (255 - colour) * black + 128;
    const int value = black - ((product + (product >> 8)) >> 8);
    return (uint8_t)(value < 0 ? 0 : value);
}

static mbt_status decode_cmyk(void *handle, const uint8_t *bytes, size_t n,
                              const mbt_image_info *info, uint8_t *rgb, mbt_error *err)
{
    const size_t pixels = (size_t)info->height * (size_t)info->width;
    uint8_t *inks = malloc(pixels * CMYK);
    if (inks == NULL) {
        return mbt_fail(err, MBT_FAILURE, "CMYK image: out of memory");
    }
    const int failed = decode_as(handle, bytes, n, info, TJPF_CMYK, inks);
    for (size_t i = 0; !failed && i < pixels; i++) {
        for (size_t c = 0; c < RGB; c++) {
            rgb[RGB * i + c] = mix(inks[CMYK * i + c], inks[CMYK * i + 3]);
        }
    }
    free(inks);
    return failed ? complain(handle, err) : MBT_OK;
}

mbt_status codec_jpeg_decode(void *handle, const uint8_t *bytes, size_t n,
                             const mbt_image_info *info, uint8_t *rgb, mbt_error *err)
{
    if (info->cmyk) {
        return decode_cmyk(handle, bytes, n, info, rgb, err);
    }
    return decode_as(handle, bytes, n, info, TJPF_RGB, rgb) == 0 ? MBT_OK : complain(handle, err);
}

mbt_status mbt_image_to_jpeg(const uint8_t *rgb, int height, int width, int quality,
                             uint8_t **bytes, size_t *n, mbt_error *err)
{
    unsigned long size = tjBufSize(width, height, TJSAMP_420);
    unsigned char *made = malloc(size);
    tjhandle handle = tjInitCompress();
    mbt_status status = MBT_OK;
    if (made == NULL || handle == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "JPEG of %d x %d: out of memory", width, height);
    } else if (tjCompress2(handle, rgb, width, 0, height, TJPF_RGB, &made, &size, TJSAMP_420,
                           quality, TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0) {
        status = mbt_fail(err, MBT_FAILURE, "JPEG of %d x %d: %s", width, height,
                          tjGetErrorStr2(handle));
    }
    if (handle != NULL) {
        (void)tjDestroy(handle);
    }
    if (status != MBT_OK) {
        free(made);
        return status;
    }
    *bytes = made;
    *n = size;
    return MBT_OK;
}
