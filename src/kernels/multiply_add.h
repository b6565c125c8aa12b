/* Multiply-adds in registers, as many at a time as hide their latency: x = x*a + b. */
#ifndef MBT_KERNELS_MULTIPLY_ADD_H
#define MBT_KERNELS_MULTIPLY_ADD_H

/* Does n rounds; *sum is added to, so that nothing is left out. Returns the flops done. */
typedef double mbt_multiply_add_fn(long n, float *sum);

mbt_multiply_add_fn mbt_multiply_add_avx512;
mbt_multiply_add_fn mbt_multiply_add_avx512_bf16; /* x = x + a*b of pairs of bf16 */
mbt_multiply_add_fn mbt_multiply_add_avx2;
mbt_multiply_add_fn mbt_multiply_add_portable;

#endif
