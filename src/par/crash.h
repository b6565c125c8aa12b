/* Private to src/par: a crash says which rank it was. Depends on timer. */
#ifndef MBT_PAR_CRASH_H
#define MBT_PAR_CRASH_H

#include <stdbool.h>

#include "mbt/status.h"
#include "mbt/timer.h"

/* After SEGV, BUS, ILL, FPE or ABRT, or when a library calls exit, the process says rank, host,
 * step, phase and its stack on stderr and ends: with MBT_PEER, or by the signal itself where core
 * dumps are on. host and pulse are borrowed until crash_forget. Does nothing where a sanitizer
 * reports crashes. */
mbt_status crash_watch(int rank, const char *host, const mbt_pulse *pulse,
                       mbt_error *err) MBT_WARN_UNUSED;
void crash_forget(void);

#endif
