/* The depthwise 3x3 convolution with the batch norms and the activation on both its sides, for
 * blocks of a vector. Equations in kernel.h.
 *
 * A plane (one block of channels of one image) is walked row by row. Rings of four rows, with a
 * zero column on either side, hold what neighbouring rows share: z and y - mean of the input, dy of
 * the output; they stay in the first-level cache.
 * Roofline: forward reads y and writes out once, backward reads y, y_out and u_out and writes u
 * once; per element of the output 9 multiply-adds forward and 18 backward, beside about 12 for all
 * the rest. From the second-level cache on it is the multiply-adds that bound it. */
#include <math.h>
#include <string.h>

#include "kernels/vector/vector.h"

enum { RING = DEPTHWISE_RING, TAPS = 9, COLUMNS = 4 };

/* Rows of a plane as floats; rows outside it are zero. */
struct ring {
    float *rows;        /* [RING][width][LANES] */
    const float *zeros; /* [width][LANES] */
    int width, height;  /* width: with the columns on either side */
};

static const float *ring_row(const struct ring *ring, int row)
{
    return row < 0 || row >= ring->height
               ? ring->zeros
               : ring->rows + (size_t)(row % RING) * (size_t)ring->width * LANES;
}

static float *ring_place(const struct ring *ring, int row)
{
    return ring->rows + (size_t)(row % RING) * (size_t)ring->width * LANES;
}

/* Takes a ring out of scratch and clears its outer columns. */
static struct ring ring_make(float **scratch, const float *zeros, const mbt_layout *l)
{
    struct ring ring = {*scratch, zeros, l->w + 2, l->h};
    for (int row = 0; row < RING; row++) {
        float *start = ring_place(&ring, row);
        vec_store(start, vec_zero());
        vec_store(start + (size_t)(ring.width - 1) * LANES, vec_zero());
    }
    *scratch += (size_t)RING * (size_t)ring.width * LANES;
    return ring;
}

/* The input of a plane, and how it becomes z. */
struct feed {
    struct sources y; /* of one image */
    vec a, b, mean, low, high;
    int width;
};

/* Block k of the first image. */
static struct feed feed_of(const mbt_depthwise_desc *desc, const struct blocks *y, int k,
                           const float *a, const float *b, const float *mean)
{
    const mbt_shuffle_block *move = &desc->apply.forward->blocks[k];
    return (struct feed){
        .y = sources_of(y, move),
        .a = gather_channels(move, a),
        .b = gather_channels(move, b),
        .mean = mean != NULL ? gather_channels(move, mean) : vec_zero(),
        .low = vec_all(activation_low(desc->apply.act)),
        .high = vec_all(activation_high(desc->apply.act)),
        .width = desc->conv.in.w,
    };
}

/* Row `row` of z, and of y - mean when `d` is there. moves: sources_count. */
INLINE void feed_row(const struct feed *f, int row, float *z, float *d, int moves, int bf16)
{
    const size_t from = (size_t)row * (size_t)f->width * LANES;
    for (size_t at = 0; at < (size_t)f->width * LANES; at += LANES) {
        const vec y = moves > 0 ? gather(&f->y, from + at, moves, bf16)
                                : fetch(f->y.from[0], from + at, bf16);
        if (d != NULL) {
            vec_store(d + LANES + at, y - f->mean);
        }
        const vec v = vec_fma(f->a, y, f->b);
        /* This order passes NaN on. */
        vec_store(z + LANES + at, vec_min(f->high, vec_max(f->low, v)));
    }
}

/* `columns` outputs from column x on: taps [3][3] on three rows. */
INLINE void taps_on_rows(const float *const rows[3], const vec *taps, int x, int stride,
                         int columns, vec *sum)
{
    for (int j = 0; j < columns; j++) {
        sum[j] = vec_zero();
    }
    for (int ky = 0; ky < 3; ky++) {
        const float *row = rows[ky] + (size_t)(x * stride) * LANES;
        for (int kx = 0; kx < 3; kx++) {
            for (int j = 0; j < columns; j++) {
                sum[j] = vec_fma(taps[ky * 3 + kx],
                                 vec_load(row + (size_t)(j * stride + kx) * LANES), sum[j]);
            }
        }
    }
}

static vec add_four(const vec *v)
{
    return (v[0] + v[1]) + (v[2] + v[3]);
}

/* ---- forward ---- */

struct output {
    void *block;
    int width;
    vec about;
    struct sums *sums;
};

INLINE void put_columns(const struct output *o, size_t at, const vec *v, int columns, vec *s,
                        vec *q, int bf16, int stream)
{
    for (int j = 0; j < columns; j++) {
        const vec d = keep(o->block, at + (size_t)j * LANES, v[j], bf16, stream) - o->about;
        s[j] += d;
        q[j] = vec_fma(d, d, q[j]);
    }
}

INLINE void forward_row(const float *const rows[3], const vec *taps, int row,
                        const struct output *o, int stride, int bf16, int stream)
{
    const size_t start = (size_t)row * (size_t)o->width * LANES;
    vec s[COLUMNS], q[COLUMNS], v[COLUMNS];
    for (int j = 0; j < COLUMNS; j++) {
        s[j] = q[j] = vec_zero();
    }
    int x = 0;
    for (; x + COLUMNS <= o->width; x += COLUMNS) {
        taps_on_rows(rows, taps, x, stride, COLUMNS, v);
        put_columns(o, start + (size_t)x * LANES, v, COLUMNS, s, q, bf16, stream);
    }
    for (; x < o->width; x++) {
        taps_on_rows(rows, taps, x, stride, 1, v);
        put_columns(o, start + (size_t)x * LANES, v, 1, s, q, bf16, stream);
    }
    sums_add(o->sums, add_four(s), add_four(q), o->width);
}

INLINE void forward_plane(const struct feed *feed, const struct ring *z, const vec *taps,
                          struct output *out, int out_rows, bool first, int stride, int moves,
                          int bf16, int stream)
{
    for (int row = 0, ready = 0; row < out_rows; row++) {
        const int last = row * stride + 1 < z->height ? row * stride + 1 : z->height - 1;
        for (; ready <= last; ready++) {
            feed_row(feed, ready, ring_place(z, ready), NULL, moves, bf16);
        }
        const float *rows[3];
        for (int ky = 0; ky < 3; ky++) {
            rows[ky] = ring_row(z, row * stride + ky - 1);
        }
        if (first && row == 0) { /* sums are taken about the channel's first value */
            taps_on_rows(rows, taps, 0, stride, 1, &out->about);
        }
        forward_row(rows, taps, row, out, stride, bf16, stream);
    }
}

static void load_taps(const float *weights, int k, bool turned, vec *taps)
{
    for (int t = 0; t < TAPS; t++) {
        taps[turned ? TAPS - 1 - t : t] =
            vec_load_any(weights + ((size_t)k * TAPS + (size_t)t) * LANES);
    }
}

/* What a loop must not ask for every vector is a constant in each of these branches. */
INLINE void forward_moves(const struct feed *feed, const struct ring *z, const vec *taps,
                          struct output *out, int out_rows, bool first, int stride, int moves,
                          int bf16, int stream)
{
    if (moves == 0) {
        forward_plane(feed, z, taps, out, out_rows, first, stride, 0, bf16, stream);
    } else if (moves == 2) {
        forward_plane(feed, z, taps, out, out_rows, first, stride, 2, bf16, stream);
    } else if (moves == SOME) {
        forward_plane(feed, z, taps, out, out_rows, first, stride, SOME, bf16, stream);
    } else {
        forward_plane(feed, z, taps, out, out_rows, first, stride, moves, bf16, stream);
    }
}

void AT_LEVEL(mbt_depthwise_forward)(const mbt_depthwise_desc *desc, int n,
                                     const mbt_depthwise_forward_args *args)
{
    const mbt_layout *in = &desc->conv.in, *out = &desc->conv.out;
    const int bf16 = args->y.storage == MBT_STORAGE_BF16, stride = desc->conv.stride;
    const struct blocks from = blocks_of(&desc->apply.source, args->y);
    const struct blocks to = blocks_of(out, args->out);
    float *scratch = args->scratch;
    const float *zeros = memset(scratch, 0, ((size_t)in->w + 2) * LANES * sizeof *scratch);
    scratch += ((size_t)in->w + 2) * LANES;
    const struct ring z = ring_make(&scratch, zeros, in);
    for (int k = 0; k < block_count(out); k++) {
        vec taps[TAPS];
        struct sums sums = sums_zero();
        struct feed feed = feed_of(desc, &from, k, args->a, args->b, NULL);
        struct output o = {.block = block_first(&to, k), .width = out->w, .sums = &sums};
        const int moves = sources_count(desc->apply.forward, k);
        load_taps(args->weights, k, false, taps);
        for (int i = 0; i < n; i++) {
            if (stride == 1 && bf16) {
                forward_moves(&feed, &z, taps, &o, out->h, i == 0, 1, moves, 1, args->stream);
            } else if (stride == 1) {
                forward_moves(&feed, &z, taps, &o, out->h, i == 0, 1, moves, 0, args->stream);
            } else {
                forward_moves(&feed, &z, taps, &o, out->h, i == 0, 2, moves, bf16, args->stream);
            }
            sources_next(&feed.y);
            o.block = (unsigned char *)o.block + to.image;
        }
        AT_LEVEL(mbt_moments)
        (&sums, o.about, (double)n * out->h * out->w, args->mean + (size_t)k * LANES,
         args->m2 + (size_t)k * LANES);
    }
    if (args->stream) {
        _mm_sfence();
    }
}

/* ---- backward ---- */

/* Row `row` of dy. */
struct slope {
    const void *u, *y;
    vec mean, c1, c2, c3;
    int width;
};

INLINE void slope_row(const struct slope *s, int row, float *dy, int bf16)
{
    const size_t from = (size_t)row * (size_t)s->width * LANES;
    for (size_t at = 0; at < (size_t)s->width * LANES; at += LANES) {
        ask_ahead(s->u, from + at, bf16);
        ask_ahead(s->y, from + at, bf16);
        const vec d = fetch(s->y, from + at, bf16) - s->mean;
        vec_store(dy + LANES + at,
                  vec_fma(s->c1, fetch(s->u, from + at, bf16), vec_fma(s->c2, d, s->c3)));
    }
}

INLINE void weights_columns(const float *dy, const float *const z[3], int x, int stride,
                            int columns, vec *sum)
{
    for (int j = 0; j < columns; j++) { /* nine sums in turn: none waits for itself */
        const vec g = vec_load(dy + (size_t)(x + j + 1) * LANES);
        const size_t at = (size_t)((x + j) * stride) * LANES;
        for (int tap = 0; tap < TAPS; tap++) {
            sum[tap] = vec_fma(g, vec_load(z[tap / 3] + at + (size_t)(tap % 3) * LANES), sum[tap]);
        }
    }
}

/* What a row of dy gives to the gradient of the taps. */
INLINE void weights_row(const float *dy, const float *const z[3], int width, int stride, vec *total)
{
    vec sum[TAPS];
    for (int t = 0; t < TAPS; t++) {
        sum[t] = total[t];
    }
    int x = 0;
    for (; x + COLUMNS <= width; x += COLUMNS) {
        weights_columns(dy, z, x, stride, COLUMNS, sum);
    }
    for (; x < width; x++) {
        weights_columns(dy, z, x, stride, 1, sum);
    }
    for (int t = 0; t < TAPS; t++) {
        total[t] = sum[t];
    }
}

/* Where u goes, and the sums of a row of it. */
struct target {
    void *block;
    vec low, high;
    vec s, q;
};

/* Column x of a row: the mask, and u*(y - mean) to q; returns u as it is kept. `at`: of the
 * element in the plane. */
INLINE vec put_u(const struct target *t, vec *q, const float *z, const float *d, int x, size_t at,
                 vec v, int bf16, int stream)
{
    const vec value = vec_load(z + (size_t)(x + 1) * LANES);
    v = vec_between(value, t->low, t->high, v);
    v = keep(t->block, at + (size_t)x * LANES, v, bf16, stream);
    *q = vec_fma(v, vec_load(d + (size_t)(x + 1) * LANES), *q);
    return v;
}

/* One row of u at stride 1; `flipped` are the taps turned round. */
INLINE void data_row(const float *const dy[3], const vec *flipped, const float *z, const float *d,
                     int row, int width, struct target *t, int bf16, int stream)
{
    const size_t start = (size_t)row * (size_t)width * LANES;
    vec v[COLUMNS], s = vec_zero(), q = s;
    int x = 0;
    for (; x + COLUMNS <= width; x += COLUMNS) {
        taps_on_rows(dy, flipped, x, 1, COLUMNS, v);
        for (int j = 0; j < COLUMNS; j++) {
            v[j] = put_u(t, &q, z, d, x + j, start, v[j], bf16, stream);
        }
        s += add_four(v);
    }
    for (; x < width; x++) {
        taps_on_rows(dy, flipped, x, 1, 1, v);
        s += put_u(t, &q, z, d, x, start, v[0], bf16, stream);
    }
    t->s = s;
    t->q = q;
}

/* Two rows of u at stride 2, 2*i and 2*i+1, from rows i (`here`) and i+1 of dy: a pixel is reached
 * by the taps whose distance to it is even. */
INLINE void data_row_pair(const float *here, const float *below, const vec *w,
                          const float *const z[2], const float *const d[2], int row, int width,
                          struct target *t, int bf16, int stream)
{
    const size_t start = (size_t)row * (size_t)width * LANES, next = start + (size_t)width * LANES;
    vec s = vec_zero(), q = s;
    for (int m = 0; 2 * m < width; m++) {
        const vec h0 = vec_load(here + (size_t)(m + 1) * LANES);
        const vec h1 = vec_load(here + (size_t)(m + 2) * LANES);
        const vec b0 = vec_load(below + (size_t)(m + 1) * LANES);
        const vec b1 = vec_load(below + (size_t)(m + 2) * LANES);
        const vec v[] = {
            put_u(t, &q, z[0], d[0], 2 * m, start, w[4] * h0, bf16, stream),
            put_u(t, &q, z[0], d[0], 2 * m + 1, start, vec_fma(w[3], h1, w[5] * h0), bf16, stream),
            put_u(t, &q, z[1], d[1], 2 * m, next, vec_fma(w[1], b0, w[7] * h0), bf16, stream),
            put_u(t, &q, z[1], d[1], 2 * m + 1, next,
                  vec_fma(w[0], b1, w[2] * b0) + vec_fma(w[6], h1, w[8] * h0), bf16, stream),
        };
        s += add_four(v);
    }
    t->s = s;
    t->q = q;
}

struct rings {
    struct ring z, d, dy;
};

/* taps: turned round at stride 1. */
INLINE void backward_plane(const struct feed *feed, const struct slope *slope,
                           const struct rings *r, const vec *taps, vec *d_taps, void *block,
                           struct sums *sums, int stride, int moves, int bf16, int stream)
{
    const int in_rows = r->z.height, out_rows = r->dy.height;
    struct target t = {.block = block, .low = feed->low, .high = feed->high};
    for (int row = 0, ready = 0, dy_ready = 0; row < out_rows; row++) {
        for (; ready <= row * stride + 1 && ready < in_rows; ready++) {
            feed_row(feed, ready, ring_place(&r->z, ready), ring_place(&r->d, ready), moves, bf16);
        }
        for (; dy_ready <= row + 1 && dy_ready < out_rows; dy_ready++) {
            slope_row(slope, dy_ready, ring_place(&r->dy, dy_ready), bf16);
        }
        const float *z[3], *dy[3];
        for (int k = 0; k < 3; k++) {
            z[k] = ring_row(&r->z, row * stride + k - 1);
            dy[k] = ring_row(&r->dy, row + k - 1);
        }
        weights_row(dy[1], z, slope->width, stride, d_taps);
        if (stride == 1) {
            data_row(dy, taps, z[1], ring_row(&r->d, row), row, feed->width, &t, bf16, stream);
        } else {
            const float *const d[2] = {ring_row(&r->d, 2 * row), ring_row(&r->d, 2 * row + 1)};
            data_row_pair(dy[1], dy[2], taps, z + 1, d, 2 * row, feed->width, &t, bf16, stream);
        }
        sums_add(sums, t.s, t.q, feed->width * stride);
    }
}

/* Sums of a destination block, to the channels of the source they belong to. */
static void put_sums(struct sums *sums, const mbt_shuffle_block *move, double *sum_u,
                     double *sum_uy)
{
    double u[LANES], uy[LANES];
    sums_flush(sums);
    wide_store(&sums->first, u);
    wide_store(&sums->second, uy);
    for (int m = 0; m < move->n_from; m++) {
        for (int c = 0; c < LANES; c++) {
            if ((move->mask[m] >> c & 1u) != 0) {
                const int to = move->from[m] * LANES + move->lane[m][c];
                sum_u[to] = u[c];
                sum_uy[to] = uy[c];
            }
        }
    }
}

static struct slope slope_of(const mbt_depthwise_backward_args *args, int width, int k)
{
    const size_t c = (size_t)k * LANES;
    return (struct slope){
        .mean = vec_load_any(args->mean_out + c),
        .c1 = vec_load_any(args->c1 + c),
        .c2 = vec_load_any(args->c2 + c),
        .c3 = vec_load_any(args->c3 + c),
        .width = width,
    };
}

/* Constants as in forward_moves. */
INLINE void backward_moves(const struct feed *feed, const struct slope *slope,
                           const struct rings *r, const vec *taps, vec *d_taps, void *block,
                           struct sums *sums, int stride, int moves, int bf16, int stream)
{
    if (moves == 0) {
        backward_plane(feed, slope, r, taps, d_taps, block, sums, stride, 0, bf16, stream);
    } else if (moves == 2) {
        backward_plane(feed, slope, r, taps, d_taps, block, sums, stride, 2, bf16, stream);
    } else if (moves == SOME) {
        backward_plane(feed, slope, r, taps, d_taps, block, sums, stride, SOME, bf16, stream);
    } else {
        backward_plane(feed, slope, r, taps, d_taps, block, sums, stride, moves, bf16, stream);
    }
}

/* The gradient of the taps: of some images, and of all before them. Shorter chains of additions
 * lose fewer bits. */
struct tap_sums {
    vec some[TAPS], all[TAPS];
    int pending;
};

static struct tap_sums tap_sums_zero(void)
{
    struct tap_sums sums = {.pending = 0};
    for (int t = 0; t < TAPS; t++) {
        sums.some[t] = sums.all[t] = vec_zero();
    }
    return sums;
}

static void tap_sums_add(struct tap_sums *sums, int pixels, bool last)
{
    sums->pending += pixels;
    if (sums->pending < FLUSH_PIXELS && !last) {
        return;
    }
    for (int t = 0; t < TAPS; t++) {
        sums->all[t] += sums->some[t];
        sums->some[t] = vec_zero();
    }
    sums->pending = 0;
}

/* Where the maps of a call lie. */
struct places {
    struct blocks y, u, u_out, y_out;
};

static void backward_block(const mbt_depthwise_desc *desc, int n,
                           const mbt_depthwise_backward_args *args, const struct places *places,
                           const struct rings *rings, int k)
{
    const int bf16 = args->y.storage == MBT_STORAGE_BF16, stride = desc->conv.stride;
    const int moves = sources_count(desc->apply.forward, k);
    const int stream = args->stream;
    const unsigned char *u_out = block_first(&places->u_out, k);
    const unsigned char *y_out = block_first(&places->y_out, k);
    unsigned char *u = block_first(&places->u, k);
    struct feed feed = feed_of(desc, &places->y, k, args->a, args->b, args->mean);
    struct slope slope = slope_of(args, desc->conv.out.w, k);
    vec taps[TAPS];
    struct sums sums = sums_zero();
    struct tap_sums d_taps = tap_sums_zero();
    load_taps(args->weights, k, stride == 1, taps);
    for (int i = 0; i < n; i++) {
        slope.u = u_out + (size_t)i * places->u_out.image;
        slope.y = y_out + (size_t)i * places->y_out.image;
        if (stride == 1 && bf16) {
            backward_moves(&feed, &slope, rings, taps, d_taps.some, u, &sums, 1, moves, 1, stream);
        } else if (stride == 1) {
            backward_moves(&feed, &slope, rings, taps, d_taps.some, u, &sums, 1, moves, 0, stream);
        } else {
            backward_moves(&feed, &slope, rings, taps, d_taps.some, u, &sums, 2, moves, bf16,
                           stream);
        }
        tap_sums_add(&d_taps, desc->conv.out.h * desc->conv.out.w, i + 1 == n);
        sources_next(&feed.y);
        u += places->u.image;
    }
    for (int t = 0; t < TAPS; t++) {
        vec_store_any(args->d_weights + ((size_t)k * TAPS + (size_t)t) * LANES, d_taps.all[t]);
    }
    put_sums(&sums, &desc->apply.forward->blocks[k], args->sum_u, args->sum_uy);
}

void AT_LEVEL(mbt_depthwise_backward)(const mbt_depthwise_desc *desc, int n,
                                      const mbt_depthwise_backward_args *args)
{
    const mbt_layout *in = &desc->conv.in;
    const size_t source = (size_t)mbt_layout_stored(&desc->apply.source);
    float *scratch = args->scratch;
    const float *zeros = memset(scratch, 0, ((size_t)in->w + 2) * LANES * sizeof *scratch);
    scratch += ((size_t)in->w + 2) * LANES;
    struct rings rings;
    rings.z = ring_make(&scratch, zeros, in);
    rings.d = ring_make(&scratch, zeros, in);
    rings.dy = ring_make(&scratch, zeros, &desc->conv.out);
    const struct places places = {
        .y = blocks_of(&desc->apply.source, args->y),
        .u = blocks_of(in, args->u),
        .u_out = blocks_of(&desc->conv.out, args->u_out),
        .y_out = blocks_of(&desc->conv.out, args->y_out),
    };
    memset(args->sum_u, 0, source * sizeof *args->sum_u); /* padded channels have no lane */
    memset(args->sum_uy, 0, source * sizeof *args->sum_uy);
    for (int k = 0; k < block_count(in); k++) {
        backward_block(desc, n, args, &places, &rings, k);
    }
    if (args->stream) {
        _mm_sfence();
    }
}
