/* The parts of the page that tell of one run. Private to report/. */
#ifndef MBT_REPORT_PAGE_H
#define MBT_REPORT_PAGE_H

#include <stdio.h>

#include "mbt/outcome.h"
#include "mbt/predictions.h"

/* Predictions with the names of their classes, as mbt_record_read_predictions gives them. */
typedef struct page_predictions {
    mbt_predictions all;
    char (*names)[MBT_CLASS_NAME_BYTES];
    int64_t *confusion; /* [n_classes][n_classes], by true and predicted class */
    int64_t epoch;
} page_predictions;

/* Where the time of every run went: a bar each. */
void page_time(const mbt_outcome *runs, int n_runs, FILE *out);

/* Confusion, worst classes, confused pairs, mistaken images, command and configuration. */
mbt_status page_run(const mbt_outcome *run, int tone, FILE *out, mbt_error *err) MBT_WARN_UNUSED;

/* The most confident mistakes as images. A data set that is not there is no failure: said instead.
 */
mbt_status page_mistakes(const mbt_outcome *run, const page_predictions *p, FILE *out,
                         mbt_error *err) MBT_WARN_UNUSED;

#endif
