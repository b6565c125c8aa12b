/* Philox4x32-10 with the stream's name as counter.
 *
 * Key: the seed, low and high word. Counter words: {block, epoch, id bits 0-31, id bits 32-55 |
 * purpose << 24}, where block = next / 4 and draw `next` is word next % 4 of the block. Every
 * (purpose, epoch, id, next) so has a place of its own and no two streams ever share a counter.
 * This layout is part of what a resumed run relies on: changing it changes every run. */
#include "mbt/rng.h"

#include <Random123/philox.h>
#include <assert.h>
#include <math.h>

enum { ID_HIGH_BITS = 24, WORDS = 4 };

static const double TWO_PI = 6.283185307179586476925;

mbt_rng mbt_rng_at(uint64_t seed, mbt_purpose purpose, uint32_t epoch, uint64_t id)
{
    assert(id >> (32 + ID_HIGH_BITS) == 0 && (uint32_t)purpose < 256);
    return (mbt_rng){.seed = seed, .purpose = purpose, .epoch = epoch, .id = id};
}

uint32_t mbt_rng_u32(mbt_rng *rng)
{
    philox4x32_key_t key = {{(uint32_t)rng->seed, (uint32_t)(rng->seed >> 32)}};
    philox4x32_ctr_t counter = {
        {rng->next / WORDS, rng->epoch, (uint32_t)rng->id,
         (uint32_t)(rng->id >> 32) | (uint32_t)rng->purpose << ID_HIGH_BITS}};
    philox4x32_ctr_t block = philox4x32_R(10, counter, key);
    return block.v[rng->next++ % WORDS];
}

float mbt_rng_uniform(mbt_rng *rng)
{
    return (float)(mbt_rng_u32(rng) >> 8) * 0x1p-24f;
}

uint32_t mbt_rng_below(mbt_rng *rng, uint32_t n)
{
    assert(n > 0);
    /* Lemire, "Fast random integer generation in an interval", 2019: the product's high word is
     * the result; the few low words that would favour some results are drawn again. */
    uint64_t product = (uint64_t)mbt_rng_u32(rng) * n;
    uint32_t low = (uint32_t)product;
    if (low < n) {
        uint32_t rejected = (UINT32_MAX - n + 1) % n; /* 2^32 mod n */
        while (low < rejected) {
            product = (uint64_t)mbt_rng_u32(rng) * n;
            low = (uint32_t)product;
        }
    }
    return (uint32_t)(product >> 32);
}

float mbt_rng_normal(mbt_rng *rng)
{
    /* In double, so that a last bit of another libm rarely reaches the float. */
    double radius_draw = ((double)mbt_rng_u32(rng) + 0.5) * 0x1p-32; /* never 0 */
    double angle_draw = (double)mbt_rng_u32(rng) * 0x1p-32;
    return (float)(sqrt(-2.0 * log(radius_draw)) * cos(TWO_PI * angle_draw));
}

void mbt_rng_permutation(uint64_t seed, uint32_t epoch, uint32_t n, uint32_t *order)
{
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
    mbt_rng rng = mbt_rng_at(seed, MBT_PURPOSE_ORDER, epoch, 0);
    for (uint32_t left = n; left > 1; left--) {
        uint32_t pick = mbt_rng_below(&rng, left);
        uint32_t swapped = order[left - 1];
        order[left - 1] = order[pick];
        order[pick] = swapped;
    }
}
