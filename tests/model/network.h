/* Small networks for the tests of plan and exec: made, filled and run in a few lines.
 *
 * Weights and images depend on names and sample ids alone, so that two networks with other tiles,
 * groups or kernels hold the same values in their own layouts. */
#ifndef NETWORK_H
#define NETWORK_H

#include "mbt/arch.h"
#include "mbt/exec.h"

enum { NETWORK_GROUP_MAX = 16, NETWORK_GROUP = 6, NETWORK_CLASSES = 10, NETWORK_FAMILIES = 10 };

/* What is asked for; zero means: "1.0", width 1, no dropout, input of 3 x 16 x 16, a group of 6. */
typedef struct network_wish {
    const char *name, *depth;
    int downsampling;
    double width, dropout;
    int side, group, tile;
    mbt_isa isa; /* as it is: MBT_ISA_X86_64 is zero */
    int threads;
    mbt_storage storage;
    bool bf16;
    bool pass_by_pass, input_gradient;
} network_wish;

typedef struct network {
    mbt_graph graph;
    mbt_plan *plan;
    int32_t labels[NETWORK_GROUP_MAX];
    uint32_t ids[NETWORK_GROUP_MAX];
    mbt_exec_dropout dropout;
} network;

/* Every family in small; together they have all kinds of segments. */
extern const network_wish network_families[NETWORK_FAMILIES];

network *network_make(const network_wish *wish);
/* Of a graph built by hand, which the network then owns. */
network *network_of(const mbt_graph *graph, const mbt_plan_options *options);
void network_destroy(network *net);

/* Initial weights with gammas and betas that are not all alike, images and labels of samples
 * first .. in the input. */
void network_fill(network *net, int first);
void network_images(network *net, int first);

/* The wish with another group, tile and level; filled. */
network *network_ready(const network_wish *wish, int group, int tile, mbt_isa isa);

/* Loss per image of n images; afterwards the output's gradient is there. */
double network_forward(network *net, int n, bool with_dropout);
void network_backward(network *net, int n, bool with_dropout);
double network_step(network *net, int n); /* both, with dropout; the loss */

/* In PyTorch's order; caller frees. */
float *network_gradient(const network *net, const mbt_slice *slice);
float *network_weight(const network *net, const mbt_slice *slice);
void network_set_weight(network *net, const mbt_slice *slice, const float *values);
float *network_output(const network *net, int n); /* [n][C][H][W] */

double norm_of(const float *values, size_t count);

#endif
