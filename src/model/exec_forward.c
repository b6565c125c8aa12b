/* The forward pass: segment after segment, tile after tile, statistics at the barriers. */
#include <math.h>
#include <omp.h>
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

/* The tile's moments are in its lane: adds them to the group's. */
static void add_moments(mbt_plan *plan, const mbt_segment *s, const mbt_tile *tile)
{
    const double pixels = (double)s->conv.out.h * s->conv.out.w;
    combine(&plan->norms[s->norm], (size_t)mbt_layout_stored(&s->conv.out), tile->first * pixels,
            tile->count * pixels, tile->lane->first, tile->lane->second);
}

static void forward_fused(mbt_plan *plan, const mbt_segment *s, const mbt_tile *tile)
{
    const mbt_norm *from = &plan->norms[s->from_norm];
    const mbt_value *to = &plan->values[s->to];
    const mbt_depthwise_forward_args args = {
        .y = mbt_tile_value(plan, s->from, tile),
        .out = mbt_tile_value(plan, s->to, tile),
        .a = from->a,
        .b = from->b,
        .weights = plan->weights + plan->params.slices[s->weight].offset,
        .stream = mbt_tile_streams(plan, &to->layout, to->storage),
        .mean = tile->lane->first,
        .m2 = tile->lane->second,
        .scratch = tile->lane->scratch,
    };
    s->k_depthwise_forward->run.depthwise_forward(&s->depthwise, tile->count, &args);
    mbt_tile_mark(plan, s, tile->lane, MBT_OP_DEPTHWISE_FORWARD);
}

/* A convolution on a tile. Before batch norm its output goes by way of a scratch tile, so that it
 * is written once, as it is kept, while the statistics are taken. */
static void forward_conv(mbt_plan *plan, const mbt_segment *s, const mbt_tile *tile, mbt_map z)
{
    const mbt_value *to = &plan->values[s->to];
    const mbt_map out = mbt_tile_value(plan, s->to, tile);
    const bool stream = mbt_tile_streams(plan, &to->layout, to->storage);
    const bool moves = s->k_stats != NULL && (stream || to->storage != MBT_STORAGE_FP32);
    const mbt_map y =
        moves ? mbt_tile_scratch(&s->conv.out, tile->lane->dy, MBT_STORAGE_FP32, tile) : out;
    mbt_tile_conv(plan, s, &s->forward, tile, z, y, mbt_segment_weights(plan, s));
    mbt_tile_mark(plan, s, tile->lane, MBT_OP_CONV_FORWARD);
    if (s->k_stats != NULL) {
        const mbt_stats_args args = {
            .y = y,
            .kept = moves ? out : (mbt_map){.data = NULL},
            .stream = moves && stream,
            .mean = tile->lane->first,
            .m2 = tile->lane->second,
        };
        s->k_stats->run.stats(&s->conv.out, tile->count, &args);
        mbt_tile_mark(plan, s, tile->lane, MBT_OP_STATS);
    }
}

static void add_bias(mbt_plan *plan, const mbt_segment *s, int n)
{
    const size_t channels = (size_t)mbt_layout_stored(&s->conv.out);
    const float *bias = plan->weights + plan->params.slices[s->bias].offset;
    float *out = plan->values[s->to].data;
    for (int i = 0; i < n; i++) {
        for (size_t c = 0; c < channels; c++) {
            out[(size_t)i * channels + c] += bias[c];
        }
    }
}

static void forward_tile(mbt_plan *plan, const mbt_segment *s, const mbt_tile *tile,
                         const mbt_exec_dropout *dropout)
{
    mbt_tile_mark(plan, s, tile->lane, MBT_OP_COUNT);
    if (s->k_depthwise_forward != NULL) {
        forward_fused(plan, s, tile);
        return;
    }
    const mbt_map z = mbt_tile_source(plan, s, tile, dropout, false);
    if (s->op == MBT_SEGMENT_POOL) {
        s->k_pool->run.pool(&s->z, tile->count, z, mbt_tile_value(plan, s->to, tile));
        mbt_tile_mark(plan, s, tile->lane, MBT_OP_POOL);
    } else if (s->op == MBT_SEGMENT_CONV) {
        forward_conv(plan, s, tile, z);
    }
}

/* The statistics of a group of n are complete. */
static void finish_statistics(mbt_plan *plan, const mbt_segment *s, int n)
{
    mbt_norm *norm = &plan->norms[s->norm];
    const double count = (double)n * s->conv.out.h * s->conv.out.w;
    for (size_t c = 0; c < (size_t)mbt_layout_stored(&s->conv.out); c++) {
        set_affine(plan, norm, c, norm->group_mean[c], norm->group_m2[c] / count);
    }
}

/* Runs in every thread of a team. Tiles go in waves of one a thread; between waves the first thread
 * adds up, in tile order, what they left in their lanes. */
static void forward_segment(mbt_plan *plan, const mbt_segment *s, int n, bool training,
                            const mbt_exec_dropout *dropout)
{
    const int n_tiles = mbt_tile_count(s, n);
    const int thread = omp_get_thread_num(), n_lanes = omp_get_num_threads();
    const bool moments = training && s->norm >= 0;
    for (int wave = 0; wave < n_tiles; wave += n_lanes) {
        if (wave + thread < n_tiles) {
            const mbt_tile tile = mbt_tile_at(s, n, wave + thread, &plan->lanes[thread]);
            forward_tile(plan, s, &tile, dropout);
        }
        if (!moments) {
            continue;
        }
#pragma omp barrier
        for (int l = 0; thread == 0 && l < n_lanes && wave + l < n_tiles; l++) {
            const mbt_tile tile = mbt_tile_at(s, n, wave + l, &plan->lanes[l]);
            add_moments(plan, s, &tile);
        }
#pragma omp barrier
    }
#pragma omp barrier
    if (thread == 0 && s->bias >= 0) {
        add_bias(plan, s, n);
    }
    if (thread == 0 && moments) {
        finish_statistics(plan, s, n);
    }
#pragma omp barrier
}

static void forward(mbt_plan *plan, int n, bool training, const mbt_exec_dropout *dropout)
{
#pragma omp parallel num_threads(plan->options.threads) if (mbt_exec_is_shared(plan))
    for (int i = 0; i < plan->n_segments; i++) {
        forward_segment(plan, &plan->segments[i], n, training, dropout);
    }
}

void mbt_exec_forward(mbt_plan *plan, int n, const mbt_exec_dropout *dropout)
{
    forward(plan, n, true, dropout);
}

void mbt_norm_statistics(mbt_plan *plan, const mbt_segment *s, int n, float scale)
{
    const mbt_norm *norm = &plan->norms[s->norm];
    float *mean = plan->gradient + plan->params.slices[norm->mean_slice].offset;
    float *var = plan->gradient + plan->params.slices[norm->var_slice].offset;
    const double count = (double)n * s->conv.out.h * s->conv.out.w;
    for (size_t c = 0; c < (size_t)mbt_layout_stored(&s->conv.out); c++) {
        mean[c] = (float)(norm->group_mean[c] * scale);
        var[c] = (float)(norm->group_m2[c] / (count > 1 ? count - 1 : 1) * scale);
    }
}

void mbt_exec_statistics(mbt_plan *plan, int n, float scale)
{
    for (int i = 0; i < plan->n_segments; i++) {
        if (plan->segments[i].norm >= 0) {
            mbt_norm_statistics(plan, &plan->segments[i], n, scale);
        }
    }
}

void mbt_norm_from_running(mbt_plan *plan, const mbt_segment *s)
{
    mbt_norm *norm = &plan->norms[s->norm];
    const float *mean = plan->weights + plan->params.slices[norm->mean_slice].offset;
    const float *var = plan->weights + plan->params.slices[norm->var_slice].offset;
    for (size_t c = 0; c < (size_t)mbt_layout_stored(&s->conv.out); c++) {
        set_affine(plan, norm, c, mean[c], var[c]);
    }
}

void mbt_exec_evaluate(mbt_plan *plan, int n)
{
    for (int i = 0; i < plan->n_segments && plan->folded == NULL; i++) {
        if (plan->segments[i].norm >= 0) {
            mbt_norm_from_running(plan, &plan->segments[i]);
        }
    }
    forward(plan, n, false, NULL);
}
