/* Whole steps on drawn input: what a configuration trains and evaluates a second. */
#include <stdlib.h>
#include <string.h>

#include "bench_parts.h"
#include "mbt/exec.h"
#include "mbt/init.h"
#include "mbt/rng.h"
#include "mbt/sampler.h"
#include "mbt/team.h"

enum { WARM_UP = 3 };

int mbt_bench_group(const mbt_bench_work *work, int group)
{
    return mbt_sampler_size(work->n_samples, work->k, group);
}

/* Group sizes of the batch as the sampler cuts it; the input was drawn before. */
static int drawn_group(void *context, mbt_step *step, int worker, int group, const uint32_t **ids)
{
    const mbt_bench_work *work = context;
    (void)step;
    (void)worker;
    *ids = work->ids;
    return mbt_bench_group(work, group);
}

mbt_status mbt_bench_step(mbt_bench_work *work, mbt_error *err)
{
    bool stop = false;
    mbt_counts counts = {0};
    return mbt_step_run(&work->step, 0, work->k, work->n_samples, 1e-6, drawn_group, work, &stop,
                        &counts, err);
}

int mbt_bench_evaluations(const mbt_bench_work *work)
{
    const int each = work->setup->evaluator->options.group * mbt_comm_size(work->setup->comm);
    return (work->n_samples + each - 1) / each;
}

static void evaluate_group(void *context, int worker, int group)
{
    const mbt_setup *setup = context;
    mbt_plan *plan = setup->workers[worker].evaluator;
    (void)group;
    mbt_exec_evaluate(plan, plan->options.group);
}

void mbt_bench_evaluate(mbt_bench_work *work)
{
    mbt_team_run(work->setup->n_workers, 0, mbt_bench_evaluations(work), evaluate_group,
                 work->setup);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double mbt_bench_median(double *seconds, int n)
{
    qsort(seconds, (size_t)n, sizeof *seconds, ascending);
    return seconds[n / 2];
}

static void set_rate(double *seconds, int n, double images, mbt_bench_rate *rate)
{
    *rate = (mbt_bench_rate){.images = images, .n = n};
    rate->median_s = mbt_bench_median(seconds, n);
    rate->min_s = seconds[0];
    rate->max_s = seconds[n - 1];
}

static mbt_status time_steps(mbt_bench_work *work, double *seconds, int n_steps, mbt_bench *bench,
                             mbt_error *err)
{
    mbt_comm *comm = work->setup->comm;
    mbt_status status = MBT_OK;
    for (int i = 0; i < WARM_UP + n_steps && status == MBT_OK; i++) {
        if (i == WARM_UP) {
            memset(work->step.timer.seconds, 0, sizeof work->step.timer.seconds);
        }
        mbt_comm_barrier(comm);
        const double from = mbt_timer_clock();
        status = mbt_bench_step(work, err);
        mbt_comm_barrier(comm);
        if (i >= WARM_UP) {
            seconds[i - WARM_UP] = mbt_timer_clock() - from;
        }
    }
    if (status == MBT_OK) {
        (void)mbt_timer_switch(&work->step.timer, MBT_PHASE_OTHER);
        memcpy(bench->phase_s, work->step.timer.seconds, sizeof bench->phase_s);
        mbt_comm_sum(comm, MBT_COMM_F64, bench->phase_s, MBT_PHASE_COUNT);
        for (int p = 0; p < MBT_PHASE_COUNT; p++) {
            bench->phase_s[p] /= (double)n_steps * mbt_comm_size(comm);
        }
        set_rate(seconds, n_steps, work->n_samples, &bench->train);
        bench->basis.step_s = bench->train.median_s;
        mbt_comm_broadcast(comm, &bench->basis.step_s, sizeof bench->basis.step_s);
    }
    return status;
}

static void time_evaluation(mbt_bench_work *work, double *seconds, int n_steps, mbt_bench *bench)
{
    mbt_setup *setup = work->setup;
    mbt_plan *plan = setup->evaluator;
    memcpy(plan->weights, setup->plan->weights, plan->params.n_floats * sizeof(float));
    const mbt_layout *in = &plan->values[plan->input].layout;
    const size_t floats =
        (size_t)plan->options.group * (size_t)in->c * (size_t)in->h * (size_t)in->w;
    for (int w = 0; w < setup->n_workers; w++) {
        mbt_plan *each = setup->workers[w].evaluator;
        mbt_exec_prepare(each);
        memcpy(mbt_exec_input(each), mbt_exec_input(setup->plan), floats * sizeof(float));
    }
    for (int i = 0; i < WARM_UP + n_steps; i++) {
        mbt_comm_barrier(setup->comm);
        const double from = mbt_timer_clock();
        mbt_bench_evaluate(work);
        mbt_comm_barrier(setup->comm);
        if (i >= WARM_UP) {
            seconds[i - WARM_UP] = mbt_timer_clock() - from;
        }
    }
    const double each = (double)plan->options.group * mbt_comm_size(setup->comm);
    set_rate(seconds, n_steps, each * mbt_bench_evaluations(work), &bench->evaluate);
}

static void draw_input(mbt_bench_work *work)
{
    const mbt_setup *setup = work->setup;
    const mbt_value *input = &setup->plan->values[setup->plan->input];
    const size_t n = (size_t)setup->group * (size_t)input->layout.c * (size_t)input->layout.h *
                     (size_t)input->layout.w;
    float *pixels = mbt_exec_input(setup->plan);
    mbt_rng rng = mbt_rng_at(1, MBT_PURPOSE_SYNTH, 0, 0);
    for (size_t i = 0; i < n; i++) {
        pixels[i] = mbt_rng_normal(&rng);
    }
    int32_t *labels = setup->workers[0].labels;
    for (int i = 0; i < setup->group; i++) {
        labels[i] = (int32_t)mbt_rng_below(
            &rng, (uint32_t)setup->plan->values[setup->plan->output].layout.c);
    }
    for (int w = 1; w < setup->n_workers; w++) {
        memcpy(mbt_exec_input(setup->workers[w].plan), pixels, n * sizeof *pixels);
        memcpy(setup->workers[w].labels, labels, (size_t)setup->group * sizeof *labels);
    }
}

/* All ranks at once, as they will work; the mean of them. Of the processor, whatever kernels the
 * configuration allows. */
static mbt_status measure_peaks(const mbt_setup *setup, mbt_bench *bench, mbt_error *err)
{
    mbt_comm_barrier(setup->comm);
    const mbt_status status = mbt_comm_agree(
        setup->comm,
        mbt_peak_measure(mbt_cpu_isa(), setup->plan->options.threads, &bench->peak, err), err);
    if (status == MBT_OK) {
        double *const peaks[] = {&bench->peak.flops_per_s, &bench->peak.bf16_flops_per_s,
                                 &bench->peak.read_bytes_per_s};
        for (size_t i = 0; i < sizeof peaks / sizeof *peaks; i++) {
            mbt_comm_sum(setup->comm, MBT_COMM_F64, peaks[i], 1);
            *peaks[i] /= mbt_comm_size(setup->comm);
        }
    }
    return status;
}

static mbt_status start(mbt_bench_work *work, mbt_error *err)
{
    mbt_setup *setup = work->setup;
    mbt_status status = mbt_step_create(setup, &work->step, err);
    if (status == MBT_OK) {
        status = mbt_init_weights(&setup->plan->params, &setup->graph, &setup->config,
                                  setup->plan->weights, err);
    }
    return mbt_comm_agree(setup->comm, status, err);
}

void mbt_bench_describe(const mbt_setup *setup, mbt_basis *basis)
{
    const mbt_layout *in = &setup->plan->values[setup->plan->input].layout;
    *basis = (mbt_basis){
        .c = in->c,
        .h = in->h,
        .w = in->w,
        .classes = setup->plan->values[setup->plan->output].layout.c,
        .parameters = (int)mbt_graph_params(&setup->graph),
        .batch = (int)setup->config.train.batch,
        .group = setup->group,
        .threads = setup->plan->options.threads,
        .storage = (int)setup->plan->options.storage,
        .bf16 = setup->plan->options.bf16,
        .reduce = (int)setup->config.train.reduce,
        .ranks = mbt_comm_size(setup->comm),
        .nodes = mbt_comm_n_nodes(setup->comm),
        .memory_bytes = (double)mbt_memory_of(setup).total,
    };
    memcpy(basis->network, setup->graph.name, sizeof basis->network);
}

mbt_status mbt_bench_run(mbt_setup *setup, const mbt_bench_options *options, mbt_bench *bench,
                         mbt_error *err)
{
    mbt_bench_work work = {.setup = setup, .n_samples = (int)setup->config.train.batch};
    work.k = mbt_sampler_cut(work.n_samples, setup->group);
    *bench = (mbt_bench){.isa = setup->plan->options.isa, .memory = mbt_memory_of(setup)};
    mbt_bench_describe(setup, &bench->basis);
    double *seconds = calloc((size_t)options->n_steps, sizeof *seconds);
    mbt_status status =
        seconds != NULL ? MBT_OK : mbt_fail(err, MBT_FAILURE, "bench: out of memory");
    status = mbt_comm_agree(setup->comm, status, err);
    if (status == MBT_OK) {
        status = measure_peaks(setup, bench, err);
    }
    if (status == MBT_OK) {
        status = start(&work, err);
    }
    if (status == MBT_OK) {
        draw_input(&work);
        status = time_steps(&work, seconds, options->n_steps, bench, err);
    }
    if (status == MBT_OK) {
        time_evaluation(&work, seconds, options->n_steps, bench);
        status = mbt_bench_profile(&work, bench, err);
    }
    if (status == MBT_OK) {
        status = mbt_bench_pieces(&work, bench, err);
    }
    if (status == MBT_OK && options->comm) {
        status = mbt_bench_reductions(setup->comm, bench, err);
    }
    mbt_step_clear(&work.step);
    free(seconds);
    return status;
}

void mbt_bench_clear(mbt_bench *bench)
{
    free(bench->layers.layers);
    free(bench->evaluate_layers.layers);
    *bench = (mbt_bench){0};
}
