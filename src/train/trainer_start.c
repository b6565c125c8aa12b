/* How a training starts: drawn weights or a checkpoint, and the first files of its folder. */
#include <inttypes.h>

#include "mbt/ema.h"
#include "mbt/init.h"
#include "mbt/pretrained.h"
#include "trainer_parts.h"

/* Steps count what the batch and the training split make of an epoch: neither may have changed. */
static mbt_status check_counters(const trainer *t, mbt_error *err)
{
    const mbt_progress_state *p = &t->state.progress;
    const int64_t before = p->step - p->step_in_epoch;
    if (p->step_in_epoch <= t->steps_per_epoch && before % t->steps_per_epoch == 0 &&
        before / t->steps_per_epoch == p->epoch) {
        return MBT_OK;
    }
    return mbt_fail(err, MBT_CONFIG,
                    "%s: step %" PRId64 " after %" PRId64 " epochs does not fit %" PRId64
                    " steps an epoch: train.batch, data.validation and data.train_limit must stay "
                    "what they were when the run began",
                    t->options->resume, p->step, p->epoch, t->steps_per_epoch);
}

mbt_status mbt_train_weights(mbt_setup *setup, mbt_error *err)
{
    const mbt_params *params = &setup->plan->params;
    const char *file = setup->config.init.pretrained;
    mbt_pretrained_report report;
    const mbt_status status =
        mbt_init_weights(params, &setup->graph, &setup->config, setup->plan->weights, err);
    return status != MBT_OK || file[0] == '\0'
               ? status
               : mbt_pretrained_load(params, file, setup->plan->weights, setup->log, &report, err);
}

/* Weights and counters from the checkpoint, or those of a beginning. */
static mbt_status begin(trainer *t, bool *other_plan, mbt_error *err)
{
    mbt_setup *setup = t->setup;
    if (t->options->resume == NULL) {
        return mbt_train_weights(setup, err);
    }
    t->state.ema = t->average;
    const mbt_status status = mbt_checkpoint_load(&t->state, t->options->resume, other_plan, err);
    return status == MBT_OK ? check_counters(t, err) : status;
}

/* Only now that all is known to fit: what is in the folder stays as it was otherwise. The table may
 * be older than the checkpoint, or newer when that is not the last one. What made a run that is
 * complete is on record already, and this sitting adds nothing to it. */
static mbt_status write_first_files(trainer *t, mbt_error *err)
{
    mbt_status status = MBT_OK;
    if (t->run != NULL) {
        const mbt_metrics *m = &t->metrics;
        if (!trainer_is_complete(t)) {
            recorder_enter(&t->recorder, t->run, t->options->command, t->options->resume != NULL,
                           m->n_rows > 0 ? m->rows[m->n_rows - 1].step : 0);
            status = mbt_run_write_config(t->run, &t->setup->config, err);
        }
        if (status == MBT_OK && t->options->resume != NULL) {
            status = mbt_run_write_metrics(t->run, &t->metrics, err);
        }
    }
    return mbt_comm_agree(t->setup->comm, status, err);
}

mbt_status trainer_start(trainer *t, mbt_error *err)
{
    mbt_setup *setup = t->setup;
    mbt_status status = mbt_step_create(setup, &t->step, err);
    if (setup->config.ema.decay > 0 && status == MBT_OK) {
        t->average = mbt_ema_block(setup->plan->params.n_floats);
        status = t->average != NULL ? MBT_OK
                                    : mbt_fail(err, MBT_FAILURE, "averaged weights: out of memory");
    }
    if (status != MBT_OK) {
        return mbt_comm_agree(setup->comm, status, err);
    }
    t->state = (mbt_state){
        .params = &setup->plan->params,
        .weights = setup->plan->weights,
        .momentum = t->step.momentum,
        .square = t->step.square,
        .progress = {.best_top1 = -1},
        .metrics = &t->metrics,
        .config = &setup->config,
        .data_digest = setup->dataset.digest,
        .plan_digest = mbt_setup_digested(setup)->digest,
        .provenance = t->options->provenance,
    };
    t->steps_per_epoch = mbt_sampler_steps(setup->sampler);
    t->total_steps = t->steps_per_epoch * setup->config.train.epochs;
    if (setup->config.train.max_steps > 0 && setup->config.train.max_steps < t->total_steps) {
        t->total_steps = setup->config.train.max_steps;
    }
    recorder_init(&t->recorder, setup, t->options->provenance);
    mbt_progress_init(&t->bar, setup->log, setup->config.run.log_interval_s);
    bool other_plan = false;
    status = mbt_comm_agree(setup->comm, begin(t, &other_plan, err), err);
    if (status == MBT_OK) {
        mbt_state largest = t->state; /* with room for an average that begins later */
        largest.ema = t->average;
        status = mbt_keeper_open(&t->keeper, setup, t->run, &t->step.timer, &largest,
                                 t->options->resume != NULL ? t->state.progress.step : -1, err);
    }
    if (status == MBT_OK) {
        status = write_first_files(t, err);
    }
    if (status == MBT_OK && other_plan) {
        mbt_log_root(
            setup->log, MBT_LOG_WARN,
            "the checkpoint was made with other kernels or cuts: bits may differ from here on");
    }
    return status;
}
