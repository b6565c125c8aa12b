/* What a run keeps of itself: when a state is saved, what becomes of a save that fails, and how
 * long saving takes. Every rank has one; rank zero's has the saver. Private to src/train. Depends
 * on saver, run, setup. */
#ifndef MBT_TRAIN_KEEPER_H
#define MBT_TRAIN_KEEPER_H

#include "mbt/run.h"
#include "mbt/saver.h"
#include "mbt/setup.h"
#include "mbt/timer.h"

typedef struct mbt_keeper {
    mbt_setup *setup;
    mbt_run *run;       /* rank zero, NULL elsewhere */
    mbt_timer *timer;   /* waiting is booked as MBT_PHASE_CHECKPOINT */
    mbt_saver *saver;   /* rank zero */
    int64_t asked_step; /* of the newest save, whatever became of it; -1: none */
    bool asked;         /* for a checkpoint, by this process */
    /* on rank zero: */
    int64_t saved_step;           /* of the newest checkpoint, -1: none */
    unsigned owed;                /* MBT_SAVE_ values that failed and were not made good since */
    int64_t n_saves, n_failures;  /* that have ended */
    double longest_s;             /* a checkpoint took */
    char digest[MBT_DIGEST_TEXT]; /* of the newest checkpoint */
} mbt_keeper;

/* loaded_step: of the checkpoint that the run goes on from, or -1. Collective. */
mbt_status mbt_keeper_open(mbt_keeper *keeper, mbt_setup *setup, mbt_run *run, mbt_timer *timer,
                           const mbt_state *state, int64_t loaded_step,
                           mbt_error *err) MBT_WARN_UNUSED;
void mbt_keeper_close(mbt_keeper *keeper); /* waits; a zeroed one is allowed */

/* The ranks' weights and momentum must be the same bits: whatever made them differ must not be
 * saved. MBT_FAILURE names the first rank that differs. Collective. */
mbt_status mbt_keeper_compare(mbt_keeper *keeper, const mbt_state *state,
                              mbt_error *err) MBT_WARN_UNUSED;

/* Begins a save (MBT_SAVE_ values) when the one before has ended. One that fails is logged and made
 * good by the next; what no save can make good (values that are not finite, a lost lock) is
 * returned. Collective. */
mbt_status mbt_keeper_save(mbt_keeper *keeper, const mbt_state *state, unsigned what,
                           mbt_error *err) MBT_WARN_UNUSED;

/* Between steps: takes note of a save that has ended. Not collective; nothing to do but on rank
 * zero. */
mbt_status mbt_keeper_look(mbt_keeper *keeper, mbt_error *err) MBT_WARN_UNUSED;

/* Waits for the save that runs and takes note of it: from here to the next save HDF5 and the run's
 * folder, which is still ours, are the caller's. Collective. */
mbt_status mbt_keeper_wait(mbt_keeper *keeper, mbt_error *err) MBT_WARN_UNUSED;

/* The same, whatever becomes of it. Not collective. */
void mbt_keeper_settle(mbt_keeper *keeper);

/* The state must be on disk now: saves it unless it is, once more when that failed before, and
 * waits. MBT_FAILURE names the last good checkpoint. Collective. */
mbt_status mbt_keeper_finish(mbt_keeper *keeper, const mbt_state *state,
                             mbt_error *err) MBT_WARN_UNUSED;

/* Seconds to be held back from a time limit for a save that may still run, and the last one. */
double mbt_keeper_reserve(const mbt_keeper *keeper);

/* "the last checkpoint is .../step-N.h5"; out has `bytes`. Returns out. */
char *mbt_keeper_left(const mbt_keeper *keeper, char *out, size_t bytes);

void mbt_keeper_print(const mbt_keeper *keeper, FILE *out); /* one line, rank zero */

#endif
