/* Log lines, by level and by who may speak.
 *
 * Lines go to stderr and, once a run directory is there, to its log file as well. Results never go
 * through here: they belong to stdout. Depends on status. */
#ifndef MBT_LOG_H
#define MBT_LOG_H

#include <stdio.h>

#include "mbt/status.h"

typedef enum mbt_log_level {
    MBT_LOG_ERROR,
    MBT_LOG_WARN,
    MBT_LOG_INFO,
    MBT_LOG_DEBUG,
} mbt_log_level;

/* Plain data. A progress bar sets `bar_open` while its line has no newline yet, so that a log line
 * first ends it. */
typedef struct mbt_log {
    mbt_log_level level; /* lines above this level are dropped */
    int rank;            /* this rank */
    int n_ranks;         /* with more than one, lines of mbt_log_all name their rank */
    FILE *file;          /* borrowed, NULL for stderr alone */
    int bar_open;
} mbt_log;

void mbt_log_init(mbt_log *log, mbt_log_level level, int rank, int n_ranks);

/* Said by rank zero alone. Not collective. */
void mbt_log_root(mbt_log *log, mbt_log_level level, const char *format, ...) MBT_PRINTF(3, 4);

/* Said by every rank that calls, with its rank in front. Not collective. */
void mbt_log_all(mbt_log *log, mbt_log_level level, const char *format, ...) MBT_PRINTF(3, 4);

/* The error as one line, "error: <message>", by rank zero alone; with its source location at
 * debug level. After mbt_comm_agree every rank holds the same error. An empty message
 * says nothing. */
void mbt_log_error(mbt_log *log, const mbt_error *err);

#endif
