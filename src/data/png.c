/* PNG by libpng, the only file that knows it. Its errors are long jumps, which end here. */
#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

#include "codec.h"

enum { MESSAGE_BYTES = 128 };

/* What the call-backs share with the function that set the jump. */
struct reading {
    const uint8_t *next;
    size_t left;
    char message[MESSAGE_BYTES];
};

static void read_some(png_structp png, png_bytep to, size_t n)
{
    struct reading *r = png_get_io_ptr(png);
    if (n > r->left) {
        png_error(png, "it is cut short");
    }
    memcpy(to, r->next, n);
    r->next += n;
    r->left -= n;
}

static void fail(png_structp png, png_const_charp message)
{
    struct reading *r = png_get_error_ptr(png);
    (void)snprintf(r->message, sizeof r->message, "%s", message);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

/* 8-bit RGB of whatever is stored, without gamma. */
static void want_rgb(png_structp png, png_infop info)
{
    png_set_strip_16(png);
    png_set_palette_to_rgb(png);
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_strip_alpha(png);
    if ((png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR) == 0) {
        png_set_gray_to_rgb(png);
    }
}

/* The header into *out; with rgb, *out says what it must be, and the pixels follow. False with
 * r->message after a failure. */
static bool walk(png_structp png, png_infop info, struct reading *r, mbt_image_info *out,
                 uint8_t *rgb)
{
    if (setjmp(png_jmpbuf(png))) {
        return false;
    }
    png_set_read_fn(png, r, read_some);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* the decoder has its own */
    png_read_info(png, info);
    const int width = (int)png_get_image_width(png, info);
    const int height = (int)png_get_image_height(png, info);
    if (rgb == NULL) {
        out->width = width;
        out->height = height;
        return true;
    }
    if (width != out->width || height != out->height) {
        png_error(png, "it has another size than was probed");
    }
    want_rgb(png, info);
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    const size_t row = png_get_rowbytes(png, info);
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < height; y++) {
            png_read_row(png, rgb + (size_t)y * row, NULL);
        }
    }
    png_read_end(png, NULL);
    return true;
}

static mbt_status read_png(const uint8_t *bytes, size_t n, mbt_image_info *out, uint8_t *rgb,
                           mbt_error *err)
{
    struct reading r = {.next = bytes, .left = n};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, fail, ignore);
    png_infop info = png != NULL ? png_create_info_struct(png) : NULL;
    mbt_status status = MBT_OK;
    if (info == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "PNG: out of memory");
    } else if (!walk(png, info, &r, out, rgb)) {
        status = mbt_fail(err, MBT_DATA, "PNG: %s", r.message);
    }
    png_destroy_read_struct(&png, &info, NULL);
    return status;
}

mbt_status codec_png_probe(void *handle, const uint8_t *bytes, size_t n, mbt_image_info *info,
                           mbt_error *err)
{
    (void)handle;
    return read_png(bytes, n, info, NULL, err);
}

mbt_status codec_png_decode(void *handle, const uint8_t *bytes, size_t n,
                            const mbt_image_info *info, uint8_t *rgb, mbt_error *err)
{
    mbt_image_info wanted = *info;
    (void)handle;
    return read_png(bytes, n, &wanted, rgb, err);
}
