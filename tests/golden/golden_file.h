/* Golden files as the tests want them: the case, its generated parameters, tables of results.
 *
 * README.md here has the layout of the files and how a test uses them. Depends on status, store,
 * golden_formula. */
#ifndef GOLDEN_FILE_H
#define GOLDEN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "golden/golden_formula.h"
#include "mbt/status.h"
#include "mbt/store.h"

enum { GOLDEN_NAME_BYTES = 48, GOLDEN_MAX_STEPS = 8, GOLDEN_MAX_ARGUMENTS = 8 };

typedef struct golden_names {
    int n;
    char (*name)[GOLDEN_NAME_BYTES]; /* [n] */
} golden_names;

/* What a case computes with, in the order of their streams. */
typedef struct golden_parameters {
    golden_names names;
    int64_t *count, *checksum; /* [n] elements, golden_checksum of the generated values */
    int32_t *rule;             /* [n][3]: golden_kind, fan, and whether weight decay applies */
} golden_parameters;

/* Results in fp64, one row a tensor. */
typedef struct golden_table {
    golden_names names;
    int64_t *count;
    int32_t *checked; /* 0: the tensor has no gradient to speak of, nothing to compare */
    double *norm;
    double *fp32_deviation; /* norm of the largest deviation of PyTorch's fp32 from these results */
    double *bf16_deviation; /* the same when it keeps activations and their gradients in bf16 */
    int n_projections;
    double *projection; /* [n][n_projections] */
} golden_table;

/* A whole network. */
typedef struct golden_network {
    char row[32]; /* of the arch tables */
    uint64_t seed;
    int downsampling, n_classes, n_groups, group_size, n_steps;
    double lr, momentum, weight_decay, label_smoothing, statistics_momentum, bn_eps;
    double loss[GOLDEN_MAX_STEPS], loss_fp32_deviation[GOLDEN_MAX_STEPS];
    double loss_bf16_deviation[GOLDEN_MAX_STEPS];
    int64_t inputs[GOLDEN_MAX_STEPS][2]; /* checksums of images, of labels as float */
    golden_parameters parameters;
    golden_table gradient;   /* of step one */
    golden_table statistics; /* running means and variances after the last step */
    golden_table
        update; /* weights after the last step minus those at the start; n = 0 when n_steps is 1 */
} golden_network;

/* A block alone. */
typedef enum golden_block_kind {
    GOLDEN_BLOCK_INVERTED, /* c_in c_out stride expand groups expand_relu permute_out has_expand */
    GOLDEN_BLOCK_STEM,     /* c_in c_out stride */
    GOLDEN_BLOCK_HEAD,     /* c_in c_out classes: conv 1x1, BN, ReLU6, average, linear */
    GOLDEN_BLOCK_LOSS,     /* classes: y is the mean loss of `images` rows of logits x */
    GOLDEN_BLOCK_INTERLEAVED, /* c_in c_out stride l identity */
    GOLDEN_BLOCK_CHANNELWISE, /* c_in c_out stride first_groups second_groups */
} golden_block_kind;

typedef struct golden_block {
    golden_block_kind kind;
    int arguments[GOLDEN_MAX_ARGUMENTS]; /* in the order given above */
    uint64_t seed;
    int images, side; /* of the input: images x arguments[0] x side x side */
    double bn_eps, label_smoothing;
    golden_parameters parameters; /* none for the loss */
    golden_table values; /* x, y, dx, gradients by parameter name, statistics of the batch by names
                            of the running ones */
} golden_block;

/* Reads a file or a case; *out is to be cleared by the caller, also after a failure. */
mbt_status golden_network_read(const char *path, golden_network *out,
                               mbt_error *err) MBT_WARN_UNUSED;
void golden_network_clear(golden_network *network);

mbt_status golden_block_read(mbt_store *store, const char *name, golden_block *out,
                             mbt_error *err) MBT_WARN_UNUSED;
void golden_block_clear(golden_block *block);

int golden_find(const golden_names *names, const char *name); /* -1: none */

/* The generated values of parameter i. */
void golden_parameter_fill(const golden_parameters *parameters, uint64_t seed, int i, float *out);

/* The estimated norm of (values - minus) - golden row i; values and minus (may be NULL) have
 * count[i] elements in canonical order. */
double golden_deviation(const golden_table *table, int i, const float *values, const float *minus);

/* What a network's row may deviate by: twice what PyTorch's own fp32 does. Infinity for a row that
 * is not checked. */
double golden_allowed(const golden_table *table, int i);

/* The same for the loss of a step (from 0), but never less than two spacings of a float there:
 * PyTorch's fp32 loss can be right by chance. */
double golden_loss_allowed(const golden_network *network, int step);

/* With activations kept in bf16: twice what PyTorch deviates when it keeps them so. Infinity also
 * for a row that this misses by a quarter of itself or more: nothing is left to compare. */
double golden_allowed_bf16(const golden_table *table, int i);
/* Of the loss of any step: a single deviation can be small by chance. */
double golden_loss_allowed_bf16(const golden_network *network);

#endif
