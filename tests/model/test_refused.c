/* Patterns that no segment of the plan covers: each is refused, with node and reason, instead of
 * being run with a wrong gradient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "mbt/plan.h"

enum { CHANNELS = 24, SIDE = 6 };

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

static void refused(build *make, const char *reason)
{
    const mbt_plan_options options = {
        .group = 2, .isa = mbt_cpu_isa(), .training = true, .bn_eps = 1e-5};
    mbt_graph graph = {.name = "by hand"};
    mbt_error err = {0};
    mbt_plan *plan = NULL;
    make(&graph);
    if (mbt_graph_finish(&graph, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    if (mbt_plan_create(&graph, &options, &plan, &err) != MBT_CONFIG) {
        fail_msg("not refused, wanted: %s", reason);
    }
    if (strstr(err.message, "network by hand: ") == NULL || strstr(err.message, reason) == NULL) {
        fail_msg("got \"%s\", wanted \"%s\"", err.message, reason);
    }
    mbt_graph_clear(&graph);
}

static void activation_before_the_add(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    const int a = mbt_graph_relu6(g, conv_bn(g, x, "a", CHANNELS, 1, 1));
    (void)mbt_graph_pool(g, mbt_graph_add(g, a, x));
}

static void two_activations(mbt_graph *g)
{
    const int a = conv_bn(g, input(g), "a", CHANNELS, 1, 1);
    (void)mbt_graph_pool(g, mbt_graph_relu6(g, mbt_graph_relu6(g, a)));
}

static void shuffle_behind_the_add(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    const int a = mbt_graph_add(g, conv_bn(g, x, "a", CHANNELS, 1, 1), x);
    (void)mbt_graph_pool(g, mbt_graph_shuffle(g, a, 2));
}

static void two_adds_in_a_row(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    const int y = conv_bn(g, x, "y", CHANNELS, 1, 1);
    const int a = mbt_graph_add(g, conv_bn(g, y, "a", CHANNELS, 1, 1), y);
    (void)mbt_graph_pool(g, mbt_graph_add(g, a, x));
}

static void norm_of_a_norm(mbt_graph *g)
{
    const int a = conv_bn(g, input(g), "a", CHANNELS, 1, 1);
    (void)mbt_graph_pool(g, mbt_graph_bn(g, a, "second"));
}

static void norm_of_the_input(mbt_graph *g)
{
    (void)mbt_graph_conv(g, mbt_graph_bn(g, input(g), "first"), "a", 16, 1, 1, 1);
}

static void norm_of_what_others_read(mbt_graph *g)
{
    const int a = mbt_graph_conv(g, input(g), "a", CHANNELS, 1, 1, 1);
    const int b = mbt_graph_bn(g, a, "bn");
    (void)mbt_graph_pool(g, mbt_graph_add(g, b, a));
}

static void activation_of_the_input(mbt_graph *g)
{
    (void)mbt_graph_conv(g, mbt_graph_relu6(g, input(g)), "a", 16, 1, 1, 1);
}

static void dropout_between_convolutions(mbt_graph *g)
{
    const int a = conv_bn(g, input(g), "a", CHANNELS, 1, 1);
    (void)mbt_graph_conv(g, mbt_graph_relu6(g, mbt_graph_dropout(g, a, 0.5)), "b", 16, 1, 1, 1);
}

static void dropout_of_a_norm(mbt_graph *g)
{
    const int a = conv_bn(g, input(g), "a", CHANNELS, 1, 1);
    (void)mbt_graph_conv(g, mbt_graph_dropout(g, a, 0.5), "b", 16, 1, 1, 1);
}

static void dropout_of_a_map(mbt_graph *g)
{
    const int a = mbt_graph_conv(g, input(g), "a", CHANNELS, 1, 1, 1);
    (void)mbt_graph_conv(g, mbt_graph_dropout(g, a, 0.5), "b", 16, 1, 1, 1);
}

static void dropout_of_grouped_channels(mbt_graph *g)
{
    const int a = mbt_graph_pool(g, conv_bn(g, input(g), "a", CHANNELS, 1, 2));
    (void)mbt_graph_conv(g, mbt_graph_dropout(g, a, 0.5), "b", 16, 1, 1, 2);
}

static void dropout_at_the_end(mbt_graph *g)
{
    const int a = conv_bn(g, input(g), "a", CHANNELS, 1, 1);
    (void)mbt_graph_dropout(g, mbt_graph_pool(g, a), 0.5);
}

static void dropout_of_nothing_at_the_end(mbt_graph *g)
{
    const int a = conv_bn(g, input(g), "a", CHANNELS, 1, 1);
    (void)mbt_graph_dropout(g, mbt_graph_pool(g, a), 0);
}

static void value_read_three_times(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    const int a = conv_bn(g, x, "a", CHANNELS, 1, 1);
    const int b = conv_bn(g, mbt_graph_add(g, a, x), "b", CHANNELS, 1, 1);
    (void)mbt_graph_pool(g, mbt_graph_add(g, b, x));
}

static void output_read_twice(mbt_graph *g)
{
    const int a = mbt_graph_conv(g, input(g), "a", CHANNELS, 1, 1, 1);
    const int b = conv_bn(g, a, "b", CHANNELS, 1, 1);
    (void)mbt_graph_pool(g, mbt_graph_add(g, b, mbt_graph_conv(g, a, "c", CHANNELS, 1, 1, 1)));
}

static void output_read_and_added(mbt_graph *g)
{
    const int a = mbt_graph_conv(g, input(g), "a", CHANNELS, 1, 1, 1);
    (void)mbt_graph_pool(g, mbt_graph_add(g, conv_bn(g, a, "b", CHANNELS, 1, 1), a));
}

static void output_read_through_two_activations(mbt_graph *g)
{
    const int a = mbt_graph_conv(g, input(g), "a", CHANNELS, 1, 1, 1);
    const int b = conv_bn(g, mbt_graph_relu6(g, a), "b", CHANNELS, 1, 1);
    const int c = mbt_graph_conv(g, mbt_graph_relu6(g, a), "c", CHANNELS, 1, 1, 1);
    (void)mbt_graph_pool(g, mbt_graph_add(g, b, c));
}

static void read_inside_a_segment(mbt_graph *g)
{
    const int a = conv_bn(g, input(g), "a", CHANNELS, 1, 1);
    const int b = mbt_graph_conv(g, mbt_graph_relu6(g, a), "b", CHANNELS, 1, 1, 1);
    (void)mbt_graph_pool(g, mbt_graph_add(g, conv_bn(g, a, "c", CHANNELS, 1, 1), b));
}

static void residual_of_another_layout(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    const int a = mbt_graph_add(g, conv_bn(g, x, "a", CHANNELS, 1, 2), x);
    (void)mbt_graph_pool(g, mbt_graph_conv(g, a, "b", CHANNELS, 1, 1, 1));
}

static void branch_without_an_end(mbt_graph *g)
{
    const int x = conv_bn(g, input(g), "x", CHANNELS, 1, 1);
    (void)mbt_graph_conv(g, x, "lost", CHANNELS, 1, 1, 1);
    (void)mbt_graph_pool(g, mbt_graph_conv(g, x, "a", CHANNELS, 1, 1, 1));
}

static void no_operation(mbt_graph *g)
{
    (void)mbt_graph_relu6(g, input(g));
}

static void nothing_but_an_input(mbt_graph *g)
{
    (void)input(g);
}

static void patterns_without_a_segment_are_refused(void **state)
{
    (void)state;
    refused(activation_before_the_add, "an activation cannot stand here");
    refused(two_activations, "an activation cannot stand here");
    refused(shuffle_behind_the_add, "an addition needs one stored side and no shuffle behind it");
    refused(two_adds_in_a_row, "an addition needs one stored side and no shuffle behind it");
    refused(norm_of_a_norm, "(second): batch norm must follow a convolution directly");
    refused(norm_of_the_input, "(first): batch norm must follow a convolution directly");
    refused(norm_of_what_others_read, "(bn): batch norm must follow a convolution directly");
    refused(activation_of_the_input, "(input): cannot stand between two convolutions");
    refused(dropout_between_convolutions, "cannot stand between two convolutions");
    refused(dropout_of_a_norm, "(a_bn): dropout must follow a pool");
    refused(dropout_of_a_map, "(a): dropout must follow a pool");
    refused(dropout_of_grouped_channels, "(pool): dropout must follow a pool");
    refused(dropout_at_the_end, "cannot end a network");
    refused(dropout_of_nothing_at_the_end, "cannot end a network");
    refused(value_read_three_times, "reads a value that two others read already");
    refused(output_read_twice, "reads a value that another reads already");
    refused(output_read_and_added, "reads a value that another reads already");
    refused(output_read_through_two_activations, "reads a value that another reads already");
    refused(read_inside_a_segment, "(a_bn): is read twice inside a segment");
    refused(residual_of_another_layout, "adds maps of different layouts");
    refused(branch_without_an_end, "(lost): is read by nobody");
    refused(no_operation, "there is no convolution before it");
    refused(nothing_but_an_input, "nothing in it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(patterns_without_a_segment_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
