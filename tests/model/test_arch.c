/* Networks: parameter and MAC counts against the papers' and other implementations', what tells the
 * variants apart, and what is said to a request that no row fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/arch.h"
#include "model/arch_rows.h"

static const mbt_arch_request cifar = {.name = "mobilenetv2",
                                       .depth = "1.0",
                                       .downsampling = 8,
                                       .width = 1,
                                       .c = 3,
                                       .h = 32,
                                       .w = 32,
                                       .n_classes = 10};

static mbt_graph build(const mbt_arch_request *request)
{
    mbt_graph graph = {0};
    mbt_error err = {0};
    if (mbt_arch_build(request, &graph, &err) != MBT_OK) {
        fail_msg("%s: %s", request->name, err.message);
    }
    return graph;
}

static int count_kind(const mbt_graph *graph, mbt_node_kind kind)
{
    int count = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        count += graph->nodes[i].kind == kind;
    }
    return count;
}

static const mbt_node *find(const mbt_graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        if (strcmp(graph->nodes[i].name, name) == 0) {
            return &graph->nodes[i];
        }
    }
    fail_msg("%s has no node %s", graph->name, name);
    return NULL;
}

/* Parameters exactly; multiply-accumulates as printed, with as many digits. */
struct counts {
    int64_t params;
    double mega_macs, digit; /* of one image; the last printed digit */
};

static void has_counts(const mbt_arch_request *request, const struct counts *wanted)
{
    mbt_graph graph = build(request);
    assert_string_equal(graph.name, request->name);
    const int64_t params = mbt_graph_params(&graph);
    if (params != wanted->params) {
        fail_msg("%s %s, width %g: %lld parameters, wanted %lld", request->name, request->depth,
                 request->width, (long long)params, (long long)wanted->params);
    }
    const double macs = (double)mbt_graph_macs(&graph) / 1e6;
    if (fabs(macs - wanted->mega_macs) > wanted->digit / 2) {
        fail_msg("%s %s, width %g, downsampling %d: %.3f M MACs, wanted %.1f M", request->name,
                 request->depth, request->width, request->downsampling, macs, wanted->mega_macs);
    }
    const mbt_node *pool = &graph.nodes[find(&graph, "pool")->in[0]];
    assert_int_equal(pool->h, request->h / request->downsampling);
    mbt_graph_clear(&graph);
}

static void counts_are_the_published_ones(void **state)
{
    static const struct {
        const char *name, *depth;
        int downsampling, side, classes;
        struct counts counts;
    } rows[] = {
        {"mobilenetv2", "1.0", 8, 32, 10, {2237770, 89.0, 0.1}},
        {"mobilenetv2", "1.0", 4, 32, 10, {2237770, 166.2, 0.1}},
        {"mobilenetv2", "1.0", 8, 32, 100, {2353060, 89.1, 0.1}},
        {"mobilenetv2", "1.0", 4, 32, 100, {2353060, 166.3, 0.1}},
        {"mobilenetv2_torchvision", "1.0", 8, 32, 10, {2236682, 88.0, 0.1}},
        {"mobilenetv2_torchvision", "1.0", 4, 32, 10, {2236682, 165.2, 0.1}},
        {"mobilenetv2_torchvision", "1.0", 8, 32, 100, {2351972, 88.1, 0.1}},
        {"igcv3d", "1.0", 8, 32, 10, {2223498, 93.5, 0.1}},
        {"igcv3d", "1.0", 4, 32, 10, {2223498, 166.1, 0.1}},
        {"igcv3d", "1.0", 8, 32, 100, {2338788, 93.6, 0.1}},
        {"igcv3d", "0.7", 4, 32, 10, {1682570, 125.1, 0.1}},
        {"igcv3d", "0.7", 4, 32, 100, {1797860, 125.2, 0.1}},
        {"igcv3d", "0.5", 4, 32, 10, {1150346, 86.1, 0.1}},
        {"igcv3d", "0.5", 4, 32, 100, {1265636, 86.2, 0.1}},
        /* Permutations and activations have no parameters. */
        {"igcv3d_seesaw", "1.0", 4, 32, 100, {2338788, 166.2, 0.1}},
        {"igcv3d_seed", "1.0", 8, 32, 10, {2223498, 93.5, 0.1}},
        {"igcv1_l4m8", "8", 4, 32, 10, {78634, 13.1, 0.1}},
        {"igcv1_l4m8", "20", 4, 32, 10, {277546, 42, 1}},
        {"igcv1_l4m8", "38", 4, 32, 10, {575914, 86.2, 0.1}},
        {"igcv1_l4m8", "62", 4, 32, 10, {973738, 144.7, 0.1}},
        {"igcv1_l4m8", "98", 4, 32, 10, {1570474, 232.4, 0.1}},
        {"igcv1_l24m2", "8", 4, 32, 10, {48442, 9.9, 0.1}},
        {"igcv1_l24m2", "20", 4, 32, 10, {155962, 29, 1}},
        {"igcv1_l24m2", "38", 4, 32, 10, {317242, 57, 1}},
        {"igcv1_l24m2", "62", 4, 32, 10, {532282, 95, 1}},
        {"igcv1_l24m2", "98", 4, 32, 10, {854842, 151, 1}},
        {"igcv1_l24m2_ident", "50", 4, 32, 10, {433210, 76.9, 0.1}},
        {"igcv1_l24m2_ident", "74", 4, 32, 10, {648250, 114.7, 0.1}},
        {"igcv1_l24m2_ident", "98", 4, 32, 10, {863290, 152.4, 0.1}},
        {"igcv1_l100m2", "20", 4, 32, 10, {1288210, 283, 1}},
        {"igcv1_l32m26", "20", 4, 32, 10, {23829322, 3698, 1}},
        {"igcv1_l450m2", "20", 4, 32, 10, {19026910, 4661, 1}},
        {"igcv1_regconv_w16", "8", 4, 32, 10, {75290, 12.2, 0.1}},
        {"igcv1_regconv_w16", "20", 4, 32, 10, {269722, 41, 1}},
        {"igcv1_regconv_w16", "98", 4, 32, 10, {1533530, 224.6, 0.1}},
        {"igcv1_regconv_w18", "8", 4, 32, 10, {95068, 15.4, 0.1}},
        {"igcv1_regconv_w18", "20", 4, 32, 10, {341020, 51, 1}},
        {"igcv1_regconv_w18", "98", 4, 32, 10, {1939708, 284.2, 0.1}},
        {"igcv1_regconv_w18_ident", "98", 4, 32, 10, {1943164, 284.5, 0.1}},
        {"igcv3w", "1.0", 32, 224, 1000, {5724968, 585.8, 0.1}},
        {"igcv2_c416", "20", 4, 32, 100, {650308, 123.5, 0.1}},
        {"igcv2_c416", "20", 4, 32, 10, {500458, 123.3, 0.1}},
        {"igcv2_matched", "1.0", 4, 32, 10, {2318410, 167.6, 0.1}},
        {"igcv2_matched", "1.0", 4, 32, 100, {2433700, 167.7, 0.1}},
        {"igcv2_matched", "1.0", 8, 32, 10, {2318410, 70.9, 0.1}},
        {"mobilenetv2_torchvision", "1.0", 32, 224, 1000, {3504872, 300.8, 0.1}},
        {"mobilenetv2", "1.0", 32, 224, 1000, {3505960, 313.6, 0.1}},
        {"igcv3d", "1.0", 32, 224, 1000, {3491688, 313, 1}},
        {"igcv3_g2g4", "1.0", 32, 224, 1000, {3063304, 255.8, 0.1}},
        {"igcv3_g2g4", "1.0", 4, 32, 10, {1795114, 133.8, 0.1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mbt_arch_request request = cifar;
        request.name = rows[i].name;
        request.depth = rows[i].depth;
        request.downsampling = rows[i].downsampling;
        request.h = request.w = rows[i].side;
        request.n_classes = rows[i].classes;
        has_counts(&request, &rows[i].counts);
    }
}

/* On ImageNet: parameters as imgclsmob has them (its MobileNetV2 has no bias at the end), and
 * multiply-accumulates of TF-Slim's table for the widths that are rounded to eights. Nobody has
 * published the blocks of the paper's IGCV3-D 0.7 and 1.4, of 210 and 610 M multiply-accumulates:
 * ours of these widths are what the official rule gives. */
static void widths_have_their_counts(void **state)
{
    static const struct {
        const char *name;
        double width;
        struct counts counts;
    } rows[] = {
        {"igcv3d", 0.75, {2638084, 189.9, 0.1}},
        {"igcv3d", 0.5, {1985528, 96.9, 0.1}},
        {"igcv3d", 0.25, {1534020, 34.0, 0.1}},
        {"igcv3d", 0.7, {2502486, 174.6, 0.1}},
        {"igcv3d", 1.4, {6023004, 590.0, 0.1}},
        {"mobilenetv2", 0.75, {2627592 + 1000, 186.7, 0.1}},
        {"mobilenetv2", 0.5, {1964736 + 1000, 92.3, 0.1}},
        {"mobilenetv2", 0.25, {1516392 + 1000, 30.5, 0.1}},
        {"mobilenetv2_torchvision", 1.4, {6108776, 582, 1}},
        {"mobilenetv2_torchvision", 1.3, {5386792, 509, 1}},
        {"mobilenetv2_torchvision", 0.75, {2636424, 209, 1}},
        {"mobilenetv2_torchvision", 0.5, {1968680, 97, 1}},
        {"mobilenetv2_torchvision", 0.35, {1677128, 59, 1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mbt_arch_request request = cifar;
        request.name = rows[i].name;
        request.width = rows[i].width;
        request.downsampling = 32;
        request.h = request.w = 224;
        request.n_classes = 1000;
        has_counts(&request, &rows[i].counts);
    }
}

/* The papers' labels of 2.3 M and 2.4 M count running statistics too. */
static void with_running_statistics(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double mega;
    } rows[] = {{"mobilenetv2", 2.387}, {"igcv3d", 2.403}};
    for (int r = 0; r < 2; r++) {
        mbt_arch_request request = cifar;
        request.name = rows[r].name;
        request.n_classes = 100;
        mbt_graph graph = build(&request);
        int64_t count = mbt_graph_params(&graph);
        for (int i = 0; i < graph.n_nodes; i++) {
            count += graph.nodes[i].kind == MBT_NODE_BN ? 2 * graph.nodes[i].c : 0;
        }
        assert_true(fabs((double)count / 1e6 - rows[r].mega) <= 0.0005);
        mbt_graph_clear(&graph);
    }
}

static void variants_differ_as_documented(void **state)
{
    static const struct {
        const char *name;
        int convolutions, relu6, relu, shuffles, adds;
    } rows[] = {
        {"mobilenetv2", 53, 36, 0, 0, 10},  {"mobilenetv2_torchvision", 52, 35, 0, 0, 10},
        {"igcv3d", 98, 34, 0, 32, 25},      {"igcv3d_seesaw", 98, 34, 0, 64, 25},
        {"igcv3d_seed", 98, 66, 0, 64, 25}, {"igcv2_matched", 98, 0, 34, 32, 25},
    };
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        mbt_arch_request request = cifar;
        request.name = rows[r].name;
        mbt_graph graph = build(&request);
        int marked = 0;
        for (int i = 0; i < graph.n_nodes; i++) {
            marked += graph.nodes[i].zero_gamma;
            assert_true(!graph.nodes[i].zero_gamma || graph.nodes[i].kind == MBT_NODE_BN);
        }
        assert_int_equal(count_kind(&graph, MBT_NODE_CONV), rows[r].convolutions);
        assert_int_equal(count_kind(&graph, MBT_NODE_BN), rows[r].convolutions);
        assert_int_equal(count_kind(&graph, MBT_NODE_RELU6), rows[r].relu6);
        assert_int_equal(count_kind(&graph, MBT_NODE_RELU), rows[r].relu);
        assert_int_equal(count_kind(&graph, MBT_NODE_SHUFFLE), rows[r].shuffles);
        assert_int_equal(count_kind(&graph, MBT_NODE_ADD), rows[r].adds);
        assert_int_equal(marked, rows[r].adds);
        assert_int_equal(count_kind(&graph, MBT_NODE_LINEAR), 1);
        mbt_graph_clear(&graph);
    }
}

/* Permutations of the IGCV3 blocks: halves interleaved, and back. */
static void shuffles_have_their_groups(void **state)
{
    (void)state;
    mbt_arch_request request = cifar;
    request.name = "igcv3d_seesaw";
    mbt_graph graph = build(&request);
    int inner = 0, outer = 0;
    for (int i = 0; i < graph.n_nodes; i++) {
        const mbt_node *node = &graph.nodes[i];
        if (node->kind == MBT_NODE_SHUFFLE) {
            inner += node->groups == 2;
            outer += node->groups == node->c / 2;
            assert_int_equal(graph.nodes[node->in[0]].kind, MBT_NODE_BN);
        }
    }
    assert_int_equal(inner, 32);
    assert_int_equal(outer, 32);
    mbt_graph_clear(&graph);
}

/* Each family has its own rule of rounding; the last convolution is not narrowed. */
static void widths_are_rounded_as_the_family_does(void **state)
{
    static const struct {
        const char *name;
        double width;
        int stem, first, expand, last;
    } rows[] = {
        {"mobilenetv2", 1, 32, 16, 96, 1280},
        {"mobilenetv2", 0.25, 8, 4, 24, 1280},
        {"mobilenetv2", 0.7, 22, 11, 66, 1280},
        {"mobilenetv2", 1.4, 44, 22, 132, 1792},
        {"mobilenetv2_torchvision", 0.25, 8, 8, 48, 1280},
        {"mobilenetv2_torchvision", 1.4, 48, 24, 144, 1792},
        {"igcv3_g2g4", 0.7, 24, 12, 72, 1280},
        {"igcv3d", 0.7, 22, 12, 72, 1280},
        {"igcv3d", 0.35, 12, 6, 36, 1280},
        {"igcv3d", 2, 64, 32, 192, 2560},
    };
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        mbt_arch_request request = cifar;
        request.name = rows[r].name;
        request.width = rows[r].width;
        mbt_graph graph = build(&request);
        assert_int_equal(find(&graph, "stem.conv")->c, rows[r].stem);
        assert_int_equal(find(&graph, "blocks.0.project")->c, rows[r].first);
        assert_int_equal(find(&graph, "blocks.1.expand")->c, rows[r].expand);
        assert_int_equal(find(&graph, "head.conv")->c, rows[r].last);
        mbt_graph_clear(&graph);
    }
}

/* A block that halves the map has no residual, not even where its width stays: 16/16 and 24/16 both
 * round to 1. */
static void a_stride_is_no_residual(void **state)
{
    (void)state;
    mbt_arch_request request = cifar;
    request.width = 1.0 / 16;
    request.downsampling = 32;
    request.h = request.w = 64;
    mbt_graph graph = build(&request);
    assert_int_equal(find(&graph, "blocks.0.project")->c, find(&graph, "blocks.1.project")->c);
    assert_int_equal(count_kind(&graph, MBT_NODE_ADD), 10);
    mbt_graph_clear(&graph);
}

/* ---- requests that cannot be met ---- */

static void refused(const mbt_arch_request *request, const char *const *parts)
{
    mbt_graph graph = {0};
    mbt_error err = {0};
    assert_int_equal(mbt_arch_build(request, &graph, &err), MBT_CONFIG);
    assert_int_equal(err.code, MBT_CONFIG);
    for (int i = 0; parts[i] != NULL; i++) {
        if (strstr(err.message, parts[i]) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", err.message, parts[i]);
        }
    }
    mbt_graph_clear(&graph);
}

static void unknown_names_are_answered_with_the_list(void **state)
{
    (void)state;
    mbt_arch_request request = cifar;
    request.name = "igcv3";
    refused(&request,
            (const char *[]){"network.name", "got \"igcv3\"", "did you mean \"igcv3d\"?",
                             "mobilenetv2, mobilenetv2_torchvision, igcv3d, igcv3d_seesaw, "
                             "igcv3d_seed",
                             NULL});
    request.name = "a name that is like no other";
    refused(&request,
            (const char *[]){"got \"a name that is like no other\", wanted one of", NULL});
    request.name = "";
    refused(&request, (const char *[]){"got \"\"", NULL});
}

static void unknown_depths_and_downsamplings(void **state)
{
    (void)state;
    mbt_arch_request request = cifar;
    request.depth = "0.7";
    refused(&request, (const char *[]){"network.depth: got \"0.7\", mobilenetv2 has 1.0", NULL});
    request.name = "igcv3d";
    request.depth = "0.6";
    refused(&request,
            (const char *[]){"network.depth: got \"0.6\", igcv3d has 1.0, 0.7, 0.5", NULL});
    request.depth = "1.0";
    request.downsampling = 16;
    refused(&request,
            (const char *[]){"network.downsampling: got 16, igcv3d has 4, 8 and 32", NULL});
}

/* A family without stages of its own says what it has. */
static void what_igcv1_and_the_published_igcv2_have(void **state)
{
    (void)state;
    mbt_arch_request request = cifar;
    request.downsampling = 4;
    request.name = "igcv1_l24m2";
    refused(&request, (const char *[]){"network.depth: got \"1.0\", igcv1_l24m2 has 3b + 2", NULL});
    request.depth = "21";
    refused(&request, (const char *[]){"network.depth: got \"21\"", NULL});
    request.depth = "23";
    mbt_graph graph = build(&request);
    mbt_graph_clear(&graph);
    request.name = "igcv1_l24m2_ident";
    refused(&request, (const char *[]){"got \"23\", igcv1_l24m2_ident has 6b + 2", NULL});
    request.depth = "20";
    request.width = 0.5;
    refused(&request, (const char *[]){"network.width: got 0.5, igcv1_l24m2_ident has 1", NULL});
    request.width = 1;
    request.downsampling = 8;
    refused(&request,
            (const char *[]){"network.downsampling: got 8, igcv1_l24m2_ident has 4", NULL});
    request.name = "igcv2_c416";
    refused(&request, (const char *[]){"network.downsampling: got 8, igcv2_c416 has 4", NULL});
    request.downsampling = 4;
    request.depth = "1.0";
    refused(&request, (const char *[]){"network.depth: got \"1.0\", igcv2_c416 has 20", NULL});
}

/* Groups of both convolutions of the first unit, and of the one that halves the map. */
static void igcv1_interleaves_l_and_m(void **state)
{
    (void)state;
    mbt_arch_request request = cifar;
    request.downsampling = 4;
    request.name = "igcv1_l24m2_ident";
    request.depth = "20";
    mbt_graph graph = build(&request);
    assert_int_equal(find(&graph, "blocks.0.first_primary")->groups, 24);
    assert_int_equal(find(&graph, "blocks.0.first_secondary")->groups, 2);
    assert_int_equal(find(&graph, "blocks.3.first_primary")->c, 96);
    assert_int_equal(find(&graph, "blocks.3.first_secondary")->groups, 2);
    assert_int_equal(find(&graph, "blocks.3.second_secondary")->groups, 4);
    assert_int_equal(find(&graph, "blocks.3.shortcut")->groups, 24);
    assert_int_equal(find(&graph, "blocks.3.shortcut")->stride, 2);
    assert_int_equal(count_kind(&graph, MBT_NODE_ADD), 9);
    assert_int_equal(count_kind(&graph, MBT_NODE_SHUFFLE), 36);
    mbt_graph_clear(&graph);
}

static void widths_and_inputs_that_are_impossible(void **state)
{
    (void)state;
    mbt_arch_request request = cifar;
    request.width = 0.05; /* 16 * 0.05 channels */
    refused(&request, (const char *[]){"mobilenetv2 of width 0.05 on 32 x 32 with 10 classes: ",
                                       "blocks.0.project", "to 0 channels", NULL});
    request = cifar;
    request.h = 5000;
    refused(&request, (const char *[]){"input of 3 x 5000 x 32", NULL});
    request = cifar;
    request.n_classes = 0;
    refused(&request, (const char *[]){"classifier", NULL});
}

/* ---- builders ---- */

static void the_first_fault_of_a_graph_is_kept(void **state)
{
    (void)state;
    mbt_error err = {0};
    mbt_graph graph = {0};
    const int in = mbt_graph_input(&graph, 24, 8, 8);
    const int narrow = mbt_graph_conv(&graph, in, "narrow", 16, 1, 1, 1);
    assert_int_equal(mbt_graph_finish(&graph, &err), MBT_OK);
    const int n_nodes = graph.n_nodes;
    assert_int_equal(mbt_graph_add(&graph, in, narrow), 0);
    assert_int_equal(mbt_graph_conv(&graph, in, "later", 25, 1, 1, 7), 0);
    assert_int_equal(graph.n_nodes, n_nodes);
    assert_int_equal(mbt_graph_finish(&graph, &err), MBT_CONFIG);
    assert_non_null(strstr(err.message, "adding maps of 24 x 8 x 8 and 16 x 8 x 8"));
    mbt_graph_clear(&graph);
    assert_null(graph.nodes);
}

static void faults_of_single_nodes(void **state)
{
    (void)state;
    for (int which = 0; which < 5; which++) {
        static const char *const said[] = {
            "c: 24 to 16 channels in 7 groups is not possible",
            "c: 24 to 18 channels in 4 groups is not possible",
            "24 channels in 5 shuffle groups",
            "fc of a map of 8 x 8 to 10 features, wanted one of 1 x 1",
            "c: 24 to 70000 channels",
        };
        mbt_error err = {0};
        mbt_graph graph = {0};
        const int in = mbt_graph_input(&graph, 24, 8, 8);
        switch (which) {
        case 0:
            (void)mbt_graph_conv(&graph, in, "c", 16, 1, 1, 7);
            break;
        case 1:
            (void)mbt_graph_conv(&graph, in, "c", 18, 1, 1, 4);
            break;
        case 2:
            (void)mbt_graph_shuffle(&graph, in, 5);
            break;
        case 3:
            (void)mbt_graph_linear(&graph, in, "fc", 10);
            break;
        default:
            (void)mbt_graph_conv(&graph, in, "c", 70000, 1, 1, 1);
        }
        assert_int_equal(mbt_graph_finish(&graph, &err), MBT_CONFIG);
        assert_non_null(strstr(err.message, said[which]));
        mbt_graph_clear(&graph);
    }
}

static void shapes_follow_stride_and_padding(void **state)
{
    (void)state;
    mbt_graph graph = {0};
    const int in = mbt_graph_input(&graph, 3, 9, 6);
    const int a = mbt_graph_conv(&graph, in, "a", 24, 3, 2, 1);
    const int b = mbt_graph_conv(&graph, a, "b", 24, 3, 1, 24);
    const int c = mbt_graph_conv(&graph, b, "c", 10, 1, 2, 2);
    assert_int_equal(graph.nodes[a].h, 5);
    assert_int_equal(graph.nodes[a].w, 3);
    assert_int_equal(graph.nodes[b].h, 5);
    assert_int_equal(graph.nodes[c].h, 3);
    assert_int_equal(graph.nodes[c].w, 2);
    assert_int_equal(mbt_node_params(&graph, a), 24 * 3 * 9);
    assert_int_equal(mbt_node_params(&graph, b), 24 * 9);
    assert_int_equal(mbt_node_params(&graph, c), 10 * 12);
    assert_int_equal(mbt_node_macs(&graph, a), 24 * 3 * 9 * 15);
    assert_int_equal(mbt_node_macs(&graph, c), 10 * 12 * 6);
    mbt_graph_clear(&graph);
}

static void every_row_is_listed_for_help(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    mbt_arch_list(out);
    assert_int_equal(fclose(out), 0);
#define NAME(row) #row " ",
    static const char *const names[] = {MBT_ARCH_ROWS(NAME)};
#undef NAME
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_non_null(strstr(text, names[i]));
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_the_published_ones),
        cmocka_unit_test(widths_have_their_counts),
        cmocka_unit_test(with_running_statistics),
        cmocka_unit_test(variants_differ_as_documented),
        cmocka_unit_test(shuffles_have_their_groups),
        cmocka_unit_test(widths_are_rounded_as_the_family_does),
        cmocka_unit_test(a_stride_is_no_residual),
        cmocka_unit_test(unknown_names_are_answered_with_the_list),
        cmocka_unit_test(unknown_depths_and_downsamplings),
        cmocka_unit_test(what_igcv1_and_the_published_igcv2_have),
        cmocka_unit_test(igcv1_interleaves_l_and_m),
        cmocka_unit_test(widths_and_inputs_that_are_impossible),
        cmocka_unit_test(the_first_fault_of_a_graph_is_kept),
        cmocka_unit_test(faults_of_single_nodes),
        cmocka_unit_test(shapes_follow_stride_and_padding),
        cmocka_unit_test(every_row_is_listed_for_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
