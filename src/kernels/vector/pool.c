/* Global average pooling for blocks of a vector. */
#include "kernels/vector/vector.h"

void AT_LEVEL(mbt_pool)(const mbt_layout *l, int n, mbt_map in, mbt_map out)
{
    const mbt_layout small = pooled_layout(l);
    const size_t floats = (size_t)l->h * (size_t)l->w * LANES;
    const vec pixels = vec_all((float)(l->h * l->w));
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const float *p = block_at(l, in, i, k);
            vec s = vec_zero();
            for (size_t at = 0; at < floats; at += LANES) {
                s += vec_load(p + at);
            }
            vec_store(block_at(&small, out, i, k), s / pixels);
        }
    }
}

void AT_LEVEL(mbt_pool_backward)(const mbt_layout *l, int n, mbt_map dout, mbt_map din)
{
    const mbt_layout small = pooled_layout(l);
    const size_t floats = (size_t)l->h * (size_t)l->w * LANES;
    const vec pixels = vec_all((float)(l->h * l->w));
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const vec v = vec_load(block_at(&small, dout, i, k)) / pixels;
            float *p = block_at(l, din, i, k);
            for (size_t at = 0; at < floats; at += LANES) {
                vec_store(p + at, v);
            }
        }
    }
}
