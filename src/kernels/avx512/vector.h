/* Sixteen doubles, for sums that floats would lose; and storing past the cache. */
#ifndef MBT_KERNELS_AVX512_VECTOR_H
#define MBT_KERNELS_AVX512_VECTOR_H

#include <immintrin.h>

struct wide {
    __m512d low, high;
};

static inline struct wide wide_zero(void)
{
    return (struct wide){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

static inline void wide_add(struct wide *sum, __m512 v)
{
    sum->low = _mm512_add_pd(sum->low, _mm512_cvtps_pd(_mm512_castps512_ps256(v)));
    sum->high = _mm512_add_pd(sum->high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
}

static inline void wide_store(const struct wide *sum, double *to)
{
    _mm512_storeu_pd(to, sum->low);
    _mm512_storeu_pd(to + 8, sum->high);
}

static inline void store(float *to, __m512 v, int stream)
{
    if (stream) {
        _mm512_stream_ps(to, v);
    } else {
        _mm512_store_ps(to, v);
    }
}

#endif
