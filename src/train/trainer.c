/* A run: epochs of steps, and ending well whatever ends it. */
#include <inttypes.h>
#include <stdlib.h>

#include "mbt/ema.h"
#include "mbt/mixup.h"
#include "mbt/schedule.h"
#include "mbt/shrink.h"
#include "mbt/stop.h"
#include "trainer_parts.h"

/* Whole images go through the input of the plan for them; small ones are made from those. */
static void load_small(const mbt_worker *w, int n)
{
    const mbt_layout *whole = &w->plan->values[w->plan->input].layout;
    const mbt_layout *small = &w->small->values[w->small->input].layout;
    mbt_shrink(mbt_exec_input(w->plan), n * whole->c, whole->h, small->h, mbt_exec_input(w->small));
}

static int load_group(void *context, mbt_step *step, int worker, int group, const uint32_t **ids)
{
    const trainer *t = context;
    const mbt_progress_state *p = &t->state.progress;
    mbt_setup *setup = step->setup;
    const mbt_worker *w = &setup->workers[worker];
    float *input = mbt_exec_input(w->plan);
    const int n = mbt_sampler_group(setup->sampler, p->step_in_epoch, group, ids);
    mbt_setup_load(setup, worker, &setup->augment, &setup->dataset.train, p->epoch, *ids, n, input);
    if (w->others != NULL) {
        const mbt_layout *image = &w->plan->values[w->plan->input].layout;
        mbt_mixup_group((uint64_t)setup->config.train.seed, setup->config.augment.mixup, p->epoch,
                        *ids, n, (size_t)image->c * (size_t)image->h * (size_t)image->w, input,
                        w->labels, w->others, w->shares);
    }
    if (step->small) {
        load_small(w, n);
    }
    mbt_setup_load_ahead(setup, worker, p->epoch, p->step_in_epoch, group);
    return n;
}

double trainer_reserve_s(const trainer *t)
{
    return mbt_keeper_reserve(&t->keeper) + 2 * t->longest_s;
}

double trainer_rate(const trainer *t, int64_t step)
{
    const mbt_config *config = &t->setup->config;
    return mbt_schedule_lr(config, step, t->steps_per_epoch,
                           t->steps_per_epoch * config->train.epochs);
}

/* ---- epochs ---- */

/* After a step: it takes part in the average, or not yet. */
static void average_weights(trainer *t)
{
    const mbt_config *config = &t->setup->config;
    const int64_t total = t->steps_per_epoch * config->train.epochs;
    if (t->state.progress.step >= mbt_ema_start(config, total)) {
        const bool first = t->state.ema == NULL;
        t->state.ema = t->average;
        mbt_ema_step(config, first, t->state.params->n_floats, t->state.weights, t->average);
    }
}

static void show_progress(trainer *t, int64_t first)
{
    const mbt_progress_state *p = &t->state.progress;
    const double here = mbt_timer_clock() - t->began;
    const double steps = (double)(p->step_in_epoch - first);
    const double rate = here > 0 ? steps * (double)t->setup->config.train.batch / here : 0;
    mbt_progress_show(&t->bar, p->step_in_epoch, rate, mbt_counts_mean_loss(&p->epoch_counts),
                      mbt_counts_top1(&p->epoch_counts),
                      steps > 0 ? here / steps * (double)(t->total_steps - p->step) : 0);
}

/* A checkpoint inside an epoch. */
static mbt_status save_between(trainer *t, mbt_error *err)
{
    const mbt_status status = mbt_keeper_compare(&t->keeper, &t->state, err);
    return status == MBT_OK ? mbt_keeper_save(&t->keeper, &t->state, MBT_SAVE_CHECKPOINT, err)
                            : status;
}

static bool has_small_images(const mbt_setup *setup, int64_t epoch)
{
    const mbt_config *config = &setup->config;
    return setup->small != NULL &&
           (double)epoch < config->train.small_until * (double)config->train.epochs;
}

/* Steps until the epoch's end, a stop, or the configuration's step limit. What fails on rank zero
 * alone (the lock is lost, a save met what is not finite) is a wish to stop: the ranks agree on it
 * after the step that tells all. */
static mbt_status run_epoch(trainer *t, mbt_error *err)
{
    mbt_setup *setup = t->setup;
    mbt_progress_state *p = &t->state.progress;
    const int64_t first = p->step_in_epoch;
    mbt_status status = MBT_OK, beat = MBT_OK;
    mbt_sampler_epoch(setup->sampler, p->epoch);
    t->step.small = has_small_images(setup, p->epoch);
    if (t->run != NULL) {
        mbt_progress_begin(&t->bar, p->epoch + 1, setup->config.train.epochs, t->steps_per_epoch);
    }
    while (p->step_in_epoch < t->steps_per_epoch && p->step < t->total_steps && !t->stop &&
           status == MBT_OK) {
        const double from = mbt_timer_clock();
        bool stop = mbt_stop_wanted(trainer_reserve_s(t)) || beat != MBT_OK;
        const int n = mbt_sampler_samples(setup->sampler, p->step_in_epoch);
        mbt_watchdog_step(setup->watchdog, p->step + 1);
        status =
            mbt_step_run(&t->step, p->epoch, mbt_sampler_groups(setup->sampler, p->step_in_epoch),
                         n, trainer_rate(t, p->step), load_group, t, &stop, &p->epoch_counts, err);
        if (status != MBT_OK) {
            status = mbt_error_prefix(err, "step %" PRId64, p->step + 1);
            break;
        }
        t->stop = stop;
        t->images += n;
        average_weights(t);
        p->step++;
        p->step_in_epoch++;
        const double now = mbt_timer_clock();
        p->epoch_s = t->start_s + now - t->began;
        t->longest_s = now - from > t->longest_s ? now - from : t->longest_s;
        if (t->run != NULL) {
            show_progress(t, first);
            beat = beat != MBT_OK ? beat : mbt_run_beat(t->run, err);
            beat = beat != MBT_OK ? beat : mbt_keeper_look(&t->keeper, err);
        }
        const int64_t every = setup->config.checkpoint.every_steps;
        if (every > 0 && p->step % every == 0 && p->step_in_epoch < t->steps_per_epoch) {
            status = mbt_comm_agree(setup->comm, beat, err);
            if (status == MBT_OK) {
                status = save_between(t, err);
            }
        }
    }
    if (t->run != NULL) {
        mbt_progress_end(&t->bar);
    }
    return mbt_comm_agree(setup->comm, status != MBT_OK ? status : beat, err);
}

bool trainer_is_complete(const trainer *t)
{
    const mbt_progress_state *p = &t->state.progress;
    return p->step >= t->total_steps && p->step_in_epoch < t->steps_per_epoch;
}

static mbt_status run_all(trainer *t, mbt_error *err)
{
    mbt_progress_state *p = &t->state.progress;
    mbt_status status = MBT_OK;
    t->began = mbt_timer_clock();
    t->start_s = p->epoch_s;
    while (status == MBT_OK && !t->stop && !trainer_is_complete(t)) {
        status = run_epoch(t, err);
        if (status == MBT_OK && p->step_in_epoch == t->steps_per_epoch) {
            status = trainer_end_epoch(t, err);
        }
    }
    if (status == MBT_OK && t->keeper.asked_step != p->step) { /* stopped, or at the step limit */
        status = mbt_keeper_compare(&t->keeper, &t->state, err);
    }
    return status == MBT_OK ? mbt_keeper_finish(&t->keeper, &t->state, err) : status;
}

/* ---- the end ---- */

/* The result, on stdout. */
static void report(const trainer *t)
{
    const mbt_progress_state *p = &t->state.progress;
    if (t->run == NULL) {
        return;
    }
    mbt_metrics_print(&t->metrics, stdout, 0);
    if (p->best_epoch > 0) {
        (void)printf("\nbest: %.2f %% top-1 (%s) after epoch %" PRId64 "\n", p->best_top1,
                     t->setup->n_valid > 0 ? "validation" : "test", p->best_epoch);
    }
    (void)printf("checkpoint: %s/last.h5\nstate digest: %s\n", mbt_run_checkpoints(t->run),
                 t->keeper.digest);
}

/* A diverged run saves nothing more; its error says where the last good state is. */
static mbt_status say_what_is_left(trainer *t, mbt_error *err)
{
    const mbt_error before = *err;
    char left[MBT_PATH_BYTES + 64];
    mbt_keeper_settle(&t->keeper);
    return mbt_fail(err, before.code, "%.700s; %.300s", before.message,
                    mbt_keeper_left(&t->keeper, left, sizeof left));
}

mbt_status mbt_train(mbt_setup *setup, mbt_run *run, const mbt_train_options *options,
                     mbt_error *err)
{
    trainer t = {.setup = setup, .run = run, .options = options};
    setup->run = run;
    mbt_status status = trainer_start(&t, err);
    if (status == MBT_OK) {
        mbt_log_root(
            setup->log, MBT_LOG_INFO,
            "training %s: %" PRId64 " parameters, %" PRId64 " samples, batch %d in groups of %d, "
            "%" PRId64 " steps an epoch, from step %" PRId64 " of %" PRId64 " on %d rank%s",
            setup->graph.name, mbt_graph_params(&setup->graph), setup->n_train,
            (int)setup->config.train.batch, setup->group, t.steps_per_epoch, t.state.progress.step,
            t.total_steps, mbt_comm_size(setup->comm), mbt_comm_size(setup->comm) > 1 ? "s" : "");
        const bool finished = trainer_is_complete(&t);
        status = run_all(&t, err);
        (void)mbt_timer_switch(&t.step.timer, MBT_PHASE_OTHER);
        if (status == MBT_DIVERGED) {
            status = say_what_is_left(&t, err);
        }
        if (status == MBT_OK && finished) {
            mbt_log_root(setup->log, MBT_LOG_INFO,
                         "the run was complete already: its record stays as it is");
        }
        if (status == MBT_OK && !t.keeper.asked) { /* there was nothing to do, or nothing new */
            status =
                mbt_comm_agree(setup->comm, mbt_state_digest(&t.state, t.keeper.digest, err), err);
        }
    }
    if (status == MBT_OK) {
        report(&t);
        mbt_summary_print(setup, &t.step.timer, t.images, stdout);
        mbt_keeper_print(&t.keeper, stdout);
        if (t.stop && !trainer_is_complete(&t)) {
            status = mbt_fail(
                err, MBT_STOPPED, "stopped at step %" PRId64 " (%s); resume goes on from there",
                t.state.progress.step,
                mbt_stop_reason()[0] != '\0' ? mbt_stop_reason() : "another rank's wish");
        }
    }
    setup->run = NULL;
    mbt_keeper_close(&t.keeper);
    recorder_clear(&t.recorder);
    mbt_metrics_clear(&t.metrics);
    mbt_step_clear(&t.step);
    free(t.average);
    return status;
}
