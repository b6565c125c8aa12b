/* What a step will take on other numbers of ranks and nodes, from what was measured on few.
 *
 * A step of k groups on N ranks:
 *     step = ceil(k/N) * group + prepare + reduction + convert + update + rest
 * Groups are shared out whole, so the slowest rank has ceil(k/N). prepare, convert and update are
 * what every rank does once a step whatever N; with Muon, whose matrices the ranks share out, the
 * update is taken as long as it was on the ranks measured. rest is the measured step less the model
 * of it, on as many ranks as were measured, by the group: waiting for each other, and computing
 * that went slower or faster in whole steps than piece by piece.
 *
 * The reduction sums n bytes a bucket over p ranks, by whichever is faster of
 *     recursive doubling   log2(p) * (alpha + n*beta)
 *     ring                 2*(p-1) * (alpha + n/p*beta)
 * with alpha (latency) and beta (seconds a byte) of the link within a node and of the network; the
 * ranks of a node share its link in recursive doubling, a ring crosses it once.
 * What moves within a node is copied and added by the cores that compute, so it is never hidden.
 * What moves between nodes is hidden by the rest of the last group's backward pass, bucket by
 * bucket in order, each from the moment it is complete.
 * Depends on comm, config, graph, json. */
#ifndef MBT_SCALING_H
#define MBT_SCALING_H

#include <stdio.h>

#include "mbt/comm.h"
#include "mbt/config.h"
#include "mbt/graph.h"
#include "mbt/json.h"

enum { MBT_BASIS_BUCKETS = MBT_COMM_SUMS_MAX };

typedef struct mbt_link {
    double alpha_s, beta_s; /* of a message; of a byte */
} mbt_link;

/* What was measured, of one configuration; plain data. */
typedef struct mbt_basis {
    char network[MBT_NODE_NAME_BYTES];
    int c, h, w, classes; /* of the drawn input */
    int parameters;
    int batch, group;             /* samples */
    int threads, storage, reduce; /* as in the configuration */
    int bf16;                     /* 1: plan.arithmetic is bf16 */
    int ranks, nodes;             /* that measured */
    double step_s;                /* median */
    double group_s, backward_s;   /* forward and backward of a group with its conversion, no
                                     messages; the backward pass of it */
    double prepare_s, convert_s;  /* weights laid out for kernels; sums back to gradients */
    double update_s;              /* optimizer */
    mbt_link node;                /* of this reduction; alpha 0: not measured */
    double memory_bytes;          /* of a rank */
    int n_buckets;
    struct {
        double bytes;   /* of the message */
        double ready_s; /* before the end of the backward pass */
    } buckets[MBT_BASIS_BUCKETS];
} mbt_basis;

typedef struct mbt_scaling {
    int ranks, nodes, groups;                   /* groups of the slowest rank */
    double compute_s, reduce_s, once_s, rest_s; /* once: prepare, convert, update */
    double step_s, images_per_s;
    double efficiency; /* images/s of a rank against one rank's */
} mbt_scaling;

/* Bytes of an element as the reduction sends it. */
int mbt_scaling_element(mbt_reduce reduce);

/* Seconds of one sum of `bytes` over ranks spread evenly over nodes; *cores: the part of it that
 * cores spend. */
double mbt_scaling_sum(int ranks, int nodes, double bytes, mbt_link node, mbt_link net,
                       double *cores);

/* batch may differ from the measured one. */
mbt_scaling mbt_scaling_step(const mbt_basis *basis, mbt_link net, int batch, int ranks, int nodes);

/* Member "basis" of the object that is open. */
void mbt_basis_write(const mbt_basis *basis, mbt_json *json);
/* MBT_DATA when the file lacks it or a figure is not sound. */
mbt_status mbt_basis_read(const char *path, mbt_basis *basis, mbt_error *err) MBT_WARN_UNUSED;
/* MBT_CONFIG, by name, where `basis` was measured on something else than `wanted`; both filled by
 * mbt_bench_describe. */
mbt_status mbt_basis_check(const mbt_basis *basis, const mbt_basis *wanted,
                           mbt_error *err) MBT_WARN_UNUSED;

/* The table from one rank to `ranks`, doubling, on nodes filled as full as in the last row. */
void mbt_scaling_print(const mbt_basis *basis, mbt_link net, int batch, int ranks, int nodes,
                       FILE *out);

#endif
