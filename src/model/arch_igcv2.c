/* IGCV2 (Xie et al. 2018): a channel-wise 3x3 convolution, then two 1x1 group convolutions with a
 * permutation between them, so that what one group makes is read by as many groups as it has
 * channels: by all of them under the paper's condition, which its starred networks relax.
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

enum { C416_BLOCKS = 6, C416_CHANNELS = 416, C416_GROUP = 8 };

/* One batch norm, behind the last convolution. */
static int c416_block(mbt_graph *graph, const void *family, int in, const mbt_block_place *place)
{
    char name[MBT_NODE_NAME_BYTES];
    const int c_in = graph->n_nodes > 0 ? graph->nodes[in].c : 1;
    const int c_out = place->c_out, groups = c_out / C416_GROUP;
    (void)family;
    (void)snprintf(name, sizeof name, "%s.depthwise", place->prefix);
    int x = mbt_graph_conv(graph, in, name, c_out, 3, place->stride, c_in);
    (void)snprintf(name, sizeof name, "%s.first", place->prefix);
    x = mbt_graph_shuffle(graph, mbt_graph_conv(graph, x, name, c_out, 1, 1, groups), groups);
    x = mbt_conv_bn(graph, x, place->prefix, "second", c_out, 1, 1, groups);
    return mbt_graph_relu(graph, x);
}

static mbt_status c416_build(const mbt_arch_request *request, const void *family, mbt_graph *graph,
                             mbt_error *err)
{
    char got[32];
    if (strcmp(request->depth, "20") != 0) { /* layers */
        (void)snprintf(got, sizeof got, "\"%.24s\"", request->depth);
        return mbt_arch_refuse(request, "network.depth", got, "20", err);
    }
    const int c = 16 * (int)lround(C416_CHANNELS * request->width / 16);
    return mbt_three_stages_build(request, c, C416_BLOCKS, c416_block, family, graph, err);
}

const mbt_arch_row mbt_arch_igcv2_c416 = {
    "igcv2_c416", "IGCV2*-C416 (our model of the published network)", c416_build, NULL};
