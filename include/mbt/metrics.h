/* What a run measured: one row per epoch, kept as a table, written as CSV and HDF5, printed.
 * Depends on status, store. */
#ifndef MBT_METRICS_H
#define MBT_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mbt/status.h"
#include "mbt/store.h"

/* Sums over samples; integers, so that any number of ranks adds them alike. loss: sum over samples
 * of the loss in units of 2^-24. */
typedef struct mbt_counts {
    int64_t samples, top1, top5, loss;
} mbt_counts;

/* Loss in the fixed-point units of mbt_counts, and back as a mean. A sum over a group below 2^20
 * fits: 2^19 groups cannot overflow. Larger ones, infinities and NaN do not. */
bool mbt_counts_loss_fits(double loss);
int64_t mbt_counts_loss(double loss);
double mbt_counts_mean_loss(const mbt_counts *counts);
double mbt_counts_top1(const mbt_counts *counts); /* percent */
double mbt_counts_top5(const mbt_counts *counts); /* percent */

/* One epoch. Every field is a column; src/train/metrics.c has the one table of names, units and
 * descriptions that CSV, HDF5 and print read. */
typedef struct mbt_metrics_row {
    int64_t epoch;                 /* 1-based, completed */
    int64_t step;                  /* steps done at its end */
    double lr;                     /* of its last step */
    double train_loss, train_top1; /* over the epoch's training samples, as they passed */
    double valid_loss, valid_top1,
        valid_top5; /* held-out samples; NaN without a validation split or when not evaluated */
    double test_loss, test_top1, test_top5; /* NaN when not evaluated */
    double test_flip_top1; /* of the mean over image and mirror image; NaN when not asked for */
    double train_s, evaluate_s,
        images_per_s; /* wall time; timing columns take no part in digests */
    /* Where the time since the row before went (mbt_phase), mean of the ranks; after a resume: in
     * this process. A row cannot count the save that it is part of: that is in the next. */
    double input_s, forward_s, backward_s, reduce_s, update_s, checkpoint_s, other_s;
} mbt_metrics_row;

typedef struct mbt_metrics {
    mbt_metrics_row *rows;
    int n_rows, capacity;
} mbt_metrics;

void mbt_metrics_clear(mbt_metrics *metrics); /* frees; a zeroed one is allowed */
/* MBT_FAILURE without memory, or beyond ten million rows; the table is as before then. */
mbt_status mbt_metrics_append(mbt_metrics *metrics, const mbt_metrics_row *row,
                              mbt_error *err) MBT_WARN_UNUSED;

/* A column that may be left out is NaN where a file does not have it, and no part of a digest while
 * it is empty: so files from before there was such a column stay what they were. */

/* The columns as one-dimensional f64 (counters i64) data sets <group>/<column>, with attributes
 * unit and description. MBT_FAILURE: what is written by then stays in the store. */
mbt_status mbt_metrics_store(const mbt_metrics *metrics, mbt_store *store, const char *group,
                             mbt_error *err) MBT_WARN_UNUSED;
/* Replaces what is in the table. MBT_DATA when a column is missing, or not of the form and length
 * of the others, MBT_FAILURE without memory; the table is as before then. */
mbt_status mbt_metrics_load(mbt_metrics *metrics, mbt_store *store, const char *group,
                            mbt_error *err) MBT_WARN_UNUSED;

/* The whole table as CSV (first line: column names; NaN as an empty field), replacing `path`. */
mbt_status mbt_metrics_write_csv(const mbt_metrics *metrics, const char *path,
                                 mbt_error *err) MBT_WARN_UNUSED;

/* metrics.h5 and metrics.csv of a run's folder, each replaced as a whole. */
mbt_status mbt_metrics_write_files(const mbt_metrics *metrics, const char *folder,
                                   mbt_error *err) MBT_WARN_UNUSED;

/* Columns by number, for whoever walks the table. */
typedef struct mbt_metrics_column {
    const char *name, *unit, *description; /* static storage */
} mbt_metrics_column;

int mbt_metrics_n_columns(void);
mbt_metrics_column mbt_metrics_column_at(int column);
int mbt_metrics_find_column(const char *name);                             /* -1: none */
double mbt_metrics_value(const mbt_metrics *metrics, int row, int column); /* NaN: empty */

/* For people, aligned columns; at most the last `most` rows (0: all). */
void mbt_metrics_print(const mbt_metrics *metrics, FILE *out, int most);

/* Adds the columns that do not depend on timing to a digest. */
void mbt_metrics_digest(const mbt_metrics *metrics, mbt_digest *digest);

#endif
