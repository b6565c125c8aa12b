/* Building the block node by node, in the papers' order. */
#include "inverted_residual.h"

int mbt_inverted_residual_block(mbt_graph *graph, const void *family, int in,
                                const mbt_block_place *at)
{
    const mbt_inverted_residual *f = family;
    const int c_in = graph->n_nodes > 0 ? graph->nodes[in].c : 0;
    const int middle = at->expansion * c_in;
    int x = in;
    if (at->expansion > 1 || f->first_expansion) {
        x = mbt_conv_bn(graph, x, at->prefix, "expand", middle, 1, 1, f->groups[0]);
        if (f->expand_relu6) {
            x = mbt_graph_relu6(graph, x);
        }
        if (f->shuffle) {
            x = mbt_graph_shuffle(graph, x, f->groups[0]);
        }
    }
    x = mbt_conv_bn(graph, x, at->prefix, "depthwise", middle, 3, at->stride, middle);
    x = mbt_graph_relu6(graph, x);
    x = mbt_conv_bn(graph, x, at->prefix, "project", at->c_out, 1, 1, f->groups[1]);
    const int bn = x;
    if (f->output_shuffle) {
        x = mbt_graph_shuffle(graph, x, at->c_out / 2);
    }
    return mbt_add_identity(graph, x, bn, in, at->stride);
}
