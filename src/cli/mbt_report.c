/* mbt-report: what runs were for: tables beside the papers' numbers, pages, drawings, comparisons.
 * Serial, without MPI. Results go to stdout or, whole, into the file that -o names; errors to
 * stderr as one line each; the exit code is an mbt_status. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/file.h"
#include "mbt/job.h"
#include "mbt/report.h"
#include "mbt/text.h"

#include "version.h"

static const char usage[] =
    "usage: mbt-report rows JOB                 what to train for a table, a line for each row "
    "and\n"
    "                                           seed: index, configuration, seed, run folder\n"
    "       mbt-report table JOB [RUN...]       the table, beside the printed numbers\n"
    "       mbt-report html [--job JOB] RUN...  a page: curves, time, confusion, mistakes; of up "
    "to 8\n"
    "       mbt-report plot KIND RUN...         a drawing: accuracy, loss or rate\n"
    "       mbt-report compare RUN RUN          two runs of one network and data set\n"
    "       mbt-report record RUN               enters a finished run into data/results\n"
    "\n"
    "JOB is a file of jobs/, RUN the folder of a run. Without runs, table takes those that the "
    "job\n"
    "names or that are where its rows are trained.\n"
    "\n"
    "  -o, --output NAME  the file to write (plot: .svg or .png; record: the folder); html, plot "
    "and\n"
    "                     table --format hdf5 want one\n"
    "  --format FORMAT    of table: text, markdown, csv or hdf5\n"
    "  --job JOB          of html: the table of that job, of these runs\n"
    "  --help             this text\n"
    "  --version          versions of program and libraries\n"
    "\n"
    "Exit codes: 0 done, 1 failure, 2 usage, 3 configuration, 4 a file is damaged or missing, or a "
    "run\n"
    "does not fit: of no row, unfinished, a seed twice, another network or data set than the "
    "other.\n";

/* What the command line asked for. */
typedef struct request {
    int n; /* arguments behind the verb */
    char **arguments;
    const char *output, *format, *job; /* NULL: not given */
} request;

/* ---- runs and output ---- */

static mbt_status read_runs(int n, char **folders, mbt_outcome **runs, mbt_error *err)
{
    *runs = calloc((size_t)n, sizeof **runs);
    mbt_status status =
        *runs != NULL ? MBT_OK : mbt_fail(err, MBT_FAILURE, "no memory for %d runs", n);
    for (int i = 0; i < n && status == MBT_OK; i++) {
        status = mbt_outcome_read(folders[i], &(*runs)[i], err);
    }
    return status;
}

static void free_runs(int n, mbt_outcome *runs)
{
    for (int i = 0; i < n && runs != NULL; i++) {
        mbt_outcome_clear(&runs[i]);
    }
    free(runs);
}

/* Text that is made whole before a byte of it is seen. */
typedef struct text {
    FILE *out;
    char *data;
    size_t bytes;
} text;

static mbt_status text_begin(text *t, mbt_error *err)
{
    *t = (text){0};
    t->out = open_memstream(&t->data, &t->bytes);
    return t->out != NULL ? MBT_OK : mbt_fail(err, MBT_FAILURE, "report: out of memory");
}

/* To stdout or into the file, when all went well so far. */
static mbt_status text_end(text *t, mbt_status status, const char *output, mbt_error *err)
{
    if (t->out != NULL && fclose(t->out) != 0 && status == MBT_OK) {
        status = mbt_fail(err, MBT_FAILURE, "report: out of memory");
    }
    if (status == MBT_OK && output != NULL) {
        status = mbt_file_replace(output, t->data, t->bytes, err);
    } else if (status == MBT_OK) {
        (void)fwrite(t->data, 1, t->bytes, stdout); /* main asks whether stdout took it */
    }
    free(t->data);
    return status;
}

/* ---- verbs ---- */

static mbt_status do_rows(const request *r, mbt_error *err)
{
    mbt_job job;
    text t;
    mbt_status status = mbt_job_read(r->arguments[0], &job, err);
    if (status != MBT_OK) {
        return status;
    }
    status = text_begin(&t, err);
    if (status == MBT_OK) {
        status = text_end(&t, mbt_job_print_rows(&job, t.out, err), r->output, err);
    }
    mbt_job_clear(&job);
    return status;
}

static const struct format {
    const char *name;
    void (*print)(const mbt_table *, FILE *); /* NULL: HDF5 */
} formats[] = {
    {"text", mbt_table_print},
    {"markdown", mbt_table_print_markdown},
    {"csv", mbt_table_print_csv},
    {"hdf5", NULL},
};
enum { N_FORMATS = sizeof formats / sizeof *formats };

static mbt_status find_format(const char *name, const struct format **format, mbt_error *err)
{
    for (int i = 0; i < N_FORMATS; i++) {
        if (name == NULL || strcmp(name, formats[i].name) == 0) {
            *format = &formats[i];
            return MBT_OK;
        }
    }
    return mbt_fail(err, MBT_USAGE, "--format: got '%.80s', wanted text, markdown, csv or hdf5",
                    name);
}

static mbt_status put_table(const mbt_table *table, const struct format *format, const char *output,
                            mbt_error *err)
{
    text t;
    if (format->print == NULL) {
        return mbt_table_write_hdf5(table, output, err);
    }
    const mbt_status status = text_begin(&t, err);
    if (status != MBT_OK) {
        return status;
    }
    format->print(table, t.out);
    return text_end(&t, MBT_OK, output, err);
}

static mbt_status do_table(const request *r, mbt_error *err)
{
    const struct format *format = NULL;
    mbt_job job = {0};
    mbt_table table = {0};
    mbt_status status = find_format(r->format, &format, err);
    if (status == MBT_OK && format->print == NULL && r->output == NULL) {
        status = mbt_fail(err, MBT_USAGE, "table: no file for --format hdf5; wanted -o FILE");
    }
    if (status == MBT_OK) {
        status = mbt_job_read(r->arguments[0], &job, err);
    }
    if (status == MBT_OK) {
        status = mbt_table_make(&job, r->n - 1, r->arguments + 1, &table, err);
    }
    if (status == MBT_OK) {
        status = put_table(&table, format, r->output, err);
    }
    mbt_table_clear(&table);
    mbt_job_clear(&job);
    return status;
}

static mbt_status do_html(const request *r, mbt_error *err)
{
    mbt_job job = {0};
    mbt_table table = {0};
    mbt_outcome *runs = NULL;
    text t;
    mbt_status status = read_runs(r->n, r->arguments, &runs, err);
    if (status == MBT_OK && r->job != NULL) {
        status = mbt_job_read(r->job, &job, err);
        if (status == MBT_OK) {
            status = mbt_table_make(&job, r->n, r->arguments, &table, err);
        }
    }
    if (status == MBT_OK) {
        status = text_begin(&t, err);
    }
    if (status == MBT_OK) {
        status = mbt_report_html(runs, r->n, r->job != NULL ? &table : NULL, t.out, err);
        status = text_end(&t, status, r->output, err);
    }
    mbt_table_clear(&table);
    mbt_job_clear(&job);
    free_runs(r->n, runs);
    return status;
}

static mbt_status do_plot(const request *r, mbt_error *err)
{
    mbt_outcome *runs = NULL;
    mbt_status status = read_runs(r->n - 1, r->arguments + 1, &runs, err);
    if (status == MBT_OK) {
        status = mbt_report_plot(runs, r->n - 1, r->arguments[0], r->output, err);
    }
    free_runs(r->n - 1, runs);
    return status;
}

static mbt_status do_compare(const request *r, mbt_error *err)
{
    mbt_outcome *runs = NULL;
    text t;
    mbt_status status = read_runs(2, r->arguments, &runs, err);
    if (status == MBT_OK) {
        status = text_begin(&t, err);
    }
    if (status == MBT_OK) {
        status = mbt_report_compare(&runs[0], &runs[1], t.out, err);
        status = text_end(&t, status, r->output, err);
    }
    free_runs(2, runs);
    return status;
}

static mbt_status do_record(const request *r, mbt_error *err)
{
    mbt_outcome run;
    const char *folder = r->output != NULL ? r->output : "data/results";
    mbt_status status = mbt_outcome_read(r->arguments[0], &run, err);
    if (status == MBT_OK) {
        status = mbt_report_enter(&run, folder, err);
        if (status == MBT_OK) {
            (void)printf("%s: %s entered\n", folder, mbt_outcome_name(&run));
        }
        mbt_outcome_clear(&run);
    }
    return status;
}

/* ---- command line ---- */

enum { MAY_OUTPUT = 1, MUST_OUTPUT = 2, MAY_FORMAT = 4, MAY_JOB = 8, MANY = 1 << 20 };

static const struct verb {
    const char *name, *wanted;
    int least, most; /* arguments */
    unsigned options;
    mbt_status (*run)(const request *, mbt_error *);
} verbs[] = {
    {"rows", "a job", 1, 1, MAY_OUTPUT, do_rows},
    {"table", "a job and, if any, runs", 1, MANY, MAY_OUTPUT | MAY_FORMAT, do_table},
    {"html", "runs", 1, MBT_REPORT_RUNS_MAX, MAY_OUTPUT | MUST_OUTPUT | MAY_JOB, do_html},
    {"plot", "accuracy, loss or rate, and runs", 2, 1 + MBT_REPORT_RUNS_MAX,
     MAY_OUTPUT | MUST_OUTPUT, do_plot},
    {"compare", "two runs", 2, 2, MAY_OUTPUT, do_compare},
    {"record", "a run", 1, 1, MAY_OUTPUT, do_record},
};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static mbt_status find_verb(const char *word, const struct verb **verb, mbt_error *err)
{
    const char *names[N_VERBS];
    for (int i = 0; i < N_VERBS; i++) {
        names[i] = verbs[i].name;
        if (strcmp(word, names[i]) == 0) {
            *verb = &verbs[i];
            return MBT_OK;
        }
    }
    const int near = mbt_text_nearest(word, names, N_VERBS);
    return mbt_fail(err, MBT_USAGE, "unknown verb '%.80s'%s%s (see --help)", word,
                    near < 0 ? "" : ", nearest is ", near < 0 ? "" : names[near]);
}

static mbt_status check_request(const struct verb *v, const request *r, mbt_error *err)
{
    if (r->n < v->least) {
        return mbt_fail(err, MBT_USAGE, "%s: wanted %s", v->name, v->wanted);
    }
    if (r->n > v->most) {
        return mbt_fail(err, MBT_USAGE, "%s: unexpected argument '%.200s'", v->name,
                        r->arguments[v->most]);
    }
    if (r->format != NULL && (v->options & MAY_FORMAT) == 0) {
        return mbt_fail(err, MBT_USAGE, "%s takes no --format", v->name);
    }
    if (r->job != NULL && (v->options & MAY_JOB) == 0) {
        return mbt_fail(err, MBT_USAGE, "%s takes no --job", v->name);
    }
    if (r->output == NULL && (v->options & MUST_OUTPUT) != 0) {
        return mbt_fail(err, MBT_USAGE, "%s: no output file; wanted -o FILE", v->name);
    }
    return MBT_OK;
}

static mbt_status run(int n, char **arguments, request *r, mbt_error *err)
{
    const struct verb *verb = NULL;
    if (n == 0) {
        return mbt_fail(err, MBT_USAGE, "no verb (see --help)");
    }
    r->n = n - 1;
    r->arguments = arguments + 1;
    mbt_status status = find_verb(arguments[0], &verb, err);
    if (status == MBT_OK) {
        status = check_request(verb, r, err);
    }
    return status == MBT_OK ? verb->run(r, err) : status;
}

int main(int argc, char **argv)
{
    enum { HELP = 256, VERSION, FORMAT, JOB };
    static const struct option options[] = {
        {"help", no_argument, NULL, HELP},           {"version", no_argument, NULL, VERSION},
        {"format", required_argument, NULL, FORMAT}, {"job", required_argument, NULL, JOB},
        {"output", required_argument, NULL, 'o'},    {0},
    };
    mbt_error err = {0};
    request r = {0};
    mbt_status status = MBT_OK;
    int option = 0;
    opterr = 0;
    while (status == MBT_OK && (option = getopt_long(argc, argv, ":ho:", options, NULL)) != -1) {
        switch (option) {
        case 'h':
        case HELP:
            (void)fputs(usage, stdout);
            return MBT_OK;
        case VERSION:
            print_version("mbt-report", stdout);
            return MBT_OK;
        case 'o':
            r.output = optarg;
            break;
        case FORMAT:
            r.format = optarg;
            break;
        case JOB:
            r.job = optarg;
            break;
        default:
            status = mbt_fail(&err, MBT_USAGE, "option '%.80s' is unknown or %s (see --help)",
                              argv[optind - 1], option == ':' ? "lacks its value" : "takes none");
        }
    }
    if (status == MBT_OK) {
        status = run(argc - optind, argv + optind, &r, &err);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == MBT_OK) {
        status = mbt_fail(&err, MBT_FAILURE, "stdout: cannot be written");
    }
    if (status != MBT_OK) {
        (void)fprintf(stderr, "mbt-report: error: %s\n", err.message);
    }
    return (int)status;
}
