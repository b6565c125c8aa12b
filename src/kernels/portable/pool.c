/* Global average pooling, in plain C for any block size. */
#include "kernels/passes.h"

enum { LANES_MAX = 16 };

void mbt_pool_portable(const mbt_layout *l, int n, mbt_map in, mbt_map out)
{
    const mbt_layout small = pooled_layout(l);
    const int pixels = l->h * l->w;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const float *p = block_at(l, in, i, k);
            float *to = block_at(&small, out, i, k);
            float s[LANES_MAX] = {0};
            for (int at = 0; at < pixels; at++, p += l->block) {
                for (int c = 0; c < l->block; c++) {
                    s[c] += p[c];
                }
            }
            for (int c = 0; c < l->block; c++) {
                to[c] = s[c] / (float)pixels;
            }
        }
    }
}

void mbt_pool_backward_portable(const mbt_layout *l, int n, mbt_map dout, mbt_map din)
{
    const mbt_layout small = pooled_layout(l);
    const int pixels = l->h * l->w;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const float *from = block_at(&small, dout, i, k);
            float *p = block_at(l, din, i, k);
            for (int at = 0; at < pixels; at++, p += l->block) {
                for (int c = 0; c < l->block; c++) {
                    p[c] = from[c] / (float)pixels;
                }
            }
        }
    }
}
