/* Runs the quantise kernel of one level of instruction sets, whatever this processor has: what the
 * table keeps from it must be seen to kill it, or a test on an emulated processor shows nothing.
 * Usage: beyond LEVEL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/kernel.h"

int main(int argc, char **argv)
{
    enum { COUNT = 64 };
    _Alignas(64) float x[COUNT];
    _Alignas(64) int64_t sum[COUNT];
    int n_rows;
    const mbt_kernel *rows = mbt_kernel_table(&n_rows);
    for (int i = 0; i < COUNT; i++) {
        x[i] = (float)i;
    }
    for (int i = 0; i < n_rows; i++) {
        if (argc == 2 && rows[i].op == MBT_OP_QUANTISE &&
            strcmp(mbt_isa_name(rows[i].isa), argv[1]) == 0) {
            const bool good = rows[i].run.quantise(x, COUNT, INT64_C(1) << 62, 0, sum);
            return good && sum[COUNT - 1] == (int64_t)(COUNT - 1) << 40 ? EXIT_SUCCESS
                                                                        : EXIT_FAILURE;
        }
    }
    (void)fprintf(stderr, "beyond: no row of level %s\n", argc == 2 ? argv[1] : "(none given)");
    return 2;
}
