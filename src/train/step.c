/* One training step: groups forward and backward, sums, update. */
#include <stdlib.h>
#include <string.h>

#include "mbt/exec.h"
#include "mbt/loss.h"
#include "mbt/optim.h"
#include "mbt/team.h"
#include "mbt/trainer.h"
#include "tally.h"

/* What all ranks learn of a step in one message of integers: a tally, and whether to stop. */
enum { TAIL_STOP = TALLY_COUNT, TAIL_COUNT };
_Static_assert((int)TAIL_COUNT == (int)MBT_STEP_COUNTS, "the prediction counts on as many");

mbt_status mbt_step_create(mbt_setup *setup, mbt_step *step, mbt_error *err)
{
    *step = (mbt_step){.setup = setup};
    mbt_status status = mbt_bucket_create(setup, &step->bucket, err);
    if (status != MBT_OK) {
        return status;
    }
    step->momentum = calloc(setup->plan->params.n_floats, sizeof *step->momentum);
    step->tails = calloc((size_t)setup->n_workers * TAIL_COUNT, sizeof *step->tails);
    const bool squares = setup->config.optimizer.kind == MBT_OPTIMIZER_RMSPROP;
    if (squares) {
        step->square = calloc(setup->plan->params.n_floats, sizeof *step->square);
    }
    if (setup->config.optimizer.kind == MBT_OPTIMIZER_MUON) {
        status = mbt_muon_create(&setup->plan->params, setup->comm, (int)setup->config.plan.threads,
                                 setup->log, &step->muon, err);
        if (status != MBT_OK) {
            return status;
        }
    }
    if (step->momentum == NULL || step->tails == NULL || (squares && step->square == NULL)) {
        return mbt_fail(err, MBT_FAILURE, "training step: out of memory");
    }
    for (size_t i = 0; i < setup->plan->params.n_floats && squares; i++) {
        step->square[i] = 1; /* optim.h */
    }
    mbt_timer_start(&step->timer);
    step->timer.pulse = mbt_watchdog_pulse(setup->watchdog);
    return MBT_OK;
}

void mbt_step_clear(mbt_step *step)
{
    mbt_bucket_destroy(step->bucket);
    mbt_muon_destroy(step->muon);
    free(step->momentum);
    free(step->square);
    free(step->tails);
    *step = (mbt_step){0};
}

/* Which ranks met the value that is not finite: the lowest is named. Collective. */
static mbt_status say_diverged(mbt_comm *comm, bool mine, double lr, mbt_error *err)
{
    const mbt_status status =
        mine ? mbt_fail(err, MBT_DIVERGED,
                        "the loss or a gradient of rank %d on %s is not finite, or too large to be "
                        "summed (learning rate %g)",
                        mbt_comm_rank(comm), mbt_comm_host(comm), lr)
             : MBT_OK;
    return mbt_comm_agree(comm, status, err);
}

/* A step under way. */
struct work {
    mbt_step *step;
    int64_t epoch;
    int k, n_samples;
    mbt_step_input *input;
    void *context; /* of input */
};

static mbt_plan *plan_of(const mbt_step *step, int worker)
{
    const mbt_worker *w = &step->setup->workers[worker];
    return step->small ? w->small : w->plan;
}

/* The first worker's thread keeps the time. */
static void enter(mbt_step *step, int worker, mbt_phase phase)
{
    if (worker == 0) {
        (void)mbt_timer_switch(&step->timer, phase);
    }
}

static void prepare(void *context, int worker, int group)
{
    (void)group; /* one for each worker */
    mbt_exec_prepare(plan_of(context, worker));
}

static void run_group(void *context, int worker, int group)
{
    const struct work *work = context;
    mbt_step *step = work->step;
    mbt_plan *plan = plan_of(step, worker);
    const mbt_worker *w = &step->setup->workers[worker];
    const mbt_config *config = &step->setup->config;
    const mbt_layout *out = &plan->values[plan->output].layout;
    int64_t *tail = step->tails + (size_t)worker * TAIL_COUNT;
    const uint32_t *ids;
    mbt_loss_sums sums;

    enter(step, worker, MBT_PHASE_INPUT);
    const int n = work->input(work->context, step, worker, group, &ids);
    const mbt_exec_dropout dropout = {(uint64_t)config->train.seed, (uint32_t)work->epoch, ids};
    const mbt_exec_dropout *drop = config->network.dropout > 0 ? &dropout : NULL;
    const mbt_targets targets = {w->labels, w->others, w->shares};

    enter(step, worker, MBT_PHASE_FORWARD);
    mbt_exec_forward(plan, n, drop);
    mbt_loss_softmax_mixed(mbt_exec_output(plan), n, mbt_layout_stored(out), out->c, &targets,
                           config->train.label_smoothing, 1.0 / work->n_samples,
                           mbt_exec_output_gradient(plan), &sums);
    enter(step, worker, MBT_PHASE_BACKWARD);
    mbt_exec_backward(plan, n, 1.0f / (float)work->k, drop, mbt_bucket_add,
                      mbt_bucket_part(step->bucket, worker));

    tally_group(n, &sums, tail);
}

mbt_status mbt_step_run(mbt_step *step, int64_t epoch, int k, int n_samples, double lr,
                        mbt_step_input *input, void *context, bool *stop, mbt_counts *counts,
                        mbt_error *err)
{
    mbt_setup *setup = step->setup;
    mbt_plan *plan = plan_of(step, 0);
    struct work work = {step, epoch, k, n_samples, input, context};
    int first, last;
    mbt_sampler_share(k, mbt_comm_rank(setup->comm), mbt_comm_size(setup->comm), &first, &last);

    (void)mbt_timer_switch(&step->timer, MBT_PHASE_FORWARD);
    memset(step->tails, 0, (size_t)setup->n_workers * TAIL_COUNT * sizeof *step->tails);
    mbt_team_run(setup->n_workers, 0, setup->n_workers, prepare, step);
    mbt_bucket_begin(step->bucket, k, last - first);
    mbt_team_run(setup->n_workers, first, last, run_group, &work);

    (void)mbt_timer_switch(&step->timer, MBT_PHASE_REDUCE);
    int64_t *tail = step->tails;
    tally_workers(setup->n_workers, TAIL_COUNT, tail);
    tail[TALLY_BAD] += !mbt_bucket_finish(step->bucket);
    const bool bad = tail[TALLY_BAD] > 0;
    tail[TAIL_STOP] = *stop;
    mbt_comm_sum(setup->comm, MBT_COMM_I64, tail, TAIL_COUNT);
    if (tail[TALLY_BAD] > 0) {
        return say_diverged(setup->comm, bad, lr, err);
    }
    (void)mbt_timer_switch(&step->timer, MBT_PHASE_UPDATE);
    const mbt_optim_blocks blocks = {plan->gradient, plan->weights, step->momentum, step->square};
    (void)mbt_optim_clip(&plan->params, &setup->config, plan->gradient);
    mbt_optim_step(&plan->params, &setup->config, lr, &blocks);
    if (step->muon != NULL) {
        mbt_muon_step(step->muon, &setup->config, lr, &blocks);
    }
    (void)mbt_timer_switch(&step->timer, MBT_PHASE_OTHER);
    tally_to_counts(tail, counts);
    *stop = tail[TAIL_STOP] > 0;
    return MBT_OK;
}
