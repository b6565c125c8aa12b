/* The model of scaling.h, and its table. */
#include "mbt/scaling.h"

#include <math.h>

#include "mbt/sampler.h"
#include "mbt/trainer.h"

/* Where only one rank was measured: what two cores of one machine reach in shared memory, about. */
static const mbt_link assumed_node = {5e-6, 1e-9};

int mbt_scaling_element(mbt_reduce reduce)
{
    switch (reduce) {
    case MBT_REDUCE_EXACT:
        return 8;
    case MBT_REDUCE_FP32:
        return 4;
    case MBT_REDUCE_BF16:
        break;
    }
    return 2;
}

static double rounds_of(int n)
{
    return ceil(log2(n));
}

double mbt_scaling_sum(int ranks, int nodes, double bytes, mbt_link node, mbt_link net,
                       double *cores)
{
    *cores = 0;
    if (ranks < 2) {
        return 0;
    }
    const int here = (ranks + nodes - 1) / nodes; /* ranks of a node */
    const double hops = 2.0 * (ranks - 1), piece = bytes / ranks;
    const double within = node.alpha_s + bytes * node.beta_s;
    const double between = net.alpha_s + bytes * here * net.beta_s;
    const double ring_within = node.alpha_s + piece * node.beta_s;
    const double ring_between = nodes > 1 ? net.alpha_s + piece * net.beta_s : 0;
    const double doubling = rounds_of(here) * within + rounds_of(nodes) * between;
    const double ring = hops * fmax(ring_within, ring_between);
    if (doubling <= ring) {
        *cores = rounds_of(here) * within;
        return doubling;
    }
    *cores = hops * fmin(ring_within, ring);
    return ring;
}

/* What the reduction adds to a step: the cores' part whole, and what of the network's part comes
 * after the backward pass. */
static double reduction_of(const mbt_basis *b, mbt_link net, int ranks, int nodes)
{
    const mbt_link node = b->node.alpha_s > 0 ? b->node : assumed_node;
    double cores = 0, now = 0, all_cores = 0;
    for (int i = 0; i < b->n_buckets; i++) {
        const double seconds =
            mbt_scaling_sum(ranks, nodes, b->buckets[i].bytes, node, net, &cores);
        const double ready = b->backward_s - b->buckets[i].ready_s;
        now = fmax(now, ready) + seconds;
        all_cores += cores;
    }
    const double after = fmax(0, now - b->backward_s - all_cores);
    return all_cores + after +
           mbt_scaling_sum(ranks, nodes, MBT_STEP_COUNTS * 8, node, net, &cores);
}

static int groups_of(int batch, int group, int ranks)
{
    const int k = mbt_sampler_cut(batch, group);
    return (k + ranks - 1) / ranks;
}

/* Without rest and efficiency. */
static mbt_scaling model(const mbt_basis *b, mbt_link net, int batch, int ranks, int nodes)
{
    mbt_scaling p = {.ranks = ranks, .nodes = nodes, .groups = groups_of(batch, b->group, ranks)};
    p.compute_s = p.groups * b->group_s;
    p.reduce_s = reduction_of(b, net, ranks, nodes);
    p.once_s = b->prepare_s + b->convert_s + b->update_s;
    p.step_s = p.compute_s + p.reduce_s + p.once_s;
    return p;
}

static mbt_scaling with_rest(const mbt_basis *b, mbt_link net, int batch, int ranks, int nodes)
{
    mbt_scaling p = model(b, net, batch, ranks, nodes);
    const mbt_scaling there = model(b, net, b->batch, b->ranks, b->nodes);
    p.rest_s = (b->step_s - there.step_s) * p.groups / there.groups;
    p.step_s += p.rest_s;
    p.images_per_s = batch / p.step_s;
    return p;
}

mbt_scaling mbt_scaling_step(const mbt_basis *b, mbt_link net, int batch, int ranks, int nodes)
{
    mbt_scaling p = with_rest(b, net, batch, ranks, nodes);
    const mbt_scaling alone = with_rest(b, net, batch, 1, 1);
    p.efficiency = p.images_per_s / ranks / alone.images_per_s;
    return p;
}

static void print_row(const mbt_basis *b, const mbt_scaling *p, int batch, FILE *out)
{
    const int here = (p->ranks + p->nodes - 1) / p->nodes;
    const bool measured = p->ranks == b->ranks && p->nodes == b->nodes && batch == b->batch;
    (void)fprintf(out, "%6d %6d %6d %10.1f %10.2f %8.2f %8.2f %10.1f %10.1f %9.1f %% %8.0f  %s\n",
                  p->ranks, p->nodes, p->groups, 1e3 * p->compute_s, 1e3 * p->reduce_s,
                  1e3 * p->once_s, 1e3 * p->rest_s, 1e3 * p->step_s, p->images_per_s,
                  100 * p->efficiency, here * b->memory_bytes / 1048576.0,
                  measured ? "measured" : "extrapolated");
}

void mbt_scaling_print(const mbt_basis *b, mbt_link net, int batch, int ranks, int nodes, FILE *out)
{
    const mbt_link node = b->node.alpha_s > 0 ? b->node : assumed_node;
    const int here = (ranks + nodes - 1) / nodes;
    double bytes = 0;
    for (int i = 0; i < b->n_buckets; i++) {
        bytes += b->buckets[i].bytes;
    }
    (void)fprintf(out,
                  "%s, %dx%dx%d, batch %d in groups of %d, from %d rank%s on %d node%s: step %.1f "
                  "ms, group %.1f ms\n",
                  b->network, b->c, b->h, b->w, batch, b->group, b->ranks, b->ranks > 1 ? "s" : "",
                  b->nodes, b->nodes > 1 ? "s" : "", 1e3 * b->step_s, 1e3 * b->group_s);
    (void)fprintf(out,
                  "sums of %.1f MiB in %d buckets; within a node %.1f us, %.2f GB/s (%s); between "
                  "nodes %.1f us, %.2f GB/s (given)\n",
                  bytes / 1048576.0, b->n_buckets, 1e6 * node.alpha_s, 1e-9 / node.beta_s,
                  b->node.alpha_s > 0 ? "measured" : "assumed", 1e6 * net.alpha_s,
                  1e-9 / net.beta_s);
    (void)fprintf(out, "%6s %6s %6s %10s %10s %8s %8s %10s %10s %11s %8s\n", "ranks", "nodes",
                  "groups", "compute ms", "reduce ms", "once ms", "rest ms", "step ms", "images/s",
                  "efficiency", "MiB/node");
    for (int n = 1; n <= ranks; n = n < ranks && 2 * n > ranks ? ranks : 2 * n) {
        const mbt_scaling p = mbt_scaling_step(b, net, batch, n, (n + here - 1) / here);
        print_row(b, &p, batch, out);
    }
}
