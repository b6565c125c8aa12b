/* Orthogonalised momentum: the update of matrices by Muon (Jordan et al., "Muon: an optimizer for
 * hidden layers in neural networks", 2024).
 *
 *   v = momentum * v + g;  u = nesterov ? g + momentum * v : v
 *   o = u with its singular values brought near 1: five Newton-Schulz steps of
 *       x <- (a + b x x' + c (x x')^2) x,  a, b, c = 3.4445, -4.7750, 2.0315,  from u / |u|
 *   w -= lr * rate * |w| / |o| * o, then w is scaled back to its size before the step
 *
 * A matrix is a dense convolution or a group of a grouped one: inputs and taps by outputs. What is
 * no matrix, the depthwise weights and those of one dimension, and the classifier go by SGD
 * (optim.h).
 *
 * Deviation: a step's size is a fraction of the matrix's, which keeps its size, as in
 * KellerJordan/cifar10-airbench: batch norm follows every such layer, so only the direction counts,
 * and no weight decay is needed to hold the size back.
 *
 * The ranks share out the matrices and add up what each has computed, zeros elsewhere, which is
 * exact. A matrix is one thread's; but the costliest, as far as that makes the step shorter, are
 * computed by the ranks of each node together, in memory that they share: the rows of every product
 * in blocks (gemm.h), which are the same whoever computes them. So are the bits, on any number of
 * ranks and threads. The powers of x x' are taken on its smaller side, where all five steps are
 * polynomials of one matrix. Depends on arena, available, comm, config, gemm, log, optim. */
#ifndef MBT_MUON_H
#define MBT_MUON_H

#include "mbt/comm.h"
#include "mbt/log.h"
#include "mbt/optim.h"

typedef struct mbt_muon mbt_muon;

/* For the matrices among params, which are borrowed, on `threads` threads of this rank. Warns when
 * /dev/shm has no room for what is computed together, which every rank then does by itself.
 * MBT_FAILURE, on all ranks, when one is out of memory; *muon is the caller's to destroy then, too.
 * Collective. */
mbt_status mbt_muon_create(const mbt_params *params, mbt_comm *comm, int threads, mbt_log *log,
                           mbt_muon **muon, mbt_error *err) MBT_WARN_UNUSED;
void mbt_muon_destroy(mbt_muon *muon); /* NULL is allowed. Collective. */

/* Of memory that it would keep on this rank, but for what is shared with others. */
size_t mbt_muon_bytes(const mbt_params *params, mbt_comm *comm, int threads);

/* Updates the matrices, after mbt_optim_step: the gradient is used up. Without memory for a product
 * the job ends (mbt_comm_abort): the other ranks are in the middle of a step. Collective. */
void mbt_muon_step(mbt_muon *muon, const mbt_config *config, double lr,
                   const mbt_optim_blocks *blocks);

#endif
