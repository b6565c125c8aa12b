/* The parts of a benchmark, each in its own file. */
#ifndef MBT_TRAIN_BENCH_PARTS_H
#define MBT_TRAIN_BENCH_PARTS_H

#include "mbt/bench.h"
#include "mbt/trainer.h"

/* What all parts work with. */
typedef struct mbt_bench_work {
    mbt_setup *setup;
    mbt_step step;
    uint32_t ids[MBT_GROUP_MAX];
    int n_samples, k; /* of a step: samples and groups */
} mbt_bench_work;

/* One training step on drawn input. Collective. */
mbt_status mbt_bench_step(mbt_bench_work *work, mbt_error *err);

/* The evaluations that make up for a step: as many images over all ranks, or a few more. */
void mbt_bench_evaluate(mbt_bench_work *work);
int mbt_bench_evaluations(const mbt_bench_work *work); /* calls of a rank */

/* Samples of one group. */
int mbt_bench_group(const mbt_bench_work *work, int group);

double mbt_bench_median(double *seconds, int n); /* sorts them */

/* Time by layer, from steps and evaluations of their own. Collective. */
mbt_status mbt_bench_profile(mbt_bench_work *work, mbt_bench *bench, mbt_error *err);

/* The pieces of a step one by one, each on all ranks at once; a real step has run before.
 * Collective. */
mbt_status mbt_bench_pieces(mbt_bench_work *work, mbt_bench *bench, mbt_error *err);

/* Sums of all kinds and sizes. Collective. */
mbt_status mbt_bench_reductions(mbt_comm *comm, mbt_bench *bench, mbt_error *err);

#endif
