/* The lines of --version on kernels, for programs that compute. */
#include "mbt/cpu.h"
#include "mbt/kernel.h"
#include "version.h"

void print_version_kernels(FILE *out)
{
    char library[64];
    mbt_kernel_library(library, sizeof library);
    (void)fprintf(out, "kernels: %s\n", library);
    (void)fprintf(out, "instruction set: %s\n", mbt_isa_name(mbt_cpu_isa()));
}
