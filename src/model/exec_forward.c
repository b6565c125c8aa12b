/* The forward pass: segment after segment, tile after tile, statistics at the barriers. */
#include <math.h>
#include <string.h>

#include "exec_tile.h"

/* Adds a tile's moments (n_tile values) to the group's (n_before values): Chan, Golub, LeVeque,
 * "Algorithms for computing the sample variance", 1983, equations 1.5. */
static void combine(mbt_norm *norm, size_t channels, double n_before, double n_tile,
                    const double *mean, const double *m2)
{
    if (n_before == 0) {
        memcpy(norm->group_mean, mean, channels * sizeof *mean);
        memcpy(norm->group_m2, m2, channels * sizeof *m2);
        return;
    }
    const double n = n_before + n_tile;
    for (size_t c = 0; c < channels; c++) {
        const double d = mean[c] - norm->group_mean[c];
        norm->group_mean[c] += d * n_tile / n;
        norm->group_m2[c] += m2[c] + d * d * n_before * n_tile / n;
    }
}

/* a and b of apply, from a mean and a (biased) variance. */
static void set_affine(const mbt_plan *plan, mbt_norm *norm, size_t c, double mean, double var)
{
    const float *gamma = plan->weights + plan->params.slices[norm->gamma].offset;
    const float *beta = plan->weights + plan->params.slices[norm->beta].offset;
    const double a = gamma[c] / sqrt(var + plan->options.bn_eps);
    norm->mean[c] = (float)mean;
    norm->a[c] = (float)a;
    norm->b[c] = (float)(beta[c] - mean * a);
}

static void forward_segment(mbt_plan *plan, const mbt_segment *s, int n, bool training,
                            const mbt_exec_dropout *dropout)
{
    mbt_norm *norm = s->norm >= 0 ? &plan->norms[s->norm] : NULL;
    const bool conv = s->op == MBT_SEGMENT_CONV;
    const size_t channels = conv ? (size_t)mbt_layout_stored(&s->conv.out) : 0;
    const double pixels = (double)s->conv.out.h * s->conv.out.w;
    float *weights = s->weight >= 0 ? plan->weights + plan->params.slices[s->weight].offset : NULL;
    mbt_tile_mark(plan, s, MBT_OP_COUNT);
    for (mbt_tile tile = {0, 0}; mbt_tile_next(s, n, &tile);) {
        const mbt_map z = mbt_tile_source(plan, s, &tile, dropout, false);
        if (s->op == MBT_SEGMENT_STORE) {
            continue;
        }
        const mbt_map out = mbt_tile_value(plan, s->to, &tile);
        if (s->op == MBT_SEGMENT_POOL) {
            s->k_pool->run.pool(&s->z, tile.count, z, out);
            mbt_tile_mark(plan, s, MBT_OP_POOL);
            continue;
        }
        mbt_tile_conv(plan, s, &s->forward, &tile, z, out, weights);
        mbt_tile_mark(plan, s, MBT_OP_CONV_FORWARD);
        if (norm != NULL && training) {
            s->k_stats->run.stats(&s->conv.out, tile.count, out, plan->tile_first,
                                  plan->tile_second);
            combine(norm, channels, tile.first * pixels, tile.count * pixels, plan->tile_first,
                    plan->tile_second);
            mbt_tile_mark(plan, s, MBT_OP_STATS);
        }
    }
    if (norm != NULL && training) {
        for (size_t c = 0; c < channels; c++) {
            set_affine(plan, norm, c, norm->group_mean[c], norm->group_m2[c] / (n * pixels));
        }
    }
    if (s->bias >= 0) {
        const float *bias = plan->weights + plan->params.slices[s->bias].offset;
        float *out = plan->values[s->to].data;
        for (int i = 0; i < n; i++) {
            for (size_t c = 0; c < channels; c++) {
                out[(size_t)i * channels + c] += bias[c];
            }
        }
    }
}

void mbt_exec_forward(mbt_plan *plan, int n, const mbt_exec_dropout *dropout)
{
    for (int i = 0; i < plan->n_segments; i++) {
        forward_segment(plan, &plan->segments[i], n, true, dropout);
    }
}

void mbt_exec_evaluate(mbt_plan *plan, int n)
{
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *s = &plan->segments[i];
        if (s->norm >= 0) {
            mbt_norm *norm = &plan->norms[s->norm];
            const float *mean = plan->weights + plan->params.slices[norm->mean_slice].offset;
            const float *var = plan->weights + plan->params.slices[norm->var_slice].offset;
            for (size_t c = 0; c < (size_t)mbt_layout_stored(&s->conv.out); c++) {
                set_affine(plan, norm, c, mean[c], var[c]);
            }
        }
        forward_segment(plan, s, n, false, NULL);
    }
}
