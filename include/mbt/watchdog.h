/* The watchdog: a thread on every rank that ends the job when a rank dies or hangs.
 *
 * The main thread's pulse, the count of its collective calls, and a robust lock held for the
 * process's life lie in memory that the ranks of a node share. So a rank's death is seen by its
 * neighbours at once, and when nothing moves any more the ranks that all the others wait for are
 * named: those with the fewest calls, or whose process stands still. A process that is stopped and
 * continued as a whole hears nothing of it: only time in which the thread itself ran counts.
 * Depends on comm, log, timer. */
#ifndef MBT_WATCHDOG_H
#define MBT_WATCHDOG_H

#include "mbt/comm.h"
#include "mbt/log.h"
#include "mbt/timer.h"

typedef struct mbt_watchdog mbt_watchdog;

/* Starts the thread, and handlers that say which rank crashed. Silence has no limit yet. comm and
 * log are borrowed. Collective. */
mbt_status mbt_watchdog_create(mbt_comm *comm, mbt_log *log, mbt_watchdog **watchdog,
                               mbt_error *err) MBT_WARN_UNUSED;
void mbt_watchdog_destroy(mbt_watchdog *watchdog); /* Collective. NULL is allowed. */

/* Seconds without a beat of the main thread after which the job ends with MBT_PEER; 0: never.
 * Tenfold until the first step is done: until then files are read and memory is first touched. */
void mbt_watchdog_limit(mbt_watchdog *watchdog, double limit_s);

/* What the main thread beats; a NULL watchdog has none. */
mbt_pulse *mbt_watchdog_pulse(mbt_watchdog *watchdog);

/* The step that begins, from 1. NULL is allowed. */
void mbt_watchdog_step(mbt_watchdog *watchdog, int64_t step);

#endif
