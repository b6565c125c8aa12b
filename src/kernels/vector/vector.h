/* A vector as long as a block of channels: sums in double that floats would lose, elements of
 * either storage, lanes moved between blocks. + - * / go lane by lane. Flags are constants at every
 * call that matters, so that no loop has a branch.
 *
 * This folder is compiled once for AVX-512 and once for AVX2: CMake sets MBT_LEVEL, the suffix of
 * the functions' names, and MBT_LANES. lanes16.h and lanes8.h have the same functions:
 *
 *     vec_zero, vec_all, vec_load, vec_store          load and store at addresses of whole vectors;
 *     vec_load_any, vec_store_any, vec_stream         at any; past the caches
 *     vec_fma(a, b, c)                                a*b + c, rounded once
 *     vec_min(a, b), vec_max(a, b)                    b where one of both is NaN
 *     vec_between(value, low, high, v)                v where low < value < high, else 0
 *     vec_take(mask, lanes, from)                     lanes of `from`; 0 where the mask has none
 *     vec_merge(v, mask, lanes, from)                 the same; v where the mask has none
 *     vec_fetch_bf16(from)                            bf16 as floats
 *     vec_keep_bf16(to, v, stream)                    stores v as bf16; returns what is kept of it
 *     half_zero, half_load, half_store, half_fma      half a vector: its first lanes
 *     half_of(v), half_widen(half)                    from a whole one; to one, with zeros behind
 *     wide_zero, wide_add, wide_store                 sums of the lanes in double
 *
 * Rounding to bf16 is half away from zero: an addition and a shift of integers. The addition would
 * carry some NaN into zero, so each becomes the processor's own first; infinity stays. */
#ifndef MBT_KERNELS_VECTOR_VECTOR_H
#define MBT_KERNELS_VECTOR_VECTOR_H

#include "kernels/passes.h"

#if MBT_LANES == 16 /* not by __AVX512F__: -march=native may set that in both */
#include "kernels/vector/lanes16.h"
#else
#include "kernels/vector/lanes8.h"
#endif

#define MBT_JOIN_NAMES(name, level) name##_##level
#define MBT_JOIN(name, level) MBT_JOIN_NAMES(name, level)
#define AT_LEVEL(name) MBT_JOIN(name, MBT_LEVEL)

/* Elements at .. at+LANES-1 of a block in memory. */
INLINE vec fetch(const void *block, size_t at, int bf16)
{
    return bf16 ? vec_fetch_bf16((const uint16_t *)block + at)
                : vec_load((const float *)block + at);
}

/* Asks for what a pass reads AHEAD bytes on: the processor's own prefetch ends at each page. */
enum { AHEAD_BYTES = 1536 };

INLINE void ask_ahead(const void *block, size_t at, int bf16)
{
    _mm_prefetch((const char *)block + at * (bf16 ? 2 : 4) + AHEAD_BYTES, _MM_HINT_T0);
}

/* Stores elements at .. at+LANES-1 of a block and returns what is kept of them. */
INLINE vec keep(void *block, size_t at, vec v, int bf16, int stream)
{
    if (bf16) {
        return vec_keep_bf16((uint16_t *)block + at, v, stream);
    }
    if (stream) {
        vec_stream((float *)block + at, v);
    } else {
        vec_store((float *)block + at, v);
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
    vec_mask mask[MBT_BLOCK_MAX];
    vec_lanes lane[MBT_BLOCK_MAX];
};

/* Of the first image. */
static inline struct sources sources_of(const struct blocks *blocks, const mbt_shuffle_block *move)
{
    struct sources s = {.image = blocks->image, .n = move->n_from > SOME ? move->n_from : SOME};
    for (int k = 0; k < s.n; k++) {
        s.from[k] = block_first(blocks, move->from[k < move->n_from ? k : 0]);
        s.mask[k] = vec_mask_of(move->mask[k]);
        s.lane[k] = vec_lanes_of(move->lane[k]);
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
INLINE vec gather(const struct sources *s, size_t at, int n, int bf16)
{
    vec v = vec_take(s->mask[0], s->lane[0], fetch(s->from[0], at, bf16));
    for (int k = 1; k < n; k++) {
        v = vec_merge(v, s->mask[k], s->lane[k], fetch(s->from[k], at, bf16));
    }
    return v;
}

/* One float a channel, moved as the block is. */
static inline vec gather_channels(const mbt_shuffle_block *move, const float *from)
{
    vec v = vec_zero();
    for (int k = 0; k < move->n_from; k++) {
        v = vec_merge(v, vec_mask_of(move->mask[k]), vec_lanes_of(move->lane[k]),
                      vec_load_any(from + (size_t)move->from[k] * LANES));
    }
    return v;
}

/* Running sums of two quantities: float for at most FLUSH_PIXELS pixels, then double. */
enum { FLUSH_PIXELS = 256 };

struct sums {
    struct wide first, second;
    vec f, s;
    int pending;
};

static inline struct sums sums_zero(void)
{
    const vec zero = vec_zero();
    return (struct sums){wide_zero(), wide_zero(), zero, zero, 0};
}

static inline void sums_flush(struct sums *sums)
{
    wide_add(&sums->first, sums->f);
    wide_add(&sums->second, sums->s);
    sums->f = sums->s = vec_zero();
    sums->pending = 0;
}

/* Adds what `pixels` pixels gave. */
INLINE void sums_add(struct sums *sums, vec first, vec second, int pixels)
{
    sums->f += first;
    sums->s += second;
    sums->pending += pixels;
    if (sums->pending >= FLUSH_PIXELS) {
        sums_flush(sums);
    }
}

/* Mean and squared deviations of `count` values, from the sums of (v - about) and its square. */
void AT_LEVEL(mbt_moments)(struct sums *sums, vec about, double count, double *mean, double *m2);

#endif
