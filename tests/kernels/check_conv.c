/* Convolution passes against the naive ones, and against each other by the adjoint identity
 *     <conv(x, w), g> = <x, backward_data(g, w)> = <w, backward_weights(x, g)>. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/checks.h"
#include "kernels/weights.h"
#include "ref/ref.h"

/* A case and its operands; weights in the stored form where kernels see them. */
struct trial {
    mbt_conv_desc desc;
    ref_conv ref;
    bool wide;
    test_weights stored;
    double *x, *weights, *dy;
    double *bias; /* [c_out], for the cases that have one */
};

static mbt_layout layout_of(const subject *s, int c, int h, int w, int sections)
{
    return (mbt_layout){.c = c, .h = h, .w = w, .sections = sections, .block = s->block};
}

static void describe(const subject *s, struct trial *t, int sections)
{
    const ref_conv *r = &t->ref;
    t->desc.in = layout_of(s, r->c_in, r->h, r->w, sections);
    t->desc.out = layout_of(s, r->c_out, ref_conv_side(r, r->h), ref_conv_side(r, r->w), sections);
    t->desc.kernel = r->kernel;
    t->desc.stride = r->stride;
    t->desc.pad = r->pad;
}

static mbt_storage written_in(const struct trial *t)
{
    return t->desc.bf16_out ? MBT_STORAGE_BF16 : MBT_STORAGE_FP32;
}

/* Lets `kernel` do one pass; returns its result in PyTorch's order. */
static double *run_pass(subject *s, struct trial *t, mbt_op op)
{
    const mbt_conv_ops *ops = subject_kernel(s, op, &t->desc)->run.conv;
    mbt_error err;
    void *instance;
    if (ops->create(&t->desc, op, t->ref.n, &instance, &err) != MBT_OK) {
        fail_msg("%s: %s", s->label, err.message);
    }
    assert_true(strlen(ops->implementation(instance)) > 0);
    test_map in = t->desc.image
                      ? map_take(s, &t->desc.in, t->ref.n, t->wide, true)
                      : map_take_as(s, &t->desc.in, t->ref.n, t->wide,
                                    op != MBT_OP_CONV_BACKWARD_DATA ? mbt_conv_reads(&t->desc)
                                                                    : MBT_STORAGE_FP32);
    test_map out =
        map_take_as(s, &t->desc.out, t->ref.n, t->wide,
                    op != MBT_OP_CONV_FORWARD ? mbt_conv_reads(&t->desc) : written_in(t));
    mbt_conv_args args = {.in = in.view, .out = out.view};
    if (t->desc.bias) {
        args.bias = channels_pack(s, &t->desc.out, t->bias);
    }
    args.scratch = subject_take(s, ops->scratch_bytes(instance));
    const size_t prepared = ops->prepared(instance);
    if (op == MBT_OP_CONV_BACKWARD_WEIGHTS) {
        assert_int_equal(prepared, 0); /* a gradient goes where the slice is */
        args.weights = subject_take(s, t->stored.form * sizeof(float));
    } else {
        args.weights = weights_pack(s, &t->stored, t->weights);
        if (prepared > 0) {
            float *laid_out = subject_take(s, prepared * sizeof *laid_out);
            ops->prepare(instance, args.weights, laid_out, args.scratch);
            args.weights = laid_out;
        }
    }
    if (op != MBT_OP_CONV_BACKWARD_DATA) {
        map_fill(s, &in, t->x);
    }
    if (op != MBT_OP_CONV_FORWARD) {
        map_fill(s, &out, t->dy);
    }
    ops->run(instance, &args);
    ops->destroy(instance);

    if (op != MBT_OP_CONV_BACKWARD_DATA) {
        map_unchanged(s, &in, "in");
    }
    if (op != MBT_OP_CONV_FORWARD) {
        map_unchanged(s, &out, "out");
    }
    if (op == MBT_OP_CONV_BACKWARD_WEIGHTS) {
        return weights_read(s, &t->stored, args.weights);
    }
    const test_map *result = op == MBT_OP_CONV_FORWARD ? &out : &in;
    map_written(s, result, op == MBT_OP_CONV_FORWARD ? "out" : "in");
    return map_read(s, result);
}

static void compare_with_reference(subject *s, struct trial *t)
{
    const ref_conv *r = &t->ref;
    double *got = run_pass(s, t, s->row->op), *want;
    size_t count;
    if (s->row->op == MBT_OP_CONV_FORWARD) {
        want = subject_doubles(s, count = ref_conv_out(r));
        ref_conv_forward(r, t->x, t->weights, want);
    } else if (s->row->op == MBT_OP_CONV_BACKWARD_DATA) {
        want = subject_doubles(s, count = ref_conv_in(r));
        ref_conv_backward_data(r, t->dy, t->weights, want);
    } else {
        want = subject_doubles(s, count = ref_conv_weights(r));
        ref_conv_backward_weights(r, t->x, t->dy, want);
    }
    subject_compare_kept(s, "against the reference", got, want, count, 1e-5, written_in(t));
}

/* Forward with what batch norm and activation become when they are folded into it. */
static void with_bias_and_activation(subject *s, struct trial *t)
{
    const ref_conv *r = &t->ref;
    const size_t count = ref_conv_out(r);
    const size_t pixels = (size_t)t->desc.out.h * (size_t)t->desc.out.w;
    double *want = subject_doubles(s, count), *sum = subject_doubles(s, count);
    ref_conv_forward(r, t->x, t->weights, sum);
    t->bias = subject_values(s, (size_t)r->c_out);
    static const char *const what[] = {"with bias", "with relu6", "with bias and relu6",
                                       "with relu", "with bias and relu"};
    for (int kind = 1; kind < 6; kind++) {
        t->desc.bias = (kind & 1) != 0;
        t->desc.act = (mbt_activation)(kind / 2);
        const double high = kind / 2 == MBT_ACT_RELU6 ? 6 : INFINITY;
        for (size_t i = 0; i < count; i++) {
            want[i] = sum[i] + (t->desc.bias ? t->bias[i / pixels % (size_t)r->c_out] : 0);
            want[i] = t->desc.act != MBT_ACT_NONE ? fmin(fmax(want[i], 0), high) : want[i];
        }
        subject_compare_kept(s, what[kind - 1], run_pass(s, t, MBT_OP_CONV_FORWARD), want, count,
                             1e-5, written_in(t));
    }
    t->desc.bias = false;
    t->desc.act = MBT_ACT_NONE;
}

static void adjoint_identity(subject *s, struct trial *t)
{
    const size_t n_out = ref_conv_out(&t->ref);
    const double *y = run_pass(s, t, MBT_OP_CONV_FORWARD);
    double scale = 0;
    for (size_t i = 0; i < n_out; i++) {
        scale += fabs(y[i] * t->dy[i]);
    }
    const double forward = ref_dot(y, t->dy, n_out);
    const double by_weights = ref_dot(t->weights, run_pass(s, t, MBT_OP_CONV_BACKWARD_WEIGHTS),
                                      ref_conv_weights(&t->ref));
    subject_near(s, "<w, backward weights>", by_weights, forward, 1e-5 * scale);
    if (!t->desc.image) {
        const double by_data =
            ref_dot(t->x, run_pass(s, t, MBT_OP_CONV_BACKWARD_DATA), ref_conv_in(&t->ref));
        subject_near(s, "<x, backward data>", by_data, forward, 1e-5 * scale);
    }
}

static void one_trial(subject *s, struct trial *t)
{
    if (t->desc.image && s->row->op == MBT_OP_CONV_BACKWARD_DATA) {
        return; /* nobody asks for the gradient of a plain image */
    }
    const ref_conv *r = &t->ref;
    if (!subject_begin(s, &t->desc,
                       "%s%d to %d, %d sections, map %dx%d, kernel %d, stride %d, %d "
                       "images%s%s",
                       t->desc.depthwise ? "depthwise "
                       : t->desc.image   ? "image "
                                         : "",
                       r->c_in, r->c_out, t->desc.in.sections, r->h, r->w, r->kernel, r->stride,
                       r->n, t->wide ? " of more" : "",
                       t->desc.bf16_out ? ", bf16 throughout"
                       : t->desc.bf16   ? ", bf16"
                                        : "")) {
        return;
    }
    t->stored = weights_make(&t->desc, &t->ref);
    /* Products of values that are exact in what the row reads are exact in fp32: one that
     * multiplies in bf16 is held to the tolerance of the others. */
    t->x = subject_values_as(s, ref_conv_in(r), mbt_conv_reads(&t->desc));
    t->weights = subject_values_as(s, ref_conv_weights(r), mbt_conv_reads(&t->desc));
    t->dy = subject_values_as(s, ref_conv_out(r), mbt_conv_reads(&t->desc));
    compare_with_reference(s, t);
    if (s->row->op == MBT_OP_CONV_FORWARD) {
        with_bias_and_activation(s, t);
    }
    if (!t->desc.bf16_out &&
        mbt_kernel_find(MBT_OP_CONV_BACKWARD_WEIGHTS, s->isa, &t->desc) != NULL) {
        adjoint_identity(s, t); /* all passes in one arithmetic */
    }
    weights_release(&t->stored);
    subject_end(s);
}

static const struct {
    int h, w;
} sides[] = {{1, 1}, {4, 4}, {5, 7}, {9, 8}};
static const struct {
    int kernel, stride;
} windows[] = {{1, 1}, {3, 1}, {3, 2}, {1, 2}};
static const int images[] = {1, 2, 5};

/* All maps and windows for one pair of channel counts; images and views take turns. */
static void each_shape(subject *s, int c_in, int c_out, int sections, bool depthwise, bool image)
{
    int turn = c_in + c_out + sections;
    for (size_t m = 0; m < sizeof sides / sizeof sides[0]; m++) {
        for (size_t k = 0; k < sizeof windows / sizeof windows[0]; k++, turn++) {
            if (depthwise && windows[k].kernel == 1) {
                continue;
            }
            struct trial t = {
                .desc = {.depthwise = depthwise, .image = image},
                .ref = {.n = images[turn % 3],
                        .c_in = c_in,
                        .h = sides[m].h,
                        .w = sides[m].w,
                        .c_out = c_out,
                        .kernel = windows[k].kernel,
                        .stride = windows[k].stride,
                        .pad = windows[k].kernel / 2,
                        .groups = depthwise ? c_in : sections},
                .wide = turn % 2 == 1,
            };
            describe(s, &t, sections);
            one_trial(s, &t);
            /* In bf16 what the row of this operation is listed for, and both outputs of forward. */
            for (int out = 0; out < 2; out++) {
                t.desc.bf16 = true;
                t.desc.bf16_out = out == 1;
                if (mbt_kernel_find(s->row->op, s->isa, &t.desc) != NULL &&
                    (out == 0 || s->row->op == MBT_OP_CONV_FORWARD)) {
                    one_trial(s, &t);
                }
            }
        }
    }
}

static void cases(subject *s)
{
    static const int pairs[][2] = {{16, 16}, {16, 32},  {24, 32}, {32, 24}, {24, 24},
                                   {96, 24}, {24, 144}, {12, 40}, {40, 12}, {8, 72}};
    static const int widths[] = {16, 24, 32};
    for (int sections = 1; sections <= 2; sections++) {
        for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
            each_shape(s, pairs[p][0], pairs[p][1], sections, false, false);
        }
        for (size_t c = 0; c < sizeof widths / sizeof widths[0]; c++) {
            each_shape(s, widths[c], widths[c], sections, true, false);
        }
    }
    for (size_t c = 0; c < sizeof widths / sizeof widths[0]; c++) {
        each_shape(s, 3, widths[c], 1, false, true);
    }
}

void check_conv(subject *s)
{
    subject_each_block(s, cases);
}
