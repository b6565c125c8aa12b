/* Parameters: one flat block of floats with named slices, and its twins for gradient and momentum.
 *
 * Slices lie in the order in which the backward pass completes their gradients, so that a bucket
 * of the reduction is a range. Running statistics of batch norm are slices like the others: their
 * "gradient" is the mean over the groups of the groups' statistics, their update a running mean.
 * A slice is stored in the blocked form the kernels read (padded entries are zero); its canonical
 * form is PyTorch's, and every file holds that. Depends on tensor, status. */
#ifndef MBT_PARAM_H
#define MBT_PARAM_H

#include <stdbool.h>
#include <stddef.h>

#include "mbt/status.h"
#include "mbt/tensor.h"

enum { MBT_PARAM_NAME_BYTES = 64 };

typedef enum mbt_param_kind {
    MBT_PARAM_CONV,      /* weight of a dense or grouped convolution, canonical [O][I/G][kh][kw] */
    MBT_PARAM_DEPTHWISE, /* canonical [C][1][kh][kw] */
    MBT_PARAM_LINEAR,    /* canonical [K][C] */
    MBT_PARAM_BIAS,      /* [K] */
    MBT_PARAM_GAMMA,     /* [C], batch norm's weight */
    MBT_PARAM_BETA,      /* [C], batch norm's bias */
    MBT_PARAM_MEAN,      /* [C], running mean: not trained */
    MBT_PARAM_VAR,       /* [C], running variance: not trained */
} mbt_param_kind;

/* How a slice is stored. */
typedef enum mbt_param_form {
    MBT_FORM_DENSE,     /* [S][Po/B][Pi/B][kh][kw][B in][B out]: OIhw16i16o in each section; zero
                           between groups that share a section */
    MBT_FORM_DEPTHWISE, /* [S*P/B][kh][kw][B]: Goihw16g */
    MBT_FORM_IMAGE,     /* [Po/B][kh][kw][I][B out]: Ohwi16o, for an input of few plain channels */
    MBT_FORM_CHANNELS,  /* [S*P]: one value a stored channel */
} mbt_param_form;

typedef struct mbt_slice {
    char name[MBT_PARAM_NAME_BYTES]; /* as in a PyTorch state dict: "blocks.3.expand.weight" */
    mbt_param_kind kind;
    mbt_param_form form;
    int rank, dims[4]; /* canonical shape */
    size_t count;      /* canonical elements */
    mbt_layout in,
        out;       /* maps on both sides (FORM_CHANNELS: out alone): say where the padding is */
    size_t offset; /* first float in the block */
    size_t floats; /* of the form: what kernels read and write */
    size_t stored; /* floats in the block, a multiple of 16: those behind the form are zero */
    bool trained;  /* has a gradient and momentum */
} mbt_slice;

/* The flat block's table of contents. The floats themselves belong to whoever allocates
 * n_floats of them (plan, trainer, checkpoint). */
typedef struct mbt_params {
    mbt_slice *slices; /* [n_slices], by offset */
    int n_slices;
    size_t n_floats;  /* of the block */
    size_t n_trained; /* canonical elements of trained slices: what papers call parameters */
} mbt_params;

void mbt_params_clear(mbt_params *params); /* frees slices; a zeroed one is allowed */

/* Appends a slice behind the last; fills count, offset, floats, stored. MBT_FAILURE without
 * memory. */
mbt_status mbt_params_add(mbt_params *params, const mbt_slice *slice,
                          mbt_error *err) MBT_WARN_UNUSED;

/* Between canonical order and the stored form of one slice; `block` is the flat block's start.
 * pack writes zeros into the padding. */
void mbt_slice_pack(const mbt_slice *slice, const float *canonical, float *block);
void mbt_slice_unpack(const mbt_slice *slice, const float *block, float *canonical);

/* Sets to zero what of a stored form is no element of the slice: a gradient between groups that
 * share a section. */
void mbt_slice_mask(const mbt_slice *slice, float *block);

/* The slice of that name, or NULL. */
const mbt_slice *mbt_params_find(const mbt_params *params, const char *name);

#endif
