/* The segment patterns of the plan, each in a small graph built by hand: those that it covers have
 * the right gradient of every slice and of the input, the others are refused with node and reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/rng.h"
#include "model/gradient.h"
#include "tensor/map_pack.h"

enum { GROUP = 6, CHANNELS = 24, SIDE = 6 };

typedef void build(mbt_graph *graph);

static int input(mbt_graph *g)
{
    return mbt_graph_input(g, CHANNELS, SIDE, SIDE);
}

static int conv_bn(mbt_graph *g, int in, const char *name, int c_out, int kernel, int groups)
{
    char bn[MBT_NODE_NAME_BYTES];
    (void)snprintf(bn, sizeof bn, "%s_bn", name);
    return mbt_graph_bn(g, mbt_graph_conv(g, in, name, c_out, kernel, 1, groups), bn);
}

/* Nothing between the operations: each reads the value before it as it is. */
static void bare_operations(mbt_graph *g)
{
    const int a = mbt_graph_conv(g, input(g), "a", 16, 3, 1, 1);
    const int b = mbt_graph_conv(g, a, "b", 40, 1, 2, 1);
    (void)mbt_graph_linear(g, mbt_graph_pool(g, b), "fc", 12);
}

static void classifier_alone(mbt_graph *g)
{
    (void)mbt_graph_linear(g, mbt_graph_input(g, 40, 1, 1), "fc", 12);
}

static void pool_alone(mbt_graph *g)
{
    (void)mbt_graph_pool(g, input(g));
}

/* Channels move or are activated, but no norm stands before. */
static void shuffle_without_norm(mbt_graph *g)
{
    const int a = mbt_graph_conv(g, input(g), "a", 40, 1, 1, 2);
    const int b = conv_bn(g, mbt_graph_shuffle(g, a, 2), "b", 24, 1, 2);
    (void)mbt_graph_pool(g, b);
}

static void activation_without_norm(mbt_graph *g)
{
    const int a = mbt_graph_conv(g, input(g), "positive", 16, 1, 1, 1);
    (void)conv_bn(g, mbt_graph_relu6(g, a), "b", 24, 3, 1);
}

/* conv, bn, add of the network's input: the input is read twice. */
static void block_alone(mbt_graph *g)
{
    const int x = input(g);
    const int a = mbt_graph_relu6(g, conv_bn(g, x, "a", 48, 1, 1));
    const int b = mbt_graph_relu6(g, conv_bn(g, a, "b", 48, 3, 48));
    (void)mbt_graph_add(g, conv_bn(g, b, "c", CHANNELS, 1, 1), x);
}

static void residual_on_the_left(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    const int a = conv_bn(g, x, "a", CHANNELS, 3, 1);
    (void)mbt_graph_pool(g, mbt_graph_add(g, x, a));
}

static void activation_after_the_add(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    const int a = mbt_graph_relu6(g, mbt_graph_add(g, conv_bn(g, x, "a", CHANNELS, 3, 1), x));
    (void)mbt_graph_pool(g, mbt_graph_add(g, conv_bn(g, a, "b", CHANNELS, 3, 1), a));
}

static void chain_of_residuals(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    const int a = mbt_graph_add(g, conv_bn(g, x, "a", CHANNELS, 3, 1), x);
    const int b = mbt_graph_add(g, conv_bn(g, a, "b", CHANNELS, 3, 1), a);
    const int c = mbt_graph_add(g, conv_bn(g, b, "c", CHANNELS, 3, 1), b);
    (void)mbt_graph_linear(g, mbt_graph_pool(g, c), "fc", 12);
}

static void grouped_residual_behind_a_shuffle(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 2);
    const int a = mbt_graph_shuffle(g, conv_bn(g, x, "a", CHANNELS, 1, 2), 2);
    const int b = conv_bn(g, mbt_graph_relu6(g, conv_bn(g, a, "b", CHANNELS, 3, CHANNELS)), "c",
                          CHANNELS, 1, 2);
    const int y = mbt_graph_add(g, mbt_graph_shuffle(g, b, CHANNELS / 2), x);
    (void)mbt_graph_pool(g, conv_bn(g, y, "d", 32, 1, 2));
}

/* What is added lies in one section, which the last convolution would rather have in two. */
static void sum_read_in_two_groups(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    const int a = mbt_graph_add(g, conv_bn(g, x, "a", CHANNELS, 1, 1), x);
    (void)mbt_graph_pool(g, conv_bn(g, a, "b", 48, 1, 2));
}

/* Sides of four and of two sections, whose blocks are all full: no channel moves, yet the gradient
 * of the sum lies otherwise than that of the side that is computed. */
static void sum_of_full_sections(mbt_graph *g)
{
    const int x = conv_bn(g, mbt_graph_input(g, 64, SIDE, SIDE), "x", 64, 1, 2);
    const int a = conv_bn(g, conv_bn(g, x, "a", 64, 1, 2), "b", 64, 1, 4);
    (void)mbt_graph_pool(g, conv_bn(g, mbt_graph_add(g, a, x), "c", 32, 1, 2));
}

/* A pool in the sections of the sum before it, and features that dropout draws over. */
static void dropout_behind_a_grouped_sum(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 2);
    const int a = mbt_graph_add(g, conv_bn(g, x, "a", CHANNELS, 1, 2), x);
    (void)mbt_graph_linear(g, mbt_graph_dropout(g, mbt_graph_pool(g, a), 0.4), "fc", 12);
}

static void activation_before_and_behind_shuffles(mbt_graph *g)
{
    const int a = conv_bn(g, input(g), "a", CHANNELS, 1, 2);
    const int b = mbt_graph_shuffle(g, mbt_graph_relu6(g, mbt_graph_shuffle(g, a, 2)), 3);
    (void)conv_bn(g, b, "b", 16, 1, 2);
}

static void pool_of_a_grouped_map(mbt_graph *g)
{
    const int a = conv_bn(g, input(g), "a", CHANNELS, 1, 2);
    (void)conv_bn(g, mbt_graph_pool(g, a), "b", 16, 1, 2);
}

/* The second reader takes halves of what the first reads whole. */
static void map_read_in_two_layouts(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    const int a = mbt_graph_conv(g, x, "a", CHANNELS, 3, 1, 1);
    (void)mbt_graph_pool(g, mbt_graph_add(g, conv_bn(g, x, "b", CHANNELS, 1, 2), a));
}

static void dropout_before_the_classifier(mbt_graph *g)
{
    const int a = conv_bn(g, input(g), "a", 40, 1, 1);
    (void)mbt_graph_linear(g, mbt_graph_dropout(g, mbt_graph_pool(g, a), 0.4), "fc", 12);
}

static void dropout_that_is_off(mbt_graph *g)
{
    const int a = mbt_graph_dropout(g, conv_bn(g, input(g), "a", 40, 1, 1), 0);
    (void)mbt_graph_linear(g, mbt_graph_dropout(g, mbt_graph_pool(g, a), 0), "fc", 12);
}

/* A projection shortcut: both sides of the addition are branches of what was stored. */
static void add_of_two_branches(mbt_graph *g)
{
    const int x = input(g);
    const int a = conv_bn(g, x, "a", CHANNELS, 1, 1), b = conv_bn(g, x, "b", CHANNELS, 1, 1);
    (void)mbt_graph_pool(g, mbt_graph_add(g, a, b));
}

static void projection_shortcut(mbt_graph *g)
{
    const int x = mbt_graph_relu(g, conv_bn(g, input(g), "x", CHANNELS, 1, 1));
    const int a = mbt_graph_shuffle(g, conv_bn(g, x, "a", 2 * CHANNELS, 3, 6), 4);
    const int b = conv_bn(g, x, "b", 2 * CHANNELS, 1, 6);
    const int y = mbt_graph_relu(g, mbt_graph_add(g, a, b));
    const int c = conv_bn(g, y, "c", 2 * CHANNELS, 3, 6);
    (void)mbt_graph_pool(g, mbt_graph_relu(g, mbt_graph_add(g, c, y)));
}

/* IGCV1's: two convolutions of different groups without a norm between them. */
static void interleaved_groups(mbt_graph *g)
{
    const int x = mbt_graph_relu(g, conv_bn(g, input(g), "x", 36, 1, 1));
    const int a = mbt_graph_conv(g, x, "a", 36, 3, 1, 12);
    const int b = conv_bn(g, mbt_graph_shuffle(g, a, 12), "b", 36, 1, 3);
    const int y = mbt_graph_relu(g, mbt_graph_shuffle(g, b, 3));
    (void)mbt_graph_pool(g, conv_bn(g, y, "c", 24, 3, 12));
}

/* IGCV2's, with a residual: groups of 8, and of 24 that become 8 times 3. */
static void channelwise_and_two_group_convolutions(mbt_graph *g)
{
    const int x = mbt_graph_relu(g, conv_bn(g, input(g), "x", 48, 1, 1));
    const int a = conv_bn(g, conv_bn(g, x, "a", 48, 3, 48), "b", 48, 1, 6);
    const int b = conv_bn(g, mbt_graph_shuffle(g, a, 6), "c", 48, 1, 6);
    const int y = mbt_graph_relu(g, mbt_graph_add(g, b, x));
    (void)mbt_graph_pool(g, conv_bn(g, conv_bn(g, y, "d", 48, 3, 48), "e", 96, 1, 2));
}

/* Two outputs a channel: a group convolution that is almost channel by channel. */
static void channelwise_that_widens(mbt_graph *g)
{
    const int a = mbt_graph_conv(g, input(g), "a", 2 * CHANNELS, 3, 2, CHANNELS);
    const int b = mbt_graph_shuffle(g, mbt_graph_conv(g, a, "b", 2 * CHANNELS, 1, 1, 6), 6);
    (void)mbt_graph_pool(g, conv_bn(g, b, "c", 2 * CHANNELS, 1, 6));
}

/* <g, output> for some g: a gradient with no pattern of its own. */
static double projection(network *net, int n)
{
    const mbt_value *out = &net->plan->values[net->plan->output];
    const mbt_layout *l = &out->layout;
    const size_t count = (size_t)n * (size_t)l->c * (size_t)(l->h * l->w);
    float *g = malloc(count * sizeof *g);
    assert_non_null(g);
    mbt_rng rng = mbt_rng_at(3, MBT_PURPOSE_SYNTH, 0, 3);
    for (size_t i = 0; i < count; i++) {
        g[i] = 2 * mbt_rng_uniform(&rng) - 1;
    }
    mbt_exec_prepare(net->plan);
    mbt_exec_forward(net->plan, n, &net->dropout);
    float *values = network_output(net, n);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        g[i] /= (float)sqrt((double)count); /* of the size of one output */
        sum += (double)g[i] * (double)values[i];
    }
    map_pack(l, n, g,
             mbt_map_view(l, mbt_exec_output_gradient(net->plan), MBT_STORAGE_FP32,
                          net->plan->options.group, 0));
    free(values);
    free(g);
    return sum;
}

/* Weights and images of one sign: what a ReLU6 without a norm reads is then between its bounds. */
static void make_positive(network *net)
{
    const mbt_slice *slice = mbt_params_find(&net->plan->params, "positive.weight");
    if (slice == NULL) {
        return;
    }
    float *w = network_weight(net, slice), *x = mbt_exec_input(net->plan);
    for (size_t i = 0; i < slice->count; i++) {
        w[i] = 0.02f + 0.1f * fabsf(w[i]);
    }
    network_set_weight(net, slice, w);
    const mbt_layout *l = &net->plan->values[net->plan->input].layout;
    for (size_t i = 0; i < mbt_layout_floats(l, net->plan->options.group); i++) {
        x[i] = fabsf(x[i]);
    }
    free(w);
}

static void check_gradient(build *make, const mbt_plan_options *options, int n)
{
    mbt_graph graph = {.name = "by hand"};
    mbt_error err = {0};
    make(&graph);
    assert_int_equal(mbt_graph_finish(&graph, &err), MBT_OK);
    network *net = network_of(&graph, options);
    network_fill(net, 0);
    network_away_from_kinks(net);
    make_positive(net);
    gradient_check check = {.net = net, .n = n, .loss = projection, .noise = 2e-6};
    (void)projection(net, n);
    mbt_exec_backward(net->plan, n, 1, &net->dropout, NULL, NULL);
    assert_true(gradient_check_input(&check));
    for (int i = 0; i < net->plan->params.n_slices; i++) {
        const mbt_slice *slice = &net->plan->params.slices[i];
        if (slice->trained) {
            const int before = check.n_checked[slice->kind];
            gradient_check_slice(&check, slice);
            /* Every weight says something here; gammas and betas before another norm do not. */
            const bool weight = slice->kind <= MBT_PARAM_LINEAR;
            if (weight && check.n_checked[slice->kind] == before) {
                fail_msg("%s: its gradient is lost in noise", slice->name);
            }
        }
    }
    network_destroy(net);
}

struct pattern {
    const char *name;
    build *make;
};

static const struct pattern patterns[] = {
    {"bare operations", bare_operations},
    {"a classifier alone", classifier_alone},
    {"a pool alone", pool_alone},
    {"a shuffle without norm", shuffle_without_norm},
    {"an activation without norm", activation_without_norm},
    {"a block alone", block_alone},
    {"a residual on the left", residual_on_the_left},
    {"an activation after the add", activation_after_the_add},
    {"a chain of residuals", chain_of_residuals},
    {"a grouped residual behind a shuffle", grouped_residual_behind_a_shuffle},
    {"a sum read in two groups", sum_read_in_two_groups},
    {"a sum of full sections", sum_of_full_sections},
    {"dropout behind a grouped sum", dropout_behind_a_grouped_sum},
    {"an activation before and behind shuffles", activation_before_and_behind_shuffles},
    {"a pool of a grouped map", pool_of_a_grouped_map},
    {"a stored map read in two layouts", map_read_in_two_layouts},
    {"an addition of two branches", add_of_two_branches},
    {"a projection shortcut", projection_shortcut},
    {"interleaved groups", interleaved_groups},
    {"channel-wise and two group convolutions", channelwise_and_two_group_convolutions},
    {"a channel-wise convolution that widens", channelwise_that_widens},
    {"dropout before the classifier", dropout_before_the_classifier},
    {"dropout that is off", dropout_that_is_off},
};

static void covered(void **state)
{
    for (int isa = 0; isa <= (int)mbt_cpu_isa(); isa++) {
        for (int tile = 0; tile <= 2; tile += 2) {
            const mbt_plan_options options = {.group = GROUP,
                                              .tile = tile,
                                              .isa = (mbt_isa)isa,
                                              .training = true,
                                              .bn_eps = 1e-5,
                                              .input_gradient = true};
            check_gradient(((const struct pattern *)*state)->make, &options, GROUP - tile / 2);
        }
    }
}

int main(void)
{
    enum { N = sizeof patterns / sizeof patterns[0] };
    struct CMUnitTest tests[N];
    for (int i = 0; i < N; i++) {
        tests[i] = (struct CMUnitTest){patterns[i].name, covered, NULL, NULL, (void *)&patterns[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
