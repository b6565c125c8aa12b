/* Building the skeleton node by node, in the papers' order. */
#include "inverted_residual.h"

#include <stdio.h>
#include <string.h>

enum { STEM_CHANNELS = 32, LAST_CHANNELS = 1280 };

/* t and c of the stages, as the papers' tables list them. */
static const int expansion[MBT_STAGES] = {1, 6, 6, 6, 6, 6, 6};
static const int channels[MBT_STAGES] = {16, 24, 32, 64, 96, 160, 320};

/* Strides of the stem and of each stage's first block (networks.md A.1). */
static const struct {
    int downsampling, stem, stage[MBT_STAGES];
} strides[] = {
    {4, 1, {1, 1, 2, 2, 1, 1, 1}},
    {8, 1, {1, 1, 2, 2, 1, 2, 1}},
    {32, 2, {1, 2, 2, 2, 1, 2, 1}},
};

static int named(mbt_graph *graph, int in, const char *prefix, const char *part, int c_out,
                 int kernel, int stride, int groups)
{
    char name[MBT_NODE_NAME_BYTES], bn[MBT_NODE_NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s.%s", prefix, part);
    /* Inside a block: expand and expand_bn; stem and head: conv and bn. */
    if (strcmp(part, "conv") == 0) {
        (void)snprintf(bn, sizeof bn, "%s.bn", prefix);
    } else {
        (void)snprintf(bn, sizeof bn, "%s.%s_bn", prefix, part);
    }
    return mbt_graph_bn(graph, mbt_graph_conv(graph, in, name, c_out, kernel, stride, groups), bn);
}

static int block(mbt_graph *graph, const mbt_inverted_residual *f, int in, int index, int t,
                 int c_out, int stride)
{
    char prefix[24];
    const int c_in = graph->n_nodes > 0 ? graph->nodes[in].c : 0;
    (void)snprintf(prefix, sizeof prefix, "blocks.%d", index);
    int x = in;
    if (t > 1 || f->first_expansion) {
        x = named(graph, x, prefix, "expand", t * c_in, 1, 1, f->groups);
        if (f->expand_relu6) {
            x = mbt_graph_relu6(graph, x);
        }
        if (f->shuffle) {
            x = mbt_graph_shuffle(graph, x, f->groups);
        }
    }
    x = named(graph, x, prefix, "depthwise", t * c_in, 3, stride, t * c_in);
    x = mbt_graph_relu6(graph, x);
    x = named(graph, x, prefix, "project", c_out, 1, 1, f->groups);
    const int bn = x;
    if (f->output_shuffle) {
        x = mbt_graph_shuffle(graph, x, c_out / 2);
    }
    if (stride == 1 && c_in == c_out) {
        x = mbt_graph_add(graph, x, in);
        if (graph->fault.code == MBT_OK) {
            graph->nodes[bn].zero_gamma = 1;
        }
    }
    return x;
}

static const mbt_depth *find_depth(const mbt_arch_request *request, const mbt_inverted_residual *f,
                                   mbt_error *err)
{
    char known[128] = "";
    for (int i = 0; i < f->n_depths; i++) {
        if (strcmp(f->depths[i].name, request->depth) == 0) {
            return &f->depths[i];
        }
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                       f->depths[i].name);
    }
    (void)mbt_fail(err, MBT_CONFIG, "network.depth: got \"%s\", %s has %s", request->depth,
                   request->name, known);
    return NULL;
}

mbt_status mbt_inverted_residual_build(const mbt_arch_request *request, const void *family,
                                       mbt_graph *graph, mbt_error *err)
{
    const mbt_inverted_residual *f = family;
    const mbt_depth *depth = find_depth(request, f, err);
    if (depth == NULL) {
        return MBT_CONFIG;
    }
    size_t s = 0;
    while (s < sizeof strides / sizeof strides[0] &&
           strides[s].downsampling != request->downsampling) {
        s++;
    }
    if (s == sizeof strides / sizeof strides[0]) {
        return mbt_fail(err, MBT_CONFIG, "network.downsampling: got %d, %s has 4, 8 and 32",
                        request->downsampling, request->name);
    }

    int x = mbt_graph_input(graph, request->c, request->h, request->w);
    x = named(graph, x, "stem", "conv", f->width(STEM_CHANNELS, request->width), 3, strides[s].stem,
              1);
    x = mbt_graph_relu6(graph, x);
    int index = 0;
    for (int stage = 0; stage < MBT_STAGES; stage++) {
        for (int i = 0; i < depth->blocks[stage]; i++) {
            x = block(graph, f, x, index++, expansion[stage],
                      f->width(channels[stage], request->width),
                      i == 0 ? strides[s].stage[stage] : 1);
        }
    }
    const double last = request->width > 1 ? request->width : 1;
    x = named(graph, x, "head", "conv", f->width(LAST_CHANNELS, last), 1, 1, 1);
    x = mbt_graph_relu6(graph, x);
    x = mbt_graph_pool(graph, x);
    x = mbt_graph_dropout(graph, x, request->dropout);
    (void)mbt_graph_linear(graph, x, "classifier", request->n_classes);
    return mbt_graph_finish(graph, err);
}
