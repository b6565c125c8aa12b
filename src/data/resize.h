/* Bilinear resizing of 8-bit images with antialiasing, byte for byte as Pillow's
 * Image.resize(BILINEAR) (Resample.c of its libImaging): a triangle as wide as an output pixel, by
 * 22-bit fixed-point weights, columns before rows, rounded to 8 bits in between. Private to
 * src/data. Depends on nothing. */
#ifndef MBT_DATA_RESIZE_H
#define MBT_DATA_RESIZE_H

#include <stddef.h>
#include <stdint.h>

/* One axis: `in` pixels, resized to `out`, of which first .. first+n-1 are wanted. */
typedef struct resize_axis {
    int in, out, first, n;
} resize_axis;

/* Bytes of scratch that resize_image needs for inputs up to height x width and windows of n_rows x
 * n_columns. */
size_t resize_scratch_bytes(int height, int width, int n_rows, int n_columns, int channels);

/* from: the first of rows.in x columns.in pixels, [.][.][channels], `stride` bytes from row to row;
 * nothing outside of them counts. to: [rows.n][columns.n][channels]. */
void resize_image(const uint8_t *from, size_t stride, int channels, const resize_axis *rows,
                  const resize_axis *columns, void *scratch, uint8_t *to);

#endif
