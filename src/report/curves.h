/* The learning curves of runs as charts. Private to report/. */
#ifndef MBT_REPORT_CURVES_H
#define MBT_REPORT_CURVES_H

#include "chart.h"
#include "mbt/report.h"

typedef enum curve_kind { CURVE_ACCURACY, CURVE_LOSS, CURVE_RATE, CURVE_KINDS } curve_kind;

typedef struct curve_set {
    chart chart;
    double *values; /* what the series point into */
} curve_set;

/* One colour a run; held-out figures as lines, those of training dashed. At most
 * MBT_REPORT_RUNS_MAX. */
mbt_status curve_make(curve_kind kind, const mbt_outcome *runs, int n_runs, curve_set *set,
                      mbt_error *err) MBT_WARN_UNUSED;
void curve_clear(curve_set *set); /* a zeroed one is allowed */

const char *curve_name(curve_kind kind); /* "accuracy": for options and file names */

#endif
