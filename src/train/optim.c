/* The update over the flat block, slice by slice.
 *
 * Constants are rounded to float once; every product and sum is rounded by itself (the build says
 * -ffp-contract=off), so one element costs the same few operations in any vector width and gets the
 * same bits. Padding stays zero: its gradient, weight and momentum are. */
#include "mbt/optim.h"

#include <math.h>

typedef struct constants {
    float lr, momentum, decay;
    float local;         /* LARS: of the slice; 1 otherwise, which changes no bit */
    float rms_take, eps; /* RMSprop */
} constants;

static void step_plain(size_t n, constants k, const float *restrict g, float *restrict w,
                       float *restrict v)
{
    for (size_t i = 0; i < n; i++) {
        float d = k.local * (g[i] + k.decay * w[i]);
        v[i] = k.momentum * v[i] + d;
        w[i] -= k.lr * v[i];
    }
}

static void step_nesterov(size_t n, constants k, const float *restrict g, float *restrict w,
                          float *restrict v)
{
    for (size_t i = 0; i < n; i++) {
        float d = k.local * (g[i] + k.decay * w[i]);
        v[i] = k.momentum * v[i] + d;
        w[i] -= k.lr * (d + k.momentum * v[i]);
    }
}

static void step_rmsprop(size_t n, constants k, const float *restrict g, float *restrict w,
                         float *restrict v, float *restrict s)
{
    for (size_t i = 0; i < n; i++) {
        float d = g[i] + k.decay * w[i];
        s[i] += k.rms_take * (d * d - s[i]);
        v[i] = k.momentum * v[i] + k.lr * d / sqrtf(s[i] + k.eps);
        w[i] -= v[i];
    }
}

static void step_statistics(size_t n, float keep, float take, const float *restrict g,
                            float *restrict r)
{
    for (size_t i = 0; i < n; i++) {
        r[i] = keep * r[i] + take * g[i];
    }
}

double mbt_optim_decay(const mbt_slice *slice, const mbt_config *config)
{
    const struct {
        unsigned without;
        double factor;
    } kinds[] = {
        [MBT_PARAM_CONV] = {0, 1},
        [MBT_PARAM_LINEAR] = {0, 1},
        [MBT_PARAM_DEPTHWISE] = {MBT_NO_DECAY_DEPTHWISE, config->optimizer.depthwise_decay},
        [MBT_PARAM_BIAS] = {MBT_NO_DECAY_BIAS, config->optimizer.bias_decay},
        [MBT_PARAM_GAMMA] = {MBT_NO_DECAY_BN, config->optimizer.bn_decay},
        [MBT_PARAM_BETA] = {MBT_NO_DECAY_BN, config->optimizer.bn_decay},
        [MBT_PARAM_MEAN] = {0, 0},
        [MBT_PARAM_VAR] = {0, 0},
    };
    const bool left_out = (config->optimizer.no_decay & kinds[slice->kind].without) != 0;
    return left_out ? 0 : config->optimizer.weight_decay * kinds[slice->kind].factor;
}

/* Lanes of a block are summed apart, then pair by pair, then the blocks in order: as fast as
 * vectors are, and the same whatever their width. */
double mbt_optim_sum_of_squares(const float *x, size_t n)
{
    enum { BLOCK = 4096, LANES = 16 };
    double sum = 0;
    for (size_t at = 0; at < n; at += BLOCK) {
        const size_t end = n - at < BLOCK ? n : at + BLOCK;
        double lane[LANES] = {0};
        size_t i = at;
        for (; i + LANES <= end; i += LANES) {
            for (size_t l = 0; l < LANES; l++) {
                lane[l] += (double)x[i + l] * (double)x[i + l];
            }
        }
        for (; i < end; i++) {
            lane[i % LANES] += (double)x[i] * (double)x[i];
        }
        for (size_t width = LANES / 2; width > 0; width /= 2) {
            for (size_t l = 0; l < width; l++) {
                lane[l] += lane[l + width];
            }
        }
        sum += lane[0];
    }
    return sum;
}

double mbt_optim_clip(const mbt_params *params, const mbt_config *config, float *gradient)
{
    const double limit = config->optimizer.clip_norm;
    double sum = 0;
    for (int i = 0; i < params->n_slices && limit > 0; i++) {
        const mbt_slice *slice = &params->slices[i];
        sum +=
            slice->trained ? mbt_optim_sum_of_squares(gradient + slice->offset, slice->stored) : 0;
    }
    const double norm = sqrt(sum);
    if (norm > limit) {
        const float scale = (float)(limit / norm);
        for (int i = 0; i < params->n_slices; i++) {
            const mbt_slice *slice = &params->slices[i];
            for (size_t j = 0; j < slice->stored && slice->trained; j++) {
                gradient[slice->offset + j] *= scale;
            }
        }
    }
    return norm;
}

/* The rate of a tensor's own; 1 for those that LARS leaves alone, and where a norm is 0. */
static double local_rate(const mbt_slice *slice, const mbt_config *config, double decay,
                         const float *g, const float *w)
{
    if (config->optimizer.kind != MBT_OPTIMIZER_LARS || slice->rank < 2 ||
        slice->kind == MBT_PARAM_DEPTHWISE) {
        return 1;
    }
    const double size = sqrt(mbt_optim_sum_of_squares(w, slice->stored));
    const double slope = sqrt(mbt_optim_sum_of_squares(g, slice->stored));
    return size > 0 && slope > 0 ? config->optimizer.trust * size / (slope + decay * size) : 1;
}

bool mbt_optim_is_matrix(const mbt_slice *slice)
{
    return slice->trained && slice->kind == MBT_PARAM_CONV;
}

static void step_slice(const mbt_slice *slice, const mbt_config *config, constants k,
                       const mbt_optim_blocks *blocks)
{
    const size_t at = slice->offset, n = slice->stored;
    const float *g = blocks->gradient + at;
    float *w = blocks->weights + at, *v = blocks->momentum + at;
    if (config->optimizer.kind == MBT_OPTIMIZER_RMSPROP) {
        step_rmsprop(n, k, g, w, v, blocks->square + at);
    } else if (config->optimizer.nesterov) {
        step_nesterov(n, k, g, w, v);
    } else {
        step_plain(n, k, g, w, v);
    }
}

void mbt_optim_step(const mbt_params *params, const mbt_config *config, double lr,
                    const mbt_optim_blocks *blocks)
{
    const float keep = (float)(1.0 - config->train.bn_momentum);
    const float take = (float)config->train.bn_momentum;
    constants k = {
        .lr = (float)lr,
        .momentum = (float)config->optimizer.momentum,
        .rms_take = (float)(1.0 - config->optimizer.rms_decay),
        .eps = (float)config->optimizer.rms_eps,
    };
    for (int i = 0; i < params->n_slices; i++) {
        const mbt_slice *slice = &params->slices[i];
        const size_t at = slice->offset;
        if (!slice->trained) {
            step_statistics(slice->stored, keep, take, blocks->gradient + at, blocks->weights + at);
            continue;
        }
        if (config->optimizer.kind == MBT_OPTIMIZER_MUON && mbt_optim_is_matrix(slice)) {
            continue;
        }
        const double decay = mbt_optim_decay(slice, config);
        k.decay = (float)decay;
        k.local =
            (float)local_rate(slice, config, decay, blocks->gradient + at, blocks->weights + at);
        step_slice(slice, config, k, blocks);
    }
}
