/* A depthwise convolution with all that lies between its batch-norm barriers, against the naive
 * passes one after the other, central differences of their composition, and the adjoint identity
 *     <conv(a*y, w), g> = <y, a*u> = <w, d_weights>  without activation, offset and batch norm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "kernels/apply_trial.h"
#include "kernels/checks.h"
#include "kernels/weights.h"

enum flag { CLIPS = 1, BF16 = 2, STREAM = 4, FLAGS = 8 };

struct trial {
    apply_trial source;
    mbt_depthwise_desc desc;
    ref_conv ref;
    ref_shape in, out;
    size_t n_in, n_out;
    test_weights stored;
    mbt_storage storage; /* of y and out, and of their gradients */
    bool wide, stream;
    double *weights;
};

/* How out reaches the loss; per channel. */
struct arrival {
    double *u, *y, *mean, *c1, *c2, *c3;
};

/* ---- running the rows ---- */

struct forward {
    double *out, *mean, *m2;
};

static struct forward run_forward(subject *s, const struct trial *t, const double *b)
{
    const mbt_depthwise_desc *d = &t->desc;
    const size_t stored = (size_t)mbt_layout_stored(&d->conv.out);
    test_map y = map_take_as(s, &d->apply.source, t->in.n, t->wide, t->storage);
    test_map out = map_take_as(s, &d->conv.out, t->in.n, t->wide, t->storage);
    map_fill(s, &y, t->source.y);
    const mbt_depthwise_forward_args args = {
        .y = y.view,
        .out = out.view,
        .a = channels_pack(s, &d->apply.source, t->source.a),
        .b = channels_pack(s, &d->apply.source, b),
        .weights = weights_pack(s, &t->stored, t->weights),
        .stream = t->stream,
        .mean = subject_doubles(s, stored),
        .m2 = subject_doubles(s, stored),
        .scratch = subject_take(s, mbt_depthwise_scratch(d) * sizeof(float)),
    };
    subject_kernel(s, MBT_OP_DEPTHWISE_FORWARD, d)->run.depthwise_forward(d, t->in.n, &args);
    map_unchanged(s, &y, "y");
    map_written(s, &out, "out");
    return (struct forward){map_read(s, &out), channels_read(s, &d->conv.out, args.mean),
                            channels_read(s, &d->conv.out, args.m2)};
}

struct backward {
    double *u; /* channels as the destination has them */
    double *d_weights, *sum_u, *sum_uy;
};

static struct backward run_backward(subject *s, const struct trial *t, const double *b,
                                    const double *mean, const struct arrival *from)
{
    const mbt_depthwise_desc *d = &t->desc;
    const mbt_layout *source = &d->apply.source, *out = &d->conv.out;
    const size_t stored = (size_t)mbt_layout_stored(source);
    test_map u_out = map_take_as(s, out, t->in.n, t->wide, t->storage);
    test_map y_out = map_take_as(s, out, t->in.n, t->wide, t->storage);
    test_map y = map_take_as(s, source, t->in.n, t->wide, t->storage);
    test_map u = map_take_as(s, &d->apply.destination, t->in.n, t->wide, t->storage);
    map_fill(s, &u_out, from->u);
    map_fill(s, &y_out, from->y);
    map_fill(s, &y, t->source.y);
    const mbt_depthwise_backward_args args = {
        .u_out = u_out.view,
        .y_out = y_out.view,
        .mean_out = channels_pack(s, out, from->mean),
        .c1 = channels_pack(s, out, from->c1),
        .c2 = channels_pack(s, out, from->c2),
        .c3 = channels_pack(s, out, from->c3),
        .y = y.view,
        .u = u.view,
        .a = channels_pack(s, source, t->source.a),
        .b = channels_pack(s, source, b),
        .mean = channels_pack(s, source, mean),
        .weights = weights_pack(s, &t->stored, t->weights),
        .d_weights = subject_take(s, t->stored.form * sizeof(float)),
        .stream = t->stream,
        .sum_u = subject_doubles(s, stored),
        .sum_uy = subject_doubles(s, stored),
        .scratch = subject_take(s, mbt_depthwise_scratch(d) * sizeof(float)),
    };
    subject_kernel(s, MBT_OP_DEPTHWISE_BACKWARD, d)->run.depthwise_backward(d, t->in.n, &args);
    map_unchanged(s, &u_out, "u of out");
    map_unchanged(s, &y_out, "y of out");
    map_unchanged(s, &y, "y");
    map_written(s, &u, "u");
    return (struct backward){
        .u = map_read(s, &u),
        .d_weights = weights_read(s, &t->stored, args.d_weights),
        .sum_u = channels_read(s, source, args.sum_u),
        .sum_uy = channels_read(s, source, args.sum_uy),
    };
}

/* ---- against the naive passes ---- */

static void forward_reference(subject *s, const struct trial *t)
{
    const struct forward got = run_forward(s, t, t->source.b);
    const size_t pixels = (size_t)t->out.h * (size_t)t->out.w;
    double *out = subject_doubles(s, t->n_out), scale = 0;
    double *mean = subject_doubles(s, (size_t)t->out.c), *m2 = subject_doubles(s, (size_t)t->out.c);
    ref_conv_forward(&t->ref, t->source.z, t->weights, out);
    subject_compare_kept(s, "out", got.out, out, t->n_out, 1e-6, t->storage);
    for (size_t i = 0; i < t->n_out; i++) {
        scale = fmax(scale, fabs(out[i]));
    }
    ref_stats(&t->out, got.out, mean, m2); /* of what is kept */
    for (int c = 0; c < t->out.c; c++) {
        const double count = (double)t->out.n * (double)pixels;
        subject_near(s, "mean", got.mean[c], mean[c], 4e-7 * scale);
        subject_near(s, "sum of squared deviations", got.m2[c], m2[c],
                     1e-5 * m2[c] + 1e-12 * count * scale * scale);
    }
}

/* Values of the destination's channels as the source has them. */
static double *to_source(subject *s, const struct trial *t, const double *values)
{
    const size_t pixels = (size_t)t->in.h * (size_t)t->in.w, channels = (size_t)t->in.c;
    double *there = subject_doubles(s, t->n_in);
    for (size_t i = 0; i < t->n_in; i++) {
        const size_t image = i / (pixels * channels), c = i / pixels % channels;
        there[(image * channels + (size_t)t->source.from[c]) * pixels + i % pixels] = values[i];
    }
    return there;
}

static struct arrival random_arrival(subject *s, const struct trial *t)
{
    const size_t channels = (size_t)t->out.c;
    return (struct arrival){
        .u = subject_values_as(s, t->n_out, t->storage),
        .y = subject_values_as(s, t->n_out, t->storage),
        .mean = subject_values(s, channels),
        .c1 = subject_values(s, channels),
        .c2 = subject_values(s, channels),
        .c3 = subject_values(s, channels),
    };
}

static void backward_reference(subject *s, const struct trial *t)
{
    const struct arrival from = random_arrival(s, t);
    const double *mean = subject_values(s, (size_t)t->in.c);
    const struct backward got = run_backward(s, t, t->source.b, mean, &from);
    double *dy = subject_doubles(s, t->n_out), *dz = subject_doubles(s, t->n_in);
    double *want = subject_doubles(s, t->n_in), *u = subject_doubles(s, t->n_in);
    double *d_weights = subject_doubles(s, t->stored.count);
    ref_sums *sums = subject_take(s, (size_t)t->in.c * sizeof *sums);
    ref_norm_backward(&t->out, from.u, from.y, from.mean, from.c1, from.c2, from.c3, dy);
    ref_conv_backward_weights(&t->ref, t->source.z, dy, d_weights);
    ref_conv_backward_data(&t->ref, dy, t->weights, dz);
    ref_apply_backward(&t->in, t->source.from, dz, NULL, t->source.z, t->source.high, want, u);
    subject_compare(s, "gradient of the weights", got.d_weights, d_weights, t->stored.count, 1e-5);
    subject_compare_kept(s, "u", got.u, want, t->n_in, 1e-6, t->storage);
    /* Sums are those of u as it is kept. */
    ref_backward_sums(&t->in, to_source(s, t, got.u), t->source.y, mean, sums);
    for (int c = 0; c < t->in.c; c++) {
        subject_near(s, "sum of u", got.sum_u[c], sums[c].u, 1e-6 * sums[c].u_size);
        subject_near(s, "sum of u*(y-mean)", got.sum_uy[c], sums[c].uy, 1e-6 * sums[c].uy_size);
    }
}

/* ---- both directions together ---- */

/* The gradient reaches the convolution's output as it is. */
static struct arrival plain_arrival(subject *s, const struct trial *t)
{
    struct arrival from = random_arrival(s, t);
    for (int c = 0; c < t->out.c; c++) {
        from.c1[c] = 1;
        from.c2[c] = from.c3[c] = 0;
    }
    return from;
}

static double *times_a(subject *s, const struct trial *t, const double *u)
{
    const size_t pixels = (size_t)t->in.h * (size_t)t->in.w;
    double *product = to_source(s, t, u);
    for (size_t i = 0; i < t->n_in; i++) {
        product[i] *= t->source.a[i / pixels % (size_t)t->in.c];
    }
    return product;
}

static void adjoint_identity(subject *s, const struct trial *t)
{
    double *zeros = subject_doubles(s, (size_t)t->in.c);
    memset(zeros, 0, (size_t)t->in.c * sizeof *zeros);
    const struct arrival from = plain_arrival(s, t);
    const struct forward forward = run_forward(s, t, zeros);
    const struct backward back = run_backward(s, t, zeros, zeros, &from);
    const double tolerance = t->storage == MBT_STORAGE_BF16 ? 0x1p-8 : 1e-5;
    const double want = ref_dot(forward.out, from.u, t->n_out);
    const double *slope = times_a(s, t, back.u);
    double scale = 0, there = 0;
    for (size_t i = 0; i < t->n_out; i++) {
        scale += fabs(forward.out[i] * from.u[i]);
    }
    for (size_t i = 0; i < t->n_in; i++) {
        there += fabs(t->source.y[i] * slope[i]);
    }
    subject_near(s, "<w, gradient of the weights>",
                 ref_dot(t->weights, back.d_weights, t->stored.count), want, tolerance * scale);
    subject_near(s, "<y, a*u>", ref_dot(t->source.y, slope, t->n_in), want,
                 tolerance * (scale + there));
}

/* <conv(act(a*y + b), w), g>, by the naive passes. */
static double loss(const struct trial *t, const double *g, double *z, double *out)
{
    ref_apply(&t->in, t->source.from, t->source.y, t->source.a, t->source.b, NULL, t->source.high,
              z);
    ref_conv_forward(&t->ref, z, t->weights, out);
    return ref_dot(out, g, t->n_out);
}

/* Some elements of what `got` is the gradient of; between kinks the loss is linear in each. */
static void differences(subject *s, const struct trial *t, const char *what, const double *g,
                        double *values, size_t count, const double *got, double rounding)
{
    enum { SAMPLES = 8 };
    const double h = 1e-4;
    double *z = subject_doubles(s, t->n_in), *out = subject_doubles(s, t->n_out);
    double scale = 0;
    for (size_t i = 0; i < count; i++) {
        scale = fmax(scale, fabs(got[i]));
    }
    for (size_t k = 0; k < SAMPLES; k++) {
        const size_t i = (size_t)((subject_random(s) + 1) / 2 * (double)(count - 1));
        const double middle = values[i];
        values[i] = middle + h;
        const double above = loss(t, g, z, out);
        values[i] = middle - h;
        const double want = (above - loss(t, g, z, out)) / (2 * h);
        values[i] = middle;
        subject_near(s, what, got[i], want, 1e-5 * scale + rounding * fabs(want));
    }
}

static void against_differences(subject *s, const struct trial *t)
{
    const struct arrival from = plain_arrival(s, t);
    const double *mean = subject_values(s, (size_t)t->in.c);
    const struct backward back = run_backward(s, t, t->source.b, mean, &from);
    differences(s, t, "a*u by differences", from.u, t->source.y, t->n_in, times_a(s, t, back.u),
                t->storage == MBT_STORAGE_BF16 ? 0x1p-8 : 0);
    differences(s, t, "gradient of the weights by differences", from.u, t->weights, t->stored.count,
                back.d_weights, 0);
}

/* ---- cases ---- */

static void describe(const subject *s, struct trial *t, const apply_shape *where, int stride,
                     int flags)
{
    t->storage = (flags & BF16) != 0 ? MBT_STORAGE_BF16 : MBT_STORAGE_FP32;
    t->stream = (flags & STREAM) != 0;
    t->wide = where->wide;
    apply_describe(s, where, (flags & CLIPS) != 0, t->storage, &t->source);
    const int c = where->shape.c;
    t->ref = (ref_conv){where->shape.n, c, where->shape.h, where->shape.w, c, 3, stride, 1, c};
    t->in = where->shape;
    t->out =
        (ref_shape){t->in.n, c, ref_conv_side(&t->ref, t->in.h), ref_conv_side(&t->ref, t->in.w)};
    t->n_in = ref_elements(&t->in);
    t->n_out = ref_elements(&t->out);
    t->desc.apply = t->source.desc;
    t->desc.conv = (mbt_conv_desc){.in = t->desc.apply.destination,
                                   .kernel = 3,
                                   .stride = stride,
                                   .pad = 1,
                                   .depthwise = true};
    t->desc.conv.out = t->desc.conv.in;
    t->desc.conv.out.h = t->out.h;
    t->desc.conv.out.w = t->out.w;
}

static void one_case(subject *s, const apply_shape *where, int stride, int flags)
{
    struct trial t;
    describe(s, &t, where, stride, flags);
    if (subject_begin(s, &t.desc,
                      "%d channels, sections %d to %d, %s, map %dx%d, stride %d, %d images%s, "
                      "%s, %s%s",
                      t.in.c, where->sections_from, where->sections_to,
                      channel_map_name(where->map), t.in.h, t.in.w, stride, t.in.n,
                      t.wide ? " of more" : "", apply_activation(&t.source),
                      storage_name(t.storage), t.stream ? ", stream" : "")) {
        const bool forward = s->row->op == MBT_OP_DEPTHWISE_FORWARD;
        t.stored = weights_make(&t.desc.conv, &t.ref);
        t.weights = subject_values(s, t.stored.count);
        apply_values(s, &t.source, false);
        if (forward) {
            forward_reference(s, &t);
        } else {
            backward_reference(s, &t);
        }
        if (t.source.high == 0) {
            adjoint_identity(s, &t);
        }
        if (!forward && t.n_in < 2000) {
            against_differences(s, &t);
        }
        weights_release(&t.stored);
        subject_end(s);
    }
    apply_release(&t.source);
}

/* Every flag at every shape, with the ways that channels may move in turn. */
static void each_flag(subject *s, int c, const int *side, int stride, int turn)
{
    static const int images[] = {1, 2, 5};
    for (int way = 0; way < 2 * 2 * MAP_KINDS; way++) {
        if ((way + turn) % 2 == 1 && c != 24) {
            continue;
        }
        const apply_shape where = {
            .shape = {images[(way + turn) % 3], c, side[0], side[1]},
            .sections_from = 1 + way % 2,
            .sections_to = 1 + way / 2 % 2,
            .map = (channel_map)(way / 4),
            .wide = (way + way / 3 + turn) % 2 == 1,
            .turn = turn,
        };
        for (int flags = 0; flags < FLAGS; flags++) {
            one_case(s, &where, stride, flags);
        }
    }
}

static void cases(subject *s)
{
    static const struct {
        int side[2], stride, widest;
    } maps[] = {{{1, 1}, 1, 144}, {{3, 5}, 1, 144}, {{4, 4}, 1, 144},  {{5, 7}, 1, 72},
                {{8, 8}, 1, 24},  {{6, 2}, 1, 24},  {{33, 31}, 1, 16}, {{2, 2}, 2, 144},
                {{4, 2}, 2, 144}, {{6, 10}, 2, 72}, {{8, 8}, 2, 24},   {{2, 18}, 2, 24}};
    static const int widths[] = {16, 24, 72, 144};
    for (size_t m = 0; m < sizeof maps / sizeof maps[0]; m++) {
        for (size_t w = 0; w < 4; w++) {
            if (widths[w] <= maps[m].widest) {
                each_flag(s, widths[w], maps[m].side, maps[m].stride, (int)(m + w));
            }
        }
    }
}

void check_depthwise(subject *s)
{
    subject_each_block(s, cases);
}
