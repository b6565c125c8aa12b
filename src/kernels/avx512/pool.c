/* Global average pooling for blocks of 16 channels. */
#include "kernels/avx512/vector.h"
#include "kernels/passes.h"

void mbt_pool_avx512(const mbt_layout *l, int n, mbt_map in, mbt_map out)
{
    const mbt_layout small = pooled_layout(l);
    const size_t floats = (size_t)l->h * (size_t)l->w * 16;
    const __m512 pixels = _mm512_set1_ps((float)(l->h * l->w));
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const float *p = block_at(l, in, i, k);
            __m512 s = _mm512_setzero_ps();
            for (size_t at = 0; at < floats; at += 16) {
                s = _mm512_add_ps(s, _mm512_load_ps(p + at));
            }
            _mm512_store_ps(block_at(&small, out, i, k), _mm512_div_ps(s, pixels));
        }
    }
}

void mbt_pool_backward_avx512(const mbt_layout *l, int n, mbt_map dout, mbt_map din)
{
    const mbt_layout small = pooled_layout(l);
    const size_t floats = (size_t)l->h * (size_t)l->w * 16;
    const __m512 pixels = _mm512_set1_ps((float)(l->h * l->w));
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const __m512 v = _mm512_div_ps(_mm512_load_ps(block_at(&small, dout, i, k)), pixels);
            float *p = block_at(l, din, i, k);
            for (size_t at = 0; at < floats; at += 16) {
                _mm512_store_ps(p + at, v);
            }
        }
    }
}
