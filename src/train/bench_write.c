/* A benchmark as JSON: what the tables say, with all operations of each layer. */
#include <math.h>

#include "mbt/bench.h"

const char *mbt_bench_reduce_name(mbt_reduce reduce)
{
    static const char *const names[] = {
        [MBT_REDUCE_EXACT] = "exact", [MBT_REDUCE_FP32] = "fp32", [MBT_REDUCE_BF16] = "bf16"};
    return names[reduce];
}

double mbt_bench_least(mbt_cost cost, const mbt_peak *peak)
{
    const double bf16_s = cost.bf16_flops > 0 ? cost.bf16_flops / peak->bf16_flops_per_s : 0;
    return fmax((cost.flops - cost.bf16_flops) / peak->flops_per_s + bf16_s,
                cost.bytes / peak->read_bytes_per_s);
}

mbt_bench_sum mbt_bench_layer_sum(const mbt_bench_layer *layer, const mbt_peak *peak)
{
    mbt_bench_sum sum = {0};
    for (int op = 0; op < MBT_OP_COUNT; op++) {
        if (op != MBT_OP_QUANTISE) {
            sum.seconds += layer->seconds[op];
            mbt_cost_add(&sum.cost, layer->cost[op]);
            sum.least_s += mbt_bench_least(layer->cost[op], peak);
        }
    }
    return sum;
}

static void write_rate(mbt_json *j, const char *name, const mbt_bench_rate *rate)
{
    mbt_json_object(j, name);
    mbt_json_integer(j, "steps", rate->n);
    mbt_json_number(j, "images", rate->images);
    mbt_json_number(j, "images_per_s", rate->images / rate->median_s);
    mbt_json_number(j, "images_per_s_min", rate->images / rate->max_s);
    mbt_json_number(j, "images_per_s_max", rate->images / rate->min_s);
    mbt_json_number(j, "step_s", rate->median_s);
    mbt_json_number(j, "step_s_min", rate->min_s);
    mbt_json_number(j, "step_s_max", rate->max_s);
    mbt_json_end(j);
}

static void write_sum(mbt_json *j, double seconds, mbt_cost cost, double least_s)
{
    mbt_json_number(j, "seconds", seconds);
    mbt_json_number(j, "flops", cost.flops);
    mbt_json_number(j, "bytes", cost.bytes);
    mbt_json_number(j, "gflops_per_s", 1e-9 * cost.flops / seconds);
    mbt_json_number(j, "gb_per_s", 1e-9 * cost.bytes / seconds);
    mbt_json_number(j, "roofline", least_s / seconds);
}

static void write_layers(mbt_json *j, const char *name, const mbt_bench_table *table,
                         const mbt_peak *peak)
{
    mbt_json_object(j, name);
    mbt_json_number(j, "whole_s", table->whole_s);
    mbt_json_array(j, "layers");
    for (int i = 0; i < table->n_layers; i++) {
        const mbt_bench_layer *l = &table->layers[i];
        const mbt_bench_sum sum = mbt_bench_layer_sum(l, peak);
        mbt_json_object(j, NULL);
        mbt_json_text(j, "name", l->name);
        write_sum(j, sum.seconds, sum.cost, sum.least_s);
        mbt_json_number(j, "reduction_s", l->seconds[MBT_OP_QUANTISE]);
        mbt_json_object(j, "operations");
        for (int op = 0; op < MBT_OP_COUNT; op++) {
            if (l->seconds[op] > 0 && op != MBT_OP_QUANTISE) {
                mbt_json_object(j, mbt_op_name((mbt_op)op));
                write_sum(j, l->seconds[op], l->cost[op], mbt_bench_least(l->cost[op], peak));
                mbt_json_end(j);
            }
        }
        mbt_json_end(j);
        mbt_json_end(j);
    }
    mbt_json_end(j);
    mbt_json_end(j);
}

static void write_sums(mbt_json *j, const mbt_bench *b)
{
    mbt_json_object(j, "comm");
    for (int kind = 0; kind < MBT_BENCH_KINDS; kind++) {
        const mbt_bench_sums *s = &b->sums[kind];
        mbt_json_object(j, mbt_bench_reduce_name((mbt_reduce)kind));
        mbt_json_number(j, "latency_s", s->latency_s);
        mbt_json_number(j, "s_per_byte", s->s_per_byte);
        mbt_json_number(j, "alpha_s", s->link.alpha_s);
        mbt_json_number(j, "beta_s_per_byte", s->link.beta_s);
        mbt_json_array(j, "sizes");
        for (int i = 0; i < MBT_BENCH_SIZES; i++) {
            mbt_json_object(j, NULL);
            mbt_json_number(j, "bytes", s->bytes[i]);
            mbt_json_number(j, "seconds", s->seconds[i]);
            mbt_json_number(j, "gb_per_s", 1e-9 * s->bytes[i] / s->seconds[i]);
            mbt_json_end(j);
        }
        mbt_json_end(j);
        mbt_json_end(j);
    }
    mbt_json_end(j);
}

static void write_memory(mbt_json *j, const mbt_memory *m)
{
    mbt_json_object(j, "memory_bytes");
    mbt_json_integer(j, "plan", (int64_t)m->plan);
    mbt_json_integer(j, "evaluator", (int64_t)m->evaluator);
    mbt_json_integer(j, "momentum", (int64_t)m->momentum);
    mbt_json_integer(j, "average", (int64_t)m->average);
    mbt_json_integer(j, "sums", (int64_t)m->sums);
    mbt_json_integer(j, "samples", (int64_t)m->samples);
    mbt_json_integer(j, "code", (int64_t)m->code);
    mbt_json_integer(j, "save", (int64_t)m->save);
    mbt_json_integer(j, "total", (int64_t)m->total);
    mbt_json_end(j);
}

void mbt_bench_write(const mbt_bench *b, FILE *out)
{
    char library[32];
    mbt_json json, *j = &json;
    mbt_kernel_library(library, sizeof library);
    mbt_json_begin(j, out);
    mbt_json_object(j, NULL);
    mbt_json_number(j, "images_per_s", b->train.images / b->train.median_s);
    mbt_json_text(j, "network", b->basis.network);
    mbt_json_integer(j, "batch", b->basis.batch);
    mbt_json_integer(j, "group", b->basis.group);
    mbt_json_integer(j, "ranks", b->basis.ranks);
    mbt_json_integer(j, "nodes", b->basis.nodes);
    mbt_json_integer(j, "threads", b->basis.threads);
    mbt_json_text(j, "reduce", mbt_bench_reduce_name((mbt_reduce)b->basis.reduce));
    mbt_json_text(j, "storage", b->basis.storage == MBT_STORAGE_BF16 ? "bf16" : "fp32");
    mbt_json_text(j, "arithmetic", b->basis.bf16 ? "bf16" : "fp32");
    mbt_json_text(j, "kernels", mbt_isa_name(b->isa));
    mbt_json_text(j, "library", library);
    write_rate(j, "train", &b->train);
    write_rate(j, "evaluate", &b->evaluate);
    mbt_json_object(j, "phases_s");
    for (int p = MBT_PHASE_INPUT; p <= MBT_PHASE_UPDATE; p++) {
        mbt_json_number(j, mbt_phase_name((mbt_phase)p), b->phase_s[p]);
    }
    mbt_json_end(j);
    mbt_json_object(j, "peaks");
    mbt_json_number(j, "gflops_per_s", 1e-9 * b->peak.flops_per_s);
    if (b->peak.bf16_flops_per_s > 0) {
        mbt_json_number(j, "bf16_gflops_per_s", 1e-9 * b->peak.bf16_flops_per_s);
    }
    mbt_json_number(j, "read_gb_per_s", 1e-9 * b->peak.read_bytes_per_s);
    mbt_json_end(j);
    write_memory(j, &b->memory);
    write_layers(j, "training", &b->layers, &b->peak);
    write_layers(j, "evaluation", &b->evaluate_layers, &b->peak);
    if (b->has_sums) {
        write_sums(j, b);
    }
    mbt_basis_write(&b->basis, j);
    mbt_json_end(j);
}
