/* What a core of this machine does at best, measured: what kernels are compared with. Depends on
 * cpu, status. */
#ifndef MBT_PEAK_H
#define MBT_PEAK_H

#include "mbt/cpu.h"
#include "mbt/status.h"

typedef struct mbt_peak {
    double flops_per_s;      /* fp32 multiply-adds in registers, each two flops */
    double bf16_flops_per_s; /* the same of products of bf16; 0: it has none */
    double read_bytes_per_s; /* from memory, of a block beyond any cache */
} mbt_peak;

/* Of one thread while `threads` of them work, for kernels up to `isa`; some tenths of a second.
 * MBT_FAILURE without memory to read. */
mbt_status mbt_peak_measure(mbt_isa isa, int threads, mbt_peak *peak,
                            mbt_error *err) MBT_WARN_UNUSED;

#endif
