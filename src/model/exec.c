/* Tiles, views and sources, for forward and backward alike. */
#include <omp.h>
#include <string.h>

#include "exec_tile.h"
#include "mbt/rng.h"
#include "mbt/timer.h"

/* What may stay in a core's second-level cache until it is read. */
enum { STREAM_BYTES = 1024 * 1024 };

int mbt_tile_count(const mbt_segment *s, int n)
{
    return n / s->tile + n % s->tile;
}

mbt_tile mbt_tile_at(const mbt_segment *s, int n, int index, mbt_lane *lane)
{
    const int whole = n / s->tile;
    return index < whole ? (mbt_tile){index * s->tile, s->tile, lane}
                         : (mbt_tile){whole * s->tile + index - whole, 1, lane};
}

mbt_map mbt_tile_value(const mbt_plan *plan, int index, const mbt_tile *tile)
{
    const mbt_value *value = &plan->values[index];
    const mbt_layout *l = &value->layout;
    if (value->plain) {
        const size_t image = (size_t)l->c * (size_t)l->h * (size_t)l->w;
        return (mbt_map){.data = (float *)value->data + (size_t)tile->first * image};
    }
    return mbt_map_view(l, value->data, value->storage, plan->options.group, tile->first);
}

mbt_map mbt_tile_gradient(const mbt_plan *plan, int index, const mbt_tile *tile)
{
    const mbt_value *value = &plan->values[index];
    return mbt_map_view(&value->gradient_layout, value->gradient, value->gradient_storage,
                        plan->options.group, tile->first);
}

mbt_map mbt_tile_scratch(const mbt_layout *layout, float *scratch, mbt_storage storage,
                         const mbt_tile *tile)
{
    return mbt_map_view(layout, scratch, storage, tile->count, 0);
}

bool mbt_tile_streams(const mbt_plan *plan, const mbt_layout *layout, mbt_storage storage)
{
    return mbt_layout_floats(layout, plan->options.group) * mbt_storage_bytes(storage) >
           STREAM_BYTES;
}

void mbt_dropout_scale(const mbt_segment *s, const mbt_tile *tile, const mbt_exec_dropout *dropout,
                       mbt_map from, mbt_map to)
{
    const size_t channels = (size_t)mbt_layout_section(&s->z);
    const float keep = (float)(1.0 / (1.0 - s->dropout));
    for (int i = 0; i < tile->count; i++) {
        const float *x = (const float *)from.data + (size_t)i * channels;
        float *out = (float *)to.data + (size_t)i * channels;
        if (dropout == NULL) {
            memmove(out, x, channels * sizeof *out);
            continue;
        }
        mbt_rng rng = mbt_rng_at(dropout->seed, MBT_PURPOSE_DROPOUT, dropout->epoch,
                                 dropout->sample_ids[tile->first + i]);
        for (size_t c = 0; c < channels; c++) {
            out[c] = (double)mbt_rng_uniform(&rng) < s->dropout ? 0.0f : x[c] * keep;
        }
    }
}

mbt_map mbt_tile_source(mbt_plan *plan, const mbt_segment *s, const mbt_tile *tile,
                        const mbt_exec_dropout *dropout, bool again)
{
    const mbt_map from = mbt_tile_value(plan, s->from, tile);
    if (s->source == MBT_SOURCE_DIRECT) {
        return from;
    }
    const mbt_map z = s->stored >= 0
                          ? mbt_tile_value(plan, s->stored, tile)
                          : mbt_tile_scratch(&s->z, tile->lane->z, mbt_conv_reads(&s->conv), tile);
    if (again && s->stored >= 0) {
        return z;
    }
    if (s->source == MBT_SOURCE_DROPOUT) {
        mbt_dropout_scale(s, tile, dropout, from, z);
        return z;
    }
    const mbt_norm *norm = s->from_norm >= 0 ? &plan->norms[s->from_norm] : NULL;
    const mbt_map residual =
        s->residual >= 0 ? mbt_tile_value(plan, s->residual, tile) : (mbt_map){.data = NULL};
    s->k_apply->run.apply(&s->apply, tile->count, from, norm != NULL ? norm->a : plan->ones,
                          norm != NULL ? norm->b : plan->zeros, residual, z);
    mbt_tile_mark(plan, s, tile->lane, MBT_OP_APPLY);
    return z;
}

void mbt_tile_conv(const mbt_plan *plan, const mbt_segment *s, const mbt_conv_pass *pass,
                   const mbt_tile *tile, mbt_map in, mbt_map out, float *weights)
{
    const bool whole = tile->count == s->tile;
    float *laid_out = whole ? pass->prepared : pass->prepared_single;
    const mbt_conv_args args = {
        .in = in,
        .out = out,
        .weights = laid_out != NULL ? laid_out : weights,
        .bias = s->conv.bias ? plan->norms[s->norm].b : NULL,
        .scratch = tile->lane->scratch,
    };
    const ptrdiff_t t = tile->lane - plan->lanes;
    pass->kernel->run.conv->run(whole ? pass->tile[t] : pass->single[t], &args);
}

static void prepare_pass(const mbt_plan *plan, const mbt_segment *s, const mbt_conv_pass *pass)
{
    if (pass->kernel == NULL) {
        return;
    }
    const mbt_conv_ops *ops = pass->kernel->run.conv;
    const float *stored = mbt_segment_weights(plan, s);
    if (pass->prepared != NULL) {
        ops->prepare(pass->tile[0], stored, pass->prepared, plan->lanes[0].scratch);
    }
    if (pass->prepared_single != NULL) {
        ops->prepare(pass->single[0], stored, pass->prepared_single, plan->lanes[0].scratch);
    }
}

float *mbt_segment_weights(const mbt_plan *plan, const mbt_segment *s)
{
    return (plan->folded != NULL ? plan->folded : plan->weights) +
           plan->params.slices[s->weight].offset;
}

/* Scales every output channel by a; all stored forms have it innermost, in blocks. */
static void fold(mbt_plan *plan, const mbt_segment *s)
{
    const mbt_slice *slice = &plan->params.slices[s->weight];
    const mbt_layout *out = &s->conv.out;
    const size_t lanes = (size_t)out->block;
    const size_t inputs = s->conv.depthwise ? 1
                          : s->conv.image   ? (size_t)s->conv.in.c
                                            : (size_t)mbt_layout_section(&s->conv.in);
    const size_t run = inputs * (size_t)s->conv.kernel * (size_t)s->conv.kernel * lanes;
    const size_t count = run * (size_t)mbt_layout_stored(out) / lanes;
    const float *from = plan->weights + slice->offset;
    float *to = plan->folded + slice->offset;
    for (size_t i = 0; i < count; i++) {
        const float scale = s->norm >= 0 ? plan->norms[s->norm].a[i / run * lanes + i % lanes] : 1;
        to[i] = from[i] * scale;
    }
}

void mbt_exec_prepare(mbt_plan *plan)
{
    for (int i = 0; i < plan->n_segments && plan->folded != NULL; i++) {
        const mbt_segment *s = &plan->segments[i];
        if (s->norm >= 0) {
            mbt_norm_from_running(plan, s);
        }
        if (s->weight >= 0) {
            fold(plan, s);
        }
    }
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *s = &plan->segments[i];
        prepare_pass(plan, s, &s->forward);
        prepare_pass(plan, s, &s->backward_data);
    }
}

bool mbt_exec_is_shared(const mbt_plan *plan)
{
    return plan->options.threads > 1 && !omp_in_parallel();
}

float *mbt_exec_input(mbt_plan *plan)
{
    return plan->values[plan->input].data;
}

const float *mbt_exec_output(const mbt_plan *plan)
{
    return plan->values[plan->output].data;
}

float *mbt_exec_output_gradient(mbt_plan *plan)
{
    return plan->values[plan->output].gradient;
}

void mbt_exec_profile(mbt_plan *plan, double *seconds)
{
    plan->profile = seconds;
}

void mbt_tile_mark(mbt_plan *plan, const mbt_segment *s, const mbt_lane *lane, mbt_op op)
{
    if (plan->profile != NULL && lane == plan->lanes) {
        const double now = mbt_timer_clock();
        if (op < MBT_OP_COUNT) {
            plan->profile[(s - plan->segments) * MBT_OP_COUNT + op] += now - plan->profile_from;
        }
        plan->profile_from = now;
    }
}
