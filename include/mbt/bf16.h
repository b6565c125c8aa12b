/* bfloat16: the upper half of a float, rounded to the nearest, ties away from zero. NaN and
 * infinity stay what they are. Arrays must not overlap unless said. Depends on nothing. */
#ifndef MBT_BF16_H
#define MBT_BF16_H

#include <stddef.h>
#include <stdint.h>

void mbt_bf16_pack(const float *from, size_t count, uint16_t *to);
void mbt_bf16_unpack(const uint16_t *from, size_t count, float *to);

/* sum[i] = sum[i] + x[i], added as floats. */
void mbt_bf16_add(const uint16_t *x, size_t count, uint16_t *sum);

#endif
