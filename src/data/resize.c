/* Antialiased bilinear resizing. */
#include "resize.h"

#include <assert.h>
#include <math.h>

enum { PRECISION = 32 - 8 - 2, ALIGN = 64 };

/* What an output pixel is made of: `taps` input pixels from `from` on. */
struct span {
    int from, taps;
};

/* Weights of an output pixel at most, an odd number. */
static size_t taps_of(int in, int out)
{
    const int scale = in > out ? (in + out - 1) / out : 1;
    return 2 * (size_t)scale + 1;
}

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* Sums of one row, spans and weights of both axes, the image between the passes. */
size_t resize_scratch_bytes(int height, int width, int n_rows, int n_columns, int channels)
{
    const size_t rows = (size_t)n_rows, columns = (size_t)n_columns;
    const size_t values = columns * (size_t)channels;
    return rounded(values * sizeof(int32_t)) + rounded(rows * sizeof(struct span)) +
           rounded(columns * sizeof(struct span)) +
           rounded(rows * taps_of(height, n_rows) * sizeof(int32_t)) +
           rounded(columns * taps_of(width, n_columns) * sizeof(int32_t)) +
           rounded((size_t)height * values);
}

static void *part(uint8_t **scratch, size_t bytes)
{
    uint8_t *at = *scratch;
    *scratch += rounded(bytes);
    return at;
}

/* Pillow's precompute_coeffs and normalize_coeffs_8bpc for the triangle. */
static void weigh(const resize_axis *axis, size_t taps, struct span *spans, int32_t *weights)
{
    const double scale = (double)axis->in / axis->out;
    const double width = scale > 1 ? scale : 1;
    for (int i = 0; i < axis->n; i++) {
        const double centre = (axis->first + i + 0.5) * scale;
        const int low = (int)(centre - width + 0.5);
        const int high = (int)(centre + width + 0.5);
        const int from = low > 0 ? low : 0;
        const int n = (high < axis->in ? high : axis->in) - from;
        int32_t *to = weights + (size_t)i * taps;
        double sum = 0;
        assert(n > 0 && (size_t)n <= taps);
        spans[i] = (struct span){from, n};
        for (int k = 0; k < n; k++) {
            const double at = fabs((k + from - centre + 0.5) * (1.0 / width));
            sum += at < 1 ? 1 - at : 0;
        }
        for (int k = 0; k < n; k++) {
            const double at = fabs((k + from - centre + 0.5) * (1.0 / width));
            to[k] = (int32_t)(0.5 + (at < 1 ? 1 - at : 0) / sum * (1 << PRECISION));
        }
    }
}

static uint8_t cut(int32_t sum)
{
    const int32_t value = sum >> PRECISION;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void resize_row(const uint8_t *from, int channels, int n, const struct span *spans,
                       const int32_t *weights, size_t taps, uint8_t *to)
{
    for (int x = 0; x < n; x++) {
        const uint8_t *in = from + (ptrdiff_t)spans[x].from * channels;
        const int32_t *w = weights + (size_t)x * taps;
        for (int c = 0; c < channels; c++) {
            int32_t sum = 1 << (PRECISION - 1);
            for (int k = 0; k < spans[x].taps; k++) {
                sum += in[k * channels + c] * w[k];
            }
            *to++ = cut(sum);
        }
    }
}

/* One output row from `taps` rows of `values` bytes. */
static void mix_rows(const uint8_t *from, size_t values, int taps, const int32_t *weights,
                     int32_t *sums, uint8_t *to)
{
    for (size_t i = 0; i < values; i++) {
        sums[i] = 1 << (PRECISION - 1);
    }
    for (int k = 0; k < taps; k++) {
        const uint8_t *row = from + (size_t)k * values;
        const int32_t w = weights[k];
        for (size_t i = 0; i < values; i++) {
            sums[i] += row[i] * w;
        }
    }
    for (size_t i = 0; i < values; i++) {
        to[i] = cut(sums[i]);
    }
}

void resize_image(const uint8_t *from, size_t stride, int channels, const resize_axis *rows,
                  const resize_axis *columns, void *scratch, uint8_t *to)
{
    uint8_t *free_scratch = scratch;
    const size_t row_taps = taps_of(rows->in, rows->out);
    const size_t column_taps = taps_of(columns->in, columns->out);
    const size_t values = (size_t)columns->n * (size_t)channels;
    int32_t *sums = part(&free_scratch, values * sizeof *sums);
    struct span *row_spans = part(&free_scratch, (size_t)rows->n * sizeof *row_spans);
    struct span *column_spans = part(&free_scratch, (size_t)columns->n * sizeof *column_spans);
    int32_t *row_weights = part(&free_scratch, (size_t)rows->n * row_taps * sizeof *row_weights);
    int32_t *column_weights =
        part(&free_scratch, (size_t)columns->n * column_taps * sizeof *column_weights);
    uint8_t *between = free_scratch;
    weigh(rows, row_taps, row_spans, row_weights);
    weigh(columns, column_taps, column_spans, column_weights);
    const int first = row_spans[0].from;
    const int last = row_spans[rows->n - 1].from + row_spans[rows->n - 1].taps;
    for (int y = first; y < last; y++) {
        resize_row(from + (size_t)y * stride, channels, columns->n, column_spans, column_weights,
                   column_taps, between + (size_t)(y - first) * values);
    }
    for (int y = 0; y < rows->n; y++) {
        mix_rows(between + (size_t)(row_spans[y].from - first) * values, values, row_spans[y].taps,
                 row_weights + (size_t)y * row_taps, sums, to + (size_t)y * values);
    }
}
