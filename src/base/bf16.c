/* Rounding to bfloat16 and back, in integers, so that compilers can do many at a time. */
#include "mbt/bf16.h"

#include <string.h>

static uint16_t narrow(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    /* Rounding up would carry a NaN of large payload into the sign. */
    return v != v ? 0x7fc0 : (uint16_t)((bits + 0x8000u) >> 16);
}

static float wide(uint16_t v)
{
    const uint32_t bits = (uint32_t)v << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

void mbt_bf16_pack(const float *restrict from, size_t count, uint16_t *restrict to)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = narrow(from[i]);
    }
}

void mbt_bf16_unpack(const uint16_t *restrict from, size_t count, float *restrict to)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = wide(from[i]);
    }
}

void mbt_bf16_add(const uint16_t *restrict x, size_t count, uint16_t *restrict sum)
{
    for (size_t i = 0; i < count; i++) {
        sum[i] = narrow(wide(sum[i]) + wide(x[i]));
    }
}
