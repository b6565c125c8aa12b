/* PNG by cairo, SVG to it by librsvg. */
#include "picture.h"

#include <cairo.h>
#include <librsvg/rsvg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
    unsigned char *data;
    size_t bytes, room;
};

/* cairo_write_func_t */
static cairo_status_t append(void *context, const unsigned char *data, unsigned int length)
{
    struct buffer *b = context;
    if (b->bytes + length > b->room) {
        const size_t room = 2 * (b->bytes + length);
        unsigned char *grown = realloc(b->data, room);
        if (grown == NULL) {
            return CAIRO_STATUS_NO_MEMORY;
        }
        b->data = grown;
        b->room = room;
    }
    memcpy(b->data + b->bytes, data, length);
    b->bytes += length;
    return CAIRO_STATUS_SUCCESS;
}

static mbt_status to_png(cairo_surface_t *surface, struct buffer *png, mbt_error *err)
{
    const cairo_status_t code = cairo_surface_write_to_png_stream(surface, append, png);
    if (code != CAIRO_STATUS_SUCCESS) {
        free(png->data);
        png->data = NULL;
        return mbt_fail(err, MBT_FAILURE, "PNG: %s", cairo_status_to_string(code));
    }
    return MBT_OK;
}

static mbt_status render(RsvgHandle *handle, double scale, struct buffer *png, mbt_error *err)
{
    double width = 0, height = 0;
    GError *fault = NULL;
    (void)rsvg_handle_get_intrinsic_size_in_pixels(handle, &width, &height);
    cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_ARGB32, (int)ceil(width * scale), (int)ceil(height * scale));
    cairo_t *context = cairo_create(surface);
    const RsvgRectangle view = {0, 0, width * scale, height * scale};
    mbt_status status =
        rsvg_handle_render_document(handle, context, &view, &fault)
            ? to_png(surface, png, err)
            : mbt_fail(err, MBT_FAILURE, "SVG: %s", fault != NULL ? fault->message : "not drawn");
    g_clear_error(&fault);
    cairo_destroy(context);
    cairo_surface_destroy(surface);
    return status;
}

mbt_status picture_of_svg(const char *svg, size_t bytes, double scale, unsigned char **png,
                          size_t *png_bytes, mbt_error *err)
{
    struct buffer made = {0};
    GError *fault = NULL;
    RsvgHandle *handle = rsvg_handle_new_from_data((const guint8 *)svg, bytes, &fault);
    mbt_status status = handle != NULL ? render(handle, scale, &made, err)
                                       : mbt_fail(err, MBT_FAILURE, "SVG: %s",
                                                  fault != NULL ? fault->message : "not read");
    g_clear_error(&fault);
    if (handle != NULL) {
        g_object_unref(handle);
    }
    *png = made.data;
    *png_bytes = made.bytes;
    return status;
}

/* cairo's pixels are 32 bits in the machine's order, the highest byte unused. */
static void fill(cairo_surface_t *surface, const uint8_t *pixels, int height, int width,
                 int channels)
{
    unsigned char *data = cairo_image_surface_get_data(surface);
    const int stride = cairo_image_surface_get_stride(surface);
    cairo_surface_flush(surface);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const uint8_t *at = pixels + ((ptrdiff_t)y * width + x) * channels;
            const uint32_t red = at[0], green = at[channels > 2 ? 1 : 0];
            const uint32_t blue = at[channels > 2 ? 2 : 0];
            const uint32_t pixel = red << 16 | green << 8 | blue;
            memcpy(data + (ptrdiff_t)y * stride + (ptrdiff_t)x * 4, &pixel, sizeof pixel);
        }
    }
    cairo_surface_mark_dirty(surface);
}

mbt_status picture_put_data(const uint8_t *pixels, int height, int width, int channels, FILE *out,
                            mbt_error *err)
{
    struct buffer png = {0};
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    mbt_status status = cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS
                            ? MBT_OK
                            : mbt_fail(err, MBT_FAILURE, "PNG: out of memory");
    if (status == MBT_OK) {
        fill(surface, pixels, height, width, channels);
        status = to_png(surface, &png, err);
    }
    if (status == MBT_OK) {
        gchar *text = g_base64_encode(png.data, png.bytes);
        (void)fprintf(out, "data:image/png;base64,%s", text);
        g_free(text);
    }
    free(png.data);
    cairo_surface_destroy(surface);
    return status;
}
