/* An image made to fit a short side: what import stores of large pictures. */
#include <stdlib.h>

#include "mbt/image.h"
#include "resize.h"

enum { RGB = 3 };

static resize_axis axis(int in, int shorter, int side, bool square)
{
    const int out = (int)((int64_t)side * in / shorter);
    return (resize_axis){in, out, square ? (out - side) / 2 : 0, square ? side : out};
}

mbt_status mbt_image_fit(const uint8_t *rgb, int height, int width, int side, bool square,
                         uint8_t **out, int *out_height, int *out_width, mbt_error *err)
{
    const int shorter = height < width ? height : width;
    const resize_axis rows = axis(height, shorter, side, square);
    const resize_axis columns = axis(width, shorter, side, square);
    void *scratch = malloc(resize_scratch_bytes(height, width, rows.n, columns.n, RGB));
    uint8_t *made = malloc((size_t)rows.n * (size_t)columns.n * RGB);
    if (scratch == NULL || made == NULL) {
        free(scratch);
        free(made);
        return mbt_fail(err, MBT_FAILURE, "resizing %d x %d: out of memory", width, height);
    }
    resize_image(rgb, (size_t)width * RGB, RGB, &rows, &columns, scratch, made);
    free(scratch);
    *out = made;
    *out_height = rows.n;
    *out_width = columns.n;
    return MBT_OK;
}
