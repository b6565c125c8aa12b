/* Normalise, activate, add, shuffle, and the way back, for blocks of 16 channels.
 * Roofline: forward reads y (and r) from memory and writes z into cache; backward reads y and
 * writes u in memory, the rest is in cache. Shuffles are register permutes between the two. */
#include "kernels/avx512/vector.h"

INLINE void apply_block(const void *y, const struct sources *moved, const float *r, float *z,
                        size_t floats, __m512 a, __m512 b, int relu6, int bf16)
{
    const __m512 zero = _mm512_setzero_ps(), six = _mm512_set1_ps(6);
    for (size_t at = 0; at < floats; at += 16) {
        if (moved == NULL) {
            ask_ahead(y, at, bf16);
        }
        __m512 v = moved != NULL ? gather(moved, at, bf16) : fetch(y, at, bf16);
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

/* The flags are constants in each branch, so that the loop has none. */
static void apply_flags(const void *y, const struct sources *moved, const float *r, float *z,
                        size_t floats, __m512 a, __m512 b, bool relu6, bool bf16)
{
    if (moved == NULL && r == NULL && relu6 && bf16) {
        apply_block(y, NULL, NULL, z, floats, a, b, 1, 1);
    } else if (moved == NULL && r == NULL && relu6) {
        apply_block(y, NULL, NULL, z, floats, a, b, 1, 0);
    } else if (moved == NULL && !relu6) {
        apply_block(y, NULL, r, z, floats, a, b, 0, bf16);
    } else {
        apply_block(y, moved, r, z, floats, a, b, relu6, bf16);
    }
}

void mbt_apply_avx512(const mbt_apply_desc *desc, int n, mbt_map y, const float *a, const float *b,
                      mbt_map residual, mbt_map z)
{
    const mbt_layout *source = &desc->source, *destination = &desc->destination;
    const size_t floats = (size_t)source->h * (size_t)source->w * 16;
    const bool straight = desc->forward->straight, relu6 = desc->act == MBT_ACT_RELU6;
    const bool bf16 = y.storage == MBT_STORAGE_BF16;
    for (int k = 0; k < block_count(destination); k++) {
        const mbt_shuffle_block *move = &desc->forward->blocks[k];
        const __m512 va = gather_channels(move, a), vb = gather_channels(move, b);
        for (int i = 0; i < n; i++) {
            float *to = block_at(destination, z, i, k);
            const float *r = residual.data != NULL ? block_at(destination, residual, i, k) : NULL;
            if (straight) {
                apply_flags(block_at(source, y, i, k), NULL, r, to, floats, va, vb, relu6, bf16);
            } else {
                const struct sources moved = sources_of(source, y, i, move);
                apply_flags(NULL, &moved, r, to, floats, va, vb, relu6, bf16);
            }
        }
    }
}

/* (dz + e) * act'(z) of one vector of a destination block. */
struct block_in {
    const float *dz, *z; /* z NULL: no activation */
    const void *e;       /* NULL: none */
    int e_bf16;
};

INLINE __m512 masked(const struct block_in *in, size_t at, int with_e, int relu6)
{
    __m512 dz = _mm512_load_ps(in->dz + at);
    if (with_e) {
        dz = _mm512_add_ps(dz, fetch(in->e, at, in->e_bf16));
    }
    if (relu6) {
        const __m512 v = _mm512_load_ps(in->z + at);
        const __mmask16 above = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ);
        dz = _mm512_maskz_mov_ps(_mm512_mask_cmp_ps_mask(above, v, _mm512_set1_ps(6), _CMP_LT_OQ),
                                 dz);
    }
    return dz;
}

/* What a source block's u is made of: one destination block, or lanes of several. */
struct inputs {
    struct block_in block[4];
    struct sources moved; /* n, masks and lanes */
};

INLINE __m512 masked_moved(const struct inputs *in, size_t at, int with_e, int relu6)
{
    __m512 v = _mm512_setzero_ps();
    for (int k = 0; k < in->moved.n; k++) {
        v = _mm512_mask_permutexvar_ps(v, in->moved.mask[k], in->moved.lane[k],
                                       masked(&in->block[k], at, with_e, relu6));
    }
    return v;
}

enum { CHAINS = 4 };

/* At most FLUSH_PIXELS pixels from `at` on. */
INLINE void backward_run(const struct inputs *in, const void *y, void *u, size_t at, size_t end,
                         __m512 mean, struct sums *sums, int straight, int with_e, int relu6,
                         int bf16, int stream)
{
    const int pixels = (int)((end - at) / 16);
    __m512 s[CHAINS], q[CHAINS];
    for (int j = 0; j < CHAINS; j++) {
        s[j] = q[j] = _mm512_setzero_ps();
    }
    while (at < end) {
        for (int j = 0; j < CHAINS && at < end; j++, at += 16) {
            __m512 v = straight ? masked(&in->block[0], at, with_e, relu6)
                                : masked_moved(in, at, with_e, relu6);
            v = keep(u, at, v, bf16 & 1, stream);
            s[j] = _mm512_add_ps(s[j], v);
            q[j] = _mm512_fmadd_ps(v, _mm512_sub_ps(fetch(y, at, bf16 >> 1), mean), q[j]);
        }
    }
    sums_add(sums, _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])),
             _mm512_add_ps(_mm512_add_ps(q[0], q[1]), _mm512_add_ps(q[2], q[3])), pixels);
}

INLINE void backward_block(const struct inputs *in, const void *y, void *u, size_t floats,
                           __m512 mean, struct sums *sums, int straight, int with_e, int relu6,
                           int bf16, int stream)
{
    const size_t step = (size_t)FLUSH_PIXELS * 16;
    for (size_t at = 0; at < floats; at += step) {
        backward_run(in, y, u, at, floats - at < step ? floats : at + step, mean, sums, straight,
                     with_e, relu6, bf16, stream);
    }
}

/* bf16: 1 for u, 2 for y. The flags are constants in each branch, so that the loop has none. */
static void backward_flags(const struct inputs *in, const void *y, void *u, size_t floats,
                           __m512 mean, struct sums *sums, bool straight, bool with_e, bool relu6,
                           int bf16, bool stream)
{
    if (straight && relu6 && !with_e && bf16 == 3) {
        if (stream) {
            backward_block(in, y, u, floats, mean, sums, 1, 0, 1, 3, 1);
        } else {
            backward_block(in, y, u, floats, mean, sums, 1, 0, 1, 3, 0);
        }
    } else if (straight && relu6 && !with_e && bf16 == 0) {
        backward_block(in, y, u, floats, mean, sums, 1, 0, 1, 0, stream);
    } else if (straight && !relu6) {
        backward_block(in, y, u, floats, mean, sums, 1, with_e, 0, bf16, stream);
    } else {
        backward_block(in, y, u, floats, mean, sums, straight, with_e, relu6, bf16, stream);
    }
}

static struct block_in block_in_of(const mbt_apply_desc *desc, const mbt_apply_backward_args *args,
                                   int image, int k)
{
    const mbt_layout *l = &desc->destination;
    return (struct block_in){
        .dz = block_at(l, args->dz, image, k),
        .z = desc->act == MBT_ACT_RELU6 ? block_at(l, args->z, image, k) : NULL,
        .e = args->e.data != NULL ? block_at(l, args->e, image, k) : NULL,
        .e_bf16 = args->e.storage == MBT_STORAGE_BF16,
    };
}

static void residual_gradient(const mbt_apply_desc *desc, int n,
                              const mbt_apply_backward_args *args)
{
    const mbt_layout *l = &desc->destination;
    const size_t floats = (size_t)l->h * (size_t)l->w * 16;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(l); k++) {
            const struct block_in in = block_in_of(desc, args, i, k);
            void *du = block_at(l, args->du, i, k);
            for (size_t at = 0; at < floats; at += 16) {
                (void)keep(du, at, masked(&in, at, in.e != NULL, in.z != NULL),
                           args->du.storage == MBT_STORAGE_BF16, 0);
            }
        }
    }
}

void mbt_apply_backward_avx512(const mbt_apply_desc *desc, int n,
                               const mbt_apply_backward_args *args)
{
    const mbt_layout *source = &desc->source;
    const size_t floats = (size_t)source->h * (size_t)source->w * 16;
    const bool straight = desc->backward->straight;
    const int bf16 = (args->u.storage == MBT_STORAGE_BF16) | (args->y.storage == MBT_STORAGE_BF16)
                                                                 << 1;
    for (int k = 0; k < block_count(source); k++) {
        const mbt_shuffle_block *move = &desc->backward->blocks[k];
        const __m512 mean = _mm512_loadu_ps(args->mean + (size_t)k * 16);
        struct sums sums = sums_zero();
        for (int i = 0; i < n; i++) {
            struct inputs in = {.moved = sources_of(&desc->destination, args->dz, i, move)};
            for (int m = 0; m < move->n_from; m++) {
                in.block[m] = block_in_of(desc, args, i, straight ? k : move->from[m]);
            }
            backward_flags(&in, block_at(source, args->y, i, k), block_at(source, args->u, i, k),
                           floats, mean, &sums, straight, args->e.data != NULL,
                           desc->act == MBT_ACT_RELU6, bf16, args->stream);
        }
        sums_flush(&sums);
        wide_store(&sums.first, args->sum_u + (size_t)k * 16);
        wide_store(&sums.second, args->sum_uy + (size_t)k * 16);
    }
    if (args->du.data != NULL) {
        residual_gradient(desc, n, args);
    }
    if (args->stream) {
        _mm_sfence();
    }
}
