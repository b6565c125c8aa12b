/* Mixup: a group trains on weighted means of two of its images, and is to tell both classes.
 *
 *   x_i = share * x_i + (1 - share) * x_(n-1-i),  share = max(b, 1 - b),  b ~ Beta(alpha, alpha)
 *
 * (Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018; pairs
 * within a batch as in timm.) Taking the larger part leaves every image its own class as the first
 * of its two. What a sample draws depends on (seed, epoch, sample id); its partner on the group,
 * which the sampler makes. Depends on rng. */
#ifndef MBT_MIXUP_H
#define MBT_MIXUP_H

#include <stddef.h>
#include <stdint.h>

/* What samples are to be told as: label[i] with weight share[i], other[i] with the rest. Borrowed.
 */
typedef struct mbt_targets {
    const int32_t *label, *other; /* other and share NULL: label alone */
    const float *share;           /* 0.5 to 1 */
} mbt_targets;

/* Mixes n images of `values` floats each, in place; fills other and share from label. alpha in
 * (0, 1]. */
void mbt_mixup_group(uint64_t seed, double alpha, int64_t epoch, const uint32_t *ids, int n,
                     size_t values, float *x, const int32_t *label, int32_t *other, float *share);

#endif
