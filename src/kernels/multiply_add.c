/* Multiply-adds with the 4 lanes that every 64-bit x86 has, multiplication and addition apart; and
 * with AVX2's 8, behind an attribute: its callers have asked the processor. 12 chains, as the 16
 * registers of both hold them beside the constants. */
#include "multiply_add.h"

#include <immintrin.h>

enum { CHAINS = 12 };

double mbt_multiply_add_portable(long n, float *sum)
{
    enum { LANES = 4 };
    const __m128 a = _mm_set1_ps(0.5f), b = _mm_set1_ps(0.25f);
    __m128 x[CHAINS];
    for (int i = 0; i < CHAINS; i++) {
        x[i] = _mm_set1_ps((float)i);
    }
    for (long round = 0; round < n; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            x[i] = _mm_add_ps(_mm_mul_ps(x[i], a), b);
        }
    }
    for (int i = 0; i < CHAINS; i++) {
        *sum += _mm_cvtss_f32(x[i]);
    }
    return 2.0 * CHAINS * LANES * (double)n;
}

__attribute__((target("avx2,fma"))) double mbt_multiply_add_avx2(long n, float *sum)
{
    enum { LANES = 8 };
    const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
    __m256 x[CHAINS];
    for (int i = 0; i < CHAINS; i++) {
        x[i] = _mm256_set1_ps((float)i);
    }
    for (long round = 0; round < n; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            x[i] = _mm256_fmadd_ps(x[i], a, b);
        }
    }
    for (int i = 0; i < CHAINS; i++) {
        *sum += _mm256_cvtss_f32(x[i]);
    }
    return 2.0 * CHAINS * LANES * (double)n;
}
