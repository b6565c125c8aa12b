/* Normalise, activate, add, shuffle, and the way back, in plain C for any block size. */
#include "kernels/portable/pixels.h"

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

/* z = act(a*v + b + r) of n pixels; r NULL: none. */
static void normalise(int n, int lanes, const float *a, const float *b, const float *v,
                      const float *r, mbt_activation act, float *restrict z)
{
    for (int c = 0; c < lanes; c += VECTOR) {
        const vector va = load(a + c), vb = load(b + c);
        for (int e = c; e < n * lanes; e += lanes) {
            *(vector *)(z + e) = va * load(v + e) + vb;
        }
    }
    if (r != NULL) {
        for (int e = 0; e < n * lanes; e++) {
            z[e] += r[e];
        }
    }
    if (act != MBT_ACT_NONE) {
        const float high = activation_high(act);
        for (int e = 0; e < n * lanes; e++) {
            const float above = z[e] < 0 ? 0 : z[e];
            z[e] = above > high ? high : above;
        }
    }
}

static void apply_block(const mbt_apply_desc *desc, int n, mbt_map y, const float *a,
                        const float *b, mbt_map residual, mbt_map z, int k)
{
    const mbt_layout *destination = &desc->destination;
    const int lanes = destination->block, pixels = destination->h * destination->w;
    float va[LANES_MAX], vb[LANES_MAX], from_y[CHUNK_FLOATS], from_r[CHUNK_FLOATS];
    float got[CHUNK_FLOATS];
    const bool in_place = z.storage == MBT_STORAGE_FP32;
    gather_channels(&desc->forward->blocks[k], lanes, a, va);
    gather_channels(&desc->forward->blocks[k], lanes, b, vb);
    for (int i = 0; i < n; i++) {
        const source from = source_moved(&desc->source, y, i, desc->forward, k);
        const source added = residual.data != NULL ? source_block(destination, residual, i, k)
                                                   : (source){.lanes = 0};
        void *to = block_at(destination, z, i, k);
        for (int first = 0; first < pixels; first += CHUNK) {
            const int m = chunk_at(first, pixels);
            float *result = in_place ? (float *)to + first * lanes : got;
            normalise(m, lanes, va, vb, pixels_read(&from, first, m, from_y),
                      added.lanes > 0 ? pixels_read(&added, first, m, from_r) : NULL, desc->act,
                      result);
            if (!in_place) {
                pixels_keep(to, lanes, first, m, z.storage, got);
            }
        }
    }
}

void mbt_apply_portable(const mbt_apply_desc *desc, int n, mbt_map y, const float *a,
                        const float *b, mbt_map residual, mbt_map z)
{
    for (int k = 0; k < block_count(&desc->destination); k++) {
        apply_block(desc, n, y, a, b, residual, z, k);
    }
}

/* What (dz + e) * act'(z) is made of, for a block of one image; an absent e or z has no lanes. */
typedef struct gradient {
    source dz, e, z;
    float high; /* bound of the activation */
} gradient;

/* shuffle: from destination blocks to the block wanted; NULL: one of them as it is. */
static gradient gradient_of(const mbt_apply_desc *desc, const mbt_apply_backward_args *args,
                            int image, const mbt_shuffle *shuffle, int k)
{
    const mbt_layout *l = &desc->destination;
    gradient g = {.dz = source_moved(l, args->dz, image, shuffle, k),
                  .high = activation_high(desc->act)};
    if (args->e.data != NULL) {
        g.e = source_moved(l, args->e, image, shuffle, k);
    }
    if (desc->act != MBT_ACT_NONE) {
        g.z = source_moved(l, args->z, image, shuffle, k);
    }
    return g;
}

/* u = (dz + e) * act'(z) of n pixels. */
static void masked(const gradient *g, int first, int n, float *restrict u)
{
    float buffer[CHUNK_FLOATS];
    const int count = n * g->dz.lanes;
    const float *dz = pixels_read(&g->dz, first, n, buffer);
    memcpy(u, dz, (size_t)count * sizeof *u);
    if (g->e.lanes > 0) {
        const float *e = pixels_read(&g->e, first, n, buffer);
        for (int i = 0; i < count; i++) {
            u[i] += e[i];
        }
    }
    if (g->z.lanes > 0) {
        const float *z = pixels_read(&g->z, first, n, buffer);
        for (int i = 0; i < count; i++) {
            u[i] = ((z[i] > 0) & (z[i] < g->high)) ? u[i] : 0.0f;
        }
    }
}

/* Adds the sums of u and of u*(y - mean) over n pixels. */
static void add_sums(int n, int lanes, const float *u, const float *y, const float *mean,
                     double *sum_u, double *sum_uy)
{
    for (int c = 0; c < lanes; c += VECTOR) {
        const vector about = load(mean + c);
        sums chains[CHAINS] = {0};
        int e = c;
        for (int p = 0; p < n / CHAINS; p++) {
            for (int k = 0; k < CHAINS; k++, e += lanes) {
                sums_add(&chains[k], load(u + e), load(u + e) * (load(y + e) - about));
            }
        }
        for (; e < n * lanes; e += lanes) {
            sums_add(&chains[0], load(u + e), load(u + e) * (load(y + e) - about));
        }
        sums_end(chains, sum_u + c, sum_uy + c);
    }
}

static void backward_block(const mbt_apply_desc *desc, int n, const mbt_apply_backward_args *args,
                           int k)
{
    const int lanes = desc->source.block, pixels = desc->source.h * desc->source.w;
    double total[LANES_MAX] = {0}, products[LANES_MAX] = {0};
    float got[CHUNK_FLOATS], buffer[CHUNK_FLOATS];
    for (int i = 0; i < n; i++) {
        const gradient g = gradient_of(desc, args, i, desc->backward, k);
        const source from = source_block(&desc->source, args->y, i, k);
        void *u = block_at(&desc->source, args->u, i, k);
        for (int first = 0; first < pixels; first += CHUNK) {
            const int m = chunk_at(first, pixels);
            masked(&g, first, m, got);
            pixels_keep(u, lanes, first, m, args->u.storage, got);
            add_sums(m, lanes, got, pixels_read(&from, first, m, buffer), args->mean + k * lanes,
                     total, products);
        }
    }
    memcpy(args->sum_u + (size_t)(k * lanes), total, (size_t)lanes * sizeof *total);
    memcpy(args->sum_uy + (size_t)(k * lanes), products, (size_t)lanes * sizeof *products);
}

static void write_du(const mbt_apply_desc *desc, const mbt_apply_backward_args *args, int image,
                     int k)
{
    const mbt_layout *l = &desc->destination;
    const int pixels = l->h * l->w;
    const gradient g = gradient_of(desc, args, image, NULL, k);
    void *du = block_at(l, args->du, image, k);
    float got[CHUNK_FLOATS];
    for (int first = 0; first < pixels; first += CHUNK) {
        const int m = chunk_at(first, pixels);
        masked(&g, first, m, got);
        pixels_keep(du, l->block, first, m, args->du.storage, got);
    }
}

void mbt_apply_backward_portable(const mbt_apply_desc *desc, int n,
                                 const mbt_apply_backward_args *args)
{
    for (int k = 0; k < block_count(&desc->source); k++) {
        backward_block(desc, n, args, k);
    }
    /* After u: du may stand in e's place. */
    for (int i = 0; i < n && args->du.data != NULL; i++) {
        for (int k = 0; k < block_count(&desc->destination); k++) {
            write_du(desc, args, i, k);
        }
    }
}
