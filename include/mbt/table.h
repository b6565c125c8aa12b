/* A job's table: what was printed beside what our runs gave. Depends on job, outcome, store. */
#ifndef MBT_TABLE_H
#define MBT_TABLE_H

#include <stdio.h>

#include "mbt/job.h"
#include "mbt/outcome.h"
#include "mbt/status.h"

/* One row; means over the finished runs, NaN where there is nothing to say. */
typedef struct mbt_table_row {
    const mbt_job_row *row;                      /* borrowed from the job */
    double printed_parameters, parameters, macs; /* the first in millions */
    double epochs;                               /* of the configuration */
    double seeds, runs, unfinished;              /* wanted; finished; begun and not finished */
    double printed_top1, top1, top1_deviation;   /* per cent; sample deviation, from two runs on */
    double flip_top1, flip_top1_deviation;       /* of the runs evaluated with evaluate.flip */
    double printed_top5, top5, top5_deviation;
    double hours; /* of a run */
} mbt_table_row;

typedef struct mbt_table {
    const mbt_job *job; /* borrowed */
    mbt_table_row *rows;
    int n_rows;
} mbt_table;

/* Of the runs in `folders`, each of which must be there and belong to a row; without any
 * (n_folders 0) of those that the job names, and of the folders of mbt_job_run_folder that are
 * there. MBT_DATA: a run is missing or damaged, belongs to no row (which keys differ from the
 * nearest is said), repeats another's seed, or counts other parameters than its configuration. */
mbt_status mbt_table_make(const mbt_job *job, int n_folders, char *const *folders, mbt_table *table,
                          mbt_error *err) MBT_WARN_UNUSED;
void mbt_table_clear(mbt_table *table); /* a zeroed one is allowed */

void mbt_table_print(const mbt_table *table, FILE *out);          /* aligned, for a terminal */
void mbt_table_print_markdown(const mbt_table *table, FILE *out); /* the same cells */
void mbt_table_print_html(const mbt_table *table, FILE *out);     /* a <table> of them */
void mbt_table_print_csv(const mbt_table *table, FILE *out);      /* every column, full precision */

/* /table/<column> as f64 with unit and description, NaN where empty; the texts of the rows as
 * attributes label, data, configuration and source of /table. */
mbt_status mbt_table_write_hdf5(const mbt_table *table, const char *path,
                                mbt_error *err) MBT_WARN_UNUSED;

#endif
