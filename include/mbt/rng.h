/* Counter-based random numbers: a draw depends on its key and counter alone.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC
 * 2011) from Random123. There is no generator state, so nothing is stored in a checkpoint and
 * nothing depends on ranks, threads or order. Depends on nothing of ours. */
#ifndef MBT_RNG_H
#define MBT_RNG_H

#include <stdint.h>

/* What a draw is for. The numbers are part of the file format: a resumed run must draw the same. 9
 * and 10 are free. */
typedef enum mbt_purpose {
    MBT_PURPOSE_INIT = 1,    /* initial weights: epoch 0, id = hash of the name */
    MBT_PURPOSE_ORDER = 2,   /* sample order of an epoch */
    MBT_PURPOSE_SPLIT = 3,   /* validation split */
    MBT_PURPOSE_AUGMENT = 4, /* crop, flip, jitter of a sample in an epoch */
    MBT_PURPOSE_DROPOUT = 5, /* dropout mask of a sample in an epoch */
    MBT_PURPOSE_SYNTH = 6,   /* synthetic data set */
    MBT_PURPOSE_FLIP = 7,    /* alternating flip of a sample: epoch 0 */
    MBT_PURPOSE_MIXUP = 8,   /* mixing of a sample in an epoch */
    MBT_PURPOSE_CROP = 11,   /* crop and scale of a sample in an epoch, where it is resized */
    MBT_PURPOSE_HSL = 12,    /* hue, saturation, lightness of a sample in an epoch */
} mbt_purpose;

/* Names one stream of draws, of 2^32 draws. */
typedef struct mbt_rng {
    uint64_t seed;
    mbt_purpose purpose;
    uint32_t epoch;
    uint64_t id;   /* sample id, element index ... */
    uint32_t next; /* the next draw: starts at 0, advanced by the functions below */
} mbt_rng;

mbt_rng mbt_rng_at(uint64_t seed, mbt_purpose purpose, uint32_t epoch, uint64_t id);

uint32_t mbt_rng_u32(mbt_rng *rng);
float mbt_rng_uniform(mbt_rng *rng);              /* [0, 1), 24 bits */
uint32_t mbt_rng_below(mbt_rng *rng, uint32_t n); /* 0 .. n-1 without bias, n > 0 */
float mbt_rng_normal(mbt_rng *rng);               /* mean 0, deviation 1; Box-Muller, two draws */

/* The permutation of 0 .. n-1 that belongs to (seed, ORDER, epoch), by Fisher-Yates.
 * order: n entries, caller's. */
void mbt_rng_permutation(uint64_t seed, uint32_t epoch, uint32_t n, uint32_t *order);

#endif
