/* Batch-norm statistics, in plain C for any block size. */
#include "kernels/portable/element.h"

enum { LANES_MAX = 16, FLUSH_PIXELS = 64 };

/* float sums about the block's first pixel, moved into double every FLUSH_PIXELS pixels. */
static inline void block_moments(const mbt_layout *l, int n, const mbt_stats_args *args, int k,
                                 int lanes)
{
    const int pixels = l->h * l->w;
    const float *first = block_at(l, args->y, 0, k);
    const bool moves = args->kept.data != NULL;
    double total[LANES_MAX] = {0}, squares[LANES_MAX] = {0};
    float s[LANES_MAX] = {0}, q[LANES_MAX] = {0};
    int pending = 0;
    for (int i = 0; i < n; i++) {
        const float *y = block_at(l, args->y, i, k);
        void *kept = moves ? block_at(l, args->kept, i, k) : NULL;
        for (int at = 0; at < pixels; at++) {
            for (int c = 0; c < lanes; c++) {
                const size_t e = (size_t)(at * lanes + c);
                const float v = moves ? element_keep(kept, e, y[e], args->kept.storage) : y[e];
                const float d = v - first[c];
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
        args->mean[k * lanes + c] = first[c] + total[c] / count;
        args->m2[k * lanes + c] = m > 0 ? m : 0;
    }
}

void mbt_stats_portable(const mbt_layout *l, int n, const mbt_stats_args *args)
{
    for (int k = 0; k < block_count(l); k++) {
        if (l->block == 8) {
            block_moments(l, n, args, k, 8);
        } else {
            block_moments(l, n, args, k, l->block);
        }
    }
}
