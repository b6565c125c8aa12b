/* Normalise, activate, add, shuffle, and the way back, in plain C for any block size. */
#include "kernels/portable/element.h"

enum { LANES_MAX = 16, FLUSH_PIXELS = 64 };

/* a and b of the channels that a destination block gets. */
static void gather_channels(const mbt_shuffle_block *move, int lanes, const float *from, float *to)
{
    memset(to, 0, (size_t)lanes * sizeof *to);
    for (int k = 0; k < move->n_from; k++) {
        for (int c = 0; c < lanes; c++) {
            if ((move->mask[k] >> c & 1u) != 0) {
                to[c] = from[move->from[k] * lanes + move->lane[k][c]];
            }
        }
    }
}

static float activate(float v, mbt_activation act)
{
    const float low = activation_low(act), high = activation_high(act);
    return v < low ? low : v > high ? high : v;
}

void mbt_apply_portable(const mbt_apply_desc *desc, int n, mbt_map y, const float *a,
                        const float *b, mbt_map residual, mbt_map z)
{
    const mbt_layout *source = &desc->source, *destination = &desc->destination;
    const int lanes = source->block, pixels = source->h * source->w;
    for (int k = 0; k < block_count(destination); k++) {
        const mbt_shuffle_block *move = &desc->forward->blocks[k];
        float va[LANES_MAX], vb[LANES_MAX], v[LANES_MAX];
        gather_channels(move, lanes, a, va);
        gather_channels(move, lanes, b, vb);
        for (int i = 0; i < n; i++) {
            const float *r = residual.data != NULL ? block_at(destination, residual, i, k) : NULL;
            float *to = block_at(destination, z, i, k);
            for (int at = 0; at < pixels; at++) {
                gather_pixel(source, y, i, move, (size_t)(at * lanes), v);
                for (int c = 0; c < lanes; c++) {
                    const float add = r != NULL ? r[at * lanes + c] : 0.0f;
                    to[at * lanes + c] = activate(va[c] * v[c] + vb[c] + add, desc->act);
                }
            }
        }
    }
}

/* (dz + e) * act'(z) of a pixel of a destination block. */
static void masked(const mbt_apply_desc *desc, const mbt_apply_backward_args *args, int image,
                   int k, int pixel, float *to)
{
    const mbt_layout *l = &desc->destination;
    const size_t at = (size_t)pixel * (size_t)l->block;
    const float *dz = block_at(l, args->dz, image, k);
    const void *e = args->e.data != NULL ? block_at(l, args->e, image, k) : NULL;
    const float *z = desc->act != MBT_ACT_NONE ? block_at(l, args->z, image, k) : NULL;
    const float high = activation_high(desc->act);
    for (size_t c = 0; c < (size_t)l->block; c++) {
        const float d = dz[at + c] + (e != NULL ? element(e, at + c, args->e.storage) : 0.0f);
        to[c] = z == NULL || (z[at + c] > 0 && z[at + c] < high) ? d : 0.0f;
    }
}

static void backward_block(const mbt_apply_desc *desc, int n, const mbt_apply_backward_args *args,
                           int k)
{
    const mbt_layout *source = &desc->source;
    const int lanes = source->block, pixels = source->h * source->w;
    const mbt_shuffle_block *move = &desc->backward->blocks[k];
    double total[LANES_MAX] = {0}, products[LANES_MAX] = {0};
    float s[LANES_MAX] = {0}, q[LANES_MAX] = {0};
    const float *mean = args->mean + (size_t)k * (size_t)lanes;
    int pending = 0;
    for (int i = 0; i < n; i++) {
        const void *y = block_at(source, args->y, i, k);
        void *u = block_at(source, args->u, i, k);
        for (int at = 0; at < pixels; at++) {
            float got[LANES_MAX] = {0}, from[LANES_MAX];
            for (int m = 0; m < move->n_from; m++) {
                masked(desc, args, i, move->from[m], at, from);
                for (int c = 0; c < lanes; c++) {
                    got[c] = (move->mask[m] >> c & 1u) != 0 ? from[move->lane[m][c]] : got[c];
                }
            }
            for (int c = 0; c < lanes; c++) {
                const size_t e = (size_t)(at * lanes + c);
                const float kept = element_keep(u, e, got[c], args->u.storage);
                s[c] += kept;
                q[c] += kept * (element(y, e, args->y.storage) - mean[c]);
            }
            if (++pending == FLUSH_PIXELS || (at == pixels - 1 && i == n - 1)) {
                for (int c = 0; c < lanes; c++) {
                    total[c] += s[c];
                    products[c] += q[c];
                    s[c] = q[c] = 0;
                }
                pending = 0;
            }
        }
    }
    memcpy(args->sum_u + (size_t)k * (size_t)lanes, total, (size_t)lanes * sizeof *total);
    memcpy(args->sum_uy + (size_t)k * (size_t)lanes, products, (size_t)lanes * sizeof *products);
}

void mbt_apply_backward_portable(const mbt_apply_desc *desc, int n,
                                 const mbt_apply_backward_args *args)
{
    const mbt_layout *source = &desc->source, *destination = &desc->destination;
    for (int k = 0; k < block_count(source); k++) {
        backward_block(desc, n, args, k);
    }
    if (args->du.data == NULL) {
        return;
    }
    /* After u: du may stand in e's place. */
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < block_count(destination); k++) {
            void *du = block_at(destination, args->du, i, k);
            for (int at = 0; at < destination->h * destination->w; at++) {
                float v[LANES_MAX];
                masked(desc, args, i, k, at, v);
                for (int c = 0; c < destination->block; c++) {
                    (void)element_keep(du, (size_t)(at * destination->block + c), v[c],
                                       args->du.storage);
                }
            }
        }
    }
}
