/* From a training to its record: facts, predictions, the time by phase. */
#include "recorder.h"

#include "mbt/text.h"

#include <string.h>

void recorder_init(recorder *r, mbt_setup *setup, const char *provenance)
{
    *r = (recorder){.setup = setup};
    mbt_setup_facts(setup, provenance, &r->facts);
}

void recorder_clear(recorder *r)
{
    mbt_predictions_clear(&r->predictions);
    mbt_events_close(r->events);
    r->events = NULL;
}

/* The newest commands stay, as whole lines, when all of them are too long. */
static void add_command(mbt_record_facts *facts, const char *before, const char *command)
{
    const size_t room = sizeof facts->commands - 1, more = strlen(command) + 1;
    const size_t length = strlen(before);
    size_t skip = length + more > room ? length + more - room : 0;
    skip = skip < length ? skip : length;
    while (skip > 0 && skip < length && before[skip - 1] != '\n') {
        skip++;
    }
    (void)snprintf(facts->commands, sizeof facts->commands, "%s%s\n", before + skip, command);
}

/* Events of the rows that have none yet; metrics: NULL before the first. What cannot be written now
 * is tried again with the next row, and said once. */
static void follow(recorder *r, mbt_run *run, const mbt_metrics *metrics)
{
    mbt_error err = {0};
    mbt_status status = MBT_OK;
    if (r->events == NULL) {
        status =
            mbt_events_open(mbt_run_folder(run), r->entered_at, r->setup->log, &r->events, &err);
    }
    if (status == MBT_OK && metrics != NULL) {
        status = mbt_events_follow(r->events, metrics, &err);
    }
    if (status != MBT_OK && !r->no_events) {
        mbt_log_root(r->setup->log, MBT_LOG_WARN, "TensorBoard events: %s; tried again each epoch",
                     err.message);
    }
    r->no_events = status != MBT_OK;
}

void recorder_enter(recorder *r, mbt_run *run, const char *command, bool resumed, int64_t step)
{
    mbt_log *log = r->setup->log;
    const char *folder = mbt_run_folder(run);
    mbt_record_facts before = {0};
    mbt_error err = {0};
    if (resumed && mbt_record_read_facts(folder, &before, &err) != MBT_OK) {
        mbt_log_root(log, MBT_LOG_INFO, "no earlier record: %s", err.message);
        before.commands[0] = '\0';
    }
    add_command(&r->facts, before.commands, command != NULL ? command : "");
    if (mbt_record_write_facts(folder, &r->facts, &err) != MBT_OK) {
        mbt_log_root(log, MBT_LOG_WARN, "%s", err.message);
    }
    r->entered_at = step;
    follow(r, run, NULL);
}

void recorder_event(recorder *r, mbt_run *run, const mbt_metrics *metrics)
{
    if (run != NULL) {
        follow(r, run, metrics);
    }
}

mbt_status recorder_expect(recorder *r, mbt_error *err)
{
    mbt_predictions_clear(&r->predictions);
    return mbt_setup_expect_predictions(r->setup, false, &r->predictions, err);
}

static void write_predictions(recorder *r, mbt_run *run, const mbt_progress_state *progress)
{
    char path[MBT_PATH_BYTES];
    mbt_error err = {0};
    const mbt_record record = {
        .facts = &r->facts,
        .predictions = &r->predictions,
        .class_names = (const char(*)[MBT_CLASS_NAME_BYTES])r->setup->dataset.class_names,
        .epoch = progress->epoch,
        .step = progress->step,
    };
    mbt_status status = mbt_text_path(mbt_run_folder(run), "predictions.h5", path, &err);
    if (status == MBT_OK) {
        status = mbt_record_write_predictions(path, &record, &err);
    }
    if (status != MBT_OK && !r->no_predictions) {
        mbt_log_root(r->setup->log, MBT_LOG_WARN, "%s", err.message);
    }
    r->no_predictions = status != MBT_OK;
}

void recorder_taken(recorder *r, mbt_run *run, const mbt_progress_state *progress,
                    mbt_status status)
{
    if (status != MBT_OK) {
        r->setup->predictions = NULL;
        return;
    }
    mbt_setup_share_predictions(r->setup);
    if (run != NULL) {
        write_predictions(r, run, progress);
    }
}

void recorder_split_time(recorder *r, mbt_timer *timer, mbt_metrics_row *row)
{
    double *const fields[MBT_PHASE_COUNT] = {
        [MBT_PHASE_INPUT] = &row->input_s,       [MBT_PHASE_FORWARD] = &row->forward_s,
        [MBT_PHASE_BACKWARD] = &row->backward_s, [MBT_PHASE_REDUCE] = &row->reduce_s,
        [MBT_PHASE_UPDATE] = &row->update_s,     [MBT_PHASE_CHECKPOINT] = &row->checkpoint_s,
        [MBT_PHASE_OTHER] = &row->other_s, /* evaluation has a column of its own */
    };
    double spent[MBT_PHASE_COUNT];
    (void)mbt_timer_switch(timer, timer->now);
    for (int p = 0; p < MBT_PHASE_COUNT; p++) {
        spent[p] = timer->seconds[p] - r->booked[p];
        r->booked[p] = timer->seconds[p];
    }
    mbt_comm_sum(r->setup->comm, MBT_COMM_F64, spent, MBT_PHASE_COUNT);
    for (int p = 0; p < MBT_PHASE_COUNT; p++) {
        if (fields[p] != NULL) {
            *fields[p] = spent[p] / mbt_comm_size(r->setup->comm);
        }
    }
}
