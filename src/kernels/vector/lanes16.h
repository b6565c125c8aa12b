/* A vector of AVX-512: sixteen lanes. */
#ifndef MBT_KERNELS_VECTOR_LANES16_H
#define MBT_KERNELS_VECTOR_LANES16_H

#include <immintrin.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };

typedef __m512 vec;
typedef __mmask16 vec_mask;
typedef __m512i vec_lanes;

INLINE vec vec_zero(void)
{
    return _mm512_setzero_ps();
}

INLINE vec vec_all(float v)
{
    return _mm512_set1_ps(v);
}

INLINE vec vec_load(const float *from)
{
    return _mm512_load_ps(from);
}

INLINE vec vec_load_any(const float *from)
{
    return _mm512_loadu_ps(from);
}

INLINE void vec_store(float *to, vec v)
{
    _mm512_store_ps(to, v);
}

INLINE void vec_store_any(float *to, vec v)
{
    _mm512_storeu_ps(to, v);
}

INLINE void vec_stream(float *to, vec v)
{
    _mm512_stream_ps(to, v);
}

INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

INLINE vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

INLINE vec vec_between(vec value, vec low, vec high, vec v)
{
    const __mmask16 above = _mm512_cmp_ps_mask(value, low, _CMP_GT_OQ);
    return _mm512_maskz_mov_ps(_mm512_mask_cmp_ps_mask(above, value, high, _CMP_LT_OQ), v);
}

INLINE vec_mask vec_mask_of(uint32_t bits)
{
    return (__mmask16)bits;
}

INLINE vec_lanes vec_lanes_of(const int32_t *lane)
{
    return _mm512_loadu_si512(lane);
}

INLINE vec vec_take(vec_mask mask, vec_lanes lanes, vec from)
{
    return _mm512_maskz_permutexvar_ps(mask, lanes, from);
}

INLINE vec vec_merge(vec v, vec_mask mask, vec_lanes lanes, vec from)
{
    return _mm512_mask_permutexvar_ps(v, mask, lanes, from);
}

INLINE vec vec_fetch_bf16(const uint16_t *from)
{
    const __m256i half = _mm256_load_si256((const __m256i *)from);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

INLINE __m512i upper_halves(vec v)
{
    enum { OWN_NAN_FOR_NAN = 0x33 }; /* responses to the two kinds of NaN; to all else: as it is */
    const __m512i half = _mm512_set1_epi32(0x8000);
    v = _mm512_fixupimm_ps(v, v, _mm512_set1_epi32(OWN_NAN_FOR_NAN), 0);
    return _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(v), half), 16);
}

INLINE vec vec_keep_bf16(uint16_t *to, vec v, int stream)
{
    const __m512i upper = upper_halves(v);
    const __m256i narrow = _mm512_cvtepi32_epi16(upper);
    if (stream) {
        _mm256_stream_si256((__m256i *)to, narrow);
    } else {
        _mm256_store_si256((__m256i *)to, narrow);
    }
    return _mm512_castsi512_ps(_mm512_slli_epi32(upper, 16));
}

typedef __m256 half_vec;

INLINE half_vec half_zero(void)
{
    return _mm256_setzero_ps();
}

INLINE half_vec half_of(vec v)
{
    return _mm512_castps512_ps256(v);
}

INLINE vec half_widen(half_vec v)
{
    return _mm512_zextps256_ps512(v);
}

INLINE half_vec half_load(const float *from)
{
    return _mm256_load_ps(from);
}

INLINE void half_store(float *to, half_vec v)
{
    _mm256_store_ps(to, v);
}

INLINE half_vec half_fma(half_vec a, half_vec b, half_vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

struct wide {
    __m512d low, high;
};

INLINE struct wide wide_zero(void)
{
    return (struct wide){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

INLINE void wide_add(struct wide *sum, vec v)
{
    sum->low += _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    sum->high += _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}

INLINE void wide_store(const struct wide *sum, double *to)
{
    _mm512_storeu_pd(to, sum->low);
    _mm512_storeu_pd(to + 8, sum->high);
}

#endif
