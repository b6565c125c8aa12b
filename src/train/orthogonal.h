/* A matrix made orthogonal by Newton-Schulz (muon.h), by one thread or by the threads of the ranks
 * of a node together. Its products are cut into the same blocks of rows (mbt_gemm_blocks) whoever
 * computes them, so their bits depend on nobody. */
#ifndef MBT_TRAIN_ORTHOGONAL_H
#define MBT_TRAIN_ORTHOGONAL_H

#include <stddef.h>

#include "mbt/comm.h"

/* Who computes: a thread for itself, or all threads of the ranks of a node in memory that they
 * share, who meet after every product. */
struct crew {
    int rank, ranks, threads;
    mbt_comm *comm;
    mbt_share *share; /* NULL: there is nobody to meet */
};

/* What this rank wrote into the shared memory is there for all, and the other way round. Collective
 * over all ranks of the job, and nothing for a crew without shared memory. */
void crew_meet(const struct crew *who);

double orthogonal_cost(int rows, int cols); /* multiply-adds, about */
/* The part of them that the busiest of so many workers has. */
double orthogonal_share(int rows, int cols, int workers);
int orthogonal_blocks(int rows, int cols);     /* of most of its products */
size_t orthogonal_scratch(int rows, int cols); /* floats */

/* x [rows][cols] of size 1, row-major: *y, in the scratch, has its singular vectors, and singular
 * values near 1. x and scratch are the crew's, and there for all of it. MBT_FAILURE without memory
 * for a product, on this rank alone: the others wait for it then. */
mbt_status orthogonalise(const struct crew *who, int rows, int cols, const float *x, float *scratch,
                         float **y, mbt_error *err) MBT_WARN_UNUSED;

#endif
