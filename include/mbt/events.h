/* TensorBoard's event files in a run folder: one file for each sitting, a scalar for each cell of
 * the metric table.
 *
 * A record is: length (u64), masked CRC-32C of these 8 bytes, protobuf message, masked CRC-32C of
 * it; little-endian. A sitting that resumes begins with a session start at the step behind the
 * newest row that it has, so readers drop what an earlier one had written from there on. Rank zero
 * alone. Depends on log, metrics, status. */
#ifndef MBT_EVENTS_H
#define MBT_EVENTS_H

#include <stdint.h>

#include "mbt/log.h"
#include "mbt/metrics.h"
#include "mbt/status.h"

typedef struct mbt_events mbt_events;

/* Begins a file, behind those that are there in their order. step: that of the newest row that they
 * have, 0 before the first. Files of earlier sittings whose last record was cut (a killed run) are
 * shortened to their whole records, with a logged line each. MBT_FAILURE when it cannot be written;
 * nothing of it is left then. */
mbt_status mbt_events_open(const char *folder, int64_t step, mbt_log *log, mbt_events **events,
                           mbt_error *err) MBT_WARN_UNUSED;
void mbt_events_close(mbt_events *events); /* NULL is allowed */

/* The rows that came since it began and are not written yet, each as an event with every cell that
 * is not empty: "train/loss", "time/forward", "lr". MBT_FAILURE when one cannot be written: the
 * file ends with the one before, and the next call begins with it. */
mbt_status mbt_events_follow(mbt_events *events, const mbt_metrics *metrics,
                             mbt_error *err) MBT_WARN_UNUSED;

#endif
