/* Lengths are counted in parts of which an input pixel has to_size and an output pixel size, so
 * that both grids meet at whole numbers and weights are exact. */
#include "mbt/shrink.h"

#include <assert.h>
#include <stddef.h>

/* Of the output pixel `out`: parts that it has of input pixel `in`. */
static int overlap(int out, int in, int size, int to_size)
{
    const int from = out * size > in * to_size ? out * size : in * to_size;
    const int end_out = (out + 1) * size, end_in = (in + 1) * to_size;
    return (end_out < end_in ? end_out : end_in) - from;
}

static float mean_at(const float *plane, int y, int x, int size, int to_size)
{
    float sum = 0;
    for (int row = y * size / to_size; row * to_size < (y + 1) * size; row++) {
        const int high = overlap(y, row, size, to_size);
        for (int column = x * size / to_size; column * to_size < (x + 1) * size; column++) {
            const int parts = high * overlap(x, column, size, to_size);
            sum += (float)parts * plane[(ptrdiff_t)row * size + column];
        }
    }
    return sum / (float)(size * size);
}

void mbt_shrink(const float *from, int n_planes, int size, int to_size, float *to)
{
    assert(to_size > 0 && to_size <= size && size < 4096); /* size * size is exact as a float */
    for (int p = 0; p < n_planes; p++, from += (ptrdiff_t)size * size) {
        for (int y = 0; y < to_size; y++) {
            for (int x = 0; x < to_size; x++) {
                *to++ = mean_at(from, y, x, size, to_size);
            }
        }
    }
}
