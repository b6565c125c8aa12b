/* Pairs are the ends of the group, going inwards: each of two images is computed from both, so a
 * pair needs no room beside itself. The one in the middle of an odd group stays as it is. */
#include "mbt/mixup.h"

#include <assert.h>
#include <math.h>

#include "mbt/rng.h"

/* Beta(alpha, alpha) by Joehnk's method (1964), good for alpha up to 1, the larger part. Cut to
 * 2^-16, so that a last bit of another machine's pow rarely shows. */
static float draw_share(uint64_t seed, double alpha, uint32_t epoch, uint32_t id)
{
    mbt_rng rng = mbt_rng_at(seed, MBT_PURPOSE_MIXUP, epoch, id);
    double a, b;
    do {
        a = pow(((double)mbt_rng_u32(&rng) + 0.5) * 0x1p-32, 1 / alpha);
        b = pow(((double)mbt_rng_u32(&rng) + 0.5) * 0x1p-32, 1 / alpha);
    } while (a + b > 1);
    if (a + b == 0) { /* a small alpha: one of the two images is all that is left */
        return 1;
    }
    const double part = a > b ? a / (a + b) : b / (a + b);
    return (float)(floor(part * 0x1p16) * 0x1p-16);
}

void mbt_mixup_group(uint64_t seed, double alpha, int64_t epoch, const uint32_t *ids, int n,
                     size_t values, float *x, const int32_t *label, int32_t *other, float *share)
{
    assert(alpha > 0 && alpha <= 1 && epoch >= 0 && epoch <= UINT32_MAX);
    for (int i = 0; i < n; i++) {
        other[i] = label[n - 1 - i];
        share[i] = draw_share(seed, alpha, (uint32_t)epoch, ids[i]);
    }
    for (int i = 0; i < n / 2; i++) {
        float *restrict front = x + (size_t)i * values;
        float *restrict back = x + (size_t)(n - 1 - i) * values;
        const float p = share[i], q = share[n - 1 - i];
        for (size_t j = 0; j < values; j++) {
            const float f = front[j], b = back[j];
            front[j] = p * f + (1.0f - p) * b;
            back[j] = q * b + (1.0f - q) * f;
        }
    }
}
