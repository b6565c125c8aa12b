/* IGCV2 (Xie et al. 2018): a channel-wise 3x3 convolution, then two 1x1 group
 * convolutions with a permutation between them, so that what one group makes every group reads.
 *
 * Deviation: the paper's text and code were not at hand. igcv2_c416 is our model of IGCV2*-C416 and
 * has its printed parameter count; igcv2_matched is our definition of the 2.4 M network of the
 * IGCV3 paper's tables, on IGCV3-D's skeleton: same blocks per stage, same strides, as much work.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "arch_rows.h"
#include "skeleton.h"

/* ---- our definition of the 2.4 M network ---- */

/* Widths are whole groups of 16 channels. */
static int width(int channels, double multiplier)
{
    const int groups = (int)lround(channels * multiplier / 16);
    return 16 * (groups > 1 ? groups : 1);
}

/* K: channels of a group, in the last two stages 32. */
static int group_width(int stage)
{
    return stage < MBT_STAGES - 2 ? 16 : 32;
}

/* The most groups of at least k inputs that divide both sides. */
static int groups_of(int c_in, int c_out, int k)
{
    int groups = c_in / k > 1 ? c_in / k : 1;
    while (c_in % groups != 0 || c_out % groups != 0) {
        groups--;
    }
    return groups;
}

static int matched_block(mbt_graph *graph, const void *family, int in, const mbt_block_place *at)
{
    const int c_in = graph->n_nodes > 0 ? graph->nodes[in].c : 1;
    const int k = group_width(at->stage), groups = groups_of(c_in, at->c_out, k);
    (void)family;
    int x = mbt_conv_bn(graph, in, at->prefix, "depthwise", c_in, 3, at->stride, c_in);
    x = mbt_conv_bn(graph, x, at->prefix, "first", at->c_out, 1, 1, groups);
    x = mbt_graph_shuffle(graph, x, groups);
    x = mbt_conv_bn(graph, x, at->prefix, "second", at->c_out, 1, 1,
                    groups_of(at->c_out, at->c_out, k));
    return mbt_graph_relu(graph, mbt_add_identity(graph, x, x, in, at->stride));
}

static const mbt_depth depths[] = {
    {"1.0", {1, 4, 6, 8, 6, 6, 1}},
    {"0.5", {1, 2, 3, 4, 2, 2, 1}},
};
static const mbt_skeleton matched = {.depths = depths,
                                     .n_depths = 2,
                                     .channels = {64, 96, 128, 256, 384, 640, 1280},
                                     .width = width,
                                     .activate = mbt_graph_relu,
                                     .block = matched_block};

const mbt_arch_row mbt_arch_igcv2_matched = {"igcv2_matched",
                                             "IGCV2 (our definition) of IGCV3-D's depth and work",
                                             mbt_skeleton_build, &matched};

/* ---- the published network on CIFAR ---- */

enum { C416_DEPTH = 20, C416_CHANNELS = 416, C416_GROUP = 8, C416_STAGES = 3 };

/* One batch norm, behind the last convolution. */
static int c416_unit(mbt_graph *graph, int in, int index, int c_out, int stride)
{
    char name[MBT_NODE_NAME_BYTES], prefix[24];
    const int c_in = graph->n_nodes > 0 ? graph->nodes[in].c : 1;
    const int groups = c_out / C416_GROUP;
    (void)snprintf(prefix, sizeof prefix, "blocks.%d", index);
    (void)snprintf(name, sizeof name, "%s.depthwise", prefix);
    int x = mbt_graph_conv(graph, in, name, c_out, 3, stride, c_in);
    (void)snprintf(name, sizeof name, "%s.first", prefix);
    x = mbt_graph_shuffle(graph, mbt_graph_conv(graph, x, name, c_out, 1, 1, groups), groups);
    x = mbt_conv_bn(graph, x, prefix, "second", c_out, 1, 1, groups);
    return mbt_graph_relu(graph, x);
}

static mbt_status c416_build(const mbt_arch_request *request, const void *family, mbt_graph *graph,
                             mbt_error *err)
{
    char got[32];
    (void)family;
    if (request->downsampling != 4) {
        (void)snprintf(got, sizeof got, "%d", request->downsampling);
        return mbt_arch_refuse(request, "network.downsampling", got, "4", err);
    }
    if (strcmp(request->depth, "20") != 0) {
        (void)snprintf(got, sizeof got, "\"%.24s\"", request->depth);
        return mbt_arch_refuse(request, "network.depth", got, "20", err);
    }
    const int c = 16 * (int)lround(C416_CHANNELS * request->width / 16);
    int x = mbt_graph_input(graph, request->c, request->h, request->w);
    x = mbt_graph_relu(graph, mbt_conv_bn(graph, x, "stem", "conv", c, 3, 1, 1));
    const int units = (C416_DEPTH - 2) / C416_STAGES;
    for (int i = 0; i < units * C416_STAGES; i++) {
        const int stage = i / units;
        x = c416_unit(graph, x, i, c << stage, stage > 0 && i % units == 0 ? 2 : 1);
    }
    x = mbt_graph_dropout(graph, mbt_graph_pool(graph, x), request->dropout);
    (void)mbt_graph_linear(graph, x, "classifier", request->n_classes);
    return mbt_graph_finish(graph, err);
}

const mbt_arch_row mbt_arch_igcv2_c416 = {
    "igcv2_c416", "IGCV2*-C416 (our model of the published network)", c416_build, NULL};
