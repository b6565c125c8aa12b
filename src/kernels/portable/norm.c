/* The gradient through batch norm, in plain C for any block size. */
#include "kernels/portable/pixels.h"

/* dy = c1*u + (c2*(y - mean) + c3) of n pixels; coefficients of block k. */
static void combine(const mbt_norm_backward_args *args, int k, int n, int lanes, const float *u,
                    const float *y, float *restrict dy)
{
    for (int c = 0; c < lanes; c += VECTOR) {
        const int at = k * lanes + c;
        const vector mean = load(args->mean + at), c1 = load(args->c1 + at);
        const vector c2 = load(args->c2 + at), c3 = load(args->c3 + at);
        for (int e = c; e < n * lanes; e += lanes) {
            *(vector *)(dy + e) = c1 * load(u + e) + (c2 * (load(y + e) - mean) + c3);
        }
    }
}

void mbt_norm_backward_portable(const mbt_layout *l, int n, const mbt_norm_backward_args *args)
{
    const int pixels = l->h * l->w;
    const mbt_layout *layout_u = args->u_shuffle != NULL ? args->u_layout : l;
    float buffer_u[CHUNK_FLOATS], buffer_y[CHUNK_FLOATS];
    float dy[CHUNK_FLOATS]; /* of its own: the map may be u's */
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const source from_u = source_moved(layout_u, args->u, i, args->u_shuffle, k);
            const source from_y = source_block(l, args->y, i, k);
            void *to = block_at(l, args->dy, i, k);
            for (int first = 0; first < pixels; first += CHUNK) {
                const int m = chunk_at(first, pixels);
                const float *u = pixels_read(&from_u, first, m, buffer_u);
                const float *y = pixels_read(&from_y, first, m, buffer_y);
                combine(args, k, m, l->block, u, y, dy);
                pixels_keep(to, l->block, first, m, args->dy.storage, dy);
            }
        }
    }
}
