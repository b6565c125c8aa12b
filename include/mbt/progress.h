/* The progress of an epoch: a bar on a terminal, one plain line per interval otherwise.
 * Rank zero alone. Depends on log. */
#ifndef MBT_PROGRESS_H
#define MBT_PROGRESS_H

#include <stdint.h>

#include "mbt/log.h"

typedef struct mbt_progress {
    mbt_log *log;
    int terminal;                     /* stderr is one */
    double interval_s;                /* between plain lines */
    double last_shown;                /* monotonic seconds */
    int64_t epoch, n_epochs, n_steps; /* n_steps: of the epoch */
} mbt_progress;

void mbt_progress_init(mbt_progress *progress, mbt_log *log, double interval_s);

/* An epoch of n_steps begins, 1-based; a resumed one somewhere within. */
void mbt_progress_begin(mbt_progress *progress, int64_t epoch, int64_t n_epochs, int64_t n_steps);

/* After a step: steps done of the epoch, samples per second since the epoch began, mean loss and
 * top-1 in percent so far, seconds left of the whole run. Draws at most ten times a second. */
void mbt_progress_show(mbt_progress *progress, int64_t steps_done, double images_per_s, double loss,
                       double top1, double left_s);
void mbt_progress_end(mbt_progress *progress); /* erases the bar */

#endif
