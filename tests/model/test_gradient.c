/* The gradient of the whole loss in narrow, short networks of every family, by central differences:
 * every trained slice along its gradient and along its largest element, and the input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "model/gradient.h"
#include "model/inverted_residual.h"

static double loss_of(network *net, int n)
{
    return network_forward(net, n, true);
}

/* A classifier that answers: large weights, and a bias that takes the images' mean logits away, so
 * that the loss is not all constant. */
static void sharpen(network *net, int n)
{
    const mbt_slice *weight = mbt_params_find(&net->plan->params, "classifier.weight");
    const mbt_slice *bias = mbt_params_find(&net->plan->params, "classifier.bias");
    assert_non_null(weight);
    assert_non_null(bias);
    float *w = network_weight(net, weight), *b = network_weight(net, bias);
    for (size_t i = 0; i < weight->count; i++) {
        w[i] *= 10;
    }
    network_set_weight(net, weight, w);
    (void)network_forward(net, n, true);
    float *logits = network_output(net, n);
    for (size_t k = 0; k < bias->count; k++) {
        for (int i = 0; i < n; i++) {
            b[k] -= logits[(size_t)i * bias->count + k] / (float)n;
        }
    }
    network_set_weight(net, bias, b);
    free(w);
    free(b);
    free(logits);
}

/* The families' blocks, few of them: in deep networks float loses the slope among the noise. */
static int width(int channels, double multiplier)
{
    const int c = (int)(channels * multiplier);
    return c + c % 2;
}

static int width_of_fours(int channels, double multiplier)
{
    return ((int)(channels * multiplier) + 3) / 4 * 4;
}

static const mbt_depth few[] = {{"few", {1, 2, 2, 1, 0, 0, 0}}};

struct wish {
    mbt_inverted_residual family;
    double dropout;
    int group, tile, n;
    mbt_isa isa;
    bool input_gradient;
};

static network *make(const struct wish *wish)
{
    mbt_inverted_residual family = wish->family;
    family.first_expansion = 1;
    const mbt_skeleton skeleton =
        MBT_MOBILE_SKELETON(few, &family, family.groups[1] > 2 ? width_of_fours : width);
    const mbt_arch_request request = {.name = "few",
                                      .depth = "few",
                                      .downsampling = 4,
                                      .width = 0.25,
                                      .dropout = wish->dropout,
                                      .c = 3,
                                      .h = 16,
                                      .w = 16,
                                      .n_classes = NETWORK_CLASSES};
    const mbt_plan_options options = {.group = wish->group,
                                      .tile = wish->tile,
                                      .isa = wish->isa,
                                      .training = true,
                                      .bn_eps = 1e-5,
                                      .input_gradient = wish->input_gradient};
    mbt_graph graph = {0};
    mbt_error err = {0};
    if (mbt_skeleton_build(&request, &skeleton, &graph, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    return network_of(&graph, &options);
}

static void check_network(const struct wish *wish)
{
    network *net = make(wish);
    network_fill(net, 0);
    network_away_from_kinks(net);
    sharpen(net, wish->n);
    gradient_check check = {.net = net, .n = wish->n, .loss = loss_of};
    check.noise = 2e-6 * network_forward(net, wish->n, true);
    network_backward(net, wish->n, true);
    if (wish->input_gradient) {
        assert_true(gradient_check_input(&check));
    }
    const mbt_params *params = &net->plan->params;
    for (int i = 0; i < params->n_slices; i++) {
        if (params->slices[i].trained) {
            gradient_check_slice(&check, &params->slices[i]);
        }
    }
    /* Enough of each kind had something to say. */
    const int at_least[] = {[MBT_PARAM_CONV] = 10,
                            [MBT_PARAM_DEPTHWISE] = 4,
                            [MBT_PARAM_LINEAR] = 1,
                            [MBT_PARAM_BIAS] = 1,
                            [MBT_PARAM_GAMMA] = 8,
                            /* A norm behind a linear convolution takes most of a beta away. */
                            [MBT_PARAM_BETA] = wish->family.expand_relu6 ? 3 : 0};
    for (size_t kind = 0; kind < sizeof at_least / sizeof at_least[0]; kind++) {
        if (check.n_checked[kind] < at_least[kind]) {
            fail_msg("kind %zu: %d slices stood out of the noise, wanted %d", kind,
                     check.n_checked[kind], at_least[kind]);
        }
    }
    network_destroy(net);
}

static void mobilenetv2(void **state)
{
    (void)state;
    check_network(&(struct wish){.family = {.groups = {1, 1}, .expand_relu6 = 1},
                                 .dropout = 0.2,
                                 .group = 6,
                                 .n = 6,
                                 .isa = mbt_cpu_isa()});
}

/* A part of the group that is no whole number of tiles, and the gradient of the input. */
static void mobilenetv2_in_part_and_to_its_input(void **state)
{
    (void)state;
    check_network(&(struct wish){.family = {.groups = {1, 1}, .expand_relu6 = 1},
                                 .group = 7,
                                 .tile = 2,
                                 .n = 5,
                                 .isa = mbt_cpu_isa(),
                                 .input_gradient = true});
}

static void igcv3d(void **state)
{
    (void)state;
    check_network(&(struct wish){.family = {.groups = {2, 2}, .shuffle = 1},
                                 .group = 6,
                                 .n = 6,
                                 .isa = mbt_cpu_isa(),
                                 .input_gradient = true});
}

/* The residual's gradient passes a permutation; blocks of 8 channels. */
static void igcv3d_with_output_permutation(void **state)
{
    (void)state;
    check_network(&(struct wish){.family = {.groups = {2, 2}, .shuffle = 1, .output_shuffle = 1},
                                 .group = 6,
                                 .tile = 3,
                                 .n = 6,
                                 .isa = MBT_ISA_X86_64});
}

static void igcv3d_seed(void **state)
{
    (void)state;
    check_network(&(struct wish){
        .family = {.groups = {2, 2}, .expand_relu6 = 1, .shuffle = 1, .output_shuffle = 1},
        .dropout = 0.5,
        .group = 6,
        .tile = 4,
        .n = 6,
        .isa = mbt_cpu_isa()});
}

/* Four groups behind two. */
static void igcv3_of_two_and_four_groups(void **state)
{
    (void)state;
    check_network(&(struct wish){.family = {.groups = {2, 4}, .shuffle = 1},
                                 .group = 6,
                                 .tile = 2,
                                 .n = 6,
                                 .isa = mbt_cpu_isa()});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mobilenetv2), cmocka_unit_test(mobilenetv2_in_part_and_to_its_input),
        cmocka_unit_test(igcv3d),      cmocka_unit_test(igcv3d_with_output_permutation),
        cmocka_unit_test(igcv3d_seed), cmocka_unit_test(igcv3_of_two_and_four_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
