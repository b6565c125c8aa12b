/* Building the skeleton around a family's blocks. */
#include "skeleton.h"

#include <stdio.h>
#include <string.h>

enum { STEM_CHANNELS = 32, LAST_CHANNELS = 1280 };

/* t of the stages, as the papers' tables list it. */
static const int expansion[MBT_STAGES] = {1, 6, 6, 6, 6, 6, 6};

/* Strides of the stem and of each stage's first block (MobileNetV2, table 2, with fewer of them for
 * small images). */
static const struct {
    int downsampling, stem, stage[MBT_STAGES];
} strides[] = {
    {4, 1, {1, 1, 2, 2, 1, 1, 1}},
    {8, 1, {1, 1, 2, 2, 1, 2, 1}},
    {32, 2, {1, 2, 2, 2, 1, 2, 1}},
};
enum { N_STRIDES = sizeof strides / sizeof strides[0] };

int mbt_conv_bn(mbt_graph *graph, int in, const char *prefix, const char *part, int c_out,
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

int mbt_add_identity(mbt_graph *graph, int x, int bn, int in, int stride)
{
    if (graph->fault.code != MBT_OK || stride > 1 || graph->nodes[x].c != graph->nodes[in].c) {
        return x;
    }
    graph->nodes[bn].zero_gamma = 1;
    return mbt_graph_add(graph, x, in);
}

mbt_status mbt_arch_refuse(const mbt_arch_request *request, const char *key, const char *got,
                           const char *wanted, mbt_error *err)
{
    return mbt_fail(err, MBT_CONFIG, "%s: got %s, %s has %s", key, got, request->name, wanted);
}

static const mbt_depth *find_depth(const mbt_arch_request *request, const mbt_skeleton *s,
                                   mbt_error *err)
{
    char known[128] = "", got[32];
    for (int i = 0; i < s->n_depths; i++) {
        if (strcmp(s->depths[i].name, request->depth) == 0) {
            return &s->depths[i];
        }
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                       s->depths[i].name);
    }
    (void)snprintf(got, sizeof got, "\"%.24s\"", request->depth);
    (void)mbt_arch_refuse(request, "network.depth", got, known, err);
    return NULL;
}

static mbt_status refuse_downsampling(const mbt_arch_request *request, const char *wanted,
                                      mbt_error *err)
{
    char got[16];
    (void)snprintf(got, sizeof got, "%d", request->downsampling);
    return mbt_arch_refuse(request, "network.downsampling", got, wanted, err);
}

static int find_strides(const mbt_arch_request *request, mbt_error *err)
{
    for (int i = 0; i < N_STRIDES; i++) {
        if (strides[i].downsampling == request->downsampling) {
            return i;
        }
    }
    (void)refuse_downsampling(request, "4, 8 and 32", err);
    return -1;
}

/* Behind the last map. */
static mbt_status finish(const mbt_arch_request *request, int x, mbt_graph *graph, mbt_error *err)
{
    x = mbt_graph_dropout(graph, mbt_graph_pool(graph, x), request->dropout);
    (void)mbt_graph_linear(graph, x, "classifier", request->n_classes);
    return mbt_graph_finish(graph, err);
}

mbt_status mbt_skeleton_build(const mbt_arch_request *request, const void *skeleton,
                              mbt_graph *graph, mbt_error *err)
{
    const mbt_skeleton *s = skeleton;
    const mbt_depth *depth = find_depth(request, s, err);
    const int row = depth != NULL ? find_strides(request, err) : -1;
    if (row < 0) {
        return MBT_CONFIG;
    }
    int x = mbt_graph_input(graph, request->c, request->h, request->w);
    x = mbt_conv_bn(graph, x, "stem", "conv", s->width(STEM_CHANNELS, request->width), 3,
                    strides[row].stem, 1);
    x = s->activate(graph, x);
    int index = 0;
    for (int stage = 0; stage < MBT_STAGES; stage++) {
        for (int i = 0; i < depth->blocks[stage]; i++) {
            char prefix[24];
            (void)snprintf(prefix, sizeof prefix, "blocks.%d", index++);
            const mbt_block_place place = {
                .prefix = prefix,
                .stage = stage,
                .expansion = expansion[stage],
                .c_out = s->width(s->channels[stage], request->width),
                .stride = i == 0 ? strides[row].stage[stage] : 1,
            };
            x = s->block(graph, s->family, x, &place);
        }
    }
    const double last = request->width > 1 ? request->width : 1;
    x = mbt_conv_bn(graph, x, "head", "conv", s->width(LAST_CHANNELS, last), 1, 1, 1);
    return finish(request, s->activate(graph, x), graph, err);
}

mbt_status mbt_three_stages_build(const mbt_arch_request *request, int c, int blocks,
                                  mbt_block_fn *block, const void *family, mbt_graph *graph,
                                  mbt_error *err)
{
    enum { STAGES = 3 };
    if (request->downsampling != 4) {
        return refuse_downsampling(request, "4", err);
    }
    int x = mbt_graph_input(graph, request->c, request->h, request->w);
    x = mbt_graph_relu(graph, mbt_conv_bn(graph, x, "stem", "conv", c, 3, 1, 1));
    for (int i = 0; i < blocks * STAGES; i++) {
        char prefix[24];
        const int stage = i / blocks;
        (void)snprintf(prefix, sizeof prefix, "blocks.%d", i);
        const mbt_block_place place = {
            .prefix = prefix,
            .stage = stage,
            .expansion = 1,
            .c_out = c << stage,
            .stride = stage > 0 && i % blocks == 0 ? 2 : 1,
        };
        x = block(graph, family, x, &place);
    }
    return finish(request, x, graph, err);
}
