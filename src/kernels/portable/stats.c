/* Batch-norm statistics, in plain C for any block size. */
#include "kernels/portable/pixels.h"

/* Adds the sums of v - about and of its square over n pixels. */
static void add_moments(int n, int lanes, const float *v, const float *about, double *total,
                        double *squares)
{
    for (int c = 0; c < lanes; c += VECTOR) {
        const vector first = load(about + c);
        sums chains[CHAINS] = {0};
        int e = c;
        for (int p = 0; p < n / CHAINS; p++) {
            for (int k = 0; k < CHAINS; k++, e += lanes) {
                const vector d = load(v + e) - first;
                sums_add(&chains[k], d, d * d);
            }
        }
        for (; e < n * lanes; e += lanes) {
            const vector d = load(v + e) - first;
            sums_add(&chains[0], d, d * d);
        }
        sums_end(chains, total + c, squares + c);
    }
}

/* Float sums about the block's first pixel, chunk by chunk moved into double. */
static void block_moments(const mbt_layout *l, int n, const mbt_stats_args *args, int k)
{
    const int lanes = l->block, pixels = l->h * l->w;
    const bool moves = args->kept.data != NULL;
    double total[LANES_MAX] = {0}, squares[LANES_MAX] = {0};
    float about[LANES_MAX], buffer[CHUNK_FLOATS];
    memcpy(about, block_at(l, args->y, 0, k), (size_t)lanes * sizeof *about);
    for (int i = 0; i < n; i++) {
        const float *y = block_at(l, args->y, i, k);
        void *kept = moves ? block_at(l, args->kept, i, k) : NULL;
        for (int first = 0; first < pixels; first += CHUNK) {
            const int m = chunk_at(first, pixels);
            const float *v = y + (size_t)(first * lanes);
            if (moves) {
                memcpy(buffer, v, (size_t)(m * lanes) * sizeof *buffer);
                pixels_keep(kept, lanes, first, m, args->kept.storage, buffer);
                v = buffer;
            }
            add_moments(m, lanes, v, about, total, squares);
        }
    }
    const double count = (double)n * pixels;
    for (int c = 0; c < lanes; c++) {
        const double m = squares[c] - total[c] * total[c] / count;
        args->mean[k * lanes + c] = about[c] + total[c] / count;
        args->m2[k * lanes + c] = m > 0 ? m : 0;
    }
}

void mbt_stats_portable(const mbt_layout *l, int n, const mbt_stats_args *args)
{
    for (int k = 0; k < block_count(l); k++) {
        block_moments(l, n, args, k);
    }
}
