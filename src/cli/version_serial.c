/* Programs that compute nothing have no lines on kernels in their --version. */
#include "version.h"

void print_version_kernels(FILE *out)
{
    (void)out;
}
