/* Initial weights: deviations by the formulas, and what they may and may not depend on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/arch.h"
#include "mbt/init.h"
#include "mbt/plan.h"

/* A network with its initial weights. */
struct network {
    mbt_graph graph;
    mbt_plan *plan;
};

static mbt_config configuration(int seed, mbt_init_kind kind, bool zero_gamma)
{
    mbt_config config;
    mbt_config_defaults(&config);
    config.train.seed = seed;
    config.init.kind = kind;
    config.init.zero_gamma = zero_gamma;
    return config;
}

static struct network make(const char *name, mbt_isa isa, const mbt_config *config)
{
    const mbt_arch_request request = {.name = name,
                                      .depth = "1.0",
                                      .downsampling = 8,
                                      .width = 1,
                                      .c = 3,
                                      .h = 16,
                                      .w = 16,
                                      .n_classes = 100};
    const mbt_plan_options options = {.group = 1, .isa = isa, .bn_eps = 1e-5};
    struct network net = {0};
    mbt_error err = {0};
    if (mbt_arch_build(&request, &net.graph, &err) != MBT_OK ||
        mbt_plan_create(&net.graph, &options, &net.plan, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    memset(net.plan->weights, 0xff, net.plan->params.n_floats * sizeof(float));
    assert_int_equal(
        mbt_init_weights(&net.plan->params, &net.graph, config, net.plan->weights, &err), MBT_OK);
    return net;
}

static void clear(struct network *net)
{
    mbt_plan_destroy(net->plan);
    mbt_graph_clear(&net->graph);
}

/* Canonical values of a slice; caller frees. */
static float *values_of(const struct network *net, const mbt_slice *slice)
{
    float *values = malloc(slice->count * sizeof *values);
    assert_non_null(values);
    mbt_slice_unpack(slice, net->plan->weights, values);
    return values;
}

static void check_normal(const struct network *net, const mbt_slice *slice, double deviation)
{
    float *values = values_of(net, slice);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < slice->count; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
    }
    free(values);
    /* Five standard errors of each. */
    const double n = (double)slice->count, got = sqrt(squares / n);
    if (fabs(got / deviation - 1) > 5 / sqrt(2 * n) || fabs(sum / n) > 5 * deviation / sqrt(n)) {
        fail_msg("%s: mean %g, deviation %g, wanted 0 and %g", slice->name, sum / n, got,
                 deviation);
    }
}

static void check_constant(const struct network *net, const mbt_slice *slice, float want)
{
    float *values = values_of(net, slice);
    for (size_t i = 0; i < slice->count; i++) {
        if (values[i] != want) {
            fail_msg("%s: element %zu is %g, wanted %g", slice->name, i, (double)values[i],
                     (double)want);
        }
    }
    free(values);
}

static double deviation_of(const mbt_slice *slice, mbt_init_kind kind)
{
    /* dims: O, I/G, kh, kw; groups from the graph's own definition of I/G. */
    const double area = slice->dims[2] * slice->dims[3],
                 groups = (double)slice->in.c / slice->dims[1];
    const double fan_in = area * slice->in.c / groups, fan_out = area * slice->dims[0] / groups;
    switch (kind) {
    case MBT_INIT_HE_FAN_IN:
        return sqrt(2 / fan_in);
    case MBT_INIT_HE_FAN_OUT:
        return sqrt(2 / fan_out);
    default:
        return sqrt(2 / (fan_out * groups));
    }
}

static void deviations_follow_the_formula(void **state)
{
    (void)state;
    static const mbt_init_kind kinds[] = {MBT_INIT_HE_FAN_OUT, MBT_INIT_HE_FAN_IN, MBT_INIT_SEED};
    static const char *const names[] = {"mobilenetv2", "igcv3d"};
    for (int i = 0; i < 6; i++) {
        const mbt_config config = configuration(3, kinds[i % 3], false);
        struct network net = make(names[i / 3], mbt_cpu_isa(), &config);
        for (int s = 0; s < net.plan->params.n_slices; s++) {
            const mbt_slice *slice = &net.plan->params.slices[s];
            switch (slice->kind) {
            case MBT_PARAM_CONV:
            case MBT_PARAM_DEPTHWISE:
                check_normal(&net, slice, deviation_of(slice, kinds[i % 3]));
                break;
            case MBT_PARAM_LINEAR:
                check_normal(&net, slice,
                             kinds[i % 3] == MBT_INIT_HE_FAN_IN ? sqrt(2.0 / 1280) : 0.01);
                break;
            case MBT_PARAM_GAMMA:
            case MBT_PARAM_VAR:
                check_constant(&net, slice, 1);
                break;
            default:
                check_constant(&net, slice, 0);
            }
        }
        clear(&net);
    }
}

/* The formulas once more with numbers worked out by hand, so that both sides cannot share a
 * mistake. */
static void deviations_of_known_layers(void **state)
{
    static const struct {
        const char *slice;
        mbt_init_kind kind;
        double variance;
    } rows[] = {
        {"stem.conv.weight", MBT_INIT_HE_FAN_OUT, 2.0 / (9 * 32)},
        {"stem.conv.weight", MBT_INIT_HE_FAN_IN, 2.0 / (9 * 3)},
        {"blocks.20.depthwise.weight", MBT_INIT_HE_FAN_OUT, 2.0 / 9},
        {"blocks.20.depthwise.weight", MBT_INIT_HE_FAN_IN, 2.0 / 9},
        {"blocks.20.depthwise.weight", MBT_INIT_SEED, 2.0 / (9 * 576)},
        {"blocks.20.expand.weight", MBT_INIT_HE_FAN_OUT, 2.0 / 288},
        {"blocks.20.expand.weight", MBT_INIT_HE_FAN_IN, 2.0 / 48},
        {"blocks.20.expand.weight", MBT_INIT_SEED, 2.0 / 576},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const mbt_config config = configuration(4, rows[i].kind, false);
        struct network net = make("igcv3d", mbt_cpu_isa(), &config);
        const mbt_slice *slice = mbt_params_find(&net.plan->params, rows[i].slice);
        assert_non_null(slice);
        check_normal(&net, slice, sqrt(rows[i].variance));
        clear(&net);
    }
}

/* Every slice of two networks, by name: equal, or different where values are drawn. */
static void compare(const struct network *a, const struct network *b, bool equal)
{
    assert_int_equal(a->plan->params.n_slices, b->plan->params.n_slices);
    for (int s = 0; s < a->plan->params.n_slices; s++) {
        const mbt_slice *slice = &a->plan->params.slices[s];
        const mbt_slice *other = mbt_params_find(&b->plan->params, slice->name);
        assert_non_null(other);
        assert_int_equal(slice->count, other->count);
        const bool drawn = slice->kind == MBT_PARAM_CONV || slice->kind == MBT_PARAM_DEPTHWISE ||
                           slice->kind == MBT_PARAM_LINEAR;
        float *x = values_of(a, slice), *y = values_of(b, other);
        const bool same = memcmp(x, y, slice->count * sizeof *x) == 0;
        if (same != (equal || !drawn)) {
            fail_msg("%s is %s", slice->name, same ? "the same" : "different");
        }
        free(x);
        free(y);
    }
}

static void layout_plays_no_part(void **state)
{
    (void)state;
    static const char *const names[] = {"mobilenetv2", "igcv3d"};
    const mbt_config config = configuration(5, MBT_INIT_HE_FAN_OUT, true);
    for (int i = 0; i < 2; i++) {
        struct network low = make(names[i], MBT_ISA_X86_64, &config);
        struct network high = make(names[i], mbt_cpu_isa(), &config);
        compare(&low, &high, true);
        clear(&low);
        clear(&high);
    }
}

static void seeds_differ_and_repeat(void **state)
{
    (void)state;
    const mbt_config one = configuration(1, MBT_INIT_HE_FAN_OUT, false);
    const mbt_config two = configuration(2, MBT_INIT_HE_FAN_OUT, false);
    struct network a = make("mobilenetv2", mbt_cpu_isa(), &one);
    struct network again = make("mobilenetv2", mbt_cpu_isa(), &one);
    struct network b = make("mobilenetv2", mbt_cpu_isa(), &two);
    compare(&a, &again, true);
    compare(&a, &b, false);
    clear(&a);
    clear(&again);
    clear(&b);
}

/* Layers of one shape draw from streams of their own. */
static void layers_of_one_shape_differ(void **state)
{
    (void)state;
    const mbt_config config = configuration(1, MBT_INIT_HE_FAN_OUT, false);
    struct network net = make("mobilenetv2", mbt_cpu_isa(), &config);
    const mbt_slice *a = mbt_params_find(&net.plan->params, "blocks.8.expand.weight");
    const mbt_slice *b = mbt_params_find(&net.plan->params, "blocks.9.expand.weight");
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->count, b->count);
    float *x = values_of(&net, a), *y = values_of(&net, b);
    size_t same = 0;
    for (size_t i = 0; i < a->count; i++) {
        same += x[i] == y[i];
    }
    assert_true(same < a->count / 1000);
    free(x);
    free(y);
    clear(&net);
}

static void zero_gamma_is_for_the_last_norm_of_residual_blocks(void **state)
{
    (void)state;
    const mbt_config config = configuration(1, MBT_INIT_HE_FAN_OUT, true);
    struct network net = make("mobilenetv2", mbt_cpu_isa(), &config);
    int zeros = 0;
    for (int s = 0; s < net.plan->params.n_slices; s++) {
        const mbt_slice *slice = &net.plan->params.slices[s];
        if (slice->kind == MBT_PARAM_GAMMA) {
            /* Blocks whose stride is 1 and whose width does not change. */
            static const int residual[] = {2, 4, 5, 7, 8, 9, 11, 12, 14, 15};
            bool wanted = false;
            for (size_t i = 0; i < sizeof residual / sizeof residual[0]; i++) {
                char name[MBT_PARAM_NAME_BYTES];
                (void)snprintf(name, sizeof name, "blocks.%d.project_bn.weight", residual[i]);
                wanted = wanted || strcmp(name, slice->name) == 0;
            }
            check_constant(&net, slice, wanted ? 0 : 1);
            zeros += wanted;
        }
    }
    assert_int_equal(zeros, 10);
    clear(&net);
}

/* Where a stored form has padding it is zero: kernels rely on it. */
static void padding_is_zero(void **state)
{
    (void)state;
    const mbt_config config = configuration(1, MBT_INIT_HE_FAN_OUT, false);
    struct network net = make("igcv3d", mbt_cpu_isa(), &config);
    const mbt_params *params = &net.plan->params;
    float *again = malloc(params->n_floats * sizeof *again);
    assert_non_null(again);
    for (int s = 0; s < params->n_slices; s++) {
        float *values = values_of(&net, &params->slices[s]);
        mbt_slice_pack(&params->slices[s], values, again);
        free(values);
    }
    assert_memory_equal(again, net.plan->weights, params->n_floats * sizeof *again);
    free(again);
    clear(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deviations_follow_the_formula),
        cmocka_unit_test(deviations_of_known_layers),
        cmocka_unit_test(layout_plays_no_part),
        cmocka_unit_test(seeds_differ_and_repeat),
        cmocka_unit_test(layers_of_one_shape_differ),
        cmocka_unit_test(zero_gamma_is_for_the_last_norm_of_residual_blocks),
        cmocka_unit_test(padding_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
