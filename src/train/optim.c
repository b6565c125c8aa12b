/* SGD over the flat block, slice by slice.
 *
 * Constants are rounded to float once; every product and sum is rounded by itself (the build says
 * -ffp-contract=off), so one element costs the same few operations in any vector width and gets the
 * same bits. Padding stays zero: its gradient, weight and momentum are. */
#include "mbt/optim.h"

#include <assert.h>

typedef struct constants {
    float lr, momentum, decay;
} constants;

static void step_plain(size_t n, constants k, const float *restrict g, float *restrict w,
                       float *restrict v)
{
    for (size_t i = 0; i < n; i++) {
        float d = g[i] + k.decay * w[i];
        v[i] = k.momentum * v[i] + d;
        w[i] -= k.lr * v[i];
    }
}

static void step_nesterov(size_t n, constants k, const float *restrict g, float *restrict w,
                          float *restrict v)
{
    for (size_t i = 0; i < n; i++) {
        float d = g[i] + k.decay * w[i];
        v[i] = k.momentum * v[i] + d;
        w[i] -= k.lr * (d + k.momentum * v[i]);
    }
}

static void step_statistics(size_t n, float keep, float take, const float *restrict g,
                            float *restrict r)
{
    for (size_t i = 0; i < n; i++) {
        r[i] = keep * r[i] + take * g[i];
    }
}

bool mbt_optim_decays(const mbt_slice *slice, const mbt_config *config)
{
    unsigned without = config->optimizer.no_decay;
    switch (slice->kind) {
    case MBT_PARAM_CONV:
    case MBT_PARAM_LINEAR:
        return true;
    case MBT_PARAM_DEPTHWISE:
        return !(without & MBT_NO_DECAY_DEPTHWISE);
    case MBT_PARAM_BIAS:
        return !(without & MBT_NO_DECAY_BIAS);
    case MBT_PARAM_GAMMA:
    case MBT_PARAM_BETA:
        return !(without & MBT_NO_DECAY_BN);
    case MBT_PARAM_MEAN:
    case MBT_PARAM_VAR:
        return false;
    }
    return false;
}

void mbt_optim_step(const mbt_params *params, const mbt_config *config, double lr, size_t first,
                    size_t count, const float *gradient, float *weights, float *momentum)
{
    float keep = (float)(1.0 - config->train.bn_momentum);
    float take = (float)config->train.bn_momentum;
    constants k = {.lr = (float)lr, .momentum = (float)config->optimizer.momentum};
    for (int i = 0; i < params->n_slices; i++) {
        const mbt_slice *slice = &params->slices[i];
        size_t at = slice->offset;
        if (at < first || at >= first + count) {
            continue;
        }
        assert(at + slice->stored <= first + count);
        if (!slice->trained) {
            step_statistics(slice->stored, keep, take, gradient + at, weights + at);
            continue;
        }
        k.decay = mbt_optim_decays(slice, config) ? (float)config->optimizer.weight_decay : 0.0f;
        if (config->optimizer.nesterov) {
            step_nesterov(slice->stored, k, gradient + at, weights + at, momentum + at);
        } else {
            step_plain(slice->stored, k, gradient + at, weights + at, momentum + at);
        }
    }
}
