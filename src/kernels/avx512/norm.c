/* The gradient through batch norm for blocks of 16 channels.
 * Roofline: two reads from memory, one write into cache, 3 operations an element. */
#include "kernels/avx512/vector.h"
#include "kernels/passes.h"

void mbt_norm_backward_avx512(const mbt_layout *l, int n, const mbt_norm_backward_args *args)
{
    const int pixels = l->h * l->w;
    for (int k = 0; k < block_count(l); k++) {
        const size_t c = (size_t)k * 16;
        const __m512 mean = _mm512_loadu_ps(args->mean + c), c1 = _mm512_loadu_ps(args->c1 + c);
        const __m512 c2 = _mm512_loadu_ps(args->c2 + c), c3 = _mm512_loadu_ps(args->c3 + c);
        for (int i = 0; i < n; i++) {
            const float *u = block_at(l, args->u, i, k), *y = block_at(l, args->y, i, k);
            float *dy = block_at(l, args->dy, i, k);
            for (size_t at = 0; at < (size_t)pixels * 16; at += 16) {
                const __m512 d = _mm512_sub_ps(_mm512_load_ps(y + at), mean);
                _mm512_store_ps(dy + at, _mm512_fmadd_ps(c1, _mm512_load_ps(u + at),
                                                         _mm512_fmadd_ps(c2, d, c3)));
            }
        }
    }
}
