/* The gradient through batch norm for blocks of 16 channels.
 * Roofline: two reads from memory, one write into cache, 3 operations an element. */
#include "kernels/avx512/vector.h"

struct coefficients {
    __m512 mean, c1, c2, c3;
};

INLINE void norm_block(const void *u, const struct sources *moved, const void *y, float *dy,
                       size_t floats, const struct coefficients *c, int u_bf16, int y_bf16)
{
    for (size_t at = 0; at < floats; at += 16) {
        ask_ahead(y, at, y_bf16);
        if (moved == NULL) {
            ask_ahead(u, at, u_bf16);
        }
        const __m512 d = _mm512_sub_ps(fetch(y, at, y_bf16), c->mean);
        const __m512 v = moved != NULL ? gather(moved, at, u_bf16) : fetch(u, at, u_bf16);
        _mm512_store_ps(dy + at, _mm512_fmadd_ps(c->c1, v, _mm512_fmadd_ps(c->c2, d, c->c3)));
    }
}

void mbt_norm_backward_avx512(const mbt_layout *l, int n, const mbt_norm_backward_args *args)
{
    const size_t floats = (size_t)l->h * (size_t)l->w * 16;
    const bool u_bf16 = args->u.storage == MBT_STORAGE_BF16;
    const bool y_bf16 = args->y.storage == MBT_STORAGE_BF16;
    for (int k = 0; k < block_count(l); k++) {
        const size_t at = (size_t)k * 16;
        const struct coefficients c = {
            _mm512_loadu_ps(args->mean + at), _mm512_loadu_ps(args->c1 + at),
            _mm512_loadu_ps(args->c2 + at), _mm512_loadu_ps(args->c3 + at)};
        for (int i = 0; i < n; i++) {
            const void *y = block_at(l, args->y, i, k);
            float *dy = block_at(l, args->dy, i, k);
            if (args->u_shuffle != NULL) {
                const struct sources moved =
                    sources_of(args->u_layout, args->u, i, &args->u_shuffle->blocks[k]);
                norm_block(NULL, &moved, y, dy, floats, &c, u_bf16, y_bf16);
                continue;
            }
            const void *u = block_at(l, args->u, i, k);
            if (u_bf16 && y_bf16) {
                norm_block(u, NULL, y, dy, floats, &c, 1, 1);
            } else if (!u_bf16 && !y_bf16) {
                norm_block(u, NULL, y, dy, floats, &c, 0, 0);
            } else {
                norm_block(u, NULL, y, dy, floats, &c, u_bf16, y_bf16);
            }
        }
    }
}
