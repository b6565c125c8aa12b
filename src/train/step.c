/* One training step: groups forward and backward, sums, update. */
#include <stdlib.h>

#include "mbt/exec.h"
#include "mbt/loss.h"
#include "mbt/optim.h"
#include "mbt/trainer.h"

mbt_status mbt_step_create(mbt_setup *setup, mbt_step *step, mbt_error *err)
{
    *step = (mbt_step){.setup = setup, .plan = setup->plan};
    step->momentum = calloc(setup->plan->params.n_floats, sizeof *step->momentum);
    step->labels = calloc((size_t)setup->group, sizeof *step->labels);
    const bool squares = setup->config.optimizer.kind == MBT_OPTIMIZER_RMSPROP;
    if (setup->config.augment.mixup > 0) {
        step->others = calloc((size_t)setup->group, sizeof *step->others);
        step->shares = calloc((size_t)setup->group, sizeof *step->shares);
        if (step->others == NULL || step->shares == NULL) {
            return mbt_fail(err, MBT_FAILURE, "mixup: out of memory");
        }
    }
    if (squares) {
        step->square = calloc(setup->plan->params.n_floats, sizeof *step->square);
    }
    if (step->momentum == NULL || step->labels == NULL || (squares && step->square == NULL)) {
        return mbt_fail(err, MBT_FAILURE, "training step: out of memory");
    }
    for (size_t i = 0; i < setup->plan->params.n_floats && squares; i++) {
        step->square[i] = 1; /* optim.h */
    }
    mbt_timer_start(&step->timer);
    step->timer.pulse = mbt_watchdog_pulse(setup->watchdog);
    return mbt_bucket_create(setup->comm, setup->plan, setup->config.train.reduce, &step->bucket,
                             err);
}

void mbt_step_clear(mbt_step *step)
{
    mbt_bucket_destroy(step->bucket);
    free(step->momentum);
    free(step->square);
    free(step->labels);
    free(step->others);
    free(step->shares);
    *step = (mbt_step){0};
}

/* Which ranks met the value that is not finite: the lowest is named. Collective. */
static mbt_status say_diverged(mbt_comm *comm, bool mine, double lr, mbt_error *err)
{
    const mbt_status status =
        mine ? mbt_fail(err, MBT_DIVERGED,
                        "the loss or a gradient on %s is not finite, or too large to be summed "
                        "(learning rate %g)",
                        mbt_comm_host(comm), lr)
             : MBT_OK;
    return mbt_comm_agree(comm, status, err);
}

/* What all ranks learn of a step in one message of integers. */
enum { TAIL_SAMPLES, TAIL_TOP1, TAIL_TOP5, TAIL_LOSS, TAIL_BAD, TAIL_STOP, TAIL_COUNT };

static void run_group(mbt_step *step, int64_t epoch, int n, const uint32_t *ids, int k,
                      int n_samples, int64_t *tail)
{
    mbt_plan *plan = step->plan;
    const mbt_config *config = &step->setup->config;
    const mbt_layout *out = &plan->values[plan->output].layout;
    const mbt_exec_dropout dropout = {(uint64_t)config->train.seed, (uint32_t)epoch, ids};
    const mbt_exec_dropout *drop = config->network.dropout > 0 ? &dropout : NULL;
    const mbt_targets targets = {step->labels, step->others, step->shares};
    mbt_loss_sums sums;

    (void)mbt_timer_switch(&step->timer, MBT_PHASE_FORWARD);
    mbt_exec_forward(plan, n, drop);
    mbt_loss_softmax_mixed(mbt_exec_output(plan), n, mbt_layout_stored(out), out->c, &targets,
                           config->train.label_smoothing, 1.0 / n_samples,
                           mbt_exec_output_gradient(plan), &sums);
    (void)mbt_timer_switch(&step->timer, MBT_PHASE_BACKWARD);
    mbt_exec_backward(plan, n, 1.0f / (float)k, drop, mbt_bucket_add, step->bucket);

    const bool finite = mbt_counts_loss_fits(sums.loss);
    tail[TAIL_SAMPLES] += n;
    tail[TAIL_TOP1] += sums.top1;
    tail[TAIL_TOP5] += sums.top5;
    tail[TAIL_LOSS] += finite ? mbt_counts_loss(sums.loss) : 0;
    tail[TAIL_BAD] += !finite;
}

mbt_status mbt_step_run(mbt_step *step, int64_t epoch, int k, int n_samples, double lr,
                        mbt_step_input *input, void *context, bool *stop, mbt_counts *counts,
                        mbt_error *err)
{
    mbt_setup *setup = step->setup;
    mbt_plan *plan = step->plan;
    int64_t tail[TAIL_COUNT] = {0};
    int first, last;
    mbt_sampler_share(k, mbt_comm_rank(setup->comm), mbt_comm_size(setup->comm), &first, &last);

    (void)mbt_timer_switch(&step->timer, MBT_PHASE_FORWARD);
    mbt_exec_prepare(plan);
    mbt_bucket_begin(step->bucket, k, last - first);
    for (int group = first; group < last; group++) {
        const uint32_t *ids;
        (void)mbt_timer_switch(&step->timer, MBT_PHASE_INPUT);
        const int n = input(context, step, group, &ids);
        run_group(step, epoch, n, ids, k, n_samples, tail);
    }

    (void)mbt_timer_switch(&step->timer, MBT_PHASE_REDUCE);
    tail[TAIL_BAD] += !mbt_bucket_finish(step->bucket);
    const bool bad = tail[TAIL_BAD] > 0;
    tail[TAIL_STOP] = *stop;
    mbt_comm_sum(setup->comm, MBT_COMM_I64, tail, TAIL_COUNT);
    if (tail[TAIL_BAD] > 0) {
        return say_diverged(setup->comm, bad, lr, err);
    }
    (void)mbt_timer_switch(&step->timer, MBT_PHASE_UPDATE);
    const mbt_optim_blocks blocks = {plan->gradient, plan->weights, step->momentum, step->square};
    (void)mbt_optim_clip(&plan->params, &setup->config, plan->gradient);
    mbt_optim_step(&plan->params, &setup->config, lr, 0, plan->params.n_floats, &blocks);
    (void)mbt_timer_switch(&step->timer, MBT_PHASE_OTHER);
    counts->samples += tail[TAIL_SAMPLES];
    counts->top1 += tail[TAIL_TOP1];
    counts->top5 += tail[TAIL_TOP5];
    counts->loss += tail[TAIL_LOSS];
    *stop = tail[TAIL_STOP] > 0;
    return MBT_OK;
}
