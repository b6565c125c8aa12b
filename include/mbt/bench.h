/* Measuring: whole training steps and evaluation on drawn input, the same by layer against what the
 * machine can do, and the reduction alone. Depends on trainer, cost, peak, scaling. */
#ifndef MBT_BENCH_H
#define MBT_BENCH_H

#include <stdio.h>

#include "mbt/cost.h"
#include "mbt/json.h"
#include "mbt/memory.h"
#include "mbt/peak.h"
#include "mbt/scaling.h"
#include "mbt/setup.h"
#include "mbt/timer.h"

enum { MBT_BENCH_KINDS = 3 /* of reduction, in mbt_reduce's order */, MBT_BENCH_SIZES = 9 };

typedef struct mbt_bench_options {
    int n_steps;
    bool comm; /* the reduction alone, too */
} mbt_bench_options;

typedef struct mbt_bench_rate {
    double images; /* of a step */
    int n;
    double median_s, min_s, max_s; /* of a step */
} mbt_bench_rate;

/* A segment's operations in one step (or evaluation call) on rank zero, first thread. */
typedef struct mbt_bench_layer {
    const char *name; /* the plan's */
    double seconds[MBT_OP_COUNT];
    mbt_cost cost[MBT_OP_COUNT];
} mbt_bench_layer;

typedef struct mbt_bench_table {
    mbt_bench_layer *layers; /* owned */
    int n_layers;
    double whole_s; /* forward and backward of the profiled step, by the clock */
} mbt_bench_table;

/* Sums of one kind over all ranks, by size. */
typedef struct mbt_bench_sums {
    double bytes[MBT_BENCH_SIZES], seconds[MBT_BENCH_SIZES];
    double latency_s, s_per_byte; /* fitted: seconds = latency + bytes * s_per_byte */
    mbt_link link;                /* of which that is made, see scaling.h */
} mbt_bench_sums;

typedef struct mbt_bench {
    mbt_basis basis;
    mbt_isa isa;
    mbt_memory memory;
    mbt_peak peak; /* of a core */
    mbt_bench_rate train, evaluate;
    double phase_s[MBT_PHASE_COUNT];         /* of a step, mean over ranks */
    mbt_bench_table layers, evaluate_layers; /* rank zero alone */
    bool has_sums;
    mbt_bench_sums sums[MBT_BENCH_KINDS];
} mbt_bench;

/* n_steps steps after three to warm up, at the configuration's batch, group and reduction; as many
 * evaluations of as many images; a few profiled ones of both. bench: cleared by mbt_bench_clear
 * also after a failure. Collective. */
mbt_status mbt_bench_run(mbt_setup *setup, const mbt_bench_options *options, mbt_bench *bench,
                         mbt_error *err) MBT_WARN_UNUSED;
void mbt_bench_clear(mbt_bench *bench);

/* A layer's operations together, without what is done for the reduction. least_s: what the machine
 * needs at least, operation by operation, arithmetic and reading side by side; least_s / seconds is
 * the fraction of the roofline. */
typedef struct mbt_bench_sum {
    double seconds, least_s;
    mbt_cost cost;
} mbt_bench_sum;

const char *mbt_bench_reduce_name(mbt_reduce reduce);
double mbt_bench_least(mbt_cost cost, const mbt_peak *peak);
mbt_bench_sum mbt_bench_layer_sum(const mbt_bench_layer *layer, const mbt_peak *peak);

/* For people, and for programs: the same figures. */
void mbt_bench_print(const mbt_bench *bench, FILE *out);
void mbt_bench_write(const mbt_bench *bench, FILE *out);

/* What is measured: fills the parts of a basis that no measurement is needed for. */
void mbt_bench_describe(const mbt_setup *setup, mbt_basis *basis);

#endif
