/* Sixteen lanes: sums in double that floats would lose, elements of either storage, lanes moved
 * between blocks. Flags are constants at every call that matters, so that no loop has a branch. */
#ifndef MBT_KERNELS_AVX512_VECTOR_H
#define MBT_KERNELS_AVX512_VECTOR_H

#include <immintrin.h>

#include "kernels/passes.h"

#define INLINE static inline __attribute__((always_inline))

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

/* Elements at .. at+15 of a block in memory. */
INLINE __m512 fetch(const void *block, size_t at, int bf16)
{
    if (bf16) {
        const __m256i half = _mm256_load_si256((const __m256i *)((const uint16_t *)block + at));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    }
    return _mm512_load_ps((const float *)block + at);
}

/* Asks for what a pass reads AHEAD bytes on: the processor's own prefetch ends at each page. */
enum { AHEAD_BYTES = 1536 };

INLINE void ask_ahead(const void *block, size_t at, int bf16)
{
    _mm_prefetch((const char *)block + at * (bf16 ? 2 : 4) + AHEAD_BYTES, _MM_HINT_T0);
}

/* Rounds to bf16, half away from zero: an addition and a shift of integers. The addition would
 * carry some NaN into zero, so each becomes the processor's own first; infinity stays. */
INLINE __m512i upper_halves(__m512 v)
{
    enum { OWN_NAN_FOR_NAN = 0x33 }; /* responses to the two kinds of NaN; to all else: as it is */
    const __m512i half = _mm512_set1_epi32(0x8000);
    v = _mm512_fixupimm_ps(v, v, _mm512_set1_epi32(OWN_NAN_FOR_NAN), 0);
    return _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(v), half), 16);
}

INLINE __m512 keep_bf16(uint16_t *to, __m512 v, int stream)
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

/* Stores elements at .. at+15 of a block and returns what is kept of them. */
INLINE __m512 keep(void *block, size_t at, __m512 v, int bf16, int stream)
{
    if (bf16) {
        return keep_bf16((uint16_t *)block + at, v, stream);
    }
    if (stream) {
        _mm512_stream_ps((float *)block + at, v);
    } else {
        _mm512_store_ps((float *)block + at, v);
    }
    return v;
}

/* Where the lanes of a moved block come from: SOME blocks at least, of which those that the move
 * does not have are its first one once more, with no lane of theirs taken. */
enum { SOME = 4 };

struct sources {
    int n;                           /* how many are filled in */
    const void *from[MBT_BLOCK_MAX]; /* of one image */
    size_t image;                    /* bytes to the next */
    __mmask16 mask[MBT_BLOCK_MAX];
    __m512i lane[MBT_BLOCK_MAX];
};

/* Of the first image. */
static inline struct sources sources_of(const struct blocks *blocks, const mbt_shuffle_block *move)
{
    struct sources s = {.image = blocks->image, .n = move->n_from > SOME ? move->n_from : SOME};
    for (int k = 0; k < s.n; k++) {
        s.from[k] = block_first(blocks, move->from[k < move->n_from ? k : 0]);
        s.mask[k] = (__mmask16)move->mask[k];
        s.lane[k] = _mm512_loadu_si512(move->lane[k]);
    }
    return s;
}

/* Block k as it is. */
static inline struct sources source_straight(const struct blocks *blocks, int k)
{
    return (struct sources){.image = blocks->image, .n = 1, .from = {block_first(blocks, k)}};
}

static inline void sources_next(struct sources *s)
{
    for (int k = 0; k < s->n; k++) {
        s->from[k] = (const unsigned char *)s->from[k] + s->image;
    }
}

/* How many sources a loop looks at: 0 when nothing moves; up to SOME of few different values, so
 * that each has a loop of its own. */
static inline int sources_count(const mbt_shuffle *shuffle, int k)
{
    const int n = shuffle->straight ? 0 : shuffle->blocks[k].n_from;
    return shuffle->straight ? 0 : n <= 2 ? 2 : n < SOME ? SOME : n;
}

/* `n`: how many of them are looked at, a constant so that the loop has no branch. The first one's
 * lanes are taken where the mask of the others leaves them, zero where nobody has one. */
INLINE __m512 gather(const struct sources *s, size_t at, int n, int bf16)
{
    __m512 v = _mm512_maskz_permutexvar_ps(s->mask[0], s->lane[0], fetch(s->from[0], at, bf16));
    for (int k = 1; k < n; k++) {
        v = _mm512_mask_permutexvar_ps(v, s->mask[k], s->lane[k], fetch(s->from[k], at, bf16));
    }
    return v;
}

/* One float a channel, moved as the block is. */
static inline __m512 gather_channels(const mbt_shuffle_block *move, const float *from)
{
    __m512 v = _mm512_setzero_ps();
    for (int k = 0; k < move->n_from; k++) {
        v = _mm512_mask_permutexvar_ps(v, (__mmask16)move->mask[k],
                                       _mm512_loadu_si512(move->lane[k]),
                                       _mm512_loadu_ps(from + (size_t)move->from[k] * 16));
    }
    return v;
}

/* Running sums of two quantities: float for at most FLUSH_PIXELS pixels, then double. */
enum { FLUSH_PIXELS = 256 };

struct sums {
    struct wide first, second;
    __m512 f, s;
    int pending;
};

static inline struct sums sums_zero(void)
{
    const __m512 zero = _mm512_setzero_ps();
    return (struct sums){wide_zero(), wide_zero(), zero, zero, 0};
}

static inline void sums_flush(struct sums *sums)
{
    wide_add(&sums->first, sums->f);
    wide_add(&sums->second, sums->s);
    sums->f = sums->s = _mm512_setzero_ps();
    sums->pending = 0;
}

/* Adds what `pixels` pixels gave. */
INLINE void sums_add(struct sums *sums, __m512 first, __m512 second, int pixels)
{
    sums->f = _mm512_add_ps(sums->f, first);
    sums->s = _mm512_add_ps(sums->s, second);
    sums->pending += pixels;
    if (sums->pending >= FLUSH_PIXELS) {
        sums_flush(sums);
    }
}

/* Mean and squared deviations of `count` values, from the sums of (v - about) and its square. */
void mbt_moments_avx512(struct sums *sums, __m512 about, double count, double *mean, double *m2);

#endif
