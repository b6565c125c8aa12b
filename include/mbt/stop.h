/* The wish to stop: signals and time limits, as one flag that the training loop asks.
 *
 * INT, TERM, USR1 and USR2 set the flag; a second INT or TERM ends the process at once by the
 * signal's default action, but for a TERM that follows another one within some two seconds: SLURM
 * sends both to a job that it preempts or whose time is over. The flag is mutable and global, as
 * only crash.c has another. The wish of one rank becomes everybody's through the step's reduction.
 * Depends on nothing. */
#ifndef MBT_STOP_H
#define MBT_STOP_H

#include <stdbool.h>

#include "mbt/status.h"

/* Installs the handlers. No time limit as yet. */
mbt_status mbt_stop_install(mbt_error *err) MBT_WARN_UNUSED;

/* The default actions again, and that of a signal which has come meanwhile. */
void mbt_stop_remove(void);

/* The time ends in so many seconds from now; of several limits the earliest counts. `reason`: for
 * mbt_stop_reason, borrowed. */
void mbt_stop_limit(double seconds, const char *reason);

/* True once a signal came or the time limit less `reserve_s` is reached. */
bool mbt_stop_wanted(double reserve_s);

/* MBT_FAILURE "WHAT: stopped by signal 15 (Terminated), nothing is written" when a signal came. For
 * work whose result is put in place at its end. */
mbt_status mbt_stop_check(const char *what, mbt_error *err) MBT_WARN_UNUSED;

/* "signal 15 (Terminated)", the limit's reason, or "" when nothing is wanted. */
const char *mbt_stop_reason(void);

#endif
