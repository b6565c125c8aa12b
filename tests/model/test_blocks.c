/* Each kind of block alone, fed PyTorch's input and output gradient: output, input gradient, every
 * parameter's gradient and the batch's statistics agree with fp64 to 1e-5 of their norm. With
 * activations kept in bf16: within twice what PyTorch deviates when it keeps them so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/golden_file.h"
#include "mbt/exec.h"
#include "mbt/loss.h"
#include "tensor/map_pack.h"

static const double TOLERANCE = 1e-5;

struct fixture {
    golden_block block;
    mbt_graph graph;
    mbt_plan *plan;
    float *values; /* room for the largest tensor of the case */
};

static void fine(mbt_status status, const mbt_error *err)
{
    if (status != MBT_OK) {
        fail_msg("%s", err->message);
    }
}

static int conv_bn(mbt_graph *g, int x, const char *conv, const char *bn, int c, int kernel,
                   int stride, int groups)
{
    return mbt_graph_bn(g, mbt_graph_conv(g, x, conv, c, kernel, stride, groups), bn);
}

static void build_inverted(mbt_graph *g, int in, const int *a)
{
    const int c_in = a[0], c_out = a[1], stride = a[2], middle = a[3] * c_in, groups = a[4];
    int x = in;
    if (a[7]) {
        x = conv_bn(g, x, "expand", "expand_bn", middle, 1, 1, groups);
        x = a[5] ? mbt_graph_relu6(g, x) : x;
        x = groups > 1 ? mbt_graph_shuffle(g, x, groups) : x;
    }
    x = mbt_graph_relu6(g, conv_bn(g, x, "depthwise", "depthwise_bn", middle, 3, stride, middle));
    x = conv_bn(g, x, "project", "project_bn", c_out, 1, 1, groups);
    x = a[6] ? mbt_graph_shuffle(g, x, c_out / 2) : x;
    if (stride == 1 && c_in == c_out) {
        (void)mbt_graph_add(g, x, in);
    }
}

/* A unit of IGCV1 up to its second reordering. */
static int unit(mbt_graph *g, int x, const char *prefix, int c, int stride, int l, int m)
{
    char primary[32], secondary[32], bn[32];
    (void)snprintf(primary, sizeof primary, "%sprimary", prefix);
    (void)snprintf(secondary, sizeof secondary, "%ssecondary", prefix);
    (void)snprintf(bn, sizeof bn, "%ssecondary_bn", prefix);
    x = mbt_graph_shuffle(g, mbt_graph_conv(g, x, primary, c, 3, stride, l), l);
    return mbt_graph_shuffle(g, conv_bn(g, x, secondary, bn, c, 1, 1, m), m);
}

static void build_interleaved(mbt_graph *g, int in, const int *a)
{
    const int c = a[1], stride = a[2], l = a[3];
    if (!a[4]) {
        (void)mbt_graph_relu(g, unit(g, in, "", c, stride, l, c / l));
        return;
    }
    int x = mbt_graph_relu(g, unit(g, in, "first_", c, stride, l, a[0] / l));
    x = unit(g, x, "second_", c, 1, l, c / l);
    const int shortcut =
        stride > 1 ? conv_bn(g, in, "shortcut", "shortcut_bn", c, 1, stride, l) : in;
    (void)mbt_graph_relu(g, mbt_graph_add(g, x, shortcut));
}

static void build_channelwise(mbt_graph *g, int in, const int *a)
{
    int x = conv_bn(g, in, "depthwise", "depthwise_bn", a[0], 3, a[2], a[0]);
    x = mbt_graph_shuffle(g, conv_bn(g, x, "first", "first_bn", a[1], 1, 1, a[3]), a[3]);
    x = conv_bn(g, x, "second", "second_bn", a[1], 1, 1, a[4]);
    x = a[2] == 1 && a[0] == a[1] ? mbt_graph_add(g, x, in) : x;
    (void)mbt_graph_relu(g, x);
}

static void build(struct fixture *f, int tile, bool input_gradient, mbt_storage storage)
{
    const golden_block *b = &f->block;
    const int *a = b->arguments;
    mbt_error err = {0};
    mbt_graph *g = &f->graph;
    const int in = mbt_graph_input(g, a[0], b->side, b->side);
    if (b->kind == GOLDEN_BLOCK_INVERTED) {
        build_inverted(g, in, a);
    } else if (b->kind == GOLDEN_BLOCK_INTERLEAVED) {
        build_interleaved(g, in, a);
    } else if (b->kind == GOLDEN_BLOCK_CHANNELWISE) {
        build_channelwise(g, in, a);
    } else if (b->kind == GOLDEN_BLOCK_STEM) {
        (void)mbt_graph_relu6(g, conv_bn(g, in, "stem.conv", "stem.bn", a[1], 3, a[2], 1));
    } else {
        const int x = mbt_graph_relu6(g, conv_bn(g, in, "head.conv", "head.bn", a[1], 1, 1, 1));
        (void)mbt_graph_linear(g, mbt_graph_pool(g, x), "classifier", a[2]);
    }
    fine(mbt_graph_finish(g, &err), &err);
    const mbt_plan_options options = {
        .group = b->images,
        .tile = tile,
        .isa = mbt_cpu_isa(),
        .storage = storage,
        .training = true,
        .bn_eps = b->bn_eps,
        .input_gradient = input_gradient,
    };
    fine(mbt_plan_create(g, &options, &f->plan, &err), &err);
    for (int i = 0; i < b->parameters.names.n; i++) {
        const mbt_slice *slice = mbt_params_find(&f->plan->params, b->parameters.names.name[i]);
        assert_non_null(slice);
        golden_parameter_fill(&b->parameters, b->seed, i, f->values);
        mbt_slice_pack(slice, f->values, f->plan->weights);
    }
}

/* A value of the plan from or to the golden file's [N][C][H][W]. */
static mbt_map whole(const struct fixture *f, int value, bool gradient)
{
    const mbt_value *v = &f->plan->values[value];
    return mbt_map_view(&v->layout, gradient ? v->gradient : v->data, MBT_STORAGE_FP32,
                        f->block.images, 0);
}

static void run(struct fixture *f)
{
    const golden_block *b = &f->block;
    const mbt_value *in = &f->plan->values[f->plan->input],
                    *out = &f->plan->values[f->plan->output];
    const size_t n_in =
        (size_t)b->images * (size_t)in->layout.c * (size_t)b->side * (size_t)b->side;
    const size_t n_out =
        (size_t)b->images * (size_t)out->layout.c * (size_t)out->layout.h * (size_t)out->layout.w;
    golden_fill(b->seed, GOLDEN_STREAM_INPUT, GOLDEN_NOISE, 0, n_in, f->values);
    if (in->plain) {
        memcpy(in->data, f->values, n_in * sizeof(float));
    } else {
        map_pack(&in->layout, b->images, f->values, whole(f, f->plan->input, false));
    }
    mbt_exec_prepare(f->plan);
    mbt_exec_forward(f->plan, b->images, NULL);
    golden_fill(b->seed, GOLDEN_STREAM_OUTPUT_GRADIENT, GOLDEN_NOISE, 0, n_out, f->values);
    map_pack(&out->layout, b->images, f->values, whole(f, f->plan->output, true));
    mbt_exec_backward(f->plan, b->images, 1.0f, NULL, NULL, NULL);
}

/* Row i of the case into values; false when this plan does not have it. */
static bool fetch(struct fixture *f, const char *name)
{
    if (strcmp(name, "x") == 0) {
        return false;
    }
    if (strcmp(name, "y") == 0 || strcmp(name, "dx") == 0) {
        const bool gradient = name[0] == 'd';
        const int value = gradient ? f->plan->input : f->plan->output;
        if (gradient && !f->plan->options.input_gradient) {
            return false;
        }
        map_unpack(&f->plan->values[value].layout, f->block.images, whole(f, value, gradient),
                   f->values);
        return true;
    }
    const mbt_slice *slice = mbt_params_find(&f->plan->params, name);
    if (slice == NULL) {
        fail_msg("no parameter %s", name);
    }
    mbt_slice_unpack(slice, f->plan->gradient, f->values);
    return true;
}

static void check(struct fixture *f, const char *name, int tile, bool input_gradient,
                  mbt_storage storage)
{
    const golden_table *t = &f->block.values;
    int n_checked = 0, n_wanted = 0;
    build(f, tile, input_gradient, storage);
    run(f);
    for (int i = 0; i < t->names.n; i++) {
        n_wanted += t->checked[i];
        if (t->checked[i] && fetch(f, t->names.name[i])) {
            const double off = golden_deviation(t, i, f->values, NULL);
            const bool bf16 = storage == MBT_STORAGE_BF16;
            const double allowed = bf16 ? golden_allowed_bf16(t, i) : TOLERANCE * t->norm[i];
            n_checked += isfinite(allowed);
            if (!(off <= allowed)) {
                fail_msg("%s%s, tile %d: %s: off by %.2e of its norm, allowed %.2e", name,
                         bf16 ? ", bf16" : "", tile, t->names.name[i], off / t->norm[i],
                         allowed / t->norm[i]);
            }
        }
    }
    /* Without the input and its gradient; kept in bf16, some are off by themselves in PyTorch too.
     */
    n_wanted = storage == MBT_STORAGE_BF16 ? n_wanted / 2 : n_wanted - 2;
    assert_true(n_wanted > 0 && n_checked >= n_wanted);
    mbt_plan_destroy(f->plan);
    mbt_graph_clear(&f->graph);
}

static void check_loss(const struct fixture *f, const char *name)
{
    const golden_block *b = &f->block;
    const golden_table *t = &b->values;
    const int classes = b->arguments[0];
    int32_t labels[64];
    mbt_loss_sums sums;
    assert_true(b->images <= 64);
    golden_fill(b->seed, GOLDEN_STREAM_INPUT, GOLDEN_NOISE, 0, (size_t)(b->images * classes),
                f->values);
    golden_labels(b->seed, 0, b->images, classes, labels);
    mbt_loss_softmax(f->values, b->images, classes, classes, labels, b->label_smoothing,
                     1.0 / b->images, f->values, &sums);
    const int dx = golden_find(&t->names, "dx"), y = golden_find(&t->names, "y");
    const float mean = (float)(sums.loss / b->images);
    assert_true(dx >= 0 && y >= 0);
    if (golden_deviation(t, dx, f->values, NULL) > TOLERANCE * t->norm[dx] ||
        golden_deviation(t, y, &mean, NULL) > TOLERANCE * t->norm[y]) {
        fail_msg("%s: loss %.9f or its gradient is off", name, (double)mean);
    }
}

static void run_case(const char *name)
{
    struct fixture f = {0};
    mbt_error err = {0};
    mbt_store *store = NULL;
    fine(mbt_store_open_large(GOLDEN_DIR "/blocks.h5", false, &store, &err), &err);
    fine(golden_block_read(store, name, &f.block, &err), &err);
    mbt_store_close(store);
    size_t largest = 1;
    for (int i = 0; i < f.block.values.names.n; i++) {
        largest =
            (size_t)f.block.values.count[i] > largest ? (size_t)f.block.values.count[i] : largest;
    }
    f.values = calloc(largest, sizeof(float));
    assert_non_null(f.values);
    if (f.block.kind == GOLDEN_BLOCK_LOSS) {
        check_loss(&f, name);
    } else {
        for (int tile = 1; tile <= f.block.images; tile++) {
            check(&f, name, tile, true, MBT_STORAGE_FP32);
            check(&f, name, tile, true, MBT_STORAGE_BF16);
        }
        check(&f, name, 0, false, MBT_STORAGE_FP32);
    }
    golden_block_clear(&f.block);
    free(f.values);
}

static void test_mobilenetv2(void **state)
{
    (void)state;
    run_case("mobilenetv2_t6_s1_24_24");
    run_case("mobilenetv2_t6_s2_24_32");
    run_case("mobilenetv2_t6_s1_16_24");
    run_case("mobilenetv2_t6_s1_160_160");
    run_case("mobilenetv2_t1_s1_32_16");
    run_case("mobilenetv2_torchvision_t1_s1_32_16");
}

static void test_igcv3d(void **state)
{
    (void)state;
    run_case("igcv3d_t6_s1_24_24");
    run_case("igcv3d_t6_s2_24_32");
    run_case("igcv3d_t6_s1_16_24");
    run_case("igcv3d_t6_s1_160_160");
    run_case("igcv3d_t1_s1_32_16");
    run_case("igcv3d_seed_t6_s1_24_24");
    run_case("igcv3d_seed_t6_s2_24_32");
    run_case("igcv3d_seed_t1_s1_32_16");
    run_case("igcv3d_seesaw_t6_s1_24_24");
}

static void test_igcv1(void **state)
{
    (void)state;
    run_case("igcv1_l4m8_s1_32_32");
    run_case("igcv1_l24m2_s2_48_96");
    run_case("igcv1_l24m2_ident_s1_48_48");
    run_case("igcv1_l24m2_ident_s2_48_96");
}

static void test_igcv2(void **state)
{
    (void)state;
    run_case("igcv2_s1_64_64");
    run_case("igcv2_s2_64_96");
    run_case("igcv2_s1_256_256");
}

static void test_ends(void **state)
{
    (void)state;
    run_case("stem_s1_32");
    run_case("stem_s2_24");
    run_case("head_320_1280_10");
    run_case("head_40_64_100");
}

static void test_loss(void **state)
{
    (void)state;
    run_case("loss_10");
    run_case("loss_100");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mobilenetv2), cmocka_unit_test(test_igcv3d),
        cmocka_unit_test(test_igcv1),       cmocka_unit_test(test_igcv2),
        cmocka_unit_test(test_ends),        cmocka_unit_test(test_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
