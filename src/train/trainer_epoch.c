/* The end of an epoch: held-out accuracy, its row of the table, what is due to be saved. */
#include <inttypes.h>
#include <math.h>

#include "mbt/ema.h"
#include "mbt/stop.h"
#include "trainer_parts.h"

static mbt_status held_out(trainer *t, const mbt_split *split, const uint32_t *ids, int64_t n,
                           double *loss, double *top1, double *top5, double *flip_top1,
                           mbt_error *err)
{
    mbt_counts counts, mirrored;
    const float *weights = t->state.ema != NULL ? t->state.ema : t->state.weights;
    const mbt_status status = mbt_evaluate(t->setup, weights, split, ids, n, trainer_reserve_s(t),
                                           &counts, flip_top1 != NULL ? &mirrored : NULL, err);
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

/* Batch norm's statistics for the averaged weights. The pass cannot be left, so a stop that falls
 * into it is one before it; until one was measured, it takes as long as steps of as many images. */
static mbt_status re_estimate(trainer *t, mbt_error *err)
{
    mbt_setup *setup = t->setup;
    const double steps = 1 + (double)mbt_ema_samples(setup) / (double)setup->config.train.batch;
    const double expected_s = t->statistics_s > 0 ? t->statistics_s : steps * t->longest_s;
    int64_t stop = mbt_stop_wanted(trainer_reserve_s(t) + expected_s);
    mbt_comm_sum(setup->comm, MBT_COMM_I64, &stop, 1);
    if (stop > 0) {
        return mbt_fail(err, MBT_STOPPED, "averaged weights: a stop is wanted");
    }
    const double from = mbt_timer_clock();
    const mbt_status status = mbt_ema_statistics(setup, t->step.bucket, t->state.ema, err);
    const double took_s = mbt_timer_clock() - from;
    t->statistics_s = took_s > t->statistics_s ? took_s : t->statistics_s;
    return status;
}

static mbt_status evaluate_epoch(trainer *t, mbt_metrics_row *row, bool *is_best, mbt_error *err)
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
        status = re_estimate(t, err);
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

static void log_epoch(const trainer *t, const mbt_metrics_row *row, bool is_best)
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

/* A checkpoint of the finished epoch: when it is due, or when there is one of this step already,
 * from a stop in the evaluation that has been made up for by now. */
static bool save_is_due(const trainer *t, bool is_best)
{
    const mbt_config *config = &t->setup->config;
    const mbt_progress_state *p = &t->state.progress;
    return is_best || p->epoch % config->checkpoint.every_epochs == 0 ||
           p->epoch == config->train.epochs || p->step == t->keeper.asked_step;
}

mbt_status trainer_end_epoch(trainer *t, mbt_error *err)
{
    mbt_progress_state *p = &t->state.progress;
    const mbt_progress_state before = *p;
    const mbt_counts counts = p->epoch_counts;
    mbt_metrics_row row = {.lr = trainer_rate(t, p->step - 1)};
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
        recorder_event(&t->recorder, t->run, &t->metrics);
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
