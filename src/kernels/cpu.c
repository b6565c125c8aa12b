/* The instruction set level of this processor. */
#include "mbt/cpu.h"

mbt_isa mbt_cpu_isa(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        return __builtin_cpu_supports("avx512bf16") ? MBT_ISA_AVX512_BF16 : MBT_ISA_AVX512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return MBT_ISA_AVX2;
    }
    return MBT_ISA_X86_64;
}

const char *mbt_isa_name(mbt_isa isa)
{
    static const char *const names[] = {"x86-64", "avx2", "avx512", "avx512_bf16"};
    return names[isa];
}

int mbt_isa_block(mbt_isa isa)
{
    return isa >= MBT_ISA_AVX512 ? 16 : 8;
}
