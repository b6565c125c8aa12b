/* A run in progress, and the parts that its three files call of each other: the steps (trainer.c),
 * the start, the end of an epoch. Private to train/. */
#ifndef MBT_TRAINER_PARTS_H
#define MBT_TRAINER_PARTS_H

#include "keeper.h"
#include "mbt/checkpoint.h"
#include "mbt/progress.h"
#include "mbt/trainer.h"
#include "recorder.h"

typedef struct trainer {
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
    int64_t images;      /* trained since this process began */
    double began;        /* clock at which the running epoch began here */
    double start_s;      /* seconds of the epoch that an earlier process spent */
    double longest_s;    /* a step took */
    double statistics_s; /* the longest mbt_ema_statistics took; 0: none yet */
    bool stop;
    recorder recorder;
} trainer;

/* Everything up to the first step: memory, weights and counters, the files of the run folder.
 * Setup, run and options are in place. Collective. */
mbt_status trainer_start(trainer *t, mbt_error *err) MBT_WARN_UNUSED;

/* After the last step of an epoch: evaluation, its row, what is due to be saved. A stop within the
 * evaluation leaves the epoch as it was after its last step: the evaluation is what a resumed run
 * begins with. Collective. */
mbt_status trainer_end_epoch(trainer *t, mbt_error *err) MBT_WARN_UNUSED;

/* All steps are done, and the last epoch's evaluation is no longer to come. */
bool trainer_is_complete(const trainer *t);

/* The learning rate of a step. */
double trainer_rate(const trainer *t, int64_t step);

/* Seconds to be held back from a time limit: a wish takes effect after a step, and saves follow. */
double trainer_reserve_s(const trainer *t);

#endif
