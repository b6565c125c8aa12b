/* Training: steps, epochs, evaluation, checkpoints, stopping. Depends on everything below. */
#ifndef MBT_TRAINER_H
#define MBT_TRAINER_H

#include "mbt/bucket.h"
#include "mbt/exec.h"
#include "mbt/metrics.h"
#include "mbt/muon.h"
#include "mbt/run.h"
#include "mbt/setup.h"
#include "mbt/timer.h"

/* ---- one step ---- */

/* 64-bit integers that all ranks sum at the end of a step, in one message: counts and flags. */
enum { MBT_STEP_COUNTS = 6 };

/* What a step needs beside the setup; plain data. */
typedef struct mbt_step {
    mbt_setup *setup;
    bool small; /* steps run on the workers' plans for small images */
    mbt_bucket *bucket;
    float *momentum, *square; /* flat blocks of the optimizer; square: RMSprop's, or NULL */
    mbt_muon *muon;           /* NULL with other optimizers */
    int64_t *tails;           /* of each worker: what it counts in a step */
    mbt_timer timer;          /* of the first worker's thread */
} mbt_step;

/* Collective. The status is this rank's own. */
mbt_status mbt_step_create(mbt_setup *setup, mbt_step *step, mbt_error *err) MBT_WARN_UNUSED;
void mbt_step_clear(mbt_step *step); /* Collective. A zeroed one is allowed. */

/* Fills input and labels of the worker with group `group` of the step; returns its samples and ids.
 * Workers may call at once. */
typedef int mbt_step_input(void *context, mbt_step *step, int worker, int group,
                           const uint32_t **ids);

/* k groups of n_samples in all are computed, summed and applied with learning rate lr.
 * stop: in, this rank's wish; out, anybody's. counts: added to, over all ranks.
 * MBT_DIVERGED on every rank when a loss or gradient is not finite or too large to be summed;
 * weights are as before the step then. Collective. */
mbt_status mbt_step_run(mbt_step *step, int64_t epoch, int k, int n_samples, double lr,
                        mbt_step_input *input, void *context, bool *stop, mbt_counts *counts,
                        mbt_error *err) MBT_WARN_UNUSED;

/* ---- held-out accuracy ---- */

/* Counts every sample of ids (NULL: all of the split) once, with `weights` (flat block; NULL: those
 * the evaluator has), in chunks that depend on nothing but the group size. mirrored (may be NULL):
 * counts of the mean output for image and mirror image. MBT_DIVERGED when a loss is not finite, or
 * too large to be summed. MBT_STOPPED, within a batch, when a rank wants to stop (stop.h, with this
 * reserve). Collective.
 */
mbt_status mbt_evaluate(mbt_setup *setup, const float *weights, const mbt_split *split,
                        const uint32_t *ids, int64_t n, double reserve_s, mbt_counts *counts,
                        mbt_counts *mirrored, mbt_error *err) MBT_WARN_UNUSED;

/* ---- a run ---- */

/* The weights that a training begins with: drawn, and over them what init.pretrained has. Of this
 * rank; MBT_DATA when the file has none for the network. */
mbt_status mbt_train_weights(mbt_setup *setup, mbt_error *err) MBT_WARN_UNUSED;

typedef struct mbt_train_options {
    const char *resume;     /* checkpoint to go on from, or NULL */
    const char *provenance; /* text for checkpoints */
    const char *command;    /* what was called, one line, for the record */
} mbt_train_options;

/* Trains to the end, or until a stop is wanted: MBT_STOPPED, with a checkpoint of the last whole
 * step. run is there on rank zero alone (NULL elsewhere). Prints the metric table, the summary and
 * the checkpoint's path on stdout at the end. Collective. */
mbt_status mbt_train(mbt_setup *setup, mbt_run *run, const mbt_train_options *options,
                     mbt_error *err) MBT_WARN_UNUSED;

/* Where the time went, by phase, over all ranks; images/s; slowest and fastest rank; peak memory.
 * n_images: trained by all ranks while the timer ran. Rank zero prints. Collective. */
void mbt_summary_print(const mbt_setup *setup, const mbt_timer *timer, int64_t n_images, FILE *out);

#endif
