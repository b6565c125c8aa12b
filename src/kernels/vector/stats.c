/* Batch-norm statistics for blocks of a vector.
 * Roofline: one read of a tile that is hot in L2, one write to memory when it is kept elsewhere; 3
 * operations an element. */
#include "kernels/vector/vector.h"

void AT_LEVEL(mbt_moments)(struct sums *sums, vec about, double count, double *mean, double *m2)
{
    double t[LANES], q[LANES];
    float f[LANES];
    sums_flush(sums);
    wide_store(&sums->first, t);
    wide_store(&sums->second, q);
    vec_store_any(f, about);
    for (int c = 0; c < LANES; c++) {
        const double m = q[c] - t[c] * t[c] / count;
        mean[c] = f[c] + t[c] / count;
        m2[c] = m > 0 ? m : 0;
    }
}

/* A row of at most FLUSH_PIXELS pixels, four chains of additions at a time. */
INLINE void row_moments(const float *y, void *kept, size_t from, size_t to, vec about,
                        struct sums *sums, int moves, int bf16, int stream)
{
    vec s[4], q[4];
    size_t at = from;
    for (int j = 0; j < 4; j++) {
        s[j] = q[j] = vec_zero();
    }
    for (; at + 3 * LANES < to; at += (size_t)4 * LANES) {
        for (int j = 0; j < 4; j++) {
            vec v = vec_load(y + at + (size_t)j * LANES);
            v = moves ? keep(kept, at + (size_t)j * LANES, v, bf16, stream) : v;
            v -= about;
            s[j] += v;
            q[j] = vec_fma(v, v, q[j]);
        }
    }
    for (; at < to; at += LANES) {
        vec v = vec_load(y + at);
        v = moves ? keep(kept, at, v, bf16, stream) : v;
        v -= about;
        s[0] += v;
        q[0] = vec_fma(v, v, q[0]);
    }
    sums_add(sums, (s[0] + s[1]) + (s[2] + s[3]), (q[0] + q[1]) + (q[2] + q[3]),
             (int)((to - from) / LANES));
}

INLINE void block_moments(const mbt_layout *l, int n, const mbt_stats_args *args,
                          const struct blocks *from, const struct blocks *to, int k, int moves,
                          int bf16, int stream)
{
    const size_t floats = (size_t)l->h * (size_t)l->w * LANES, step = (size_t)FLUSH_PIXELS * LANES;
    const unsigned char *y = block_first(from, k);
    unsigned char *kept = moves ? block_first(to, k) : NULL;
    const vec about = vec_load((const float *)y);
    struct sums sums = sums_zero();
    for (int i = 0; i < n; i++) {
        for (size_t at = 0; at < floats; at += step) {
            row_moments((const float *)y, kept, at, at + step < floats ? at + step : floats, about,
                        &sums, moves, bf16, stream);
        }
        y += from->image;
        kept = moves ? kept + to->image : NULL;
    }
    AT_LEVEL(mbt_moments)
    (&sums, about, (double)n * l->h * l->w, args->mean + (size_t)k * LANES,
     args->m2 + (size_t)k * LANES);
}

void AT_LEVEL(mbt_stats)(const mbt_layout *l, int n, const mbt_stats_args *args)
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
