/* Batch-norm statistics for blocks of 16 channels.
 * Roofline: one read of the map, 3 operations an element; hot in L2 when run after its tile. */
#include "kernels/avx512/vector.h"
#include "kernels/passes.h"

enum { FLUSH_PIXELS = 256 };

static void block_moments(const mbt_layout *l, int n, mbt_map y, int k, double *mean, double *m2)
{
    const int pixels = l->h * l->w;
    const __m512 first = _mm512_load_ps(block_at(l, y, 0, k));
    struct wide total = wide_zero(), squares = wide_zero();
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, q0 = s0, q1 = s0;
    int pending = 0;
    for (int i = 0; i < n; i++) {
        const float *p = block_at(l, y, i, k);
        int at = 0;
        while (at < pixels) {
            const int end = at + (pixels - at < FLUSH_PIXELS ? pixels - at : FLUSH_PIXELS);
            pending += end - at;
            for (; at + 1 < end; at += 2) {
                const __m512 d0 = _mm512_sub_ps(_mm512_load_ps(p + (size_t)at * 16), first);
                const __m512 d1 = _mm512_sub_ps(_mm512_load_ps(p + (size_t)at * 16 + 16), first);
                s0 = _mm512_add_ps(s0, d0);
                s1 = _mm512_add_ps(s1, d1);
                q0 = _mm512_fmadd_ps(d0, d0, q0);
                q1 = _mm512_fmadd_ps(d1, d1, q1);
            }
            if (at < end) {
                const __m512 d0 = _mm512_sub_ps(_mm512_load_ps(p + (size_t)at * 16), first);
                s0 = _mm512_add_ps(s0, d0);
                q0 = _mm512_fmadd_ps(d0, d0, q0);
                at++;
            }
            if (pending >= FLUSH_PIXELS) {
                wide_add(&total, _mm512_add_ps(s0, s1));
                wide_add(&squares, _mm512_add_ps(q0, q1));
                s0 = s1 = q0 = q1 = _mm512_setzero_ps();
                pending = 0;
            }
        }
    }
    wide_add(&total, _mm512_add_ps(s0, s1));
    wide_add(&squares, _mm512_add_ps(q0, q1));

    double t[16], q[16];
    float f[16];
    wide_store(&total, t);
    wide_store(&squares, q);
    _mm512_storeu_ps(f, first);
    const double count = (double)n * pixels;
    for (int c = 0; c < 16; c++) {
        const double m = q[c] - t[c] * t[c] / count;
        mean[c] = f[c] + t[c] / count;
        m2[c] = m > 0 ? m : 0;
    }
}

void mbt_stats_avx512(const mbt_layout *l, int n, mbt_map y, double *mean, double *m2)
{
    for (int k = 0; k < block_count(l); k++) {
        block_moments(l, n, y, k, mean + (size_t)k * 16, m2 + (size_t)k * 16);
    }
}
