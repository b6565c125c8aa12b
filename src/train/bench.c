/* Whole steps on drawn input: what a configuration trains and evaluates a second. */
#include "mbt/bench.h"

#include <stdlib.h>
#include <string.h>

#include "mbt/exec.h"
#include "mbt/init.h"
#include "mbt/rng.h"
#include "mbt/timer.h"
#include "mbt/trainer.h"

enum { WARM_UP = 3 };

struct bench {
    mbt_setup *setup;
    uint32_t ids[MBT_GROUP_MAX];
    int n_samples, k;
};

/* Group sizes of the batch as the sampler cuts it; the input was drawn before. */
static int drawn_group(void *context, mbt_step *step, int group, const uint32_t **ids)
{
    struct bench *b = context;
    (void)step;
    *ids = b->ids;
    return b->n_samples / b->k + (group < b->n_samples % b->k);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_rate(FILE *out, const char *what, double images, const double *sorted, int n)
{
    (void)fprintf(out, "%-10s %8.1f images/s (median of %d; slowest %.1f, fastest %.1f), %.1f ms\n",
                  what, images / sorted[n / 2], n, images / sorted[n - 1], images / sorted[0],
                  1e3 * sorted[n / 2]);
}

static mbt_status time_steps(struct bench *b, mbt_step *step, double *seconds, int n_steps,
                             mbt_error *err)
{
    mbt_status status = MBT_OK;
    for (int i = 0; i < WARM_UP + n_steps && status == MBT_OK; i++) {
        bool stop = false;
        mbt_counts counts = {0};
        if (i == WARM_UP) {
            memset(step->timer.seconds, 0, sizeof step->timer.seconds);
        }
        mbt_comm_barrier(b->setup->comm);
        const double from = mbt_timer_clock();
        status =
            mbt_step_run(step, 0, b->k, b->n_samples, 1e-6, drawn_group, b, &stop, &counts, err);
        mbt_comm_barrier(b->setup->comm);
        if (i >= WARM_UP) {
            seconds[i - WARM_UP] = mbt_timer_clock() - from;
        }
    }
    return status;
}

static void time_evaluation(const struct bench *b, double *seconds, int n_steps)
{
    mbt_setup *setup = b->setup;
    mbt_plan *plan = setup->evaluator;
    memcpy(plan->weights, setup->plan->weights, plan->params.n_floats * sizeof(float));
    mbt_exec_prepare(plan);
    const mbt_layout *in = &plan->values[plan->input].layout;
    memcpy(mbt_exec_input(plan), mbt_exec_input(setup->plan),
           (size_t)plan->options.group * (size_t)in->c * (size_t)in->h * (size_t)in->w *
               sizeof(float));
    for (int i = 0; i < WARM_UP + n_steps; i++) {
        mbt_comm_barrier(setup->comm);
        const double from = mbt_timer_clock();
        const int each = plan->options.group * mbt_comm_size(setup->comm);
        for (int at = 0; at < b->n_samples; at += each) {
            mbt_exec_evaluate(plan, plan->options.group);
        }
        mbt_comm_barrier(setup->comm);
        if (i >= WARM_UP) {
            seconds[i - WARM_UP] = mbt_timer_clock() - from;
        }
    }
}

static void draw_input(const struct bench *b, mbt_step *step)
{
    mbt_setup *setup = b->setup;
    const mbt_value *input = &setup->plan->values[setup->plan->input];
    const size_t n = (size_t)setup->group * (size_t)input->layout.c * (size_t)input->layout.h *
                     (size_t)input->layout.w;
    float *pixels = mbt_exec_input(setup->plan);
    mbt_rng rng = mbt_rng_at(1, MBT_PURPOSE_SYNTH, 0, 0);
    for (size_t i = 0; i < n; i++) {
        pixels[i] = mbt_rng_normal(&rng);
    }
    for (int i = 0; i < setup->group; i++) {
        step->labels[i] = (int32_t)mbt_rng_below(
            &rng, (uint32_t)setup->plan->values[setup->plan->output].layout.c);
    }
}

static const char *reduce_name(mbt_reduce reduce)
{
    static const char *const names[] = {
        [MBT_REDUCE_EXACT] = "exact", [MBT_REDUCE_FP32] = "fp32", [MBT_REDUCE_BF16] = "bf16"};
    return names[reduce];
}

mbt_status mbt_bench_run(mbt_setup *setup, int n_steps, FILE *out, mbt_error *err)
{
    struct bench b = {.setup = setup, .n_samples = (int)setup->config.train.batch};
    b.k = (b.n_samples + setup->group - 1) / setup->group;
    mbt_step step = {0};
    double *seconds = calloc((size_t)n_steps, sizeof *seconds);
    mbt_status status = seconds != NULL ? mbt_step_create(setup, &step, err)
                                        : mbt_fail(err, MBT_FAILURE, "bench: out of memory");
    if (status == MBT_OK) {
        status = mbt_init_weights(&setup->plan->params, &setup->graph, &setup->config,
                                  setup->plan->weights, err);
    }
    status = mbt_comm_agree(setup->comm, status, err);
    if (status == MBT_OK) {
        draw_input(&b, &step);
        status = time_steps(&b, &step, seconds, n_steps, err);
    }
    const bool root = mbt_comm_rank(setup->comm) == 0;
    if (status == MBT_OK) {
        qsort(seconds, (size_t)n_steps, sizeof *seconds, ascending);
        if (root) {
            (void)fprintf(out, "%s, batch %d in groups of %d, %d rank(s), reduce %s\n",
                          setup->graph.name, b.n_samples, setup->group, mbt_comm_size(setup->comm),
                          reduce_name(setup->config.train.reduce));
            print_rate(out, "train", b.n_samples, seconds, n_steps);
        }
        (void)mbt_timer_switch(&step.timer, MBT_PHASE_EVALUATE);
        time_evaluation(&b, seconds, n_steps);
        (void)mbt_timer_switch(&step.timer, MBT_PHASE_OTHER);
        qsort(seconds, (size_t)n_steps, sizeof *seconds, ascending);
        if (root) {
            const int each = setup->evaluator->options.group * mbt_comm_size(setup->comm);
            print_rate(out, "evaluate", (double)((b.n_samples + each - 1) / each * each), seconds,
                       n_steps);
        }
        mbt_summary_print(setup->comm, &step.timer, (int64_t)n_steps * b.n_samples, out);
    }
    mbt_step_clear(&step);
    free(seconds);
    return status;
}
