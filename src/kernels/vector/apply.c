/* Normalise, activate, add, shuffle, and the way back, for blocks of a vector.
 * Roofline: forward reads y (and r) from memory and writes z into cache; backward reads y and
 * writes u in memory, the rest is in cache. Shuffles are register permutes between the two. */
#include "kernels/vector/vector.h"

/* Which of the maps of a call are bf16. */
enum { Y_BF16 = 1, Z_BF16 = 2, R_BF16 = 4 };

/* moves: sources_count. */
INLINE void apply_block(const struct sources *y, const void *r, void *z, size_t floats, vec a,
                        vec b, vec high, int moves, int clips, int bf16)
{
    const vec zero = vec_zero();
    for (size_t at = 0; at < floats; at += LANES) {
        if (moves == 0) {
            ask_ahead(y->from[0], at, bf16 & Y_BF16);
        }
        vec v =
            moves > 0 ? gather(y, at, moves, bf16 & Y_BF16) : fetch(y->from[0], at, bf16 & Y_BF16);
        v = vec_fma(a, v, b);
        if (r != NULL) {
            v += fetch(r, at, bf16 & R_BF16);
        }
        if (clips) {
            v = vec_min(high, vec_max(zero, v)); /* this order passes NaN on */
        }
        (void)keep(z, at, v, bf16 & Z_BF16, 0);
    }
}

/* The flags are constants in each branch, so that the loop has none. */
static void apply_flags(const struct sources *y, const void *r, void *z, size_t floats, vec a,
                        vec b, vec high, int moves, bool clips, int bf16)
{
    if (moves == 0 && r == NULL && clips && bf16 == (Y_BF16 | Z_BF16)) {
        apply_block(y, NULL, z, floats, a, b, high, 0, 1, Y_BF16 | Z_BF16);
    } else if (moves == 0 && r == NULL && clips && bf16 == Y_BF16) {
        apply_block(y, NULL, z, floats, a, b, high, 0, 1, Y_BF16);
    } else if (moves == 0 && r == NULL && clips && bf16 == 0) {
        apply_block(y, NULL, z, floats, a, b, high, 0, 1, 0);
    } else if (moves == 0 && !clips) {
        apply_block(y, r, z, floats, a, b, high, 0, 0, bf16);
    } else if (moves == 2) {
        apply_block(y, r, z, floats, a, b, high, 2, clips, bf16);
    } else {
        apply_block(y, r, z, floats, a, b, high, moves, clips, bf16);
    }
}

void AT_LEVEL(mbt_apply)(const mbt_apply_desc *desc, int n, mbt_map y, const float *a,
                         const float *b, mbt_map residual, mbt_map z)
{
    const mbt_layout *destination = &desc->destination;
    const struct blocks from = blocks_of(&desc->source, y), to = blocks_of(destination, z);
    const struct blocks added = blocks_of(destination, residual);
    const size_t floats = (size_t)destination->h * (size_t)destination->w * LANES;
    const bool clips = desc->act != MBT_ACT_NONE;
    const int bf16 = (y.storage == MBT_STORAGE_BF16 ? Y_BF16 : 0) |
                     (z.storage == MBT_STORAGE_BF16 ? Z_BF16 : 0) |
                     (residual.storage == MBT_STORAGE_BF16 ? R_BF16 : 0);
    const vec high = vec_all(activation_high(desc->act));
    for (int k = 0; k < block_count(destination); k++) {
        const mbt_shuffle_block *move = &desc->forward->blocks[k];
        const vec va = gather_channels(move, a), vb = gather_channels(move, b);
        const int moves = sources_count(desc->forward, k);
        struct sources source = sources_of(&from, move);
        const unsigned char *r = residual.data != NULL ? block_first(&added, k) : NULL;
        unsigned char *out = block_first(&to, k);
        for (int i = 0; i < n; i++) {
            apply_flags(&source, r, out, floats, va, vb, high, moves, clips, bf16);
            sources_next(&source);
            out += to.image;
            r = r != NULL ? r + added.image : NULL;
        }
    }
}

/* Whether there is an activation, and what z is kept in. */
enum { NO_CLIP, CLIP, CLIP_BF16 };

/* (dz + e) * act'(z) of one vector of a destination block. */
struct block_in {
    const float *dz;
    const void *z, *e; /* NULL: no activation, none */
    int e_bf16;
    vec high; /* bound of the activation */
};

INLINE vec masked(const struct block_in *in, size_t at, int with_e, int clips)
{
    vec dz = vec_load(in->dz + at);
    if (with_e) {
        dz += fetch(in->e, at, in->e_bf16);
    }
    if (clips) {
        const vec v = fetch(in->z, at, clips == CLIP_BF16);
        dz = vec_between(v, vec_zero(), in->high, dz);
    }
    return dz;
}

/* What a source block's u is made of: one destination block, or lanes of several. */
struct inputs {
    struct block_in block[MBT_BLOCK_MAX];
    struct sources moved; /* masks and lanes */
};

INLINE vec masked_moved(const struct inputs *in, size_t at, int moves, int with_e, int clips)
{
    vec v = vec_zero();
    for (int k = 0; k < moves; k++) {
        v = vec_merge(v, in->moved.mask[k], in->moved.lane[k],
                      masked(&in->block[k], at, with_e, clips));
    }
    return v;
}

enum { CHAINS = 4 };

/* At most FLUSH_PIXELS pixels from `at` on. */
INLINE void backward_run(const struct inputs *in, const void *y, void *u, size_t at, size_t end,
                         vec mean, struct sums *sums, int moves, int with_e, int clips, int bf16,
                         int stream)
{
    const int pixels = (int)((end - at) / LANES);
    vec s[CHAINS], q[CHAINS];
    for (int j = 0; j < CHAINS; j++) {
        s[j] = q[j] = vec_zero();
    }
    while (at < end) {
        for (int j = 0; j < CHAINS && at < end; j++, at += LANES) {
            vec v = moves == 0 ? masked(&in->block[0], at, with_e, clips)
                               : masked_moved(in, at, moves, with_e, clips);
            v = keep(u, at, v, bf16 & 1, stream);
            s[j] += v;
            q[j] = vec_fma(v, fetch(y, at, bf16 >> 1) - mean, q[j]);
        }
    }
    sums_add(sums, (s[0] + s[1]) + (s[2] + s[3]), (q[0] + q[1]) + (q[2] + q[3]), pixels);
}

INLINE void backward_block(const struct inputs *in, const void *y, void *u, size_t floats, vec mean,
                           struct sums *sums, int moves, int with_e, int clips, int bf16,
                           int stream)
{
    const size_t step = (size_t)FLUSH_PIXELS * LANES;
    for (size_t at = 0; at < floats; at += step) {
        backward_run(in, y, u, at, floats - at < step ? floats : at + step, mean, sums, moves,
                     with_e, clips, bf16, stream);
    }
}

/* bf16: 1 for u, 2 for y. The flags are constants in each branch, so that the loop has none. */
static void backward_flags(const struct inputs *in, const void *y, void *u, size_t floats, vec mean,
                           struct sums *sums, int moves, bool with_e, int clips, int bf16,
                           bool stream)
{
    if (moves == 0 && clips == CLIP_BF16 && !with_e && bf16 == 3) {
        if (stream) {
            backward_block(in, y, u, floats, mean, sums, 0, 0, CLIP_BF16, 3, 1);
        } else {
            backward_block(in, y, u, floats, mean, sums, 0, 0, CLIP_BF16, 3, 0);
        }
    } else if (moves == 0 && clips == CLIP && !with_e && bf16 == 3) {
        if (stream) {
            backward_block(in, y, u, floats, mean, sums, 0, 0, CLIP, 3, 1);
        } else {
            backward_block(in, y, u, floats, mean, sums, 0, 0, CLIP, 3, 0);
        }
    } else if (moves == 0 && clips == CLIP && !with_e && bf16 == 0) {
        backward_block(in, y, u, floats, mean, sums, 0, 0, CLIP, 0, stream);
    } else if (moves == 0 && !clips && bf16 == 3) {
        backward_block(in, y, u, floats, mean, sums, 0, with_e, NO_CLIP, 3, stream);
    } else if (moves == 0 && !clips) {
        backward_block(in, y, u, floats, mean, sums, 0, with_e, NO_CLIP, bf16, stream);
    } else {
        backward_block(in, y, u, floats, mean, sums, moves, with_e, clips, bf16, stream);
    }
}

/* Where the maps of layout `destination` lie. */
struct places {
    struct blocks dz, z, e;
    int clips;
    bool with_e, e_bf16;
    vec high;
};

static struct places places_of(const mbt_apply_desc *desc, const mbt_apply_backward_args *args)
{
    return (struct places){
        .dz = blocks_of(&desc->destination, args->dz),
        .z = blocks_of(&desc->destination, args->z),
        .e = blocks_of(&desc->destination, args->e),
        .clips = desc->act == MBT_ACT_NONE             ? NO_CLIP
                 : args->z.storage == MBT_STORAGE_BF16 ? CLIP_BF16
                                                       : CLIP,
        .with_e = args->e.data != NULL,
        .e_bf16 = args->e.storage == MBT_STORAGE_BF16,
        .high = vec_all(activation_high(desc->act)),
    };
}

/* Block k of the first image. */
static struct block_in block_in_of(const struct places *p, int k)
{
    return (struct block_in){
        .dz = block_first(&p->dz, k),
        .z = p->clips ? block_first(&p->z, k) : NULL,
        .e = p->with_e ? block_first(&p->e, k) : NULL,
        .e_bf16 = p->e_bf16,
        .high = p->high,
    };
}

static void block_in_next(const struct places *p, struct block_in *in)
{
    in->dz = (const float *)((const unsigned char *)in->dz + p->dz.image);
    in->z = p->clips ? (const unsigned char *)in->z + p->z.image : NULL;
    in->e = p->with_e ? (const unsigned char *)in->e + p->e.image : NULL;
}

static void residual_gradient(const mbt_apply_desc *desc, int n,
                              const mbt_apply_backward_args *args, const struct places *places)
{
    const mbt_layout *l = &desc->destination;
    const struct blocks to = blocks_of(l, args->du);
    const size_t floats = (size_t)l->h * (size_t)l->w * LANES;
    for (int k = 0; k < block_count(l); k++) {
        struct block_in in = block_in_of(places, k);
        unsigned char *du = block_first(&to, k);
        for (int i = 0; i < n; i++) {
            for (size_t at = 0; at < floats; at += LANES) {
                (void)keep(du, at, masked(&in, at, places->with_e, places->clips),
                           args->du.storage == MBT_STORAGE_BF16, 0);
            }
            block_in_next(places, &in);
            du += to.image;
        }
    }
}

void AT_LEVEL(mbt_apply_backward)(const mbt_apply_desc *desc, int n,
                                  const mbt_apply_backward_args *args)
{
    const mbt_layout *source = &desc->source;
    const size_t floats = (size_t)source->h * (size_t)source->w * LANES;
    const struct places places = places_of(desc, args);
    const struct blocks y_blocks = blocks_of(source, args->y),
                        u_blocks = blocks_of(source, args->u);
    const int bf16 = (args->u.storage == MBT_STORAGE_BF16) | (args->y.storage == MBT_STORAGE_BF16)
                                                                 << 1;
    for (int k = 0; k < block_count(source); k++) {
        const mbt_shuffle_block *move = &desc->backward->blocks[k];
        const int moves = sources_count(desc->backward, k);
        const vec mean = vec_load_any(args->mean + (size_t)k * LANES);
        const unsigned char *y = block_first(&y_blocks, k);
        unsigned char *u = block_first(&u_blocks, k);
        struct sums sums = sums_zero();
        struct inputs in = {.moved = sources_of(&places.dz, move)};
        for (int m = 0; m < in.moved.n; m++) {
            in.block[m] =
                block_in_of(&places, moves == 0 ? k : move->from[m < move->n_from ? m : 0]);
        }
        for (int i = 0; i < n; i++) {
            backward_flags(&in, y, u, floats, mean, &sums, moves, places.with_e, places.clips, bf16,
                           args->stream);
            for (int m = 0; m < (moves == 0 ? 1 : moves); m++) {
                block_in_next(&places, &in.block[m]);
            }
            y += y_blocks.image;
            u += u_blocks.image;
        }
        sums_flush(&sums);
        wide_store(&sums.first, args->sum_u + (size_t)k * LANES);
        wide_store(&sums.second, args->sum_uy + (size_t)k * LANES);
    }
    if (args->du.data != NULL) {
        residual_gradient(desc, n, args, &places);
    }
    if (args->stream) {
        _mm_sfence();
    }
}
