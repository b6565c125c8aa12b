/* Normalise, activate, add, shuffle, and the way back, for blocks of 16 channels.
 * Roofline: forward reads y (and r) from memory and writes z into cache; backward reads y and
 * writes u in memory, the rest is in cache. Shuffles are register permutes between the two. */
#include "kernels/avx512/vector.h"
#include "kernels/passes.h"

#define INLINE static inline __attribute__((always_inline))

enum { FLUSH_PIXELS = 256 };

/* One vector of a shuffled block at float offset `at`. */
struct sources {
    int n;
    const float *from[4];
    __mmask16 mask[4];
    __m512i lane[4];
};

static struct sources sources_of(const mbt_layout *l, mbt_map map, int image,
                                 const mbt_shuffle_block *move)
{
    struct sources s = {.n = move->n_from};
    for (int k = 0; k < move->n_from; k++) {
        s.from[k] = block_at(l, map, image, move->from[k]);
        s.mask[k] = (__mmask16)move->mask[k];
        s.lane[k] = _mm512_loadu_si512(move->lane[k]);
    }
    return s;
}

INLINE __m512 gather(const struct sources *s, size_t at)
{
    __m512 v = _mm512_setzero_ps();
    for (int k = 0; k < s->n; k++) {
        v = _mm512_mask_permutexvar_ps(v, s->mask[k], s->lane[k], _mm512_load_ps(s->from[k] + at));
    }
    return v;
}

static __m512 gather_channels(const mbt_shuffle_block *move, const float *from)
{
    __m512 v = _mm512_setzero_ps();
    for (int k = 0; k < move->n_from; k++) {
        v = _mm512_mask_permutexvar_ps(v, (__mmask16)move->mask[k],
                                       _mm512_loadu_si512(move->lane[k]),
                                       _mm512_loadu_ps(from + (size_t)move->from[k] * 16));
    }
    return v;
}

INLINE void apply_block(const float *y, const struct sources *moved, const float *r, float *z,
                        size_t floats, __m512 a, __m512 b, int relu6)
{
    const __m512 zero = _mm512_setzero_ps(), six = _mm512_set1_ps(6);
    for (size_t at = 0; at < floats; at += 16) {
        __m512 v = moved != NULL ? gather(moved, at) : _mm512_load_ps(y + at);
        v = _mm512_fmadd_ps(a, v, b);
        if (r != NULL) {
            v = _mm512_add_ps(v, _mm512_load_ps(r + at));
        }
        if (relu6) {
            v = _mm512_min_ps(six, _mm512_max_ps(zero, v)); /* this order passes NaN on */
        }
        _mm512_store_ps(z + at, v);
    }
}

void mbt_apply_avx512(const mbt_apply_desc *desc, int n, mbt_map y, const float *a, const float *b,
                      mbt_map residual, mbt_map z)
{
    const mbt_layout *source = &desc->source, *destination = &desc->destination;
    const size_t floats = (size_t)source->h * (size_t)source->w * 16;
    const bool straight = desc->forward->straight, relu6 = desc->act == MBT_ACT_RELU6;
    for (int k = 0; k < block_count(destination); k++) {
        const mbt_shuffle_block *move = &desc->forward->blocks[k];
        const __m512 va = gather_channels(move, a), vb = gather_channels(move, b);
        for (int i = 0; i < n; i++) {
            float *to = block_at(destination, z, i, k);
            const float *r = residual.data != NULL ? block_at(destination, residual, i, k) : NULL;
            if (straight) {
                const float *from = block_at(source, y, i, k);
                if (r != NULL) {
                    apply_block(from, NULL, r, to, floats, va, vb, relu6);
                } else {
                    apply_block(from, NULL, NULL, to, floats, va, vb, relu6);
                }
            } else {
                const struct sources moved = sources_of(source, y, i, move);
                apply_block(NULL, &moved, r, to, floats, va, vb, relu6);
            }
        }
    }
}

/* (dz + e) * act'(z) of one vector. */
INLINE __m512 masked(__m512 dz, const float *e, const float *z)
{
    if (e != NULL) {
        dz = _mm512_add_ps(dz, _mm512_load_ps(e));
    }
    if (z != NULL) {
        const __m512 v = _mm512_load_ps(z);
        const __mmask16 above = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ);
        dz = _mm512_maskz_mov_ps(_mm512_mask_cmp_ps_mask(above, v, _mm512_set1_ps(6), _CMP_LT_OQ),
                                 dz);
    }
    return dz;
}

/* What a source block's u is made of: in place, or gathered from destination blocks. */
struct inputs {
    const float *dz, *e, *z; /* straight */
    struct sources from_dz, from_e, from_z;
};

INLINE __m512 masked_moved(const struct inputs *in, size_t at, int with_e, int relu6)
{
    __m512 v = _mm512_setzero_ps();
    for (int k = 0; k < in->from_dz.n; k++) {
        const __m512 d =
            masked(_mm512_load_ps(in->from_dz.from[k] + at),
                   with_e ? in->from_e.from[k] + at : NULL, relu6 ? in->from_z.from[k] + at : NULL);
        v = _mm512_mask_permutexvar_ps(v, in->from_dz.mask[k], in->from_dz.lane[k], d);
    }
    return v;
}

/* Float sums in several registers: shorter chains of additions lose fewer bits, and wait less. */
enum { CHAINS = 4 };

struct sums {
    struct wide u, uy;
    __m512 s[CHAINS], q[CHAINS];
    int pending; /* pixels since the last flush into double */
};

static void flush_sums(struct sums *sums)
{
    for (int j = 0; j < CHAINS; j++) {
        wide_add(&sums->u, sums->s[j]);
        wide_add(&sums->uy, sums->q[j]);
        sums->s[j] = sums->q[j] = _mm512_setzero_ps();
    }
    sums->pending = 0;
}

INLINE void backward_block(const struct inputs *in, const float *y, float *u, size_t floats,
                           __m512 mean, struct sums *sums, int straight, int with_e, int relu6,
                           int stream)
{
    const size_t step = (size_t)FLUSH_PIXELS * 16;
    for (size_t at = 0; at < floats;) {
        const size_t end = floats - at < step ? floats : at + step;
        sums->pending += (int)((end - at) / 16);
        __m512 s[CHAINS], q[CHAINS];
        for (int j = 0; j < CHAINS; j++) {
            s[j] = sums->s[j];
            q[j] = sums->q[j];
        }
        while (at < end) {
            for (int j = 0; j < CHAINS && at < end; j++, at += 16) {
                const __m512 v = straight
                                     ? masked(_mm512_load_ps(in->dz + at),
                                              with_e ? in->e + at : NULL, relu6 ? in->z + at : NULL)
                                     : masked_moved(in, at, with_e, relu6);
                store(u + at, v, stream);
                s[j] = _mm512_add_ps(s[j], v);
                q[j] = _mm512_fmadd_ps(v, _mm512_sub_ps(_mm512_load_ps(y + at), mean), q[j]);
            }
        }
        for (int j = 0; j < CHAINS; j++) {
            sums->s[j] = s[j];
            sums->q[j] = q[j];
        }
        if (sums->pending >= FLUSH_PIXELS) {
            flush_sums(sums);
        }
    }
}

/* The flags are constants in each branch, so that the loop has none. */
static void backward_flags(const struct inputs *in, const float *y, float *u, size_t floats,
                           __m512 mean, struct sums *sums, bool straight, bool with_e, bool relu6,
                           bool stream)
{
    if (straight && relu6 && !with_e && stream) {
        backward_block(in, y, u, floats, mean, sums, 1, 0, 1, 1);
    } else if (straight && relu6 && !with_e) {
        backward_block(in, y, u, floats, mean, sums, 1, 0, 1, 0);
    } else if (straight && !relu6) {
        backward_block(in, y, u, floats, mean, sums, 1, with_e, 0, stream);
    } else {
        backward_block(in, y, u, floats, mean, sums, straight, with_e, relu6, stream);
    }
}

static void residual_gradient(const mbt_apply_desc *desc, int n,
                              const mbt_apply_backward_args *args)
{
    const mbt_layout *l = &desc->destination;
    const size_t floats = (size_t)l->h * (size_t)l->w * 16;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const float *dz = block_at(l, args->dz, i, k);
            const float *e = args->e.data != NULL ? block_at(l, args->e, i, k) : NULL;
            const float *z = desc->act == MBT_ACT_RELU6 ? block_at(l, args->z, i, k) : NULL;
            float *du = block_at(l, args->du, i, k);
            for (size_t at = 0; at < floats; at += 16) {
                _mm512_store_ps(du + at, masked(_mm512_load_ps(dz + at), e != NULL ? e + at : NULL,
                                                z != NULL ? z + at : NULL));
            }
        }
    }
}

void mbt_apply_backward_avx512(const mbt_apply_desc *desc, int n,
                               const mbt_apply_backward_args *args)
{
    const mbt_layout *source = &desc->source, *destination = &desc->destination;
    const size_t floats = (size_t)source->h * (size_t)source->w * 16;
    const bool straight = desc->backward->straight, relu6 = desc->act == MBT_ACT_RELU6;
    const bool with_e = args->e.data != NULL;
    for (int k = 0; k < block_count(source); k++) {
        const mbt_shuffle_block *move = &desc->backward->blocks[k];
        const __m512 mean = _mm512_loadu_ps(args->mean + (size_t)k * 16);
        struct sums sums = {.u = wide_zero(), .uy = wide_zero()};
        flush_sums(&sums); /* zeroes the chains */
        for (int i = 0; i < n; i++) {
            struct inputs in = {0};
            if (straight) {
                in.dz = block_at(destination, args->dz, i, k);
                in.e = with_e ? block_at(destination, args->e, i, k) : NULL;
                in.z = relu6 ? block_at(destination, args->z, i, k) : NULL;
            } else {
                in.from_dz = sources_of(destination, args->dz, i, move);
                if (with_e) {
                    in.from_e = sources_of(destination, args->e, i, move);
                }
                if (relu6) {
                    in.from_z = sources_of(destination, args->z, i, move);
                }
            }
            backward_flags(&in, block_at(source, args->y, i, k), block_at(source, args->u, i, k),
                           floats, mean, &sums, straight, with_e, relu6, args->stream);
        }
        flush_sums(&sums);
        wide_store(&sums.u, args->sum_u + (size_t)k * 16);
        wide_store(&sums.uy, args->sum_uy + (size_t)k * 16);
    }
    if (args->du.data != NULL) {
        residual_gradient(desc, n, args);
    }
    if (args->stream) {
        _mm_sfence();
    }
}
