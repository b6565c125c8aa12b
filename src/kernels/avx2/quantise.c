/* Gradients as 64-bit fixed point, four at a time. Bits as in portable/quantise.c.
 * AVX2 converts no double to 64 bits: adding 1.5 * 2^52 rounds it to an integer, to nearest even,
 * and leaves that in the low bits. So for all below 2^51, which is 2048 as a gradient; beyond, one
 * by one.
 * Roofline: reads 4 + 8 and writes 8 bytes an element. */
#include <immintrin.h>

#include "kernels/passes.h"

bool mbt_quantise_avx2(const float *x, size_t count, int64_t limit, int add, int64_t *sum)
{
    const double highest = 0x1p51;
    const __m256d scale = _mm256_set1_pd(0x1p40), rounder = _mm256_set1_pd(0x1.8p52);
    const __m256d bound = _mm256_set1_pd((double)limit < highest ? (double)limit : highest);
    const __m256d sign = _mm256_set1_pd(-0.0);
    const size_t whole = count & ~(size_t)3;
    bool good = true;
    for (size_t i = 0; i < whole; i += 4) {
        const __m256d v = _mm256_mul_pd(_mm256_cvtps_pd(_mm_loadu_ps(x + i)), scale);
        const __m256d fits = _mm256_cmp_pd(_mm256_andnot_pd(sign, v), bound, _CMP_LT_OQ);
        __m256i *to = (__m256i *)(sum + i);
        if (_mm256_movemask_pd(fits) != 0xf) {
            good = mbt_quantise_portable(x + i, 4, limit, add, sum + i) && good;
            continue;
        }
        const __m256i q = _mm256_sub_epi64(_mm256_castpd_si256(_mm256_add_pd(v, rounder)),
                                           _mm256_castpd_si256(rounder));
        _mm256_storeu_si256(to, add ? _mm256_add_epi64(q, _mm256_loadu_si256(to)) : q);
    }
    return mbt_quantise_portable(x + whole, count - whole, limit, add, sum + whole) && good;
}
