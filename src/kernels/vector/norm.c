/* The gradient through batch norm for blocks of a vector.
 * Roofline: two reads from memory, one write into cache, 3 operations an element. */
#include "kernels/vector/vector.h"

struct coefficients {
    vec mean, c1, c2, c3;
};

/* moves: sources_count of u. */
INLINE void norm_block(const struct sources *u, const void *y, void *dy, size_t floats,
                       const struct coefficients *c, int moves, int u_bf16, int y_bf16, int dy_bf16)
{
    for (size_t at = 0; at < floats; at += LANES) {
        ask_ahead(y, at, y_bf16);
        if (moves == 0) {
            ask_ahead(u->from[0], at, u_bf16);
        }
        const vec d = fetch(y, at, y_bf16) - c->mean;
        const vec v = moves > 0 ? gather(u, at, moves, u_bf16) : fetch(u->from[0], at, u_bf16);
        (void)keep(dy, at, vec_fma(c->c1, v, vec_fma(c->c2, d, c->c3)), dy_bf16, 0);
    }
}

/* What the loop must not ask for every vector is a constant in each branch. */
static void norm_flags(const struct sources *u, const void *y, void *dy, size_t floats,
                       const struct coefficients *c, int moves, bool u_bf16, bool y_bf16,
                       bool dy_bf16)
{
    const bool kept_bf16 = u_bf16 && y_bf16;
    if (moves == 0 && kept_bf16 && dy_bf16) {
        norm_block(u, y, dy, floats, c, 0, 1, 1, 1);
    } else if (moves == 0 && kept_bf16) {
        norm_block(u, y, dy, floats, c, 0, 1, 1, 0);
    } else if (moves == 0 && !u_bf16 && !y_bf16 && !dy_bf16) {
        norm_block(u, y, dy, floats, c, 0, 0, 0, 0);
    } else if (moves == 2 && kept_bf16) {
        norm_block(u, y, dy, floats, c, 2, 1, 1, dy_bf16);
    } else if (moves == SOME && kept_bf16) {
        norm_block(u, y, dy, floats, c, SOME, 1, 1, dy_bf16);
    } else {
        norm_block(u, y, dy, floats, c, moves, u_bf16, y_bf16, dy_bf16);
    }
}

void AT_LEVEL(mbt_norm_backward)(const mbt_layout *l, int n, const mbt_norm_backward_args *args)
{
    const bool shuffled = args->u_shuffle != NULL;
    const struct blocks y_blocks = blocks_of(l, args->y), dy_blocks = blocks_of(l, args->dy);
    const struct blocks u_blocks = blocks_of(shuffled ? args->u_layout : l, args->u);
    const size_t floats = (size_t)l->h * (size_t)l->w * LANES;
    for (int k = 0; k < block_count(l); k++) {
        const size_t at = (size_t)k * LANES;
        const struct coefficients c = {vec_load_any(args->mean + at), vec_load_any(args->c1 + at),
                                       vec_load_any(args->c2 + at), vec_load_any(args->c3 + at)};
        const int moves = shuffled ? sources_count(args->u_shuffle, k) : 0;
        struct sources u = shuffled ? sources_of(&u_blocks, &args->u_shuffle->blocks[k])
                                    : source_straight(&u_blocks, k);
        const unsigned char *y = block_first(&y_blocks, k);
        unsigned char *dy = block_first(&dy_blocks, k);
        for (int i = 0; i < n; i++) {
            norm_flags(&u, y, dy, floats, &c, moves, args->u.storage == MBT_STORAGE_BF16,
                       args->y.storage == MBT_STORAGE_BF16, args->dy.storage == MBT_STORAGE_BF16);
            sources_next(&u);
            y += y_blocks.image;
            dy += dy_blocks.image;
        }
    }
}
