/* The backward pass: segments in reverse, tile after tile; what the forward pass did not store is
 * computed again while it is in cache. Equations in kernel.h. */
#include <math.h>
#include <omp.h>

#include "exec_tile.h"

/* All tiles' sums of u and u*(y-mean) are there: gradients of gamma and beta, the coefficients of
 * dy, and the statistics that the running ones will move by. */
static void finish_norm(mbt_plan *plan, const mbt_segment *s, int n, float stats_scale)
{
    mbt_norm *norm = &plan->norms[s->norm];
    const mbt_slice *slices = plan->params.slices;
    const float *gamma = plan->weights + slices[norm->gamma].offset;
    float *d_gamma = plan->gradient + slices[norm->gamma].offset;
    float *d_beta = plan->gradient + slices[norm->beta].offset;
    const double count = (double)n * s->conv.out.h * s->conv.out.w;
    for (size_t c = 0; c < (size_t)mbt_layout_stored(&s->conv.out); c++) {
        const double rstd = 1.0 / sqrt(norm->group_m2[c] / count + plan->options.bn_eps);
        const double c1 = gamma[c] * rstd;
        d_gamma[c] = (float)(norm->sum_uy[c] * rstd);
        d_beta[c] = (float)norm->sum_u[c];
        norm->c1[c] = (float)c1;
        norm->c2[c] = (float)(-c1 * rstd * rstd * norm->sum_uy[c] / count);
        norm->c3[c] = (float)(-c1 * norm->sum_u[c] / count);
    }
    mbt_norm_statistics(plan, s, n, stats_scale);
}

static void add_sums(double *to, const double *from, size_t n, bool first)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = first ? from[i] : to[i] + from[i];
    }
}

/* From the gradient of z to that of the value that the source reads. */
static void source_backward(mbt_plan *plan, const mbt_segment *s, const mbt_tile *tile, mbt_map z,
                            mbt_map dz, const mbt_exec_dropout *dropout)
{
    if (s->source == MBT_SOURCE_DIRECT) {
        return; /* the op wrote into the value's gradient */
    }
    if (s->source == MBT_SOURCE_DROPOUT) {
        mbt_dropout_scale(s, tile, dropout, dz, mbt_tile_gradient(plan, s->from, tile));
        return;
    }
    const mbt_map none = {.data = NULL};
    const mbt_storage kept = plan->values[s->from].gradient_storage;
    const mbt_norm *norm = s->from_norm >= 0 ? &plan->norms[s->from_norm] : NULL;
    const mbt_apply_backward_args args = {
        .dz = dz,
        .e = s->extra >= 0 ? mbt_tile_gradient(plan, s->extra, tile) : none,
        .z = z,
        .y = mbt_tile_value(plan, s->from, tile),
        .u = mbt_tile_gradient(plan, s->from, tile),
        .du = s->du ? mbt_tile_gradient(plan, s->residual, tile) : none,
        .stream = mbt_tile_streams(plan, &s->apply.source, kept),
        .mean = norm != NULL ? norm->mean : plan->zeros,
        .sum_u = tile->lane->first,
        .sum_uy = tile->lane->second,
    };
    s->k_apply_backward->run.apply_backward(&s->apply, tile->count, &args);
    mbt_tile_mark(plan, s, tile->lane, MBT_OP_APPLY_BACKWARD);
}

/* Where an operation writes the gradient of what it reads. */
static mbt_map gradient_of_z(const mbt_plan *plan, const mbt_segment *s, const mbt_tile *tile)
{
    return s->source == MBT_SOURCE_DIRECT
               ? mbt_tile_gradient(plan, s->from, tile)
               : mbt_tile_scratch(&s->z, tile->lane->dz, MBT_STORAGE_FP32, tile);
}

/* The first tile writes the weights' gradient; the others' are added in tile order. */
static float *tile_gradient(const mbt_plan *plan, const mbt_slice *slice, const mbt_tile *tile)
{
    return tile->first == 0 ? plan->gradient + slice->offset : tile->lane->weights;
}

static void backward_fused(mbt_plan *plan, const mbt_segment *s, const mbt_tile *tile)
{
    const mbt_slice *slice = &plan->params.slices[s->weight];
    const mbt_norm *norm = &plan->norms[s->norm];
    const mbt_norm *from = &plan->norms[s->from_norm];
    const mbt_value *value = &plan->values[s->from];
    const mbt_depthwise_backward_args args = {
        .u_out = mbt_tile_gradient(plan, s->to, tile),
        .y_out = mbt_tile_value(plan, s->to, tile),
        .mean_out = norm->mean,
        .c1 = norm->c1,
        .c2 = norm->c2,
        .c3 = norm->c3,
        .y = mbt_tile_value(plan, s->from, tile),
        .u = mbt_tile_gradient(plan, s->from, tile),
        .a = from->a,
        .b = from->b,
        .mean = from->mean,
        .weights = plan->weights + slice->offset,
        .d_weights = tile_gradient(plan, slice, tile),
        .stream = mbt_tile_streams(plan, &value->gradient_layout, value->gradient_storage),
        .sum_u = tile->lane->first,
        .sum_uy = tile->lane->second,
        .scratch = tile->lane->scratch,
    };
    s->k_depthwise_backward->run.depthwise_backward(&s->depthwise, tile->count, &args);
    mbt_tile_mark(plan, s, tile->lane, MBT_OP_DEPTHWISE_BACKWARD);
}

/* Backward of a convolution on a tile; returns dz. */
static mbt_map conv_backward(mbt_plan *plan, const mbt_segment *s, const mbt_tile *tile, mbt_map z)
{
    const mbt_slice *slice = &plan->params.slices[s->weight];
    float *weights = plan->weights + slice->offset;
    mbt_map dy = mbt_tile_gradient(plan, s->to, tile);
    if (s->norm >= 0) {
        const mbt_norm *norm = &plan->norms[s->norm];
        const mbt_norm_backward_args args = {
            .u = dy,
            .u_layout = &plan->values[s->to].gradient_layout,
            .u_shuffle = plan->values[s->to].gradient_shuffle,
            .y = mbt_tile_value(plan, s->to, tile),
            .dy = mbt_tile_scratch(&s->conv.out, tile->lane->dy, mbt_conv_reads(&s->conv), tile),
            .mean = norm->mean,
            .c1 = norm->c1,
            .c2 = norm->c2,
            .c3 = norm->c3,
        };
        s->k_norm_backward->run.norm_backward(&s->conv.out, tile->count, &args);
        dy = args.dy;
        mbt_tile_mark(plan, s, tile->lane, MBT_OP_NORM_BACKWARD);
    }
    float *to = tile_gradient(plan, slice, tile);
    mbt_tile_conv(plan, s, &s->backward_weights, tile, z, dy, to);
    mbt_tile_mark(plan, s, tile->lane, MBT_OP_CONV_BACKWARD_WEIGHTS);
    mbt_map dz = {.data = NULL};
    if (s->needs_dz) {
        dz = gradient_of_z(plan, s, tile);
        mbt_tile_conv(plan, s, &s->backward_data, tile, dz, dy, weights);
        mbt_tile_mark(plan, s, tile->lane, MBT_OP_CONV_BACKWARD_DATA);
    }
    return dz;
}

static void bias_gradient(mbt_plan *plan, const mbt_segment *s, int n)
{
    const size_t channels = (size_t)mbt_layout_stored(&s->conv.out);
    const float *dy = plan->values[s->to].gradient;
    float *to = plan->gradient + plan->params.slices[s->bias].offset;
    for (size_t c = 0; c < channels; c++) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
            sum += dy[(size_t)i * channels + c];
        }
        to[c] = (float)sum;
    }
}

static void backward_tile(mbt_plan *plan, const mbt_segment *s, const mbt_tile *tile,
                          const mbt_exec_dropout *dropout)
{
    mbt_tile_mark(plan, s, tile->lane, MBT_OP_COUNT);
    if (s->k_depthwise_backward != NULL) {
        backward_fused(plan, s, tile);
        return;
    }
    const mbt_map z = mbt_tile_source(plan, s, tile, dropout, true);
    mbt_map dz = {.data = NULL};
    if (s->op == MBT_SEGMENT_CONV) {
        dz = conv_backward(plan, s, tile, z);
    } else if (s->op == MBT_SEGMENT_POOL && s->needs_dz) {
        dz = gradient_of_z(plan, s, tile);
        s->k_pool_backward->run.pool_backward(&s->z, tile->count,
                                              mbt_tile_gradient(plan, s->to, tile), dz);
        mbt_tile_mark(plan, s, tile->lane, MBT_OP_POOL_BACKWARD);
    } else if (s->op == MBT_SEGMENT_STORE) {
        dz = mbt_tile_gradient(plan, s->stored, tile);
    }
    if (s->needs_dz) {
        source_backward(plan, s, tile, z, dz, dropout);
    }
}

/* What a wave of tiles left in their lanes, in tile order: the sums by the first thread, the
 * weights' gradient by all, each a part of it. */
static void add_wave(mbt_plan *plan, const mbt_segment *s, int wave, int n_wave, int thread)
{
    if (thread == 0 && s->source == MBT_SOURCE_APPLY && s->from_norm >= 0 && s->needs_dz) {
        mbt_norm *from = &plan->norms[s->from_norm];
        const size_t channels = (size_t)mbt_layout_stored(&s->apply.source);
        for (int l = 0; l < n_wave; l++) {
            add_sums(from->sum_u, plan->lanes[l].first, channels, wave + l == 0);
            add_sums(from->sum_uy, plan->lanes[l].second, channels, wave + l == 0);
        }
    }
    if (s->weight < 0) {
        return;
    }
    const mbt_slice *slice = &plan->params.slices[s->weight];
    const size_t n = slice->floats, parts = (size_t)omp_get_num_threads();
    const size_t from = n * (size_t)thread / parts, to = n * ((size_t)thread + 1) / parts;
    float *gradient = plan->gradient + slice->offset;
    for (int l = wave == 0 ? 1 : 0; l < n_wave; l++) {
        const float *more = plan->lanes[l].weights;
        for (size_t i = from; i < to; i++) {
            gradient[i] += more[i];
        }
    }
}

/* Whom the first thread tells what is complete. */
struct listener {
    mbt_exec_ready *ready;
    void *context;
};

static void tell(mbt_plan *plan, const mbt_segment *s, const struct listener *listener,
                 size_t count)
{
    if (listener->ready != NULL && omp_get_thread_num() == 0) {
        mbt_tile_mark(plan, s, plan->lanes, MBT_OP_COUNT);
        listener->ready(listener->context, s->grad_first, count);
        mbt_tile_mark(plan, s, plan->lanes, MBT_OP_QUANTISE);
    }
}

/* Runs in every thread of a team; see forward_segment. */
static void backward_segment(mbt_plan *plan, const mbt_segment *s, int n, float stats_scale,
                             const mbt_exec_dropout *dropout, const struct listener *listener)
{
    const int thread = omp_get_thread_num();
    const int n_tiles = mbt_tile_count(s, n), n_lanes = omp_get_num_threads();
    if (thread == 0 && s->norm >= 0) {
        finish_norm(plan, s, n, stats_scale);
    }
    if (thread == 0 && s->bias >= 0) {
        bias_gradient(plan, s, n);
    }
#pragma omp barrier
    for (int wave = 0; wave < n_tiles; wave += n_lanes) {
        const int n_wave = n_tiles - wave < n_lanes ? n_tiles - wave : n_lanes;
        if (thread < n_wave) {
            const mbt_tile tile = mbt_tile_at(s, n, wave + thread, &plan->lanes[thread]);
            backward_tile(plan, s, &tile, dropout);
        }
#pragma omp barrier
        add_wave(plan, s, wave, n_wave, thread);
        mbt_tile_mark(plan, s, &plan->lanes[thread],
                      s->op == MBT_SEGMENT_CONV ? MBT_OP_CONV_BACKWARD_WEIGHTS : MBT_OP_COUNT);
        tell(plan, s, listener, 0);
#pragma omp barrier
    }
}

void mbt_exec_backward(mbt_plan *plan, int n, float stats_scale, const mbt_exec_dropout *dropout,
                       mbt_exec_ready *ready, void *context)
{
    const struct listener listener = {ready, context};
#pragma omp parallel num_threads(plan->options.threads) if (mbt_exec_is_shared(plan))
    for (int i = plan->n_segments - 1; i >= 0; i--) {
        const mbt_segment *s = &plan->segments[i];
        backward_segment(plan, s, n, stats_scale, dropout, &listener);
        if (s->weight >= 0 && omp_get_thread_num() == 0) {
            mbt_slice_mask(&plan->params.slices[s->weight], plan->gradient);
        }
        if (s->grad_count > 0) {
            tell(plan, s, &listener, s->grad_count);
        }
    }
}
