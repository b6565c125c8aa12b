/* Batch-norm statistics for blocks of 16 channels.
 * Roofline: one read of a tile that is hot in L2, one write to memory when it is kept elsewhere; 3
 * operations an element. */
#include "kernels/avx512/vector.h"

void mbt_moments_avx512(struct sums *sums, __m512 about, double count, double *mean, double *m2)
{
    double t[16], q[16];
    float f[16];
    sums_flush(sums);
    wide_store(&sums->first, t);
    wide_store(&sums->second, q);
    _mm512_storeu_ps(f, about);
    for (int c = 0; c < 16; c++) {
        const double m = q[c] - t[c] * t[c] / count;
        mean[c] = f[c] + t[c] / count;
        m2[c] = m > 0 ? m : 0;
    }
}

/* A row of at most FLUSH_PIXELS pixels, four chains of additions at a time. */
INLINE void row_moments(const float *y, void *kept, size_t from, size_t to, __m512 about,
                        struct sums *sums, int moves, int bf16, int stream)
{
    __m512 s[4], q[4];
    size_t at = from;
    for (int j = 0; j < 4; j++) {
        s[j] = q[j] = _mm512_setzero_ps();
    }
    for (; at + 48 < to; at += 64) {
        for (int j = 0; j < 4; j++) {
            __m512 v = _mm512_load_ps(y + at + (size_t)j * 16);
            v = moves ? keep(kept, at + (size_t)j * 16, v, bf16, stream) : v;
            v = _mm512_sub_ps(v, about);
            s[j] = _mm512_add_ps(s[j], v);
            q[j] = _mm512_fmadd_ps(v, v, q[j]);
        }
    }
    for (; at < to; at += 16) {
        __m512 v = _mm512_load_ps(y + at);
        v = moves ? keep(kept, at, v, bf16, stream) : v;
        v = _mm512_sub_ps(v, about);
        s[0] = _mm512_add_ps(s[0], v);
        q[0] = _mm512_fmadd_ps(v, v, q[0]);
    }
    sums_add(sums, _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])),
             _mm512_add_ps(_mm512_add_ps(q[0], q[1]), _mm512_add_ps(q[2], q[3])),
             (int)((to - from) / 16));
}

INLINE void block_moments(const mbt_layout *l, int n, const mbt_stats_args *args,
                          const struct blocks *from, const struct blocks *to, int k, int moves,
                          int bf16, int stream)
{
    const size_t floats = (size_t)l->h * (size_t)l->w * 16, step = (size_t)FLUSH_PIXELS * 16;
    const unsigned char *y = block_first(from, k);
    unsigned char *kept = moves ? block_first(to, k) : NULL;
    const __m512 about = _mm512_load_ps(y);
    struct sums sums = sums_zero();
    for (int i = 0; i < n; i++) {
        for (size_t at = 0; at < floats; at += step) {
            row_moments((const float *)y, kept, at, at + step < floats ? at + step : floats, about,
                        &sums, moves, bf16, stream);
        }
        y += from->image;
        kept = moves ? kept + to->image : NULL;
    }
    mbt_moments_avx512(&sums, about, (double)n * l->h * l->w, args->mean + (size_t)k * 16,
                       args->m2 + (size_t)k * 16);
}

void mbt_stats_avx512(const mbt_layout *l, int n, const mbt_stats_args *args)
{
    const bool bf16 = args->kept.storage == MBT_STORAGE_BF16;
    const struct blocks y = blocks_of(l, args->y), kept = blocks_of(l, args->kept);
    for (int k = 0; k < block_count(l); k++) {
        if (args->kept.data == NULL) {
            block_moments(l, n, args, &y, &kept, k, 0, 0, 0);
        } else if (bf16 && args->stream) {
            block_moments(l, n, args, &y, &kept, k, 1, 1, 1);
        } else if (bf16) {
            block_moments(l, n, args, &y, &kept, k, 1, 1, 0);
        } else {
            block_moments(l, n, args, &y, &kept, k, 1, 0, args->stream);
        }
    }
    if (args->stream) {
        _mm_sfence();
    }
}
