/* Tiles and kernels for every segment. A pure function of layer, group size and kernel set. */
#include <stdlib.h>

#include "plan_build.h"

/* What a tile's maps may take together, so that they stay in a core's second-level cache. */
enum { TILE_BYTES = 512 * 1024 };

/* Whether a convolution could multiply in bf16: it has kernels for all its passes. */
static bool bf16_able(const mbt_plan *plan, const mbt_segment *s)
{
    static const mbt_op passes[] = {MBT_OP_CONV_FORWARD, MBT_OP_CONV_BACKWARD_WEIGHTS,
                                    MBT_OP_CONV_BACKWARD_DATA};
    const int n_passes = !plan->options.training ? 1 : s->needs_dz ? 3 : 2;
    mbt_conv_desc conv = s->conv;
    bool able = plan->options.bf16 && s->op == MBT_SEGMENT_CONV && s->norm >= 0;
    conv.bf16 = true;
    for (int k = 0; k < n_passes && able; k++) {
        able = mbt_kernel_find(passes[k], plan->options.isa, &conv) != NULL;
    }
    return able;
}

/* Whether all that read a value besides apply, which takes any storage, take bf16. `maker` made it.
 */
static bool read_as_bf16(const mbt_plan *plan, int value, const mbt_segment *maker)
{
    bool all = value >= 0;
    for (int i = 0; i < plan->n_segments && all; i++) {
        const mbt_segment *reader = &plan->segments[i];
        all = reader == maker || reader->from != value || reader->source == MBT_SOURCE_APPLY ||
              (reader->source == MBT_SOURCE_DIRECT && bf16_able(plan, reader));
    }
    return all;
}

/* Whether what the segment's operation reads can be bf16: apply makes it so, unless others need
 * what it stores in fp32; in evaluation it may be what another convolution wrote. */
static bool source_is_bf16(const mbt_plan *plan, const mbt_segment *s)
{
    return s->source == MBT_SOURCE_APPLY
               ? s->stored < 0 || read_as_bf16(plan, s->stored, s)
               : s->source == MBT_SOURCE_DIRECT && !plan->options.training &&
                     plan->values[s->from].storage == MBT_STORAGE_BF16;
}

/* Whether the convolution multiplies in bf16; then the maps around it are bf16, but for what it
 * writes when training, of which statistics are taken. Segments before this one have been chosen.
 */
static void choose_arithmetic(mbt_plan *plan, mbt_segment *s)
{
    s->conv.bf16 = bf16_able(plan, s) && source_is_bf16(plan, s);
    if (!s->conv.bf16) {
        return;
    }
    if (s->stored >= 0) {
        plan->values[s->stored].storage = MBT_STORAGE_BF16;
    }
    s->conv.bf16_out = !plan->options.training && read_as_bf16(plan, s->to, s);
    if (s->conv.bf16_out) {
        plan->values[s->to].storage = MBT_STORAGE_BF16;
    }
}

static int choose_tile(const mbt_plan *plan, const mbt_segment *s)
{
    const int group = plan->options.group;
    if (plan->options.tile > 0) {
        return plan->options.tile < group ? plan->options.tile : group;
    }
    size_t bytes = mbt_layout_floats(&s->z, 1) * mbt_storage_bytes(mbt_conv_reads(&s->conv));
    if (s->op == MBT_SEGMENT_CONV) {
        bytes += mbt_layout_floats(&s->conv.out, 1) * sizeof(float);
    }
    const size_t fits = TILE_BYTES / bytes;
    int tile = fits < 1 ? 1 : fits > (size_t)group ? group : (int)fits;
    while (group % tile != 0) {
        tile--;
    }
    return tile;
}

static mbt_status need(mbt_op op, mbt_isa isa, const void *desc, const char *segment,
                       const mbt_kernel **kernel, mbt_error *err)
{
    *kernel = mbt_kernel_find(op, isa, desc);
    return *kernel != NULL ? MBT_OK
                           : mbt_fail(err, MBT_FAILURE, "plan: no kernel for %s of %s on %s",
                                      mbt_op_name(op), segment, mbt_isa_name(isa));
}

static mbt_status make_pass(const mbt_plan *plan, const mbt_segment *s, mbt_op op,
                            mbt_conv_pass *pass, mbt_error *err)
{
    mbt_status status = need(op, plan->options.isa, &s->conv, s->name, &pass->kernel, err);
    const int threads = plan->options.threads;
    if (status == MBT_OK) {
        pass->tile = calloc(2 * (size_t)threads, sizeof *pass->tile);
        if (pass->tile == NULL) {
            return mbt_fail(err, MBT_FAILURE, "plan: out of memory");
        }
        pass->single = pass->tile + threads;
    }
    for (int t = 0; t < threads && status == MBT_OK; t++) {
        const mbt_conv_ops *ops = pass->kernel->run.conv;
        status = ops->create(&s->conv, op, s->tile, &pass->tile[t], err);
        if (status == MBT_OK && s->tile > 1) {
            status = ops->create(&s->conv, op, 1, &pass->single[t], err);
        }
    }
    return status == MBT_OK ? status : mbt_error_prefix(err, "plan: %s", s->name);
}

/* A depthwise convolution between two batch norms that nothing else reads into or out of can be one
 * kernel, if the table has it both ways. Returns whether it is. */
static bool choose_fused(mbt_plan *plan, mbt_segment *s)
{
    const mbt_isa isa = plan->options.isa;
    if (!plan->options.training || plan->options.pass_by_pass || s->op != MBT_SEGMENT_CONV ||
        s->source != MBT_SOURCE_APPLY || s->from_norm < 0 || s->norm < 0 || s->residual >= 0 ||
        s->stored >= 0 || !s->needs_dz) {
        return false;
    }
    s->depthwise = (mbt_depthwise_desc){s->apply, s->conv};
    s->k_depthwise_forward = mbt_kernel_find(MBT_OP_DEPTHWISE_FORWARD, isa, &s->depthwise);
    s->k_depthwise_backward = mbt_kernel_find(MBT_OP_DEPTHWISE_BACKWARD, isa, &s->depthwise);
    if (s->k_depthwise_forward == NULL || s->k_depthwise_backward == NULL) {
        s->k_depthwise_forward = s->k_depthwise_backward = NULL;
        return false;
    }
    mbt_value *from = &plan->values[s->from];
    from->gradient_layout = s->z;
    from->gradient_shuffle = s->shuffle_backward.straight && s->z.sections == from->layout.sections
                                 ? NULL
                                 : &s->shuffle_backward;
    return true;
}

/* Storage follows from who writes: batch norm's input, and what apply_backward and its like put
 * out, is kept as the options say; everything else is float, but what choose_arithmetic makes bf16.
 */
static void choose_storage(mbt_plan *plan)
{
    const mbt_storage storage = plan->options.storage;
    for (int v = 0; v < plan->n_values; v++) {
        plan->values[v].gradient_layout = plan->values[v].layout;
    }
    for (int i = 0; i < plan->n_segments && plan->options.training; i++) {
        const mbt_segment *s = &plan->segments[i];
        if (s->source != MBT_SOURCE_APPLY || s->from_norm < 0) {
            continue;
        }
        plan->values[s->from].storage = storage;
        plan->values[s->from].gradient_storage = storage;
        if (s->residual >= 0 && s->residual != plan->input) {
            plan->values[s->residual].gradient_storage = storage;
        }
    }
    /* What a segment only stores, its backward pass reads as an op's gradient. */
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *s = &plan->segments[i];
        if (s->op == MBT_SEGMENT_STORE) {
            plan->values[s->stored].gradient_storage = MBT_STORAGE_FP32;
        }
    }
}

static mbt_status choose(mbt_plan *plan, mbt_segment *s, mbt_error *err)
{
    const mbt_isa isa = plan->options.isa;
    const bool training = plan->options.training;
    mbt_status status = MBT_OK;
    s->conv.without_own = plan->options.without_own;
    choose_arithmetic(plan, s);
    s->tile = choose_tile(plan, s);
    if (s->source == MBT_SOURCE_APPLY) {
        s->apply.forward = &s->shuffle_forward;
        s->apply.backward = &s->shuffle_backward;
        if (choose_fused(plan, s)) {
            return MBT_OK;
        }
        status = need(MBT_OP_APPLY, isa, &s->apply, s->name, &s->k_apply, err);
        if (status == MBT_OK && training) {
            status =
                need(MBT_OP_APPLY_BACKWARD, isa, &s->apply, s->name, &s->k_apply_backward, err);
        }
    }
    if (status == MBT_OK && s->op == MBT_SEGMENT_POOL) {
        status = need(MBT_OP_POOL, isa, &s->z, s->name, &s->k_pool, err);
        if (status == MBT_OK && training) {
            status = need(MBT_OP_POOL_BACKWARD, isa, &s->z, s->name, &s->k_pool_backward, err);
        }
    }
    if (status == MBT_OK && s->op == MBT_SEGMENT_CONV) {
        status = make_pass(plan, s, MBT_OP_CONV_FORWARD, &s->forward, err);
        if (status == MBT_OK && training) {
            status = make_pass(plan, s, MBT_OP_CONV_BACKWARD_WEIGHTS, &s->backward_weights, err);
        }
        if (status == MBT_OK && training && s->needs_dz) {
            status = make_pass(plan, s, MBT_OP_CONV_BACKWARD_DATA, &s->backward_data, err);
        }
    }
    if (status == MBT_OK && s->norm >= 0 && training) {
        status = need(MBT_OP_STATS, isa, &s->conv.out, s->name, &s->k_stats, err);
        if (status == MBT_OK) {
            status =
                need(MBT_OP_NORM_BACKWARD, isa, &s->conv.out, s->name, &s->k_norm_backward, err);
        }
    }
    return status;
}

mbt_status mbt_plan_choose_kernels(mbt_plan *plan, mbt_error *err)
{
    mbt_status status =
        need(MBT_OP_QUANTISE, plan->options.isa, NULL, "the reduction", &plan->k_quantise, err);
    choose_storage(plan);
    for (int i = 0; i < plan->n_segments && status == MBT_OK; i++) {
        status = choose(plan, &plan->segments[i], err);
    }
    return status;
}

static void release_pass(const mbt_plan *plan, mbt_conv_pass *pass)
{
    for (int t = 0; t < plan->options.threads && pass->tile != NULL; t++) {
        pass->kernel->run.conv->destroy(pass->tile[t]);
        pass->kernel->run.conv->destroy(pass->single[t]);
    }
    free(pass->tile);
}

void mbt_plan_release_kernels(mbt_plan *plan)
{
    for (int i = 0; i < plan->n_segments; i++) {
        release_pass(plan, &plan->segments[i].forward);
        release_pass(plan, &plan->segments[i].backward_data);
        release_pass(plan, &plan->segments[i].backward_weights);
    }
}
