/* A vector of AVX2: eight lanes. */
#ifndef MBT_KERNELS_VECTOR_LANES8_H
#define MBT_KERNELS_VECTOR_LANES8_H

#include <immintrin.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 8 };

typedef __m256 vec;
typedef __m256 vec_mask; /* all bits of a lane, or none */
typedef __m256i vec_lanes;

INLINE vec vec_zero(void)
{
    return _mm256_setzero_ps();
}

INLINE vec vec_all(float v)
{
    return _mm256_set1_ps(v);
}

INLINE vec vec_load(const float *from)
{
    return _mm256_load_ps(from);
}

INLINE vec vec_load_any(const float *from)
{
    return _mm256_loadu_ps(from);
}

INLINE void vec_store(float *to, vec v)
{
    _mm256_store_ps(to, v);
}

INLINE void vec_store_any(float *to, vec v)
{
    _mm256_storeu_ps(to, v);
}

INLINE void vec_stream(float *to, vec v)
{
    _mm256_stream_ps(to, v);
}

INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

INLINE vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

INLINE vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

INLINE vec vec_between(vec value, vec low, vec high, vec v)
{
    const __m256 above = _mm256_cmp_ps(value, low, _CMP_GT_OQ);
    const __m256 below = _mm256_cmp_ps(value, high, _CMP_LT_OQ);
    return _mm256_and_ps(_mm256_and_ps(above, below), v);
}

INLINE vec_mask vec_mask_of(uint32_t bits)
{
    const __m256i one = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i own = _mm256_and_si256(_mm256_set1_epi32((int)bits), one);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(own, one));
}

INLINE vec_lanes vec_lanes_of(const int32_t *lane)
{
    return _mm256_loadu_si256((const __m256i *)lane);
}

INLINE vec vec_take(vec_mask mask, vec_lanes lanes, vec from)
{
    return _mm256_and_ps(mask, _mm256_permutevar8x32_ps(from, lanes));
}

INLINE vec vec_merge(vec v, vec_mask mask, vec_lanes lanes, vec from)
{
    return _mm256_blendv_ps(v, _mm256_permutevar8x32_ps(from, lanes), mask);
}

INLINE vec vec_fetch_bf16(const uint16_t *from)
{
    const __m128i half = _mm_load_si128((const __m128i *)from);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

INLINE __m256i upper_halves(vec v)
{
    const __m256i half = _mm256_set1_epi32(0x8000);
    const __m256 own_nan = _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffc00000u));
    v = _mm256_blendv_ps(v, own_nan, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_add_epi32(_mm256_castps_si256(v), half), 16);
}

INLINE vec vec_keep_bf16(uint16_t *to, vec v, int stream)
{
    const __m256i upper = upper_halves(v);
    const __m128i narrow =
        _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1));
    if (stream) {
        _mm_stream_si128((__m128i *)to, narrow);
    } else {
        _mm_store_si128((__m128i *)to, narrow);
    }
    return _mm256_castsi256_ps(_mm256_slli_epi32(upper, 16));
}

typedef __m128 half_vec;

INLINE half_vec half_zero(void)
{
    return _mm_setzero_ps();
}

INLINE half_vec half_of(vec v)
{
    return _mm256_castps256_ps128(v);
}

INLINE vec half_widen(half_vec v)
{
    return _mm256_zextps128_ps256(v);
}

INLINE half_vec half_load(const float *from)
{
    return _mm_load_ps(from);
}

INLINE void half_store(float *to, half_vec v)
{
    _mm_store_ps(to, v);
}

INLINE half_vec half_fma(half_vec a, half_vec b, half_vec c)
{
    return _mm_fmadd_ps(a, b, c);
}

struct wide {
    __m256d low, high;
};

INLINE struct wide wide_zero(void)
{
    return (struct wide){_mm256_setzero_pd(), _mm256_setzero_pd()};
}

INLINE void wide_add(struct wide *sum, vec v)
{
    sum->low += _mm256_cvtps_pd(_mm256_castps256_ps128(v));
    sum->high += _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}

INLINE void wide_store(const struct wide *sum, double *to)
{
    _mm256_storeu_pd(to, sum->low);
    _mm256_storeu_pd(to + 4, sum->high);
}

#endif
