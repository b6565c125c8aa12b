/* The product of two matrices, by oneDNN. Depends on status. */
#ifndef MBT_GEMM_H
#define MBT_GEMM_H

#include "mbt/status.h"

typedef enum mbt_gemm_form { MBT_GEMM_AS_IS, MBT_GEMM_TRANSPOSED } mbt_gemm_form;

/* c [m][n] = alpha a b + beta c with a [m][k] and b [k][n], or what is stored is their transpose;
 * row-major floats, summed in fp32, none of them overlapping. In a parallel region of OpenMP by the
 * calling thread alone, else by as many as there are, which may change the order of the sums. Takes
 * memory for a while. Signals wait until it is done, the calling thread's at least: the other
 * threads of OpenMP must block them. MBT_FAILURE without memory. */
mbt_status mbt_gemm(mbt_gemm_form a_form, mbt_gemm_form b_form, int m, int n, int k, float alpha,
                    const float *a, const float *b, float beta, float *c,
                    mbt_error *err) MBT_WARN_UNUSED;

/* The rows of a product in blocks, which may be computed at the same time: how many, and the first
 * row of each; of the one behind the last: rows. Narrower products reach less of the peak. */
int mbt_gemm_blocks(int rows);
int mbt_gemm_block_at(int rows, int block);

/* Of a product as above that is known to be symmetric, c [n][n] with it: the rows of a block as far
 * as the diagonal, and their mirror image in the rows above. All blocks are the whole; none reads
 * or writes what another writes. */
mbt_status mbt_gemm_symmetric(mbt_gemm_form a_form, mbt_gemm_form b_form, int n, int k, float alpha,
                              const float *a, const float *b, float beta, float *c, int block,
                              mbt_error *err) MBT_WARN_UNUSED;

/* Has the library make the code of its products now and not with the first of them, but for that
 * of two transposed matrices, which training does not multiply: takes some memory for good.
 * MBT_FAILURE without it. */
mbt_status mbt_gemm_prepare(mbt_error *err) MBT_WARN_UNUSED;

#endif
