/* The gradient through batch norm, in plain C for any block size. */
#include "kernels/passes.h"

static inline void block_norm(const float *u, const float *y, float *dy, int pixels, int lanes,
                              const float *mean, const float *c1, const float *c2, const float *c3)
{
    for (int at = 0; at < pixels * lanes; at += lanes) {
        for (int c = 0; c < lanes; c++) {
            dy[at + c] = c1[c] * u[at + c] + (c2[c] * (y[at + c] - mean[c]) + c3[c]);
        }
    }
}

void mbt_norm_backward_portable(const mbt_layout *l, int n, const mbt_norm_backward_args *args)
{
    const int pixels = l->h * l->w;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const int c = k * l->block;
            block_norm(block_at(l, args->u, i, k), block_at(l, args->y, i, k),
                       block_at(l, args->dy, i, k), pixels, l->block, args->mean + c, args->c1 + c,
                       args->c2 + c, args->c3 + c);
        }
    }
}
