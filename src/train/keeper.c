/* Saving within a run. Errors of saves come back at the next step, the next save or the end, and
 * what ends the run is agreed on by all ranks there. */
#include "keeper.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_format.h"

/* Held back for a save before one was measured, and the least at all: a file system that others use
 * may take its time. */
static const double RESERVE_UNKNOWN_S = 30, RESERVE_LEAST_S = 10;

mbt_status mbt_keeper_open(mbt_keeper *k, mbt_setup *setup, mbt_run *run, mbt_timer *timer,
                           const mbt_state *state, int64_t loaded_step, mbt_error *err)
{
    mbt_status status = MBT_OK;
    *k = (mbt_keeper){.setup = setup,
                      .run = run,
                      .timer = timer,
                      .asked_step = loaded_step,
                      .saved_step = loaded_step};
    if (run != NULL) {
        const mbt_retention keep = {
            .keep = (int)setup->config.checkpoint.keep,
            .every_s = 3600.0 * setup->config.checkpoint.keep_every_hours,
        };
        status = mbt_saver_create(state, mbt_run_folder(run), mbt_run_checkpoints(run), &keep,
                                  (mbt_guard){mbt_run_ask, run}, &k->saver, err);
    }
    return mbt_comm_agree(setup->comm, status, err);
}

void mbt_keeper_close(mbt_keeper *k)
{
    mbt_keeper_settle(k); /* what it says of a save that failed is still to be said */
    mbt_saver_destroy(k->saver);
    k->saver = NULL;
}

/* ---- the ranks against each other ---- */

static mbt_status weight_digest(const mbt_state *state, char out[MBT_DIGEST_TEXT], mbt_error *err)
{
    mbt_digest *digest = NULL;
    const mbt_status status = mbt_digest_create(&digest, err);
    if (status == MBT_OK) {
        for (int i = 0; i < CKPT_BLOCKS; i++) {
            const float *block = ckpt_block_of(state, i);
            if (block != NULL) {
                mbt_digest_add(digest, block, state->params->n_floats * sizeof(float));
            }
        }
        mbt_digest_text(digest, out);
    }
    mbt_digest_destroy(digest);
    return status;
}

mbt_status mbt_keeper_compare(mbt_keeper *k, const mbt_state *state, mbt_error *err)
{
    mbt_comm *comm = k->setup->comm;
    const mbt_phase before = mbt_timer_switch(k->timer, MBT_PHASE_CHECKPOINT);
    const int n = mbt_comm_size(comm);
    char mine[MBT_DIGEST_TEXT] = "";
    char *all = calloc((size_t)n, sizeof mine);
    mbt_status status = all != NULL ? weight_digest(state, mine, err)
                                    : mbt_fail(err, MBT_FAILURE, "weight digests: out of memory");
    status = mbt_comm_agree(comm, status, err);
    if (status == MBT_OK) {
        mbt_comm_gather(comm, mine, sizeof mine, all);
    }
    for (int r = 1; r < n && status == MBT_OK; r++) {
        if (memcmp(all, all + (size_t)r * sizeof mine, sizeof mine) != 0) {
            status = mbt_fail(err, MBT_FAILURE,
                              "step %" PRId64 ": rank %d's weights differ from rank 0's: a machine "
                              "computes wrongly; nothing was saved",
                              state->progress.step, r);
        }
    }
    free(all);
    (void)mbt_timer_switch(k->timer, before);
    return status;
}

/* ---- saves ---- */

/* "step 12 was not saved"; out has LOST_BYTES. Returns out. */
enum { LOST_BYTES = 64 };
static char *lost_text(unsigned failed, int64_t step, char out[LOST_BYTES])
{
    const bool state = (failed & MBT_SAVE_CHECKPOINT) != 0;
    (void)snprintf(out, LOST_BYTES, "%sstep %" PRId64 " %s not saved",
                   state ? "" : "the metrics of ", step, state ? "was" : "were");
    return out;
}

/* Books a save that has ended. */
static mbt_status book(mbt_keeper *k, const mbt_saved *saved, bool quiet, mbt_error *err)
{
    k->n_saves++;
    k->owed = (k->owed & ~saved->wanted) | saved->failed;
    const bool state = (saved->wanted & MBT_SAVE_CHECKPOINT) != 0;
    const bool stored = state && (saved->failed & MBT_SAVE_CHECKPOINT) == 0;
    /* One that failed counts, too, but not when it did so at once. */
    if (stored || (state && saved->seconds > RESERVE_LEAST_S)) {
        k->longest_s = saved->seconds > k->longest_s ? saved->seconds : k->longest_s;
    }
    if (stored) {
        k->saved_step = saved->step;
        memcpy(k->digest, saved->digest, sizeof k->digest);
    }
    if (saved->litter.code != MBT_OK) {
        mbt_log_root(k->setup->log, MBT_LOG_WARN, "old checkpoints stay: %s",
                     saved->litter.message);
    }
    if (saved->failed == 0) {
        return MBT_OK;
    }
    k->n_failures++;
    if (saved->error.code == MBT_DIVERGED || quiet) {
        *err = saved->error;
        return saved->error.code;
    }
    char lost[LOST_BYTES];
    mbt_log_root(k->setup->log, MBT_LOG_WARN, "%s, training goes on until the next save: %s",
                 lost_text(saved->failed, saved->step, lost), saved->error.message);
    return MBT_OK;
}

/* quiet: a failure is returned instead of logged. */
static mbt_status take(mbt_keeper *k, bool wait, bool quiet, mbt_error *err)
{
    mbt_saved saved;
    return k->saver != NULL && mbt_saver_take(k->saver, wait, &saved) ? book(k, &saved, quiet, err)
                                                                      : MBT_OK;
}

/* A save that cannot even begin is one that failed. */
static mbt_status begin(mbt_keeper *k, const mbt_state *state, unsigned what, bool quiet,
                        mbt_error *err)
{
    mbt_status status = mbt_run_check(k->run, err);
    if (status != MBT_OK) {
        return status;
    }
    mbt_saved none = {.wanted = what, .failed = what, .step = state->progress.step};
    return mbt_saver_begin(k->saver, state, what, &none.error) == MBT_OK
               ? MBT_OK
               : book(k, &none, quiet, err);
}

mbt_status mbt_keeper_save(mbt_keeper *k, const mbt_state *state, unsigned what, mbt_error *err)
{
    const mbt_phase before = mbt_timer_switch(k->timer, MBT_PHASE_CHECKPOINT);
    mbt_status status = MBT_OK;
    if (k->run != NULL) {
        status = take(k, true, false, err);
        /* A best state that is still owed is of another step, and that one is gone. */
        if ((what & MBT_SAVE_CHECKPOINT) != 0) {
            k->owed &= ~(unsigned)MBT_SAVE_BEST;
        }
        if (status == MBT_OK) {
            status = begin(k, state, what | (k->owed & MBT_SAVE_METRICS), false, err);
        }
    }
    status = mbt_comm_agree(k->setup->comm, status, err);
    if ((what & MBT_SAVE_CHECKPOINT) != 0) {
        k->asked_step = state->progress.step;
        k->asked = true;
    }
    (void)mbt_timer_switch(k->timer, before);
    return status;
}

mbt_status mbt_keeper_look(mbt_keeper *k, mbt_error *err)
{
    return take(k, false, false, err);
}

mbt_status mbt_keeper_wait(mbt_keeper *k, mbt_error *err)
{
    const mbt_phase before = mbt_timer_switch(k->timer, MBT_PHASE_CHECKPOINT);
    mbt_status status = take(k, true, false, err);
    if (status == MBT_OK && k->run != NULL) {
        status = mbt_run_check(k->run, err);
    }
    status = mbt_comm_agree(k->setup->comm, status, err);
    (void)mbt_timer_switch(k->timer, before);
    return status;
}

void mbt_keeper_settle(mbt_keeper *k)
{
    mbt_error ignored = {0};
    (void)take(k, true, false, &ignored);
}

static mbt_status finish(mbt_keeper *k, const mbt_state *state, mbt_error *err)
{
    mbt_error last = {0};
    mbt_status status = take(k, true, false, &last);
    unsigned what = k->owed;
    if (k->asked_step != state->progress.step) {
        what = (what & MBT_SAVE_METRICS) | MBT_SAVE_CHECKPOINT;
    }
    if (status == MBT_OK && what != 0) {
        k->owed |= what; /* until it is done */
        status = begin(k, state, what, true, &last);
        if (status == MBT_OK) {
            status = take(k, true, true, &last);
        }
    }
    if (status != MBT_OK && status != MBT_DIVERGED) {
        char left[MBT_PATH_BYTES + 64], lost[LOST_BYTES];
        return mbt_fail(err, status, "%s: %.600s; %.300s",
                        lost_text(k->owed, state->progress.step, lost), last.message,
                        mbt_keeper_left(k, left, sizeof left));
    }
    if (status != MBT_OK) {
        *err = last;
    }
    return status;
}

mbt_status mbt_keeper_finish(mbt_keeper *k, const mbt_state *state, mbt_error *err)
{
    const mbt_phase before = mbt_timer_switch(k->timer, MBT_PHASE_CHECKPOINT);
    mbt_status status = k->run != NULL ? finish(k, state, err) : MBT_OK;
    status = mbt_comm_agree(k->setup->comm, status, err);
    k->asked = k->asked || k->asked_step != state->progress.step;
    k->asked_step = state->progress.step;
    (void)mbt_timer_switch(k->timer, before);
    return status;
}

/* ---- words and figures ---- */

double mbt_keeper_reserve(const mbt_keeper *k)
{
    if (k->run == NULL) {
        return 0; /* rank zero's limit comes first, and its wish is everybody's */
    }
    if (k->longest_s <= 0) { /* no checkpoint yet */
        return RESERVE_UNKNOWN_S;
    }
    return RESERVE_LEAST_S + 3 * k->longest_s;
}

char *mbt_keeper_left(const mbt_keeper *k, char *out, size_t bytes)
{
    char path[MBT_PATH_BYTES]; /* of the file: last.h5 may name a damaged one */
    if (k->run != NULL && k->saved_step >= 0 &&
        mbt_checkpoint_path(mbt_run_checkpoints(k->run), k->saved_step, path, NULL) == MBT_OK) {
        (void)snprintf(out, bytes, "the last checkpoint is %s", path);
    } else {
        (void)snprintf(out, bytes, "no checkpoint had been written yet");
    }
    return out;
}

void mbt_keeper_print(const mbt_keeper *k, FILE *out)
{
    double all = 0;
    for (int p = 0; p < MBT_PHASE_COUNT; p++) {
        all += k->timer->seconds[p];
    }
    if (k->run == NULL || k->n_saves == 0 || all <= 0) {
        return;
    }
    const double waited = k->timer->seconds[MBT_PHASE_CHECKPOINT];
    (void)fprintf(out,
                  "saving   %" PRId64 " times, %" PRId64
                  " failed; a checkpoint at most %.3f s by the writer's "
                  "clock; the run waited %.3f s for it, %.3f %%\n",
                  k->n_saves, k->n_failures, k->longest_s, waited, 100 * waited / all);
}
