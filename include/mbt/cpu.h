/* What this processor can do, as one ordered level. Depends on nothing. */
#ifndef MBT_CPU_H
#define MBT_CPU_H

/* Each level includes the ones before it. */
typedef enum mbt_isa {
    MBT_ISA_X86_64,      /* SSE2: any 64-bit x86 */
    MBT_ISA_AVX2,        /* with FMA */
    MBT_ISA_AVX512,      /* F, BW, DQ, VL */
    MBT_ISA_AVX512_BF16, /* products of bfloat16 summed in float */
    MBT_ISA_COUNT
} mbt_isa;

mbt_isa mbt_cpu_isa(void);             /* of the machine this runs on */
const char *mbt_isa_name(mbt_isa isa); /* "avx512", static storage */
int mbt_isa_block(mbt_isa isa);        /* B: channels of a block that suit the level (tensor.h) */

#endif
