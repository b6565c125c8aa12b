/* Gradients as 64-bit fixed point (design: exact reduction), in plain C. The same bits as any other
 * row: the product with a power of two is exact in double, and both round to nearest even. */
#include <math.h>

#include "kernels/passes.h"

bool mbt_quantise_portable(const float *x, size_t count, int64_t limit, int add, int64_t *sum)
{
    const double scale = 1099511627776.0; /* 2^40 */
    const double bound = (double)limit;
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        const double scaled = (double)x[i] * scale;
        const bool fits = fabs(scaled) < bound; /* false for NaN */
        const int64_t q = fits ? llrint(scaled) : 0;
        good = good && fits;
        sum[i] = add ? sum[i] + q : q;
    }
    return good;
}
