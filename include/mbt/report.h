/* What is made of runs: drawings, a page, a comparison, an entry among the recorded results.
 * Depends on outcome, table. */
#ifndef MBT_REPORT_H
#define MBT_REPORT_H

#include <stdio.h>

#include "mbt/outcome.h"
#include "mbt/status.h"
#include "mbt/table.h"

enum { MBT_REPORT_RUNS_MAX = 8 }; /* in one drawing: as many colours can be told apart */

/* Draws `kind` ("accuracy", "loss" or "rate") of the runs into `path`, by its ending .svg or .png,
 * which is replaced as a whole. MBT_USAGE for another kind, ending or too many runs. */
mbt_status mbt_report_plot(const mbt_outcome *runs, int n_runs, const char *kind, const char *path,
                           mbt_error *err) MBT_WARN_UNUSED;

/* One page without outer parts: the table (or NULL), curves of all runs, and for each run its time
 * by phase, confusion, worst classes and mistaken images. What is not there (predictions, the data
 * set) is said in its place. */
mbt_status mbt_report_html(const mbt_outcome *runs, int n_runs, const mbt_table *table, FILE *out,
                           mbt_error *err) MBT_WARN_UNUSED;

/* How two runs of one network and data set differ: configuration, curve, agreement of their
 * predictions, or why there are none. MBT_DATA when network or data set are not the same. */
mbt_status mbt_report_compare(const mbt_outcome *a, const mbt_outcome *b, FILE *out,
                              mbt_error *err) MBT_WARN_UNUSED;

/* Enters a finished run into `folder` (data/results): NAME.csv and NAME.svg, its curve; and its
 * line in the table of README.md, which replaces an older one of that name. MBT_DATA when the run
 * is not finished, its name would be no link there, or README.md is not there or has no such table.
 */
mbt_status mbt_report_enter(const mbt_outcome *run, const char *folder,
                            mbt_error *err) MBT_WARN_UNUSED;

#endif
