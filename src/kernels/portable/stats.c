/* Batch-norm statistics, in plain C for any block size. */
#include "kernels/passes.h"

enum { LANES_MAX = 16, FLUSH_PIXELS = 64 };

/* float sums about the block's first pixel, moved into double every FLUSH_PIXELS pixels. */
static inline void block_moments(const mbt_layout *l, int n, mbt_map y, int k, int lanes,
                                 double *mean, double *m2)
{
    const int pixels = l->h * l->w;
    const float *first = block_at(l, y, 0, k);
    double total[LANES_MAX] = {0}, squares[LANES_MAX] = {0};
    float s[LANES_MAX] = {0}, q[LANES_MAX] = {0};
    int pending = 0;
    for (int i = 0; i < n; i++) {
        const float *p = block_at(l, y, i, k);
        for (int at = 0; at < pixels; at++, p += lanes) {
            for (int c = 0; c < lanes; c++) {
                const float d = p[c] - first[c];
                s[c] += d;
                q[c] += d * d;
            }
            if (++pending == FLUSH_PIXELS || (at == pixels - 1 && i == n - 1)) {
                for (int c = 0; c < lanes; c++) {
                    total[c] += s[c];
                    squares[c] += q[c];
                    s[c] = q[c] = 0;
                }
                pending = 0;
            }
        }
    }
    const double count = (double)n * pixels;
    for (int c = 0; c < lanes; c++) {
        const double m = squares[c] - total[c] * total[c] / count;
        mean[c] = first[c] + total[c] / count;
        m2[c] = m > 0 ? m : 0;
    }
}

void mbt_stats_portable(const mbt_layout *l, int n, mbt_map y, double *mean, double *m2)
{
    for (int k = 0; k < block_count(l); k++) {
        const int c = k * l->block;
        if (l->block == 8) {
            block_moments(l, n, y, k, 8, mean + c, m2 + c);
        } else {
            block_moments(l, n, y, k, l->block, mean + c, m2 + c);
        }
    }
}
