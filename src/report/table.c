/* Joining a job with runs. */
#include "mbt/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mbt/text.h"

enum { DIFFERENCE_BYTES = 400 };

/* A row's runs, and of the finished ones that from which mean and deviation come. */
struct sums {
    double top1[MBT_JOB_SEEDS_MAX], top5[MBT_JOB_SEEDS_MAX], flip_top1[MBT_JOB_SEEDS_MAX], hours;
    char arithmetic[MBT_RECORD_NAME_BYTES]; /* of the first that says it */
    int n, n_flip;                          /* n_flip: with both views, which a run need not have */
    int64_t seeds[MBT_JOB_SEEDS_MAX];
    char folders[MBT_JOB_SEEDS_MAX][MBT_PATH_BYTES];
    int n_runs; /* finished or not */
};

struct making {
    mbt_table *table;
    struct sums *sums; /* [n_rows] */
};

static mbt_status count_network(const mbt_job_row *row, mbt_table_row *out, mbt_error *err)
{
    int64_t parameters = 0, macs = 0;
    const mbt_status status =
        mbt_job_count(&row->config, row->size, row->n_classes, &parameters, &macs, err);
    out->parameters = (double)parameters;
    out->macs = (double)macs;
    return status != MBT_OK ? mbt_error_prefix(err, "%s", row->configuration) : MBT_OK;
}

static mbt_status add_run(struct making *m, int i, const mbt_outcome *run, mbt_error *err)
{
    struct sums *s = &m->sums[i];
    const mbt_table_row *row = &m->table->rows[i];
    if ((double)run->facts.parameters != row->parameters || (double)run->facts.macs != row->macs) {
        return mbt_fail(err, MBT_DATA,
                        "run %s: has %" PRId64 " parameters and %" PRId64
                        " multiply-accumulates, %s makes %.0f and %.0f",
                        run->folder, run->facts.parameters, run->facts.macs,
                        row->row->configuration, row->parameters, row->macs);
    }
    for (int k = 0; k < s->n_runs; k++) {
        if (s->seeds[k] == run->config.train.seed) {
            return mbt_fail(err, MBT_DATA, "runs %.300s and %.300s: both have seed %" PRId64,
                            s->folders[k], run->folder, s->seeds[k]);
        }
    }
    if (s->n_runs == MBT_JOB_SEEDS_MAX) {
        return mbt_fail(err, MBT_DATA, "%s: more than %d runs of one row", run->folder,
                        MBT_JOB_SEEDS_MAX);
    }
    s->seeds[s->n_runs] = run->config.train.seed;
    memcpy(s->folders[s->n_runs], run->folder, sizeof run->folder);
    s->n_runs++;
    if (!run->finished) {
        return MBT_OK;
    }
    if (s->arithmetic[0] == '\0') {
        memcpy(s->arithmetic, run->facts.arithmetic, sizeof s->arithmetic);
    } else if (run->facts.arithmetic[0] != '\0' &&
               strcmp(s->arithmetic, run->facts.arithmetic) != 0) {
        return mbt_fail(err, MBT_DATA,
                        "run %.300s: multiplied in %s, others of its row in %s: no mean of both",
                        run->folder, run->facts.arithmetic, s->arithmetic);
    }
    const mbt_metrics_row *figures = &run->metrics.rows[run->row];
    s->top1[s->n] = figures->test_top1;
    s->top5[s->n] = figures->test_top5;
    if (!isnan(figures->test_flip_top1)) {
        s->flip_top1[s->n_flip++] = figures->test_flip_top1;
    }
    s->hours += run->hours;
    s->n++;
    return MBT_OK;
}

/* Into every row that has the run's configuration and data set. */
static mbt_status place_run(struct making *m, const char *folder, mbt_error *err)
{
    mbt_outcome run;
    char nearest[DIFFERENCE_BYTES] = "", label[MBT_JOB_TEXT_BYTES] = "";
    bool placed = false;
    mbt_status status = mbt_outcome_read_begun(folder, &run, err);
    for (int i = 0; i < m->table->n_rows && status == MBT_OK; i++) {
        const mbt_job_row *row = m->table->rows[i].row;
        char difference[DIFFERENCE_BYTES];
        if (strcmp(row->data_key, run.facts.data_set) != 0) {
            continue;
        }
        mbt_outcome_difference(&row->config, &run.config, difference, sizeof difference);
        if (difference[0] == '\0') {
            placed = true;
            status = add_run(m, i, &run, err);
        } else if (label[0] == '\0' || strlen(difference) < strlen(nearest)) {
            memcpy(nearest, difference, sizeof nearest);
            memcpy(label, row->label, sizeof label);
        }
    }
    if (status == MBT_OK && !placed) {
        status = label[0] == '\0'
                     ? mbt_fail(err, MBT_DATA, "run %.300s: is on %s, and no row of %.300s is",
                                folder, run.facts.data_set, m->table->job->path)
                     : mbt_fail(err, MBT_DATA,
                                "run %.200s: belongs to no row of %.200s; nearest is \"%.100s\", "
                                "which differs in %s",
                                folder, m->table->job->path, label, nearest);
    }
    mbt_outcome_clear(&run);
    return status;
}

static bool is_there(const char *folder)
{
    struct stat info;
    char config[MBT_PATH_BYTES];
    return mbt_text_path(folder, "config.json", config, NULL) == MBT_OK && stat(config, &info) == 0;
}

/* The runs that row i names, or those found where the row would be trained. */
static mbt_status find_runs(struct making *m, int i, mbt_error *err)
{
    const mbt_job *job = m->table->job;
    const mbt_job_row *row = &job->rows[i];
    mbt_status status = MBT_OK;
    for (int k = 0; k < row->n_runs && status == MBT_OK; k++) {
        status = is_there(row->runs[k])
                     ? place_run(m, row->runs[k], err)
                     : mbt_fail(err, MBT_DATA,
                                "%.300s: rows.%d.runs.%d: got %.300s, where there is no run",
                                job->path, i, k, row->runs[k]);
    }
    for (int s = 0; s < row->n_seeds && row->n_runs == 0 && status == MBT_OK; s++) {
        char folder[MBT_PATH_BYTES];
        if (mbt_job_listed_before(job, i, row->seeds[s])) {
            continue; /* place_run has put it into this row too */
        }
        status = mbt_job_run_folder(job, i, s, folder, err);
        if (status == MBT_OK && is_there(folder)) {
            status = place_run(m, folder, err);
        }
    }
    return status;
}

/* Mean, and the sample deviation from two values on; NaN otherwise. */
static void spread(const double *values, int n, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        sum += values[i];
    }
    *mean = n > 0 ? sum / n : (double)NAN;
    for (int i = 0; i < n; i++) {
        squares += (values[i] - *mean) * (values[i] - *mean);
    }
    *deviation = n > 1 ? sqrt(squares / (n - 1)) : (double)NAN;
}

static void conclude(mbt_table_row *row, const struct sums *s)
{
    row->printed_parameters = row->row->printed_parameters;
    row->printed_top1 = row->row->printed_top1;
    row->printed_top5 = row->row->printed_top5;
    row->epochs = (double)row->row->config.train.epochs;
    row->seeds = row->row->n_seeds;
    row->runs = s->n;
    row->unfinished = s->n_runs - s->n;
    row->hours = s->n > 0 ? s->hours / s->n : (double)NAN;
    spread(s->top1, s->n, &row->top1, &row->top1_deviation);
    spread(s->flip_top1, s->n_flip, &row->flip_top1, &row->flip_top1_deviation);
    spread(s->top5, s->n, &row->top5, &row->top5_deviation);
}

mbt_status mbt_table_make(const mbt_job *job, int n_folders, char *const *folders, mbt_table *table,
                          mbt_error *err)
{
    *table = (mbt_table){.job = job};
    struct making m = {.table = table};
    table->rows = calloc((size_t)job->n_rows, sizeof *table->rows);
    m.sums = calloc((size_t)job->n_rows, sizeof *m.sums);
    mbt_status status = table->rows != NULL && m.sums != NULL
                            ? MBT_OK
                            : mbt_fail(err, MBT_FAILURE, "table: out of memory");
    for (int i = 0; i < job->n_rows && status == MBT_OK; i++) {
        table->rows[i].row = &job->rows[i];
        table->n_rows = i + 1;
        status = count_network(&job->rows[i], &table->rows[i], err);
    }
    for (int i = 0; i < n_folders && status == MBT_OK; i++) {
        status = place_run(&m, folders[i], err);
    }
    for (int i = 0; i < job->n_rows && n_folders == 0 && status == MBT_OK; i++) {
        status = find_runs(&m, i, err);
    }
    for (int i = 0; i < table->n_rows && status == MBT_OK; i++) {
        conclude(&table->rows[i], &m.sums[i]);
    }
    free(m.sums);
    if (status != MBT_OK) {
        mbt_table_clear(table);
    }
    return status;
}

void mbt_table_clear(mbt_table *table)
{
    free(table->rows);
    *table = (mbt_table){0};
}
