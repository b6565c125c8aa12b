/* A run: epochs of steps, evaluation, checkpoints, and ending well whatever ends it. */
#include "mbt/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "keeper.h"
#include "mbt/checkpoint.h"
#include "mbt/ema.h"
#include "mbt/init.h"
#include "mbt/mixup.h"
#include "mbt/pretrained.h"
#include "mbt/progress.h"
#include "mbt/schedule.h"
#include "mbt/shrink.h"
#include "mbt/stop.h"
#include "recorder.h"

struct trainer {
    mbt_setup *setup;
    mbt_run *run; /* rank zero, NULL elsewhere */
    const mbt_train_options *options;
    mbt_step step;
    mbt_metrics metrics;
    mbt_state state;
    float *average; /* where state.ema is when the average has begun; NULL: none is wanted */
    mbt_progress bar;
    int64_t steps_per_epoch, total_steps;
    mbt_keeper keeper;
    int64_t images;   /* trained since this process began */
    double began;     /* clock at which the running epoch began here */
    double start_s;   /* seconds of the epoch that an earlier process spent */
    double longest_s; /* a step took */
    bool stop;
    recorder recorder;
};

/* Whole images go through the input of the plan for them; small ones are made from those. */
static void load_small(const mbt_worker *w, int n)
{
    const mbt_layout *whole = &w->plan->values[w->plan->input].layout;
    const mbt_layout *small = &w->small->values[w->small->input].layout;
    mbt_shrink(mbt_exec_input(w->plan), n * whole->c, whole->h, small->h, mbt_exec_input(w->small));
}

static int load_group(void *context, mbt_step *step, int worker, int group, const uint32_t **ids)
{
    const struct trainer *t = context;
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

/* Seconds to be held back from a time limit: a wish takes effect after a step, and saves follow. */
static double reserve_s(const struct trainer *t)
{
    return mbt_keeper_reserve(&t->keeper) + 2 * t->longest_s;
}

/* ---- epochs ---- */

static mbt_status held_out(struct trainer *t, const mbt_split *split, const uint32_t *ids,
                           int64_t n, double *loss, double *top1, double *top5, double *flip_top1,
                           mbt_error *err)
{
    mbt_counts counts, mirrored;
    const float *weights = t->state.ema != NULL ? t->state.ema : t->state.weights;
    const mbt_status status = mbt_evaluate(t->setup, weights, split, ids, n, reserve_s(t), &counts,
                                           flip_top1 != NULL ? &mirrored : NULL, err);
    if (status == MBT_OK && flip_top1 != NULL) {
        *flip_top1 = mbt_counts_top1(&mirrored);
    }
    if (status == MBT_OK) {
        *loss = mbt_counts_mean_loss(&counts);
        *top1 = mbt_counts_top1(&counts);
        *top5 = mbt_counts_top5(&counts);
    }
    return status;
}

static mbt_status evaluate_epoch(struct trainer *t, mbt_metrics_row *row, bool *is_best,
                                 mbt_error *err)
{
    mbt_setup *setup = t->setup;
    mbt_progress_state *p = &t->state.progress;
    mbt_status status = MBT_OK;
    row->valid_loss = row->valid_top1 = row->valid_top5 = NAN;
    row->test_loss = row->test_top1 = row->test_top5 = row->test_flip_top1 = NAN;
    *is_best = false;
    if (p->epoch % setup->config.evaluate.every_epochs != 0 &&
        p->epoch != setup->config.train.epochs) {
        return MBT_OK;
    }
    const double from = mbt_timer_clock();
    const mbt_phase before = mbt_timer_switch(&t->step.timer, MBT_PHASE_EVALUATE);
    if (t->state.ema != NULL) {
        status = mbt_ema_statistics(setup, t->step.bucket, t->state.ema, err);
    }
    if (setup->n_valid > 0 && status == MBT_OK) {
        status = held_out(t, &setup->dataset.train, setup->valid_ids, setup->n_valid,
                          &row->valid_loss, &row->valid_top1, &row->valid_top5, NULL, err);
    }
    if (status == MBT_OK) {
        status = recorder_expect(&t->recorder, err);
    }
    if (status == MBT_OK) {
        status = held_out(t, &setup->dataset.test, NULL, setup->dataset.test.n, &row->test_loss,
                          &row->test_top1, &row->test_top5,
                          setup->config.evaluate.flip ? &row->test_flip_top1 : NULL, err);
    }
    (void)mbt_timer_switch(&t->step.timer, before);
    row->evaluate_s = mbt_timer_clock() - from;
    if (status == MBT_OK) { /* predictions are written by this thread */
        status = mbt_keeper_wait(&t->keeper, err);
    }
    recorder_taken(&t->recorder, t->run, p, status);
    const double top1 = setup->n_valid > 0 ? row->valid_top1 : row->test_top1;
    if (status == MBT_OK && top1 > p->best_top1) {
        p->best_top1 = top1;
        p->best_epoch = p->epoch;
        *is_best = true;
    }
    return status;
}

/* ", <split> top-1 12.34 %", or nothing for a split that was not evaluated. */
static const char *held_out_text(const char *split, double top1, char *out, size_t bytes)
{
    if (isnan(top1)) {
        out[0] = '\0';
    } else {
        (void)snprintf(out, bytes, ", %s top-1 %.2f %%", split, top1);
    }
    return out;
}

static void log_epoch(const struct trainer *t, const mbt_metrics_row *row, bool is_best)
{
    char valid[48], test[48];
    mbt_log_root(t->setup->log, MBT_LOG_INFO,
                 "epoch %" PRId64 "/%" PRId64
                 ": loss %.4f, train top-1 %.2f %%%s%s, %.1f images/s, %.1f s%s",
                 row->epoch, t->setup->config.train.epochs, row->train_loss, row->train_top1,
                 held_out_text("validation", row->valid_top1, valid, sizeof valid),
                 held_out_text("test", row->test_top1, test, sizeof test), row->images_per_s,
                 row->train_s, is_best ? ", best so far" : "");
}

static double rate_of(const struct trainer *t, int64_t step)
{
    const mbt_config *config = &t->setup->config;
    return mbt_schedule_lr(config, step, t->steps_per_epoch,
                           t->steps_per_epoch * config->train.epochs);
}

/* A checkpoint of the finished epoch: when it is due, or when there is one of this step already,
 * from a stop in the evaluation that has been made up for by now. */
static bool save_is_due(const struct trainer *t, bool is_best)
{
    const mbt_config *config = &t->setup->config;
    const mbt_progress_state *p = &t->state.progress;
    return is_best || p->epoch % config->checkpoint.every_epochs == 0 ||
           p->epoch == config->train.epochs || p->step == t->keeper.asked_step;
}

/* A stop within the evaluation leaves the epoch as it was after its last step: the evaluation is
 * what a resumed run begins with. */
static mbt_status end_epoch(struct trainer *t, mbt_error *err)
{
    mbt_progress_state *p = &t->state.progress;
    const mbt_progress_state before = *p;
    const mbt_counts counts = p->epoch_counts;
    mbt_metrics_row row = {.lr = rate_of(t, p->step - 1)};
    bool is_best;
    p->epoch++;
    p->step_in_epoch = 0;
    row.epoch = p->epoch;
    row.step = p->step;
    row.train_loss = mbt_counts_mean_loss(&counts);
    row.train_top1 = mbt_counts_top1(&counts);
    row.train_s = t->start_s + mbt_timer_clock() - t->began;
    row.images_per_s = (double)counts.samples / row.train_s;
    p->epoch_counts = (mbt_counts){0};
    p->epoch_s = 0;
    mbt_status status = evaluate_epoch(t, &row, &is_best, err);
    if (status == MBT_STOPPED) {
        *p = before;
        t->stop = true;
        return MBT_OK;
    }
    if (status == MBT_OK) {
        recorder_split_time(&t->recorder, &t->step.timer, &row);
        status = mbt_metrics_append(&t->metrics, &row, err);
    }
    status = mbt_comm_agree(t->setup->comm, status, err);
    if (status == MBT_OK) {
        recorder_event(&t->recorder, &t->metrics);
        log_epoch(t, &row, is_best);
        status = mbt_keeper_compare(&t->keeper, &t->state, err);
    }
    if (status == MBT_OK) {
        status = mbt_keeper_save(&t->keeper, &t->state,
                                 MBT_SAVE_METRICS |
                                     (save_is_due(t, is_best) ? MBT_SAVE_CHECKPOINT : 0U) |
                                     (is_best ? MBT_SAVE_BEST : 0U),
                                 err);
    }
    t->start_s = 0;
    t->began = mbt_timer_clock();
    return status;
}

/* After a step: it takes part in the average, or not yet. */
static void average_weights(struct trainer *t)
{
    const mbt_config *config = &t->setup->config;
    const int64_t total = t->steps_per_epoch * config->train.epochs;
    if (t->state.progress.step >= mbt_ema_start(config, total)) {
        const bool first = t->state.ema == NULL;
        t->state.ema = t->average;
        mbt_ema_step(config, first, t->state.params->n_floats, t->state.weights, t->average);
    }
}

static void show_progress(struct trainer *t, int64_t first)
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
static mbt_status save_between(struct trainer *t, mbt_error *err)
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
static mbt_status run_epoch(struct trainer *t, mbt_error *err)
{
    mbt_setup *setup = t->setup;
    mbt_progress_state *p = &t->state.progress;
    const int64_t first = p->step_in_epoch;
    mbt_status status = MBT_OK, beat = MBT_OK;
    mbt_sampler_epoch(setup->sampler, p->epoch);
    t->step.small = has_small_images(setup, p->epoch);
    if (t->run != NULL) {
        mbt_progress_begin(&t->bar, p->epoch + 1, setup->config.train.epochs, first,
                           t->steps_per_epoch);
    }
    while (p->step_in_epoch < t->steps_per_epoch && p->step < t->total_steps && !t->stop &&
           status == MBT_OK) {
        const double from = mbt_timer_clock();
        bool stop = mbt_stop_wanted(reserve_s(t)) || beat != MBT_OK;
        const int n = mbt_sampler_samples(setup->sampler, p->step_in_epoch);
        mbt_watchdog_step(setup->watchdog, p->step + 1);
        status =
            mbt_step_run(&t->step, p->epoch, mbt_sampler_groups(setup->sampler, p->step_in_epoch),
                         n, rate_of(t, p->step), load_group, t, &stop, &p->epoch_counts, err);
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

/* All steps are done, and the last epoch's evaluation is no longer to come. */
static bool is_complete(const struct trainer *t)
{
    const mbt_progress_state *p = &t->state.progress;
    return p->step >= t->total_steps && p->step_in_epoch < t->steps_per_epoch;
}

static mbt_status run_all(struct trainer *t, mbt_error *err)
{
    mbt_progress_state *p = &t->state.progress;
    mbt_status status = MBT_OK;
    t->began = mbt_timer_clock();
    t->start_s = p->epoch_s;
    while (status == MBT_OK && !t->stop && !is_complete(t)) {
        status = run_epoch(t, err);
        if (status == MBT_OK && p->step_in_epoch == t->steps_per_epoch) {
            status = end_epoch(t, err);
        }
    }
    if (status == MBT_OK && t->keeper.asked_step != p->step) { /* stopped, or at the step limit */
        status = mbt_keeper_compare(&t->keeper, &t->state, err);
    }
    return status == MBT_OK ? mbt_keeper_finish(&t->keeper, &t->state, err) : status;
}

/* ---- start and end ---- */

/* Steps count what the batch and the training split make of an epoch: neither may have changed. */
static mbt_status check_counters(const struct trainer *t, mbt_error *err)
{
    const mbt_progress_state *p = &t->state.progress;
    if (p->step_in_epoch <= t->steps_per_epoch &&
        p->step == p->epoch * t->steps_per_epoch + p->step_in_epoch) {
        return MBT_OK;
    }
    return mbt_fail(err, MBT_CONFIG,
                    "%s: step %" PRId64 " after %" PRId64 " epochs does not fit %" PRId64
                    " steps an epoch: train.batch, data.validation and data.train_limit must stay "
                    "what they were when the run began",
                    t->options->resume, p->step, p->epoch, t->steps_per_epoch);
}

/* Drawn weights, and over them what a weight file has. */
static mbt_status draw_or_load(mbt_setup *setup, mbt_error *err)
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
static mbt_status begin(struct trainer *t, bool *other_plan, mbt_error *err)
{
    mbt_setup *setup = t->setup;
    if (t->options->resume == NULL) {
        return draw_or_load(setup, err);
    }
    t->state.ema = t->average;
    const mbt_status status = mbt_checkpoint_load(&t->state, t->options->resume, other_plan, err);
    return status == MBT_OK ? check_counters(t, err) : status;
}

/* Only now that all is known to fit: what is in the folder stays as it was otherwise. The table may
 * be older than the checkpoint, or newer when that is not the last one. */
static mbt_status write_first_files(struct trainer *t, mbt_error *err)
{
    mbt_status status = MBT_OK;
    if (t->run != NULL) {
        recorder_enter(&t->recorder, t->run, t->options->command, t->options->resume != NULL,
                       t->state.progress.step);
        status = mbt_run_write_config(t->run, &t->setup->config, err);
        if (status == MBT_OK && t->options->resume != NULL) {
            status = mbt_run_write_metrics(t->run, &t->metrics, err);
        }
    }
    return mbt_comm_agree(t->setup->comm, status, err);
}

static mbt_status start(struct trainer *t, mbt_error *err)
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
    mbt_progress_init(&t->bar, setup->log, t->options->interval_s);
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

/* The result, on stdout. */
static void report(const struct trainer *t)
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
static mbt_status say_what_is_left(struct trainer *t, mbt_error *err)
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
    struct trainer t = {.setup = setup, .run = run, .options = options};
    mbt_status status = start(&t, err);
    if (status == MBT_OK) {
        mbt_log_root(
            setup->log, MBT_LOG_INFO,
            "training %s: %" PRId64 " parameters, %" PRId64 " samples, batch %d in groups of %d, "
            "%" PRId64 " steps an epoch, from step %" PRId64 " of %" PRId64 " on %d rank%s",
            setup->graph.name, mbt_graph_params(&setup->graph), setup->n_train,
            (int)setup->config.train.batch, setup->group, t.steps_per_epoch, t.state.progress.step,
            t.total_steps, mbt_comm_size(setup->comm), mbt_comm_size(setup->comm) > 1 ? "s" : "");
        const bool finished = is_complete(&t);
        status = run_all(&t, err);
        (void)mbt_timer_switch(&t.step.timer, MBT_PHASE_OTHER);
        if (status == MBT_DIVERGED) {
            status = say_what_is_left(&t, err);
        }
        if (status == MBT_OK && finished) {
            mbt_log_root(setup->log, MBT_LOG_INFO, "the run was complete already");
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
        if (t.stop && !is_complete(&t)) {
            status = mbt_fail(
                err, MBT_STOPPED, "stopped at step %" PRId64 " (%s); resume goes on from there",
                t.state.progress.step,
                mbt_stop_reason()[0] != '\0' ? mbt_stop_reason() : "another rank's wish");
        }
    }
    mbt_keeper_close(&t.keeper);
    recorder_clear(&t.recorder);
    mbt_metrics_clear(&t.metrics);
    mbt_step_clear(&t.step);
    free(t.average);
    return status;
}
