/* Building a graph node by node, and counting what it costs. */
#include "mbt/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The node appended, or NULL after a failure. */
static mbt_node *append(mbt_graph *graph, mbt_node_kind kind, const char *name, int a, int b)
{
    if (graph->fault.code != MBT_OK) {
        return NULL;
    }
    if (graph->n_nodes == graph->capacity) {
        const int capacity = graph->capacity == 0 ? 64 : 2 * graph->capacity;
        mbt_node *nodes = realloc(graph->nodes, (size_t)capacity * sizeof *nodes);
        if (nodes == NULL) {
            (void)mbt_fail(&graph->fault, MBT_FAILURE, "network: out of memory");
            return NULL;
        }
        graph->nodes = nodes;
        graph->capacity = capacity;
    }
    mbt_node *node = &graph->nodes[graph->n_nodes];
    *node = (mbt_node){.kind = kind, .in = {a, b}};
    if (a >= 0) {
        node->c = graph->nodes[a].c;
        node->h = graph->nodes[a].h;
        node->w = graph->nodes[a].w;
    }
    (void)snprintf(node->name, sizeof node->name, "%s", name);
    return node;
}

/* The node is complete: its index. */
static int done(mbt_graph *graph, const mbt_node *node)
{
    return node == NULL || graph->fault.code != MBT_OK ? 0 : graph->n_nodes++;
}

int mbt_graph_input(mbt_graph *graph, int c, int h, int w)
{
    mbt_node *node = append(graph, MBT_NODE_INPUT, "input", -1, -1);
    if (node != NULL) {
        node->c = c;
        node->h = h;
        node->w = w;
        if (c < 1 || h < 1 || w < 1 || h > MBT_GRAPH_MAX_SIDE || w > MBT_GRAPH_MAX_SIDE) {
            (void)mbt_fail(&graph->fault, MBT_CONFIG, "network: input of %d x %d x %d", c, h, w);
        }
    }
    return done(graph, node);
}

int mbt_graph_conv(mbt_graph *graph, int in, const char *name, int c_out, int kernel, int stride,
                   int groups)
{
    mbt_node *node = append(graph, MBT_NODE_CONV, name, in, -1);
    if (node != NULL) {
        if (c_out < 1 || c_out > MBT_GRAPH_MAX_CHANNELS || node->c % groups != 0 ||
            c_out % groups != 0) {
            (void)mbt_fail(&graph->fault, MBT_CONFIG,
                           "network: %s: %d to %d channels in %d groups is not possible", name,
                           node->c, c_out, groups);
        }
        node->kernel = kernel;
        node->stride = stride;
        node->pad = kernel / 2;
        node->groups = groups;
        node->h = (node->h + 2 * node->pad - kernel) / stride + 1;
        node->w = (node->w + 2 * node->pad - kernel) / stride + 1;
        node->c = c_out;
    }
    return done(graph, node);
}

int mbt_graph_bn(mbt_graph *graph, int in, const char *name)
{
    return done(graph, append(graph, MBT_NODE_BN, name, in, -1));
}

int mbt_graph_relu6(mbt_graph *graph, int in)
{
    return done(graph, append(graph, MBT_NODE_RELU6, "", in, -1));
}

int mbt_graph_relu(mbt_graph *graph, int in)
{
    return done(graph, append(graph, MBT_NODE_RELU, "", in, -1));
}

int mbt_graph_shuffle(mbt_graph *graph, int in, int groups)
{
    mbt_node *node = append(graph, MBT_NODE_SHUFFLE, "", in, -1);
    if (node != NULL) {
        node->groups = groups;
        if (groups < 1 || node->c % groups != 0) {
            (void)mbt_fail(&graph->fault, MBT_CONFIG, "network: %d channels in %d shuffle groups",
                           node->c, groups);
        }
    }
    return done(graph, node);
}

int mbt_graph_add(mbt_graph *graph, int a, int b)
{
    mbt_node *node = append(graph, MBT_NODE_ADD, "", a, b);
    if (node != NULL) {
        const mbt_node *other = &graph->nodes[b];
        if (node->c != other->c || node->h != other->h || node->w != other->w) {
            (void)mbt_fail(&graph->fault, MBT_CONFIG,
                           "network: adding maps of %d x %d x %d and %d x %d x %d", node->c,
                           node->h, node->w, other->c, other->h, other->w);
        }
    }
    return done(graph, node);
}

int mbt_graph_pool(mbt_graph *graph, int in)
{
    mbt_node *node = append(graph, MBT_NODE_POOL, "pool", in, -1);
    if (node != NULL) {
        node->h = node->w = 1;
    }
    return done(graph, node);
}

int mbt_graph_dropout(mbt_graph *graph, int in, double p)
{
    mbt_node *node = append(graph, MBT_NODE_DROPOUT, "", in, -1);
    if (node != NULL) {
        node->p = p;
    }
    return done(graph, node);
}

int mbt_graph_linear(mbt_graph *graph, int in, const char *name, int n_out)
{
    mbt_node *node = append(graph, MBT_NODE_LINEAR, name, in, -1);
    if (node != NULL) {
        if (node->h != 1 || node->w != 1 || n_out < 1) {
            (void)mbt_fail(
                &graph->fault, MBT_CONFIG,
                "network: %s of a map of %d x %d to %d features, wanted one of 1 x 1 and "
                "1 feature or more",
                name, node->h, node->w, n_out);
        }
        node->c = n_out;
    }
    return done(graph, node);
}

mbt_status mbt_graph_finish(const mbt_graph *graph, mbt_error *err)
{
    if (graph->fault.code != MBT_OK && err != NULL) {
        *err = graph->fault;
    }
    return graph->fault.code;
}

void mbt_graph_clear(mbt_graph *graph)
{
    free(graph->nodes);
    *graph = (mbt_graph){0};
}

int64_t mbt_node_params(const mbt_graph *graph, int index)
{
    const mbt_node *node = &graph->nodes[index];
    const int64_t in = node->in[0] >= 0 ? graph->nodes[node->in[0]].c : 0;
    switch (node->kind) {
    case MBT_NODE_CONV:
        return node->c * (in / node->groups) * node->kernel * node->kernel;
    case MBT_NODE_BN:
        return 2 * node->c;
    case MBT_NODE_LINEAR:
        return node->c * (in + 1);
    default:
        return 0;
    }
}

int64_t mbt_node_macs(const mbt_graph *graph, int index)
{
    const mbt_node *node = &graph->nodes[index];
    switch (node->kind) {
    case MBT_NODE_CONV:
        return mbt_node_params(graph, index) * node->h * node->w;
    case MBT_NODE_LINEAR:
        return (int64_t)node->c * graph->nodes[node->in[0]].c;
    default:
        return 0;
    }
}

int64_t mbt_graph_params(const mbt_graph *graph)
{
    int64_t sum = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        sum += mbt_node_params(graph, i);
    }
    return sum;
}

int64_t mbt_graph_macs(const mbt_graph *graph)
{
    int64_t sum = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        sum += mbt_node_macs(graph, i);
    }
    return sum;
}
