/* Measuring: whole training steps and evaluation on drawn input. Depends on trainer. */
#ifndef MBT_BENCH_H
#define MBT_BENCH_H

#include <stdio.h>

#include "mbt/setup.h"

/* n_steps steps after three to warm up, at the configuration's batch, group and reduction; then as
 * many evaluation calls. Prints images/s (median, slowest, fastest step) and the time by phase.
 * Collective; rank zero prints. */
mbt_status mbt_bench_run(mbt_setup *setup, int n_steps, FILE *out, mbt_error *err) MBT_WARN_UNUSED;

#endif
