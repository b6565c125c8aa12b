/* What a training keeps for its record. Private to train/. */
#ifndef MBT_TRAIN_RECORDER_H
#define MBT_TRAIN_RECORDER_H

#include "mbt/checkpoint.h"
#include "mbt/events.h"
#include "mbt/record.h"
#include "mbt/run.h"
#include "mbt/setup.h"
#include "mbt/timer.h"

typedef struct recorder {
    mbt_setup *setup;
    mbt_record_facts facts;
    mbt_predictions predictions;    /* of the test split */
    double booked[MBT_PHASE_COUNT]; /* seconds that rows have */
    bool no_predictions, no_events; /* could be written last time, which was said */
    mbt_events *events;             /* rank zero; NULL while its file could not be begun */
    int64_t entered_at;             /* step of the newest row then */
} recorder;

void recorder_init(recorder *r, mbt_setup *setup, const char *provenance);
void recorder_clear(recorder *r); /* a zeroed one is allowed */

/* Rank zero alone, when the run is entered: writes what it is of, with this sitting's command
 * behind those of earlier ones (resumed), and begins an event file. Neither is worth a run: what
 * fails is logged. step: the newest row's, 0 before the first. */
void recorder_enter(recorder *r, mbt_run *run, const char *command, bool resumed, int64_t step);

/* The next evaluation is of the test split: setup->predictions takes it. Collective. */
mbt_status recorder_expect(recorder *r, mbt_error *err) MBT_WARN_UNUSED;

/* It ended with `status`: when well, rank zero (run) writes the predictions, with HDF5; what fails
 * there is logged. Collective. */
void recorder_taken(recorder *r, mbt_run *run, const mbt_progress_state *progress,
                    mbt_status status);

/* Where the time since the row before went, mean of the ranks. Collective. */
void recorder_split_time(recorder *r, mbt_timer *timer, mbt_metrics_row *row);

/* The newest row as an event, by rank zero (run). Before the save that has the row, so that a
 * killed run has every row that it resumes with among its events. What fails is logged. */
void recorder_event(recorder *r, mbt_run *run, const mbt_metrics *metrics);

#endif
