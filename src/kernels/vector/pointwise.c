/* 1x1 convolutions whose channels do not fill their blocks, 24 of 32, 12 of 16, 72 of 80, or that
 * have groups.
 *
 *     out[p][o] = act(sum over c of in[p][c] * w[c][o] + bias[o])     forward; backward data is the
 *                                                                    same with w transposed
 *     dw[c][o]  = sum over p of in[p][c] * dy[p][o]
 *
 * p counts pixels, c and o channels of a section. Both are one product of matrices in registers:
 * ROWS values, broadcast one by one, times up to three vectors of outputs, of which the last may
 * be half a vector. Padded channels cost nothing as c; as o they cost what is left of a half block.
 * Sums are float: over c in order; over p in runs of RUN pixels that are then added in order.
 * Layouts: maps as in tensor.h, weights MBT_FORM_DENSE.
 * Roofline: 2*P*C*O operations on P*(C + O) floats, by arithmetic from the second-level cache. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/vector/vector.h"

/* ROWS times WIDE sums, and the vectors they are made of, are what the registers hold: 32 with
 * AVX-512, 16 with AVX2. ROWS is doubled where there is one vector of outputs: so few sums would
 * wait for each other. */
enum { ROWS = LANES / 2, WIDE = 3, RUN = 64 };

struct instance {
    mbt_conv_desc desc;
    mbt_op op;
    int n_images;
};

/* A side of the product: real channels of a section, in blocks. */
struct side {
    int channels, blocks;
};

static struct side side_of(const mbt_layout *l)
{
    return (struct side){l->c / l->sections, mbt_layout_section(l) / LANES};
}

/* sum[ROWS * full] and half[ROWS] += a * b over `count` steps: a steps by a_step floats and its
 * rows lie a_row apart, b steps by a block and its vectors lie b_block apart. */
struct product {
    const float *a, *b;
    size_t a_step, a_row, b_block;
    int count;
};

INLINE void multiply(const struct product *p, int rows, int full, int half, vec *sum,
                     half_vec *half_sum)
{
    const float *a = p->a, *b = p->b;
    for (int step = 0; step < p->count; step++, a += p->a_step, b += LANES) {
        for (int r = 0; r < rows; r++) {
            const vec v = vec_all(a[(size_t)r * p->a_row]);
            for (int k = 0; k < full; k++) {
                sum[r * full + k] =
                    vec_fma(v, vec_load(b + (size_t)k * p->b_block), sum[r * full + k]);
            }
            if (half) {
                half_sum[r] =
                    half_fma(half_of(v), half_load(b + (size_t)full * p->b_block), half_sum[r]);
            }
        }
    }
}

INLINE void clear(int rows, int full, vec *sum, half_vec *half_sum)
{
    for (int i = 0; i < rows * full; i++) {
        sum[i] = vec_zero();
    }
    for (int r = 0; r < rows; r++) {
        half_sum[r] = half_zero();
    }
}

/* ---- forward, backward data ---- */

/* Some blocks of outputs for all pixels of an image. */
struct job {
    const float *in, *weights, *bias; /* bias NULL: none */
    float *out;
    struct side c;
    size_t pixels;
    vec low, high;
};

INLINE void put(const struct job *j, size_t pixel, int block, vec v)
{
    if (j->bias != NULL) {
        v += vec_load_any(j->bias + (size_t)block * LANES);
    }
    v = vec_min(j->high, vec_max(j->low, v)); /* this order passes NaN on */
    vec_store(j->out + ((size_t)block * j->pixels + pixel) * LANES, v);
}

INLINE void some_pixels(const struct job *j, size_t pixel, int rows, int full, int half)
{
    vec sum[ROWS * WIDE];
    half_vec half_sum[2 * ROWS];
    clear(rows, full, sum, half_sum);
    struct product p = {
        .a_step = 1, .a_row = LANES, .b_block = (size_t)j->c.blocks * LANES * LANES};
    for (int block = 0; block < j->c.blocks; block++) {
        const int left = j->c.channels - block * LANES;
        p.a = j->in + ((size_t)block * j->pixels + pixel) * LANES;
        p.b = j->weights + (size_t)block * LANES * LANES;
        p.count = left < LANES ? left : LANES;
        multiply(&p, rows, full, half, sum, half_sum);
    }
    for (int r = 0; r < rows; r++) {
        for (int k = 0; k < full; k++) {
            put(j, pixel + (size_t)r, k, sum[r * full + k]);
        }
        if (half) {
            put(j, pixel + (size_t)r, full, half_widen(half_sum[r]));
        }
    }
}

INLINE void all_pixels(const struct job *j, int full, int half)
{
    const int rows = full + half > 1 ? ROWS : 2 * ROWS;
    size_t pixel = 0;
    for (; pixel + (size_t)rows <= j->pixels; pixel += (size_t)rows) {
        some_pixels(j, pixel, rows, full, half);
    }
    for (; pixel < j->pixels; pixel++) {
        some_pixels(j, pixel, 1, full, half);
    }
}

/* ---- backward weights ---- */

/* Some blocks of outputs for all input channels, over a run of pixels: of an image, or all those of
 * some small images. */
struct run {
    const float *in, *dy;
    float *dw;
    struct side c;
    size_t pixels, count; /* of the image; of the run in each image */
    int images;
    size_t in_image, dy_image; /* floats to the next */
};

INLINE void some_channels(const struct run *u, int channel, int rows, int full, int half)
{
    vec sum[ROWS * WIDE];
    half_vec half_sum[2 * ROWS];
    clear(rows, full, sum, half_sum);
    const size_t block = (size_t)(channel / LANES), lane = (size_t)(channel % LANES);
    struct product p = {.a = u->in + block * u->pixels * LANES + lane,
                        .b = u->dy,
                        .a_step = LANES,
                        .a_row = 1,
                        .b_block = u->pixels * LANES,
                        .count = (int)u->count};
    for (int i = 0; i < u->images; i++, p.a += u->in_image, p.b += u->dy_image) {
        multiply(&p, rows, full, half, sum, half_sum);
    }
    const size_t next = (size_t)u->c.blocks * LANES * LANES;
    for (int r = 0; r < rows; r++) {
        float *to = u->dw + (block * LANES + lane + (size_t)r) * LANES;
        for (int k = 0; k < full; k++) {
            float *at = to + (size_t)k * next;
            vec_store(at, vec_load(at) + sum[r * full + k]);
        }
        if (half) {
            float *at = to + (size_t)full * next;
            half_store(at, half_load(at) + half_sum[r]);
        }
    }
}

INLINE void all_channels(const struct run *u, int full, int half)
{
    const int rows = full + half > 1 ? ROWS : 2 * ROWS;
    int channel = 0;
    for (; channel + rows <= u->c.channels; channel += rows) {
        some_channels(u, channel, rows, full, half);
    }
    for (; channel + ROWS / 2 <= u->c.channels; channel += ROWS / 2) {
        some_channels(u, channel, ROWS / 2, full, half);
    }
    for (; channel < u->c.channels; channel++) {
        some_channels(u, channel, 1, full, half);
    }
}

/* ---- cuts ---- */

/* The register shapes: so many whole vectors of outputs, and perhaps half a one. */
typedef void job_fn(const struct job *j);
typedef void run_fn(const struct run *u);

static void pixels_1(const struct job *j)
{
    all_pixels(j, 1, 0);
}
static void pixels_2(const struct job *j)
{
    all_pixels(j, 2, 0);
}
static void pixels_3(const struct job *j)
{
    all_pixels(j, 3, 0);
}
static void pixels_half(const struct job *j)
{
    all_pixels(j, 0, 1);
}
static void pixels_1_half(const struct job *j)
{
    all_pixels(j, 1, 1);
}
static void pixels_2_half(const struct job *j)
{
    all_pixels(j, 2, 1);
}
static void channels_1(const struct run *u)
{
    all_channels(u, 1, 0);
}
static void channels_2(const struct run *u)
{
    all_channels(u, 2, 0);
}
static void channels_3(const struct run *u)
{
    all_channels(u, 3, 0);
}
static void channels_half(const struct run *u)
{
    all_channels(u, 0, 1);
}
static void channels_1_half(const struct run *u)
{
    all_channels(u, 1, 1);
}
static void channels_2_half(const struct run *u)
{
    all_channels(u, 2, 1);
}

/* [half][full] */
static job_fn *const job_shapes[2][WIDE + 1] = {{NULL, pixels_1, pixels_2, pixels_3},
                                                {pixels_half, pixels_1_half, pixels_2_half, NULL}};
static run_fn *const run_shapes[2][WIDE + 1] = {
    {NULL, channels_1, channels_2, channels_3},
    {channels_half, channels_1_half, channels_2_half, NULL}};

/* How many blocks from `block` on are taken at once, and whether the last is half a one. */
static int cut(const struct side *o, int block, int *half)
{
    const int whole = (o->channels + LANES / 2 - 1) / LANES; /* blocks with more than half */
    const int left = whole - block;
    *half = left < WIDE && whole < o->blocks;
    return left < WIDE ? left : WIDE;
}

static void multiply_image(struct job j, const struct side *o, const float *bias)
{
    const float *weights = j.weights;
    float *out = j.out;
    for (int block = 0, half = 0; block < o->blocks;) {
        const int full = cut(o, block, &half);
        j.weights = weights + (size_t)block * (size_t)j.c.blocks * LANES * LANES;
        j.bias = bias != NULL ? bias + (size_t)block * LANES : NULL;
        j.out = out + (size_t)block * j.pixels * LANES;
        job_shapes[half][full](&j);
        block += full + half;
    }
}

static void correlate(struct run u, const struct side *o)
{
    const float *in = u.in, *dy = u.dy;
    float *dw = u.dw;
    for (size_t pixel = 0; pixel < u.pixels; pixel += RUN) {
        u.in = in + pixel * LANES;
        u.count = u.pixels - pixel < RUN ? u.pixels - pixel : RUN;
        for (int block = 0, half = 0; block < o->blocks;) {
            const int full = cut(o, block, &half);
            u.dy = dy + ((size_t)block * u.pixels + pixel) * LANES;
            u.dw = dw + (size_t)block * (size_t)u.c.blocks * LANES * LANES;
            run_shapes[half][full](&u);
            block += full + half;
        }
    }
}

/* ---- the table's interface ---- */

static mbt_status create(const mbt_conv_desc *desc, mbt_op op, int n_images, void **instance,
                         mbt_error *err)
{
    struct instance *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mbt_fail(err, MBT_FAILURE, "convolution: out of memory");
    }
    *self = (struct instance){*desc, op, n_images};
    *instance = self;
    return MBT_OK;
}

static const char *implementation(const void *opaque)
{
    (void)opaque;
    return LANES == 16 ? "avx512:pointwise" : "avx2:pointwise";
}

static size_t no_scratch(const void *opaque)
{
    (void)opaque;
    return 0;
}

static size_t weights_floats(const mbt_conv_desc *desc)
{
    return (size_t)mbt_layout_stored(&desc->in) * (size_t)mbt_layout_section(&desc->out);
}

static size_t prepared(const void *opaque)
{
    const struct instance *self = opaque;
    return self->op == MBT_OP_CONV_BACKWARD_DATA ? weights_floats(&self->desc) : 0;
}

/* [S][O/B][C/B][c][o] to [S][C/B][O/B][o][c]. */
static void prepare(void *opaque, const float *stored, float *to, void *scratch)
{
    const struct instance *self = opaque;
    const int n_o = side_of(&self->desc.out).blocks, n_c = side_of(&self->desc.in).blocks;
    (void)scratch;
    for (int s = 0; s < self->desc.in.sections; s++) {
        for (int block = 0; block < n_o * n_c; block++, stored += LANES * LANES) {
            const int o = block / n_c, c = block % n_c;
            float *at =
                to + ((size_t)s * (size_t)(n_o * n_c) + (size_t)(c * n_o + o)) * (LANES * LANES);
            for (int i = 0; i < LANES * LANES; i++) {
                at[(i % LANES) * LANES + i / LANES] = stored[i];
            }
        }
    }
}

/* Both directions: from one map to the other. */
static void run_data(const struct instance *self, const mbt_conv_args *args)
{
    const mbt_conv_desc *desc = &self->desc;
    const bool back = self->op == MBT_OP_CONV_BACKWARD_DATA;
    const mbt_layout *from = back ? &desc->out : &desc->in, *to = back ? &desc->in : &desc->out;
    const mbt_map source = back ? args->out : args->in, target = back ? args->in : args->out;
    const struct side o = side_of(to);
    const mbt_activation act = back ? MBT_ACT_NONE : desc->act;
    const size_t section = weights_floats(desc) / (size_t)desc->in.sections;
    for (int s = 0; s < desc->in.sections; s++) {
        const float *bias = back || args->bias == NULL
                                ? NULL
                                : args->bias + (size_t)s * (size_t)mbt_layout_section(to);
        for (int i = 0; i < self->n_images; i++) {
            const struct job job = {
                .in = (const float *)source.data + (size_t)s * source.section +
                      (size_t)i * mbt_layout_image(from),
                .weights = args->weights + (size_t)s * section,
                .out = (float *)target.data + (size_t)s * target.section +
                       (size_t)i * mbt_layout_image(to),
                .c = side_of(from),
                .pixels = (size_t)to->h * (size_t)to->w,
                .low = vec_all(activation_low(act)),
                .high = vec_all(activation_high(act)),
            };
            multiply_image(job, &o, bias);
        }
    }
}

static void run_weights(const struct instance *self, const mbt_conv_args *args)
{
    const mbt_layout *in = &self->desc.in, *out = &self->desc.out;
    const size_t section = weights_floats(&self->desc) / (size_t)in->sections;
    const size_t pixels = (size_t)in->h * (size_t)in->w;
    const int images = pixels < RUN ? (int)(RUN / pixels) : 1;
    const struct side o = side_of(out);
    memset(args->weights, 0, weights_floats(&self->desc) * sizeof(float));
    for (int s = 0; s < in->sections; s++) {
        struct run run = {.in = (const float *)args->in.data + (size_t)s * args->in.section,
                          .dy = (const float *)args->out.data + (size_t)s * args->out.section,
                          .dw = args->weights + (size_t)s * section,
                          .c = side_of(in),
                          .pixels = pixels,
                          .in_image = mbt_layout_image(in),
                          .dy_image = mbt_layout_image(out)};
        for (int i = 0; i < self->n_images; i += images) {
            run.images = self->n_images - i < images ? self->n_images - i : images;
            correlate(run, &o);
            run.in += (size_t)images * run.in_image;
            run.dy += (size_t)images * run.dy_image;
        }
    }
}

static void run(void *opaque, const mbt_conv_args *args)
{
    const struct instance *self = opaque;
    if (self->op == MBT_OP_CONV_BACKWARD_WEIGHTS) {
        run_weights(self, args);
    } else {
        run_data(self, args);
    }
}

const mbt_conv_ops AT_LEVEL(mbt_pointwise) = {
    .create = create,
    .destroy = free,
    .implementation = implementation,
    .scratch_bytes = no_scratch,
    .prepared = prepared,
    .prepare = prepare,
    .run = run,
};
