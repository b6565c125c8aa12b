/* Gradients as 64-bit fixed point, eight at a time. Bits as in portable/quantise.c.
 * Roofline: reads 4 + 8 and writes 8 bytes an element. */
#include <immintrin.h>

#include "kernels/passes.h"

bool mbt_quantise_avx512(const float *x, size_t count, int64_t limit, int add, int64_t *sum)
{
    const __m512d scale = _mm512_set1_pd(1099511627776.0); /* 2^40 */
    const __m512d bound = _mm512_set1_pd((double)limit);
    const size_t whole = count & ~(size_t)7;
    unsigned bad = 0;
    for (size_t i = 0; i < whole; i += 8) {
        const __m512d v = _mm512_mul_pd(_mm512_cvtps_pd(_mm256_loadu_ps(x + i)), scale);
        const __mmask8 fits = _mm512_cmp_pd_mask(_mm512_abs_pd(v), bound, _CMP_LT_OQ);
        const __m512i q = _mm512_maskz_cvtpd_epi64(fits, v);
        bad |= (unsigned)fits ^ 0xffu;
        _mm512_storeu_si512(sum + i, add ? _mm512_add_epi64(q, _mm512_loadu_si512(sum + i)) : q);
    }
    return mbt_quantise_portable(x + whole, count - whole, limit, add, sum + whole) && bad == 0;
}
