/* Arithmetic and memory traffic of a segment's operations.
 *
 * Legend: M multiply-accumulates, x elements of the map that the source reads, z of what the op
 * reads, y of what it writes, w of the weights (all of n images; w of one). Equations in kernel.h.
 *
 *     operation             flops                       bytes
 *     conv, each pass       2 M                         w; z and y where they are stored maps
 *     apply                 4 z, 5 z with a residual    x, residual; z where it is stored
 *     stats                 4 y                         y
 *     norm backward         5 y                         u and y
 *     apply backward        5 x, 6 x with e             x; e; u; du
 *     depthwise forward     2 M + 4 z + 4 y             w; x and y
 *     depthwise backward    4 M + 5 y + 4 z + 5 x       w twice; u and y; x; u of x
 *     pool, backward        z                           y; z where it is a stored map
 *
 * Bytes count what passes the boundary between memory and cache when a tile's scratch stays in
 * cache: the scratch maps z, dz and dy are no bytes, and what an earlier operation of the same tile
 * has just read or written is not read again. */
#include "mbt/cost.h"

#include "exec_tile.h"
#include "plan_build.h"

/* Of fp32 alone. */
static mbt_cost cost_of(double flops, double bytes)
{
    return (mbt_cost){.flops = flops, .bytes = bytes};
}

static double elements(const mbt_layout *l, int n)
{
    return (double)n * l->c * l->h * l->w;
}

/* The stored map that the op reads as it is, or -1: it reads what the source made. */
static int read_directly(const mbt_segment *s)
{
    return s->source == MBT_SOURCE_DIRECT ? s->from : -1;
}

static double value_bytes(const mbt_plan *plan, int value, int n)
{
    return value < 0 ? 0 : (double)mbt_plan_value_bytes(&plan->values[value], n);
}

static double gradient_bytes(const mbt_plan *plan, int value, int n)
{
    return value < 0 ? 0 : (double)mbt_plan_gradient_bytes(&plan->values[value], n);
}

static double weight_bytes(const mbt_plan *plan, const mbt_segment *s)
{
    return s->weight < 0 ? 0 : (double)plan->params.slices[s->weight].stored * sizeof(float);
}

/* y of a convolution before batch norm is written by the pass that takes its statistics. */
static bool writes_output(const mbt_segment *s)
{
    return s->k_stats == NULL;
}

static mbt_cost conv_cost(const mbt_plan *plan, const mbt_segment *s, mbt_op op, int n)
{
    mbt_cost cost = {.flops = 2.0 * (double)s->macs * n, .bytes = weight_bytes(plan, s)};
    cost.bf16_flops = s->conv.bf16 ? cost.flops : 0;
    const int direct = read_directly(s);
    switch (op) {
    case MBT_OP_CONV_FORWARD:
        cost.bytes += value_bytes(plan, direct, n);
        cost.bytes += writes_output(s) ? value_bytes(plan, s->to, n) : 0;
        break;
    case MBT_OP_CONV_BACKWARD_WEIGHTS:
        cost.bytes += value_bytes(plan, direct >= 0 ? direct : s->stored, n);
        cost.bytes += s->norm < 0 ? gradient_bytes(plan, s->to, n) : 0;
        break;
    default:
        cost.bytes += gradient_bytes(plan, direct, n);
        break;
    }
    return cost;
}

/* The backward pass applies again unless z was stored. */
static mbt_cost apply_cost(const mbt_plan *plan, const mbt_segment *s, int n)
{
    const double times = plan->options.training && s->stored < 0 ? 2 : 1;
    return (mbt_cost){
        .flops = times * (s->residual >= 0 ? 5 : 4) * elements(&s->z, n),
        .bytes = times * (value_bytes(plan, s->from, n) + value_bytes(plan, s->residual, n)) +
                 value_bytes(plan, s->stored, n),
    };
}

static mbt_cost apply_backward_cost(const mbt_plan *plan, const mbt_segment *s, int n)
{
    return (mbt_cost){
        .flops = (s->extra >= 0 ? 6 : 5) * elements(&s->apply.source, n),
        .bytes = value_bytes(plan, s->from, n) + gradient_bytes(plan, s->extra, n) +
                 gradient_bytes(plan, s->from, n) +
                 (s->du ? gradient_bytes(plan, s->residual, n) : 0),
    };
}

static mbt_cost depthwise_cost(const mbt_plan *plan, const mbt_segment *s, mbt_op op, int n)
{
    const double macs = (double)s->macs * n;
    const double in = elements(&s->z, n), out = elements(&s->conv.out, n);
    const double maps = value_bytes(plan, s->from, n) + value_bytes(plan, s->to, n);
    if (op == MBT_OP_DEPTHWISE_FORWARD) {
        return cost_of(2 * macs + 4 * in + 4 * out, maps + weight_bytes(plan, s));
    }
    return (mbt_cost){
        .flops = 4 * macs + 5 * out + 9 * in,
        .bytes = maps + gradient_bytes(plan, s->from, n) + gradient_bytes(plan, s->to, n) +
                 2 * weight_bytes(plan, s),
    };
}

static bool has_op(const mbt_segment *s, mbt_op op)
{
    const mbt_kernel *const kernels[MBT_OP_COUNT] = {
        [MBT_OP_CONV_FORWARD] = s->forward.kernel,
        [MBT_OP_CONV_BACKWARD_DATA] = s->backward_data.kernel,
        [MBT_OP_CONV_BACKWARD_WEIGHTS] = s->backward_weights.kernel,
        [MBT_OP_STATS] = s->k_stats,
        [MBT_OP_APPLY] = s->k_apply,
        [MBT_OP_APPLY_BACKWARD] = s->needs_dz ? s->k_apply_backward : NULL,
        [MBT_OP_NORM_BACKWARD] = s->k_norm_backward,
        [MBT_OP_DEPTHWISE_FORWARD] = s->k_depthwise_forward,
        [MBT_OP_DEPTHWISE_BACKWARD] = s->k_depthwise_backward,
        [MBT_OP_POOL] = s->k_pool,
        [MBT_OP_POOL_BACKWARD] = s->k_pool_backward,
    };
    return kernels[op] != NULL;
}

mbt_cost mbt_cost_of(const mbt_plan *plan, const mbt_segment *s, mbt_op op, int n)
{
    if (!has_op(s, op)) {
        return cost_of(0, 0);
    }
    switch (op) {
    case MBT_OP_APPLY:
        return apply_cost(plan, s, n);
    case MBT_OP_APPLY_BACKWARD:
        return apply_backward_cost(plan, s, n);
    case MBT_OP_STATS:
        return cost_of(4 * elements(&s->conv.out, n), value_bytes(plan, s->to, n));
    case MBT_OP_NORM_BACKWARD:
        return cost_of(5 * elements(&s->conv.out, n),
                       value_bytes(plan, s->to, n) + gradient_bytes(plan, s->to, n));
    case MBT_OP_DEPTHWISE_FORWARD:
    case MBT_OP_DEPTHWISE_BACKWARD:
        return depthwise_cost(plan, s, op, n);
    case MBT_OP_POOL:
        return cost_of(elements(&s->z, n),
                       value_bytes(plan, s->to, n) + value_bytes(plan, read_directly(s), n));
    case MBT_OP_POOL_BACKWARD:
        return cost_of(elements(&s->z, n),
                       gradient_bytes(plan, s->to, n) + gradient_bytes(plan, read_directly(s), n));
    default:
        return conv_cost(plan, s, op, n);
    }
}

void mbt_cost_add(mbt_cost *sum, mbt_cost more)
{
    sum->flops += more.flops;
    sum->bytes += more.bytes;
    sum->bf16_flops += more.bf16_flops;
}

int mbt_cost_first_lane(const mbt_plan *plan, const mbt_segment *s, int n)
{
    int images = 0;
    for (int i = 0; i < mbt_tile_count(s, n); i += plan->options.threads) {
        images += mbt_tile_at(s, n, i, plan->lanes).count;
    }
    return images;
}
