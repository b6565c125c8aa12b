/* A network as a graph: shapes, parameters, work. No memory, no kernels.
 *
 * Arch tables build it node by node; the plan reads it. Nodes are in execution order, a node's
 * inputs come before it. Depends on status. */
#ifndef MBT_GRAPH_H
#define MBT_GRAPH_H

#include <stdint.h>

#include "mbt/status.h"

typedef enum mbt_node_kind {
    MBT_NODE_INPUT,
    MBT_NODE_CONV, /* no bias */
    MBT_NODE_BN,
    MBT_NODE_RELU6,
    MBT_NODE_RELU,
    MBT_NODE_SHUFFLE, /* out[j*G + g] = in[g*(C/G) + j] */
    MBT_NODE_ADD,
    MBT_NODE_POOL, /* global average */
    MBT_NODE_DROPOUT,
    MBT_NODE_LINEAR, /* with bias */
} mbt_node_kind;

enum { MBT_NODE_NAME_BYTES = 48, MBT_GRAPH_MAX_SIDE = 4096, MBT_GRAPH_MAX_CHANNELS = 65536 };

typedef struct mbt_node {
    mbt_node_kind kind;
    char name[MBT_NODE_NAME_BYTES]; /* of nodes with parameters: "blocks.3.expand" */
    int in[2];                      /* node indices; ADD uses both, INPUT none (-1) */
    int c, h, w;                    /* output shape */
    int kernel, stride, pad;        /* CONV */
    int groups;                     /* CONV, SHUFFLE */
    double p;                       /* DROPOUT: probability of zero */
    int zero_gamma;                 /* BN: last one before a residual add */
} mbt_node;

typedef struct mbt_graph {
    char name[MBT_NODE_NAME_BYTES];
    mbt_node *nodes;
    int n_nodes, capacity;
    mbt_error fault; /* first failure of a builder below; see mbt_graph_finish */
} mbt_graph;

/* Builders append a node and return its index; after a failure (recorded in graph->fault) they do
 * nothing and return 0. `name` is copied. */
int mbt_graph_input(mbt_graph *graph, int c, int h, int w);
int mbt_graph_conv(mbt_graph *graph, int in, const char *name, int c_out, int kernel, int stride,
                   int groups); /* pad = kernel/2 */
int mbt_graph_bn(mbt_graph *graph, int in, const char *name);
int mbt_graph_relu6(mbt_graph *graph, int in);
int mbt_graph_relu(mbt_graph *graph, int in);
int mbt_graph_shuffle(mbt_graph *graph, int in, int groups);
int mbt_graph_add(mbt_graph *graph, int a, int b);
int mbt_graph_pool(mbt_graph *graph, int in);
int mbt_graph_dropout(mbt_graph *graph, int in, double p);
int mbt_graph_linear(mbt_graph *graph, int in, const char *name, int n_out);

/* The recorded failure, if any. A graph starts zeroed. */
mbt_status mbt_graph_finish(const mbt_graph *graph, mbt_error *err) MBT_WARN_UNUSED;
void mbt_graph_clear(mbt_graph *graph); /* a zeroed one is allowed */

int64_t mbt_node_params(const mbt_graph *graph, int node); /* trained elements */
int64_t mbt_node_macs(const mbt_graph *graph, int node);   /* multiply-accumulates of one image */
int64_t mbt_graph_params(const mbt_graph *graph);
int64_t mbt_graph_macs(const mbt_graph *graph);

#endif
