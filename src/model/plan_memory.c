/* One arena for everything a step touches: parameters, stored maps, gradients that share memory
 * over time, scratch that stays in cache. The same walk is done twice: to add up, then to hand out.
 */
#include <stdlib.h>

#include "plan_build.h"

/* Hands out from the arena, or only counts while there is none. */
struct cursor {
    mbt_arena *arena;
    size_t total;
};

static void *take(struct cursor *c, size_t bytes)
{
    c->total += mbt_arena_round(bytes);
    return c->arena != NULL && bytes > 0 ? mbt_arena_take(c->arena, bytes) : NULL;
}

/* A gradient buffer in backward time: written first at segment `from`, read last at segment `to`
 * (from >= to, the backward pass counts down). Offset within the shared region. */
struct span {
    int value, from, to;
    size_t bytes, offset; /* whole cache lines */
};

size_t mbt_plan_value_bytes(const mbt_value *value, int n_images)
{
    const mbt_layout *l = &value->layout;
    return mbt_storage_bytes(value->storage) *
           (value->plain ? (size_t)n_images * (size_t)l->c * (size_t)l->h * (size_t)l->w
                         : mbt_layout_floats(l, n_images));
}

size_t mbt_plan_gradient_bytes(const mbt_value *value, int n_images)
{
    return mbt_storage_bytes(value->gradient_storage) *
           mbt_layout_floats(&value->gradient_layout, n_images);
}

/* Value whose gradient buffer is also the gradient of the residual that segment s adds. */
static int alias_of(const mbt_plan *plan, int value)
{
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *s = &plan->segments[i];
        if (s->residual == value && !s->du) {
            return s->from;
        }
    }
    return -1;
}

static void stretch(struct span *span, int at)
{
    span->from = at > span->from ? at : span->from;
    span->to = at < span->to ? at : span->to;
}

/* When each value's gradient lives; values without one keep from < 0. */
static void find_spans(const mbt_plan *plan, struct span *spans)
{
    for (int v = 0; v < plan->n_values; v++) {
        spans[v] = (struct span){
            v, -1, plan->n_segments,
            mbt_arena_round(mbt_plan_gradient_bytes(&plan->values[v], plan->options.group)), 0};
    }
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *s = &plan->segments[i];
        if (s->to >= 0) {
            stretch(&spans[s->to], i);
        }
        if (s->op == MBT_SEGMENT_STORE) {
            stretch(&spans[s->stored], i);
        }
        if (s->needs_dz) {
            stretch(&spans[s->from], i);
        }
        if (s->residual >= 0) {
            stretch(&spans[s->residual], i);
        }
        if (s->extra >= 0) {
            stretch(&spans[s->extra], i);
        }
    }
    /* The caller fills the output's gradient before, and reads the input's after the pass. */
    stretch(&spans[plan->output], plan->n_segments - 1);
    if (plan->options.input_gradient) {
        stretch(&spans[plan->input], 0);
    } else {
        spans[plan->input].from = -1;
    }
    for (int v = 0; v < plan->n_values; v++) {
        const int owner = alias_of(plan, v);
        if (owner >= 0 && spans[v].from >= 0) {
            stretch(&spans[owner], spans[v].from);
            stretch(&spans[owner], spans[v].to);
            spans[v].from = -1;
        }
    }
}

/* The same for the maps themselves when nothing is kept for a backward pass: time counts down
 * from the first segment. */
static void find_map_spans(const mbt_plan *plan, struct span *spans)
{
    const int end = plan->n_segments - 1;
    for (int v = 0; v < plan->n_values; v++) {
        spans[v] = (struct span){
            v, -1, plan->n_segments,
            mbt_arena_round(mbt_plan_value_bytes(&plan->values[v], plan->options.group)), 0};
    }
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *s = &plan->segments[i];
        const int touched[] = {s->from, s->residual, s->stored, s->to};
        for (size_t k = 0; k < sizeof touched / sizeof touched[0]; k++) {
            if (touched[k] >= 0) {
                stretch(&spans[touched[k]], end - i);
            }
        }
    }
    /* The input stays as the caller filled it; the output is read after the pass. */
    stretch(&spans[plan->input], end);
    stretch(&spans[plan->input], 0);
    stretch(&spans[plan->output], 0);
}

static bool overlap_in_time(const struct span *a, const struct span *b)
{
    return a->from >= b->to && b->from >= a->to;
}

/* First fit in order of backward time. Returns the bytes of the region. */
static size_t place_spans(struct span *spans, int n, int n_segments)
{
    size_t region = 0;
    for (int time = n_segments - 1; time >= 0; time--) {
        for (int v = 0; v < n; v++) {
            if (spans[v].from != time) {
                continue;
            }
            size_t at = 0;
            for (bool moved = true; moved;) {
                moved = false;
                for (int u = 0; u < n; u++) {
                    const bool placed = spans[u].from > time || (spans[u].from == time && u < v);
                    if (placed && overlap_in_time(&spans[u], &spans[v]) &&
                        at < spans[u].offset + spans[u].bytes &&
                        spans[u].offset < at + spans[v].bytes) {
                        at = spans[u].offset + spans[u].bytes;
                        moved = true;
                    }
                }
            }
            spans[v].offset = at;
            region = at + spans[v].bytes > region ? at + spans[v].bytes : region;
        }
    }
    return region;
}

static void lay_norm(struct cursor *c, mbt_norm *norm, size_t channels)
{
    float **floats[] = {&norm->mean, &norm->a, &norm->b, &norm->c1, &norm->c2, &norm->c3};
    double **doubles[] = {&norm->group_mean, &norm->group_m2, &norm->sum_u, &norm->sum_uy};
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        *floats[i] = take(c, channels * sizeof(float));
    }
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        *doubles[i] = take(c, channels * sizeof(double));
    }
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void lay_pass(struct cursor *c, mbt_conv_pass *pass, size_t *kernel_scratch)
{
    if (pass->kernel == NULL) {
        return;
    }
    const mbt_conv_ops *ops = pass->kernel->run.conv;
    *kernel_scratch = larger(*kernel_scratch, ops->scratch_bytes(pass->tile[0]));
    pass->prepared = take(c, ops->prepared(pass->tile[0]) * sizeof(float));
    if (pass->single[0] != NULL) {
        *kernel_scratch = larger(*kernel_scratch, ops->scratch_bytes(pass->single[0]));
        pass->prepared_single = take(c, ops->prepared(pass->single[0]) * sizeof(float));
    }
}

static void lay_scratch(mbt_plan *plan, struct cursor *c)
{
    size_t z = 0, y = 0, weights = 0, kernels = 0, channels = 0;
    for (int i = 0; i < plan->n_segments; i++) {
        mbt_segment *s = &plan->segments[i];
        z = larger(z, mbt_layout_floats(&s->z, s->tile));
        channels = larger(channels, (size_t)mbt_layout_stored(&s->z));
        if (s->source == MBT_SOURCE_APPLY) {
            channels = larger(channels, (size_t)mbt_layout_stored(&s->apply.source));
        }
        if (s->op == MBT_SEGMENT_CONV) {
            y = larger(y, mbt_layout_floats(&s->conv.out, s->tile));
            channels = larger(channels, (size_t)mbt_layout_stored(&s->conv.out));
            weights = larger(weights, plan->params.slices[s->weight].stored);
        }
        if (s->k_depthwise_forward != NULL) {
            kernels = larger(kernels, mbt_depthwise_scratch(&s->depthwise) * sizeof(float));
        }
        lay_pass(c, &s->forward, &kernels);
        lay_pass(c, &s->backward_data, &kernels);
        lay_pass(c, &s->backward_weights, &kernels);
    }
    plan->ones = take(c, channels * sizeof(float));
    plan->zeros = take(c, channels * sizeof(float));
    for (int t = 0; t < plan->options.threads; t++) {
        mbt_lane *lane = &plan->lanes[t];
        lane->z = take(c, z * sizeof(float));
        lane->first = take(c, channels * sizeof(double));
        lane->second = take(c, channels * sizeof(double));
        if (plan->options.training) {
            lane->dz = take(c, z * sizeof(float));
            lane->dy = take(c, y * sizeof(float));
            lane->weights = take(c, weights * sizeof(float));
        }
        lane->scratch = take(c, kernels);
    }
    for (size_t i = 0; plan->ones != NULL && i < channels; i++) {
        plan->ones[i] = 1;
    }
}

static void lay_all(mbt_plan *plan, struct cursor *c, const struct span *spans, size_t region)
{
    const bool training = plan->options.training;
    size_t at = c->total;
    const mbt_plan *shares = plan->options.shares;
    plan->weights =
        shares != NULL ? shares->weights : take(c, plan->params.n_floats * sizeof(float));
    if (shares != NULL && !plan->options.own_gradient) {
        plan->gradient = shares->gradient;
    } else {
        plan->gradient = training ? take(c, plan->params.n_floats * sizeof(float)) : NULL;
    }
    if (!training) {
        plan->folded = take(c, plan->params.n_floats * sizeof(float));
    }
    plan->params_bytes = c->total - at;

    at = c->total;
    unsigned char *shared_maps = training ? NULL : take(c, region);
    for (int v = 0; v < plan->n_values; v++) {
        plan->values[v].data =
            training ? take(c, mbt_plan_value_bytes(&plan->values[v], plan->options.group))
            : shared_maps != NULL ? shared_maps + spans[v].offset
                                  : NULL;
    }
    plan->stored_bytes = c->total - at;

    at = c->total;
    if (plan->options.training) {
        unsigned char *shared = take(c, region);
        for (int v = 0; v < plan->n_values; v++) {
            if (spans[v].from >= 0 && shared != NULL) {
                plan->values[v].gradient = shared + spans[v].offset;
            }
        }
        for (int v = 0; v < plan->n_values; v++) {
            const int owner = alias_of(plan, v);
            if (owner >= 0) {
                plan->values[v].gradient = plan->values[owner].gradient;
            }
        }
    }
    plan->gradient_bytes = c->total - at;

    at = c->total;
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *s = &plan->segments[i];
        if (s->norm >= 0) {
            lay_norm(c, &plan->norms[s->norm], (size_t)mbt_layout_stored(&s->conv.out));
        }
    }
    lay_scratch(plan, c);
    plan->scratch_bytes = c->total - at;
}

mbt_status mbt_plan_lay_memory(mbt_plan *plan, mbt_error *err)
{
    struct span *spans = calloc((size_t)plan->n_values, sizeof *spans);
    if (spans == NULL) {
        return mbt_fail(err, MBT_FAILURE, "plan: out of memory");
    }
    if (plan->options.training) {
        find_spans(plan, spans);
    } else {
        find_map_spans(plan, spans);
    }
    const size_t region = place_spans(spans, plan->n_values, plan->n_segments);
    struct cursor counting = {NULL, 0};
    lay_all(plan, &counting, spans, region);
    const mbt_status status = mbt_arena_create(counting.total, &plan->arena, err);
    if (status == MBT_OK) {
        struct cursor handing = {plan->arena, 0};
        lay_all(plan, &handing, spans, region);
    }
    plan->activation_bytes_per_image = plan->stored_bytes / (size_t)plan->options.group;
    free(spans);
    return status;
}
