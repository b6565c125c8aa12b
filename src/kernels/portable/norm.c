/* The gradient through batch norm, in plain C for any block size. */
#include "kernels/portable/element.h"

enum { LANES_MAX = 16 };

/* A pixel's u, from the block of the same number or moved. */
static inline void fetch_u(const mbt_norm_backward_args *args, const mbt_layout *l, int image,
                           int k, size_t at, float *u)
{
    const int lanes = l->block;
    if (args->u_shuffle == NULL) {
        const void *block = block_at(l, args->u, image, k);
        for (int c = 0; c < lanes; c++) {
            u[c] = element(block, at + (size_t)c, args->u.storage);
        }
        return;
    }
    gather_pixel(args->u_layout, args->u, image, &args->u_shuffle->blocks[k], at, u);
}

void mbt_norm_backward_portable(const mbt_layout *l, int n, const mbt_norm_backward_args *args)
{
    const int lanes = l->block;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const void *y = block_at(l, args->y, i, k);
            float *dy = block_at(l, args->dy, i, k), u[LANES_MAX];
            const float *mean = args->mean + k * lanes, *c1 = args->c1 + k * lanes;
            const float *c2 = args->c2 + k * lanes, *c3 = args->c3 + k * lanes;
            for (size_t at = 0; at < (size_t)(l->h * l->w * lanes); at += (size_t)lanes) {
                fetch_u(args, l, i, k, at, u);
                for (int c = 0; c < lanes; c++) {
                    const float d = element(y, at + (size_t)c, args->y.storage) - mean[c];
                    dy[at + (size_t)c] = c1[c] * u[c] + (c2[c] * d + c3[c]);
                }
            }
        }
    }
}
