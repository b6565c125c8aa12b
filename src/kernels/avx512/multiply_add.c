/* 16 chains of 16 lanes: two units of four cycles' latency need 8. */
#include "kernels/multiply_add.h"

#include <immintrin.h>

enum { CHAINS = 16, LANES = 16 };

static inline void start(__m512 *x)
{
    for (int i = 0; i < CHAINS; i++) {
        x[i] = _mm512_set1_ps((float)i);
    }
}

static inline float total(const __m512 *x)
{
    float sum = 0;
    for (int i = 0; i < CHAINS; i++) {
        sum += _mm512_reduce_add_ps(x[i]);
    }
    return sum;
}

double mbt_multiply_add_avx512(long n, float *sum)
{
    const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
    __m512 x[CHAINS];
    start(x);
    for (long round = 0; round < n; round++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) {
            x[i] = _mm512_fmadd_ps(x[i], a, b);
        }
    }
    *sum += total(x);
    return 2.0 * CHAINS * LANES * (double)n;
}

/* Two products a lane. Behind an attribute: its callers have asked the processor. */
__attribute__((target("avx512bf16"))) double mbt_multiply_add_avx512_bf16(long n, float *sum)
{
    const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f));
    const __m512bh b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.25f), _mm512_set1_ps(0.25f));
    __m512 x[CHAINS];
    start(x);
    for (long round = 0; round < n; round++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) {
            x[i] = _mm512_dpbf16_ps(x[i], a, b);
        }
    }
    *sum += total(x);
    return 2.0 * CHAINS * 2 * LANES * (double)n;
}
