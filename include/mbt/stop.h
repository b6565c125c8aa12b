/* The wish to stop: signals and a time limit, as one flag that the training loop asks.
 *
 * INT, TERM, USR1 and USR2 set the flag; a second INT or TERM ends the process at once by the
 * signal's default action. The flag is the program's one mutable global. The wish of one rank
 * becomes everybody's through the step's reduction. Depends on nothing. */
#ifndef MBT_STOP_H
#define MBT_STOP_H

#include <stdbool.h>

#include "mbt/status.h"

/* Installs the handlers. max_hours <= 0: no time limit; the limit counts from this call. */
mbt_status mbt_stop_install(double max_hours, mbt_error *err) MBT_WARN_UNUSED;

/* True once a signal came or the time limit less `reserve_s` is reached. */
bool mbt_stop_wanted(double reserve_s);

/* "signal 15 (Terminated)", "time limit", or "" when nothing is wanted; static storage. */
const char *mbt_stop_reason(void);

#endif
