/* The plan as a table for people. */
#include <inttypes.h>

#include "plan_build.h"

static const char *pass_name(const mbt_conv_pass *pass)
{
    return pass->kernel != NULL ? pass->kernel->name : "-";
}

static double mib(size_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0);
}

static void print_segment(const mbt_plan *plan, const mbt_segment *s, FILE *out)
{
    const bool grouped = s->weight >= 0 && plan->params.slices[s->weight].dims[1] < s->z.c;
    char input[32], output[32], op[32], kernels[96];
    (void)snprintf(input, sizeof input, "%dx%dx%d", s->z.c, s->z.h, s->z.w);
    (void)snprintf(output, sizeof output, "-");
    (void)snprintf(op, sizeof op, s->op == MBT_SEGMENT_POOL ? "average" : "store");
    if (s->to >= 0) {
        const mbt_layout *l = &plan->values[s->to].layout;
        (void)snprintf(output, sizeof output, "%dx%dx%d", l->c, l->h, l->w);
    }
    if (s->op == MBT_SEGMENT_CONV) {
        (void)snprintf(op, sizeof op, "%dx%d%s%s", s->conv.kernel, s->conv.kernel,
                       s->conv.depthwise ? " dw"
                       : grouped         ? " g"
                                         : "",
                       s->conv.stride > 1 ? " /2" : "");
        if (s->k_depthwise_forward != NULL) {
            (void)snprintf(kernels, sizeof kernels, "fused %s/%s", s->k_depthwise_forward->name,
                           s->k_depthwise_backward->name);
        } else {
            (void)snprintf(kernels, sizeof kernels, "%s/%s/%s", pass_name(&s->forward),
                           pass_name(&s->backward_data), pass_name(&s->backward_weights));
        }
    } else {
        (void)snprintf(kernels, sizeof kernels, "%s", s->k_pool != NULL ? s->k_pool->name : "-");
    }
    (void)fprintf(out, "%-22s %-8s %-14s %-14s %5d %4d %10" PRId64 " %12" PRId64 "  %-8s %s\n",
                  s->name, op, input, output, s->z.block, s->tile, s->params, s->macs,
                  s->k_apply != NULL ? s->k_apply->name : "-", kernels);
}

void mbt_plan_print(const mbt_plan *plan, const mbt_graph *graph, FILE *out)
{
    char library[32];
    mbt_kernel_library(library, sizeof library);
    (void)fprintf(out,
                  "network %s, groups of %d images, kernels up to %s, %s, storage %s, arithmetic "
                  "%s, %d thread%s\n",
                  graph->name, plan->options.group, mbt_isa_name(plan->options.isa), library,
                  plan->options.storage == MBT_STORAGE_BF16 ? "bf16" : "fp32",
                  plan->options.bf16 ? "bf16" : "fp32", plan->options.threads,
                  plan->options.threads > 1 ? "s" : "");
    (void)fprintf(out, "%-22s %-8s %-14s %-14s %5s %4s %10s %12s  %-8s %s\n", "segment", "op",
                  "input", "output", "block", "tile", "params", "MACs", "source",
                  "forward/data/weights");
    for (int i = 0; i < plan->n_segments; i++) {
        print_segment(plan, &plan->segments[i], out);
    }
    (void)fprintf(out, "total: %" PRId64 " parameters, %" PRId64 " MACs an image\n",
                  mbt_graph_params(graph), mbt_graph_macs(graph));
    (void)fprintf(
        out,
        "memory: %.1f MiB parameters and gradient, %.1f MiB stored maps (%.2f MiB an image), "
        "%.1f MiB gradients of maps, %.1f MiB scratch, %.1f MiB in all\n",
        mib(plan->params_bytes), mib(plan->stored_bytes), mib(plan->activation_bytes_per_image),
        mib(plan->gradient_bytes), mib(plan->scratch_bytes), mib(mbt_arena_used(plan->arena)));
    (void)fprintf(out, "digest: %s\n", plan->digest);
}

void mbt_plan_print_evaluator(const mbt_plan *plan, FILE *out)
{
    (void)fprintf(
        out,
        "evaluation: %d images at a time, %.1f MiB parameters as they are and folded, %.1f "
        "MiB maps, %.1f MiB scratch, %.1f MiB in all\n",
        plan->options.group, mib(plan->params_bytes), mib(plan->stored_bytes),
        mib(plan->scratch_bytes), mib(mbt_arena_used(plan->arena)));
}
