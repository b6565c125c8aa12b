/* Kernels: what a step is made of, and the one ordered table of them.
 *
 * An operation is what the plan needs done to a tile of images: a convolution pass, or a pass over
 * memory around it. A kernel is one way to do it. The table lists them best first; the plan takes
 * the first row whose instruction set is there and that supports the case. A new kernel is a new
 * row, and the kernel tests walk the table, so a listed kernel is a tested one.
 *
 * Equations (per channel c of a convolution's output y, with batch norm of a group of n images):
 *   stats            mean = E[y], var = E[(y - mean)^2] over n*H*W values
 *   apply            z = act(a*y + b + r), a = gamma/sqrt(var+eps), b = beta - mean*a
 *   apply_backward   u = (dz + e) * act'(z);  sums of u and of u*(y - mean)
 *   norm_backward    dy = c1*u + c2*(y - mean) + c3
 * r is the residual, e the gradient that reaches the value by another way. Between y and z channels
 * may be moved (shuffle). Source: Ioffe and Szegedy 2015; ReLU6: MobileNetV2 (Sandler et al. 2018),
 * section 4. The derivative of ReLU6 is 1 for 0 < z < 6 strictly, that of ReLU for 0 < z, as
 * PyTorch. Arithmetic is float32 but for mbt_conv_desc.bf16; sums are carried as said at each type.
 * Pointers are aligned to a block of channels (block times the bytes of an element; a map as a
 * whole to 64); nothing aliases unless said. Depends on tensor, cpu, status. */
#ifndef MBT_KERNEL_H
#define MBT_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mbt/cpu.h"
#include "mbt/param.h"
#include "mbt/status.h"
#include "mbt/tensor.h"

typedef enum mbt_op {
    MBT_OP_CONV_FORWARD,
    MBT_OP_CONV_BACKWARD_DATA,
    MBT_OP_CONV_BACKWARD_WEIGHTS,
    MBT_OP_STATS,
    MBT_OP_APPLY,
    MBT_OP_APPLY_BACKWARD,
    MBT_OP_NORM_BACKWARD,
    MBT_OP_DEPTHWISE_FORWARD,
    MBT_OP_DEPTHWISE_BACKWARD,
    MBT_OP_POOL,
    MBT_OP_POOL_BACKWARD,
    MBT_OP_QUANTISE,
    MBT_OP_COUNT
} mbt_op;

typedef enum mbt_activation { MBT_ACT_NONE, MBT_ACT_RELU6, MBT_ACT_RELU } mbt_activation;

/* ---- convolutions ---- */

/* A convolution between two maps. in.sections == out.sections == S: S independent
 * convolutions of (C/S) to (C/S) channels; or depthwise, channel by channel. Of narrow groups
 * several share a section: to a kernel that is a dense convolution whose weights between groups are
 * zero, and the zeros among their gradient are the caller's to make. With `image` the input is
 * plain [N][C][H][W] of few channels (the network's input; no backward data). */
typedef struct mbt_conv_desc {
    mbt_layout in, out;
    int kernel, stride, pad; /* square */
    bool depthwise, image;
    bool without_own; /* no kernel of ours, even where the table prefers it (measuring) */
    /* Products are of bfloat16: forward and backward weights read `in`, both backward passes the
     * gradient of out, as bf16 maps, and weights are rounded. Sums and all results are fp32, but
     * with bf16_out what forward writes. */
    bool bf16, bf16_out;
    bool bias;          /* forward: out = act(conv(in) + bias) */
    mbt_activation act; /* forward */
} mbt_conv_desc;

/* One call on a tile. Forward writes out; backward data reads out (its gradient) and writes in;
 * backward weights reads in and out (gradient) and overwrites weights (gradient). */
typedef struct mbt_conv_args {
    mbt_map in; /* with `image`: data alone */
    mbt_map out;
    float *weights; /* in the slice's stored form, or as `prepare` laid them out */
    float *bias;    /* with desc.bias: one a stored channel of out, read */
    void *scratch;  /* scratch_bytes of the kernel's instance */
} mbt_conv_args;

/* An instance works on a fixed number of images. */
typedef struct mbt_conv_ops {
    mbt_status (*create)(const mbt_conv_desc *desc, mbt_op op, int n_images, void **instance,
                         mbt_error *err);
    void (*destroy)(void *instance);
    const char *(*implementation)(const void *instance); /* the library's own name of its choice */
    size_t (*scratch_bytes)(const void *instance);
    /* Floats of the laid-out copy of the weights that `run` wants; 0: it takes the stored form. */
    size_t (*prepared)(const void *instance);
    void (*prepare)(void *instance, const float *stored, float *prepared, void *scratch);
    void (*run)(void *instance, const mbt_conv_args *args);
} mbt_conv_ops;

/* ---- passes around them ---- */

enum { MBT_BLOCK_MAX = 16 };

/* Moves whole channels: to block k of the destination come lanes of some source blocks.
 * Made from a channel map by mbt_shuffle_create; both directions of a bijection are two objects. */
typedef struct mbt_shuffle_block {
    int n_from;
    int from[MBT_BLOCK_MAX];                    /* source block, counted over all sections */
    uint32_t mask[MBT_BLOCK_MAX];               /* destination lanes that come from it */
    int32_t lane[MBT_BLOCK_MAX][MBT_BLOCK_MAX]; /* source lane for each destination lane */
} mbt_shuffle_block;

typedef struct mbt_shuffle {
    bool straight; /* block k comes from block k as it is, whatever the sections on both sides */
    int n_blocks;
    mbt_shuffle_block *blocks; /* owned */
} mbt_shuffle;

/* from[c]: the source channel that becomes destination channel c, C entries. NULL: the identity
 * over channels (layouts may still differ in sections). MBT_FAILURE without memory. */
mbt_status mbt_shuffle_create(const mbt_layout *source, const mbt_layout *destination,
                              const int *from, mbt_shuffle *shuffle,
                              mbt_error *err) MBT_WARN_UNUSED;
void mbt_shuffle_clear(mbt_shuffle *shuffle);

/* Keeps y in `kept`, in the storage that has (data NULL: y is kept where it is), and takes mean and
 * sum of squared deviations of the n*H*W kept values of each stored channel; float partial sums
 * about the channel's first value, result in double. y is fp32. */
typedef struct mbt_stats_args {
    mbt_map y, kept;
    bool stream; /* kept is next read from memory, not from cache */
    double *mean, *m2;
} mbt_stats_args;
typedef void mbt_stats_fn(const mbt_layout *layout, int n, const mbt_stats_args *args);

/* y in layout `source`; z and residual in layout `destination`; all of any storage.
 * residual.data NULL: none. */
typedef struct mbt_apply_desc {
    mbt_layout source, destination;
    mbt_activation act;
    const mbt_shuffle *forward;  /* source blocks to destination blocks */
    const mbt_shuffle *backward; /* destination blocks to source blocks */
} mbt_apply_desc;

/* a, b: per stored channel of source. */
typedef void mbt_apply_fn(const mbt_apply_desc *desc, int n, mbt_map y, const float *a,
                          const float *b, mbt_map residual, mbt_map z);

/* dz, e, z in layout destination; y and u in layout source; dz is fp32, the others of any storage.
 * e.data NULL: none. u may be dz itself when the shuffle is straight between as many sections, u is
 * fp32 and du is not asked for. du.data not NULL: (dz + e) * act' is also written in destination
 * layout (the residual's gradient); du may alias e when both have one storage. sum_u, sum_uy: per
 * stored channel of source, over this tile, of u as it is kept; float partial sums, result in
 * double. */
typedef struct mbt_apply_backward_args {
    mbt_map dz, e, z, y, u, du;
    bool stream; /* u is next read from memory, not from cache */
    const float *mean;
    double *sum_u, *sum_uy;
} mbt_apply_backward_args;
typedef void mbt_apply_backward_fn(const mbt_apply_desc *desc, int n,
                                   const mbt_apply_backward_args *args);

/* dy = c1*u + c2*(y - mean) + c3, coefficients per stored channel; all of any storage. dy may alias
 * u when both are of one and u is not moved. */
typedef struct mbt_norm_backward_args {
    mbt_map u, y, dy;
    const mbt_layout *u_layout;   /* of u when u_shuffle is not NULL */
    const mbt_shuffle *u_shuffle; /* u lies in another layout: from its blocks to y's; NULL: as y */
    const float *mean, *c1, *c2, *c3;
} mbt_norm_backward_args;
typedef void mbt_norm_backward_fn(const mbt_layout *layout, int n,
                                  const mbt_norm_backward_args *args);

/* ---- a depthwise convolution with all that lies between its batch-norm barriers ---- */

/* Plane by plane (a block of channels of one image), so that nothing but y, u and their like
 * touches memory. conv: 3x3, pad 1, stride 1 or 2; apply.destination == conv.in. All maps of a call
 * have one storage. MobileNetV2, section 3.2; batch norm as above. */
typedef struct mbt_depthwise_desc {
    mbt_apply_desc apply;
    mbt_conv_desc conv;
} mbt_depthwise_desc;

/* out = conv(act(a*y + b)), kept in out's storage, and its statistics (mbt_stats_args). */
typedef struct mbt_depthwise_forward_args {
    mbt_map y, out;
    const float *a, *b;   /* per stored channel of apply.source */
    const float *weights; /* stored form */
    bool stream;          /* out is next read from memory */
    double *mean, *m2;    /* of out */
    float *scratch;       /* mbt_depthwise_scratch floats */
} mbt_depthwise_forward_args;
typedef void mbt_depthwise_forward_fn(const mbt_depthwise_desc *desc, int n,
                                      const mbt_depthwise_forward_args *args);

/* norm_backward of the output, both gradients of the convolution, apply_backward of the input:
 *   dy = c1*u_out + c2*(y_out - mean_out) + c3
 *   d_weights = sum of dy * z shifted;  u = conv'(dy) * act'(z);  sums of u and of u*(y - mean)
 * with z = act(a*y + b) computed again. u lies in layout apply.destination: whoever reads it moves
 * the channels (mbt_norm_backward_args). d_weights is overwritten with the sum over the tile. */
typedef struct mbt_depthwise_backward_args {
    mbt_map u_out, y_out;
    const float *mean_out, *c1, *c2, *c3; /* per stored channel of conv.out */
    mbt_map y, u;
    const float *a, *b, *mean; /* per stored channel of apply.source */
    const float *weights;
    float *d_weights;
    bool stream;            /* u is next read from memory */
    double *sum_u, *sum_uy; /* per stored channel of apply.source */
    float *scratch;         /* mbt_depthwise_scratch floats */
} mbt_depthwise_backward_args;
typedef void mbt_depthwise_backward_fn(const mbt_depthwise_desc *desc, int n,
                                       const mbt_depthwise_backward_args *args);

/* Floats that either pass wants beside its maps: a few rows. */
size_t mbt_depthwise_scratch(const mbt_depthwise_desc *desc);

/* ---- pooling, and the reduction's conversion ---- */

/* Global average: out is a 1x1 map with the same sections. Backward: every pixel gets dout/(H*W).
 */
typedef void mbt_pool_fn(const mbt_layout *layout, int n, mbt_map in, mbt_map out);
typedef void mbt_pool_backward_fn(const mbt_layout *layout, int n, mbt_map dout, mbt_map din);

/* The exact reduction's conversion: sum[i] (+)= round(x[i] * 2^40), to nearest even; `add` 0 stores
 * instead of adding. Returns false when a value is not finite or reaches `limit` in magnitude
 * (then sums are of no use). Integer sums wrap nowhere below the limit. */
typedef bool mbt_quantise_fn(const float *x, size_t count, int64_t limit, int add, int64_t *sum);

/* ---- the table ---- */

typedef struct mbt_kernel {
    const char *name;
    mbt_op op;
    mbt_isa isa; /* what it needs */
    /* Whether it can do the case; NULL: every case. desc is a mbt_conv_desc for the convolutions,
     * a mbt_layout, mbt_apply_desc or mbt_depthwise_desc for the passes, NULL for quantise. */
    bool (*supports)(mbt_isa isa, const void *desc);
    union {
        const mbt_conv_ops *conv;
        mbt_stats_fn *stats;
        mbt_apply_fn *apply;
        mbt_apply_backward_fn *apply_backward;
        mbt_norm_backward_fn *norm_backward;
        mbt_depthwise_forward_fn *depthwise_forward;
        mbt_depthwise_backward_fn *depthwise_backward;
        mbt_pool_fn *pool;
        mbt_pool_backward_fn *pool_backward;
        mbt_quantise_fn *quantise;
    } run;
} mbt_kernel;

/* All rows, best first for each operation. */
const mbt_kernel *mbt_kernel_table(int *n_rows);

/* The first row for the operation that runs on `isa` and supports the case; NULL when none does. */
const mbt_kernel *mbt_kernel_find(mbt_op op, mbt_isa isa, const void *desc);

const char *mbt_op_name(mbt_op op);

/* "oneDNN 2.6.3" into out. */
void mbt_kernel_library(char *out, size_t bytes);

/* The form in which convolutions of this kind keep their weights (param.h). */
mbt_param_form mbt_conv_form(const mbt_conv_desc *desc);

/* The storage of the maps that its passes read. */
mbt_storage mbt_conv_reads(const mbt_conv_desc *desc);

#endif
