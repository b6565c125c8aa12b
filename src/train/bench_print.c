/* A benchmark as tables for people. */
#include "mbt/bench.h"

#include <math.h>

static void print_rate(const char *what, const mbt_bench_rate *rate, FILE *out)
{
    (void)fprintf(out, "%-10s %8.1f images/s (median of %d; slowest %.1f, fastest %.1f), %.1f ms\n",
                  what, rate->images / rate->median_s, rate->n, rate->images / rate->max_s,
                  rate->images / rate->min_s, 1e3 * rate->median_s);
}

static void print_phases(const mbt_bench *b, FILE *out)
{
    double sum = 0;
    for (int p = MBT_PHASE_INPUT; p <= MBT_PHASE_UPDATE; p++) {
        sum += b->phase_s[p];
    }
    (void)fprintf(out, "phases    ");
    for (int p = MBT_PHASE_INPUT; p <= MBT_PHASE_UPDATE; p++) {
        (void)fprintf(out, " %s %.2f ms (%.1f %%)%s", mbt_phase_name((mbt_phase)p),
                      1e3 * b->phase_s[p], 100 * b->phase_s[p] / sum,
                      p < MBT_PHASE_UPDATE ? "," : "\n");
    }
}

static double rate_of(double amount, double seconds)
{
    return seconds > 0 && amount > 0 ? 1e-9 * amount / seconds : 0;
}

/* GFLOP/s of the three passes of a convolution, or of a fused segment's two. */
static void format_passes(const mbt_bench_layer *l, char *text, size_t bytes)
{
    static const mbt_op plain[] = {MBT_OP_CONV_FORWARD, MBT_OP_CONV_BACKWARD_DATA,
                                   MBT_OP_CONV_BACKWARD_WEIGHTS};
    static const mbt_op fused[] = {MBT_OP_DEPTHWISE_FORWARD, MBT_OP_DEPTHWISE_BACKWARD};
    const bool is_fused = l->cost[fused[0]].flops > 0;
    const mbt_op *ops = is_fused ? fused : plain;
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < (is_fused ? 2 : 3); i++) {
        const double rate = rate_of(l->cost[ops[i]].flops, l->seconds[ops[i]]);
        if (rate > 0) {
            const int n = snprintf(text + used, bytes - used, "%s%.0f", used > 0 ? "/" : "", rate);
            used += n > 0 && (size_t)n < bytes - used ? (size_t)n : 0;
        }
    }
}

static void print_line(const char *name, const mbt_bench_sum *sum, double whole_s,
                       const char *passes, FILE *out)
{
    (void)fprintf(out, "%-22s %9.3f %6.1f %9.1f %8.1f %8.0f  %s\n", name, 1e3 * sum->seconds,
                  100 * sum->seconds / whole_s, rate_of(sum->cost.flops, sum->seconds),
                  rate_of(sum->cost.bytes, sum->seconds),
                  sum->seconds > 0 ? 100 * sum->least_s / sum->seconds : 0, passes);
}

static void print_layers(const mbt_bench *b, const mbt_bench_table *table, const char *what,
                         FILE *out)
{
    char passes[64];
    mbt_bench_sum total = {0};
    double turned_over = 0;
    (void)fprintf(out, "\n%-22s %9s %6s %9s %8s %8s  %s\n", what, "ms", "%", "GFLOP/s", "GB/s",
                  "roof %", "GFLOP/s of the passes");
    for (int i = 0; i < table->n_layers; i++) {
        const mbt_bench_sum sum = mbt_bench_layer_sum(&table->layers[i], &b->peak);
        format_passes(&table->layers[i], passes, sizeof passes);
        print_line(table->layers[i].name, &sum, table->whole_s, passes, out);
        total.seconds += sum.seconds;
        mbt_cost_add(&total.cost, sum.cost);
        total.least_s += sum.least_s;
        turned_over += table->layers[i].seconds[MBT_OP_QUANTISE];
    }
    print_line("layers", &total, table->whole_s, "", out);
    if (turned_over > 0) {
        (void)fprintf(out, "%-22s %9.3f %6.1f\n", "to the reduction", 1e3 * turned_over,
                      100 * turned_over / table->whole_s);
    }
    const double rest = table->whole_s - total.seconds - turned_over;
    (void)fprintf(out, "%-22s %9.3f %6.1f\n", "rest", 1e3 * rest, 100 * rest / table->whole_s);
}

static void print_operations(const mbt_bench *b, FILE *out)
{
    (void)fprintf(out, "\n%-22s %9s %6s %9s %8s %8s\n", "operation", "ms", "%", "GFLOP/s", "GB/s",
                  "roof %");
    for (int op = 0; op < MBT_OP_COUNT; op++) {
        mbt_bench_sum sum = {0};
        for (int i = 0; i < b->layers.n_layers; i++) {
            const mbt_bench_layer *l = &b->layers.layers[i];
            sum.seconds += l->seconds[op];
            mbt_cost_add(&sum.cost, l->cost[op]);
            sum.least_s += mbt_bench_least(l->cost[op], &b->peak);
        }
        if (sum.seconds > 0) {
            print_line(op == MBT_OP_QUANTISE ? "to the reduction" : mbt_op_name((mbt_op)op), &sum,
                       b->layers.whole_s, "", out);
        }
    }
}

static void print_sums(const mbt_bench *b, FILE *out)
{
    (void)fprintf(out, "\nsums over %d ranks on %d node%s\n%10s", b->basis.ranks, b->basis.nodes,
                  b->basis.nodes > 1 ? "s" : "", "bytes");
    for (int kind = 0; kind < MBT_BENCH_KINDS; kind++) {
        (void)fprintf(out, " %10s us %9s", mbt_bench_reduce_name((mbt_reduce)kind), "GB/s");
    }
    for (int i = 0; i < MBT_BENCH_SIZES; i++) {
        (void)fprintf(out, "\n%10.0f", b->sums[0].bytes[i]);
        for (int kind = 0; kind < MBT_BENCH_KINDS; kind++) {
            const mbt_bench_sums *s = &b->sums[kind];
            (void)fprintf(out, " %13.1f %9.3f", 1e6 * s->seconds[i],
                          1e-9 * s->bytes[i] / s->seconds[i]);
        }
    }
    (void)fprintf(out, "\n");
    for (int kind = 0; kind < MBT_BENCH_KINDS; kind++) {
        const mbt_bench_sums *s = &b->sums[kind];
        (void)fprintf(out, "%-10s latency %.2f us, %.3f ns a byte (alpha %.2f us, beta %.3f ns)\n",
                      mbt_bench_reduce_name((mbt_reduce)kind), 1e6 * s->latency_s,
                      1e9 * s->s_per_byte, 1e6 * s->link.alpha_s, 1e9 * s->link.beta_s);
    }
}

void mbt_bench_print(const mbt_bench *b, FILE *out)
{
    (void)fprintf(out, "%s, batch %d in groups of %d, %d rank(s), reduce %s, arithmetic %s\n",
                  b->basis.network, b->basis.batch, b->basis.group, b->basis.ranks,
                  mbt_bench_reduce_name((mbt_reduce)b->basis.reduce),
                  b->basis.bf16 ? "bf16" : "fp32");
    print_rate("train", &b->train, out);
    print_rate("evaluate", &b->evaluate, out);
    print_phases(b, out);
    (void)fprintf(out,
                  "pieces     group %.2f ms (backward %.2f), prepare %.2f, convert %.2f, update "
                  "%.2f\n",
                  1e3 * b->basis.group_s, 1e3 * b->basis.backward_s, 1e3 * b->basis.prepare_s,
                  1e3 * b->basis.convert_s, 1e3 * b->basis.update_s);
    mbt_memory_print(&b->memory, out);
    (void)fprintf(out, "a core     at most %.1f GFLOP/s in fp32, ", 1e-9 * b->peak.flops_per_s);
    if (b->peak.bf16_flops_per_s > 0) {
        (void)fprintf(out, "%.1f in bf16, ", 1e-9 * b->peak.bf16_flops_per_s);
    }
    (void)fprintf(out, "reads %.1f GB/s from memory\n", 1e-9 * b->peak.read_bytes_per_s);
    print_layers(b, &b->layers, "training step, rank 0", out);
    print_operations(b, out);
    print_layers(b, &b->evaluate_layers, "evaluation, rank 0", out);
    if (b->has_sums) {
        print_sums(b, out);
    }
}
