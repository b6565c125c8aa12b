/* Pixels of a block of channels as floats, whatever their storage and wherever the channels lie.
 *
 * A pass takes CHUNK pixels at a time: they are read into a buffer (or where they are, if that is
 * what they look like), computed on, and kept. Loops over values that lie side by side the compiler
 * turns into vectors by itself; where each lane has coefficients or sums of its own they are
 * written with its vector type, a part of a block at a time. */
#ifndef MBT_KERNELS_PORTABLE_PIXELS_H
#define MBT_KERNELS_PORTABLE_PIXELS_H

#include <string.h>

#include "kernels/passes.h"

#define INLINE static inline __attribute__((always_inline))

enum { VECTOR = 4 };

typedef float vector __attribute__((vector_size(VECTOR * sizeof(float)), aligned(4), may_alias));

INLINE vector load(const float *from)
{
    return *(const vector *)from;
}

/* Float sums go on no longer than a chunk; five buffers of one stay in the first-level cache. */
enum { LANES_MAX = 16, CHUNK = 64, CHUNK_FLOATS = CHUNK * LANES_MAX };

static inline float element(const void *block, size_t at, mbt_storage storage)
{
    float v;
    if (storage == MBT_STORAGE_FP32) {
        return ((const float *)block)[at];
    }
    const uint32_t bits = (uint32_t)((const uint16_t *)block)[at] << 16;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Stores v and returns what is kept of it. */
static inline float element_keep(void *block, size_t at, float v, mbt_storage storage)
{
    const uint32_t own_nan = 0xffc00000u; /* what the processor makes */
    uint32_t bits;
    if (storage == MBT_STORAGE_FP32) {
        ((float *)block)[at] = v;
        return v;
    }
    memcpy(&bits, &v, sizeof bits);
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    bits = is_nan ? own_nan : bits + 0x8000u; /* the addition would carry some NaN into zero */
    ((uint16_t *)block)[at] = (uint16_t)(bits >> 16);
    return element(block, at, storage);
}

/* Where the lanes of a block are read from, in one image. */
typedef struct source {
    const void *block;           /* all lanes side by side; NULL: one by one */
    const void *lane[LANES_MAX]; /* the first pixel's element; NULL: padding, read as 0 */
    int lanes;
    mbt_storage storage;
} source;

INLINE source source_block(const mbt_layout *l, mbt_map map, int image, int k)
{
    return (source){.block = block_at(l, map, image, k), .lanes = l->block, .storage = map.storage};
}

/* Adds the lanes that come from the m-th source block of a move. */
static inline void add_lanes(source *s, const mbt_shuffle_block *move, int m,
                             const unsigned char *block)
{
    for (int c = 0; c < s->lanes; c++) {
        if ((move->mask[m] >> c & 1u) != 0) {
            s->lane[c] = block + (size_t)move->lane[m][c] * mbt_storage_bytes(s->storage);
        }
    }
}

/* Block k of what the shuffle makes of a map in layout l; NULL: the identity. */
static inline source source_moved(const mbt_layout *l, mbt_map map, int image,
                                  const mbt_shuffle *shuffle, int k)
{
    if (shuffle == NULL || shuffle->straight) {
        return source_block(l, map, image, k);
    }
    source s = {.lanes = l->block, .storage = map.storage};
    const mbt_shuffle_block *move = &shuffle->blocks[k];
    for (int m = 0; m < move->n_from; m++) {
        add_lanes(&s, move, m, block_at(l, map, image, move->from[m]));
    }
    return s;
}

static inline void read_lanes(const source *s, size_t at, int n, float *buffer)
{
    for (int c = 0; c < s->lanes; c++) {
        for (int p = 0; p < n; p++) {
            const size_t e = (size_t)(p * s->lanes);
            buffer[e + (size_t)c] =
                s->lane[c] != NULL ? element(s->lane[c], at + e, s->storage) : 0.0f;
        }
    }
}

/* `n` pixels from pixel `first` on: in place if that is floats, else in the buffer. */
static inline const float *pixels_read(const source *s, int first, int n, float *buffer)
{
    const size_t at = (size_t)first * (size_t)s->lanes;
    if (s->block == NULL) {
        read_lanes(s, at, n, buffer);
    } else if (s->storage == MBT_STORAGE_FP32) {
        return (const float *)s->block + at;
    } else {
        for (int e = 0; e < n * s->lanes; e++) {
            buffer[e] = element(s->block, at + (size_t)e, MBT_STORAGE_BF16);
        }
    }
    return buffer;
}

/* Keeps n pixels from pixel `first` of the block on, and leaves in `values` what is kept of them.
 */
static inline void pixels_keep(void *block, int lanes, int first, int n, mbt_storage storage,
                               float *values)
{
    const size_t at = (size_t)first * (size_t)lanes;
    if (storage == MBT_STORAGE_FP32) {
        memcpy((float *)block + at, values, (size_t)(n * lanes) * sizeof *values);
        return;
    }
    for (int e = 0; e < n * lanes; e++) {
        values[e] = element_keep(block, at + (size_t)e, values[e], MBT_STORAGE_BF16);
    }
}

static inline int chunk_at(int first, int pixels)
{
    return pixels - first < CHUNK ? pixels - first : CHUNK;
}

/* Two sums of each lane, and as many of them side by side as let additions not wait for each other;
 * what is left of the pixels goes to the first. */
enum { CHAINS = 4 };

typedef struct sums {
    vector first, second;
} sums;

INLINE void sums_add(sums *s, vector first, vector second)
{
    s->first += first;
    s->second += second;
}

/* Adds what the chains hold to sums in double, lane by lane. */
INLINE void sums_end(const sums *chains, double *first, double *second)
{
    const vector a = (chains[0].first + chains[1].first) + (chains[2].first + chains[3].first);
    const vector b = (chains[0].second + chains[1].second) + (chains[2].second + chains[3].second);
    for (int c = 0; c < VECTOR; c++) {
        first[c] += a[c];
        second[c] += b[c];
    }
}

#endif
