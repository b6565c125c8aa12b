/* dnnl_sgemm, which versions 2 and 3 have in common. */
#include "mbt/gemm.h"

#include <dnnl.h>
#include <stdbool.h>

#include "mbt/signals.h"

mbt_status mbt_gemm(mbt_gemm_form a_form, mbt_gemm_form b_form, int m, int n, int k, float alpha,
                    const float *a, const float *b, float beta, float *c, mbt_error *err)
{
    const bool a_turned = a_form == MBT_GEMM_TRANSPOSED, b_turned = b_form == MBT_GEMM_TRANSPOSED;
    /* oneDNN's loops of these products use the stack pointer for other things: the frame of a
     * signal that meets one is written into the heap, or nowhere. So none comes before the
     * product's end. */
    sigset_t before;
    mbt_signals_hold(&before);
    const dnnl_status_t status =
        dnnl_sgemm(a_turned ? 'T' : 'N', b_turned ? 'T' : 'N', m, n, k, alpha, a, a_turned ? m : k,
                   b, b_turned ? k : n, beta, c, n);
    mbt_signals_release(&before);
    return status == dnnl_success
               ? MBT_OK
               : mbt_fail(err, MBT_FAILURE, "product of matrices %d x %d x %d: oneDNN status %d", m,
                          k, n, (int)status);
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
