/* IGCV1 (Zhang et al. 2017, "Interleaved Group Convolutions"): a 3x3 convolution
 * in L groups of M channels, then a 1x1 convolution in M groups of L channels, one of each group.
 *
 * Depth, widths and shortcuts as in the authors' code: three stages of widths C, 2C and 4C, C =
 * L*M, where L stays and M doubles. Their batch norm's epsilon is 2e-5 (train.bn_eps). Deviation:
 * batch norm stands before the second reordering, not behind it; it goes channel by channel, so
 * that only the order of its parameters is another. RegConv is what the paper compares with: the
 * same layout of ordinary 3x3 convolutions. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "arch_rows.h"
#include "skeleton.h"

enum { MOST_BLOCKS = 100 };

struct igcv1 {
    int l, m;
    bool identity; /* "+Ident.": residual blocks of two units */
};

/* RegConv, L = 1: the primary convolution is an ordinary one, and the secondary would only scale
 * each channel, which batch norm does. */
static bool is_regular(const struct igcv1 *f)
{
    return f->l == 1;
}

/* A unit as far as its batch norm, whose node is the result; `part` begins its nodes' names. */
static int unit(mbt_graph *graph, const struct igcv1 *f, int in, const char *prefix,
                const char *part, int c_out, int stride, int m)
{
    char primary[MBT_NODE_NAME_BYTES], last[24];
    (void)snprintf(last, sizeof last, "%s%s", part, is_regular(f) ? "conv" : "secondary");
    if (is_regular(f)) {
        return mbt_conv_bn(graph, in, prefix, last, c_out, 3, stride, 1);
    }
    (void)snprintf(primary, sizeof primary, "%s.%sprimary", prefix, part);
    const int x = mbt_graph_conv(graph, in, primary, c_out, 3, stride, f->l);
    return mbt_conv_bn(graph, mbt_graph_shuffle(graph, x, f->l), prefix, last, c_out, 1, 1, m);
}

/* The second reordering. */
static int reorder(mbt_graph *graph, const struct igcv1 *f, int x, int m)
{
    return is_regular(f) ? x : mbt_graph_shuffle(graph, x, m);
}

static int plain_block(mbt_graph *graph, const void *family, int in, const mbt_block_place *place)
{
    const struct igcv1 *f = family;
    const int m = place->c_out / f->l;
    const int x = unit(graph, f, in, place->prefix, "", place->c_out, place->stride, m);
    return mbt_graph_relu(graph, reorder(graph, f, x, m));
}

/* The first unit has as many secondary groups as its input would have. */
static int residual_block(mbt_graph *graph, const void *family, int in,
                          const mbt_block_place *place)
{
    const struct igcv1 *f = family;
    const char *prefix = place->prefix;
    const int c_out = place->c_out, stride = place->stride;
    const int m_in = graph->n_nodes > 0 ? graph->nodes[in].c / f->l : 1, m = c_out / f->l;
    int x = unit(graph, f, in, prefix, "first_", c_out, stride, m_in);
    x = mbt_graph_relu(graph, reorder(graph, f, x, m_in));
    x = unit(graph, f, x, prefix, "second_", c_out, 1, m);
    if (graph->fault.code == MBT_OK) {
        graph->nodes[x].zero_gamma = 1;
    }
    x = reorder(graph, f, x, m);
    const int shortcut =
        stride > 1 ? mbt_conv_bn(graph, in, prefix, "shortcut", c_out, 1, stride, f->l) : in;
    return mbt_graph_relu(graph, mbt_graph_add(graph, x, shortcut));
}

/* Blocks in each stage of a network of 3B + 2 layers, or 6B + 2; 0: there is none of that depth. */
static int blocks_of(const struct igcv1 *f, const char *depth)
{
    char name[16];
    for (int blocks = 1; blocks <= MOST_BLOCKS; blocks++) {
        (void)snprintf(name, sizeof name, "%d", 3 * blocks * (f->identity ? 2 : 1) + 2);
        if (strcmp(name, depth) == 0) {
            return blocks;
        }
    }
    return 0;
}

static mbt_status check(const mbt_arch_request *request, const struct igcv1 *f, mbt_error *err)
{
    char got[32];
    if (request->width < 1 || request->width > 1) {
        (void)snprintf(got, sizeof got, "%g", request->width);
        return mbt_arch_refuse(request, "network.width", got, "1: its name says how wide it is",
                               err);
    }
    if (blocks_of(f, request->depth) == 0) {
        (void)snprintf(got, sizeof got, "\"%.24s\"", request->depth);
        return mbt_arch_refuse(request, "network.depth", got,
                               f->identity ? "6b + 2 layers: 8, 20, 38, 50 ..."
                                           : "3b + 2 layers: 8, 20, 38, 62 ...",
                               err);
    }
    return MBT_OK;
}

static mbt_status build(const mbt_arch_request *request, const void *family, mbt_graph *graph,
                        mbt_error *err)
{
    const struct igcv1 *f = family;
    const mbt_status status = check(request, f, err);
    return status != MBT_OK
               ? status
               : mbt_three_stages_build(request, f->l * f->m, blocks_of(f, request->depth),
                                        f->identity ? residual_block : plain_block, f, graph, err);
}

#define ROW(symbol, title, ...)                                                                    \
    static const struct igcv1 symbol = __VA_ARGS__;                                                \
    const mbt_arch_row mbt_arch_igcv1_##symbol = {"igcv1_" #symbol, "IGCV1, " title, build,        \
                                                  &symbol};

ROW(l4m8, "L 4, M 8", {4, 8, false})
ROW(l24m2, "L 24, M 2", {24, 2, false})
ROW(l24m2_ident, "L 24, M 2, with identity shortcuts", {24, 2, true})
ROW(l32m26, "L 32, M 26", {32, 26, false})
ROW(l100m2, "L 100, M 2", {100, 2, false})
ROW(l450m2, "L 450, M 2", {450, 2, false})
ROW(regconv_w16, "ordinary convolutions of width 16", {1, 16, false})
ROW(regconv_w18, "ordinary convolutions of width 18", {1, 18, false})
ROW(regconv_w18_ident, "width 18, with identity shortcuts", {1, 18, true})
