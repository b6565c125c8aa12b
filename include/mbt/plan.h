/* The plan: which kernel does what, in what tiles, in which memory.
 *
 * The graph is cut into segments at batch-norm barriers (a convolution's output must be complete
 * before its statistics are known). A segment runs tile by tile, a few images at a time:
 *
 *     source (apply: normalise, activate, add, shuffle the stored output of an earlier
 *     segment) -> op (convolution or pooling) -> stored output, statistics while hot
 *
 * so that what lies between source and op stays in cache. Only raw convolution outputs and values
 * that more than one node reads are stored. The cut depends on layer, group size and kernel set
 * alone. Threads that share a group take tiles in turn, each in a lane of scratch of its own; what
 * tiles add up to is added in tile order, so threads change no bit. The plan owns all memory of a
 * step: one arena. Depends on graph, kernel, param, arena. */
#ifndef MBT_PLAN_H
#define MBT_PLAN_H

#include <stdbool.h>
#include <stdio.h>

#include "mbt/arena.h"
#include "mbt/graph.h"
#include "mbt/kernel.h"
#include "mbt/param.h"

enum { MBT_PLAN_DIGEST_BYTES = 33 };

typedef struct mbt_plan_options {
    int group;           /* largest number of images a call works on */
    int tile;            /* images a tile; 0: chosen per segment */
    mbt_isa isa;         /* kernels up to this level */
    mbt_storage storage; /* of convolution outputs before batch norm, and of their gradients */
    int threads;         /* lanes; 0 is 1 */
    bool bf16;     /* convolutions before batch norm multiply in bf16 where the table has kernels */
    bool training; /* with memory for the backward pass; without: batch norm is folded into the
                      weights, and maps share memory over time */
    double bn_eps; /* added to variances */
    bool pass_by_pass;             /* no segment as one kernel, even where the table has one */
    bool without_own;              /* convolutions by the library alone */
    const struct mbt_plan *shares; /* plan of the same network, for another image size or another
                                      thread, whose weights and gradient are used; NULL: the plan
                                      has its own */
    bool own_gradient;             /* with shares: only the weights are */
    bool input_gradient;           /* the gradient of the network's input is wanted (tests) */
} mbt_plan_options;

/* A map the plan stores for the whole group. */
typedef struct mbt_value {
    mbt_layout layout;
    bool plain;          /* the network's input: [N][C][H][W] */
    mbt_storage storage; /* of data */
    void *data;          /* forward */

    /* Backward; several values share memory over time. For a convolution's output with batch norm
     * this is u of kernel.h, which may lie in the layout of the segment that reads the value:
     * gradient_shuffle (borrowed) leads back to `layout`, NULL when it is the same. */
    mbt_layout gradient_layout;
    const mbt_shuffle *gradient_shuffle;
    mbt_storage gradient_storage;
    void *gradient;
} mbt_value;

typedef enum mbt_source_kind {
    MBT_SOURCE_DIRECT,  /* the op reads a stored value as it is */
    MBT_SOURCE_APPLY,   /* see kernel.h */
    MBT_SOURCE_DROPOUT, /* of a stored value, per (sample, channel) of a 1x1 map */
} mbt_source_kind;

typedef enum mbt_segment_op {
    MBT_SEGMENT_CONV,
    MBT_SEGMENT_POOL,
    MBT_SEGMENT_STORE
} mbt_segment_op;

typedef struct mbt_conv_pass {
    const mbt_kernel *kernel;
    void **tile, **single; /* [threads] instances for tile images, and for one (what is left) */
    float *prepared, *prepared_single; /* weights as each wants them, NULL: the stored form */
} mbt_conv_pass;

/* Batch norm of a convolution's output: what the statistics of the current group gave. Arrays have
 * one entry per stored channel. */
typedef struct mbt_norm {
    int gamma, beta, mean_slice, var_slice; /* slices */
    float *mean, *a, *b;                    /* of apply */
    float *c1, *c2, *c3;                    /* of norm_backward */
    double *group_mean, *group_m2; /* moments of the group: mean, sum of squared deviations */
    double *sum_u, *sum_uy;        /* of apply_backward, over the group */
} mbt_norm;

typedef struct mbt_segment {
    char name[MBT_NODE_NAME_BYTES]; /* of the convolution, or "pool" */
    mbt_source_kind source;
    int from;      /* value the source reads */
    int residual;  /* value added in apply, or -1 */
    int from_norm; /* norm of `from`, or -1 */
    int stored;    /* value that keeps the source's result z, or -1: scratch */
    int extra;     /* value whose gradient reaches z by another way (a residual add), or -1 */
    mbt_apply_desc apply;
    mbt_shuffle shuffle_forward, shuffle_backward; /* owned */
    double dropout;
    mbt_layout z; /* what the op reads */

    mbt_segment_op op;
    mbt_conv_desc conv;
    int weight; /* slice, or -1 */
    int bias;   /* slice, or -1 */
    int to;     /* value the op writes, or -1 for MBT_SEGMENT_STORE */
    int norm;   /* norm of `to`, or -1 */

    int tile; /* images at a time */
    mbt_conv_pass forward, backward_data, backward_weights;
    const mbt_kernel *k_apply, *k_apply_backward, *k_stats, *k_norm_backward, *k_pool,
        *k_pool_backward;
    /* The whole segment in one kernel, NULL: pass by pass. */
    const mbt_kernel *k_depthwise_forward, *k_depthwise_backward;
    mbt_depthwise_desc depthwise;
    bool needs_dz; /* the gradient goes on to `from` */
    bool du; /* (dz+e)*act' is written for the residual beside u: z lies otherwise than `from`, or a
                segment takes the residual's gradient on from there */
    size_t grad_first,
        grad_count; /* floats of the flat block complete after this segment's backward */
    int64_t macs, params;
} mbt_segment;

/* What one thread works in. */
typedef struct mbt_lane {
    float *z, *dz, *dy;     /* scratch tiles; dy holds y too, before it is kept */
    double *first, *second; /* per channel, of one tile: moments or backward sums */
    float *weights;         /* weight gradient of one tile, before it is added */
    void *scratch;          /* of the kernels */
} mbt_lane;

typedef struct mbt_plan {
    mbt_plan_options options;
    mbt_params params;
    mbt_segment *segments;
    int n_segments;
    mbt_value *values;
    int n_values;
    mbt_norm *norms;
    int n_norms;
    int input, output; /* values */
    const mbt_kernel *k_quantise;

    mbt_arena *arena;
    float *weights;      /* flat blocks of params.n_floats */
    float *folded;       /* not for training: weights with batch norm in them */
    float *gradient;     /* of one group */
    float *ones, *zeros; /* a, b and mean of an apply without batch norm */
    mbt_lane *lanes;     /* [options.threads] */
    size_t stored_bytes, gradient_bytes, scratch_bytes, params_bytes; /* what the arena holds */
    size_t activation_bytes_per_image;
    char digest[MBT_PLAN_DIGEST_BYTES]; /* of all choices above that can change bits */

    double *profile;     /* borrowed, see mbt_exec_profile; NULL: nothing is measured */
    double profile_from; /* clock at the last measured operation's end */
} mbt_plan;

/* A plan that shares must go before the one it shares with. MBT_CONFIG when the graph holds a
 * pattern that no segment covers; MBT_FAILURE without memory or kernel. */
mbt_status mbt_plan_create(const mbt_graph *graph, const mbt_plan_options *options, mbt_plan **plan,
                           mbt_error *err) MBT_WARN_UNUSED;
void mbt_plan_destroy(mbt_plan *plan); /* NULL is allowed */

/* The layer table for people: shapes, parameters, MACs, tiles, kernels, memory. */
void mbt_plan_print(const mbt_plan *plan, const mbt_graph *graph, FILE *out);

/* One line: what a plan for evaluation holds. */
void mbt_plan_print_evaluator(const mbt_plan *plan, FILE *out);

#endif
