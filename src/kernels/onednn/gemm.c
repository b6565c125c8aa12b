/* dnnl_sgemm, which versions 2 and 3 have in common. */
#include "mbt/gemm.h"

#include <dnnl.h>
#include <stdbool.h>

#include "mbt/signals.h"

/* A matrix as it lies in memory, or what is stored is its transpose; `stride` floats from row to
 * row. */
struct stored {
    mbt_gemm_form form;
    const float *at;
    int stride;
};

static mbt_status multiply(struct stored a, struct stored b, int m, int n, int k, float alpha,
                           float beta, float *c, int c_stride, mbt_error *err)
{
    /* oneDNN's loops of these products use the stack pointer for other things: the frame of a
     * signal that meets one is written into the heap, or nowhere. So none comes before the
     * product's end. */
    sigset_t before;
    mbt_signals_hold(&before);
    const dnnl_status_t status = dnnl_sgemm(
        a.form == MBT_GEMM_TRANSPOSED ? 'T' : 'N', b.form == MBT_GEMM_TRANSPOSED ? 'T' : 'N', m, n,
        k, alpha, a.at, a.stride, b.at, b.stride, beta, c, c_stride);
    mbt_signals_release(&before);
    return status == dnnl_success
               ? MBT_OK
               : mbt_fail(err, MBT_FAILURE, "product of matrices %d x %d x %d: oneDNN status %d", m,
                          k, n, (int)status);
}

mbt_status mbt_gemm(mbt_gemm_form a_form, mbt_gemm_form b_form, int m, int n, int k, float alpha,
                    const float *a, const float *b, float beta, float *c, mbt_error *err)
{
    const struct stored left = {a_form, a, a_form == MBT_GEMM_TRANSPOSED ? m : k};
    const struct stored right = {b_form, b, b_form == MBT_GEMM_TRANSPOSED ? k : n};
    return multiply(left, right, m, n, k, alpha, beta, c, n, err);
}

/* What stands right of the diagonal in rows [0, end), from what is below it in rows [first, end).
 * In squares: whole columns would miss the cache. */
static void mirror(int n, int first, int end, float *c)
{
    enum { SQUARE = 16 };
    for (int top = first; top < end; top += SQUARE) {
        const int bottom = top + SQUARE < end ? top + SQUARE : end;
        for (int left = 0; left < bottom; left += SQUARE) {
            for (int row = top; row < bottom; row++) {
                for (int col = left; col < left + SQUARE && col < row; col++) {
                    c[(size_t)col * (size_t)n + (size_t)row] =
                        c[(size_t)row * (size_t)n + (size_t)col];
                }
            }
        }
    }
}

static int block_rows(int rows)
{
    const int blocks = mbt_gemm_blocks(rows);
    return (rows + blocks - 1) / blocks;
}

int mbt_gemm_blocks(int rows)
{
    enum { LEAST_ROWS = 80, MOST_BLOCKS = 8 };
    const int fit = rows / LEAST_ROWS > 1 ? rows / LEAST_ROWS : 1;
    return fit < MOST_BLOCKS ? fit : MOST_BLOCKS;
}

int mbt_gemm_block_at(int rows, int block)
{
    const int first = block * block_rows(rows);
    return first < rows ? first : rows;
}

mbt_status mbt_gemm_symmetric(mbt_gemm_form a_form, mbt_gemm_form b_form, int n, int k, float alpha,
                              const float *a, const float *b, float beta, float *c, int block,
                              mbt_error *err)
{
    const bool a_turned = a_form == MBT_GEMM_TRANSPOSED;
    const int first = mbt_gemm_block_at(n, block), end = mbt_gemm_block_at(n, block + 1);
    const struct stored left = {a_form, a + (size_t)first * (a_turned ? 1 : (size_t)k),
                                a_turned ? n : k};
    const struct stored right = {b_form, b, b_form == MBT_GEMM_TRANSPOSED ? k : n};
    const mbt_status status = multiply(left, right, end - first, end, k, alpha, beta,
                                       c + (size_t)first * (size_t)n, n, err);
    mirror(n, first, end, c);
    return status;
}

mbt_status mbt_gemm_prepare(mbt_error *err)
{
    enum { SIDE = 64 }; /* smaller ones have code of their own */
    static const mbt_gemm_form forms[][2] = {{MBT_GEMM_AS_IS, MBT_GEMM_AS_IS},
                                             {MBT_GEMM_AS_IS, MBT_GEMM_TRANSPOSED},
                                             {MBT_GEMM_TRANSPOSED, MBT_GEMM_AS_IS}};
    const float a[SIDE * SIDE] = {0}, b[SIDE * SIDE] = {0};
    float c[SIDE * SIDE];
    mbt_status status = MBT_OK;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0] && status == MBT_OK; i++) {
        status = mbt_gemm(forms[i][0], forms[i][1], SIDE, SIDE, SIDE, 1, a, b, 0, c, err);
    }
    return status;
}
