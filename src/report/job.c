/* Reading jobs: members by one list, so that a mistyped one is an error. */
#include "mbt/job.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/arch.h"
#include "mbt/json.h"
#include "mbt/text.h"

enum { AT_BYTES = 32, KEY_BYTES = 96 };

/* The data sets that a table may be of. */
static const struct {
    const char *key, *name;
    int size, n_classes;
} data_sets[] = {
    {"cifar10", "CIFAR-10", 32, 10},
    {"cifar100", "CIFAR-100", 32, 100},
    {"imagenet", "ImageNet", 224, 1000},
    {"synth", "synthetic", 32, 10},
};
enum { N_DATA_SETS = sizeof data_sets / sizeof *data_sets };

bool mbt_job_data_set(const char *key, int *size, int *n_classes)
{
    for (int i = 0; i < N_DATA_SETS; i++) {
        if (strcmp(key, data_sets[i].key) == 0) {
            *size = data_sets[i].size;
            *n_classes = data_sets[i].n_classes;
            return true;
        }
    }
    return false;
}

mbt_status mbt_job_count(const mbt_config *config, int side, int n_classes, int64_t *parameters,
                         int64_t *macs, mbt_error *err)
{
    const int size = config->data.image_size > 0 ? (int)config->data.image_size : side;
    const mbt_arch_request request = mbt_arch_of(config, 3, size, size, n_classes);
    return mbt_arch_count(&request, parameters, macs, err);
}

static const char *const job_members[] = {"title", "note", "rows", NULL};
static const char *const row_members[] = {"label", "data",    "configuration", "seeds",
                                          "runs",  "printed", "source",        NULL};
static const char *const printed_members[] = {"parameters", "top1", "top5", NULL};

static mbt_status check_members(const mbt_json_file *file, const char *job, const char *path,
                                const char *const *known, mbt_error *err)
{
    int n = 0;
    while (known[n] != NULL) {
        n++;
    }
    if (mbt_json_has(file, path) && mbt_json_count(file, path) == 0) {
        return mbt_fail(err, MBT_DATA, "%s: %s: wanted an object with members", job, path);
    }
    for (int i = 0; i < mbt_json_count(file, path); i++) {
        const char *name = mbt_json_member(file, path, i);
        int k = 0;
        while (name != NULL && k < n && strcmp(known[k], name) != 0) {
            k++;
        }
        if (name == NULL) {
            return mbt_fail(err, MBT_DATA, "%s: %s: wanted an object", job, path);
        }
        if (k == n) {
            const int near = mbt_text_nearest(name, known, n);
            return mbt_fail(err, MBT_DATA, "%s: %s%s%s: unknown%s%s", job, path,
                            path[0] != '\0' ? "." : "", name, near >= 0 ? ", nearest is " : "",
                            near >= 0 ? known[near] : "");
        }
    }
    return MBT_OK;
}

/* A text member of `at`; *out stays as it is when an optional one is absent. */
static mbt_status get_text(const mbt_json_file *file, const char *at, const char *name, bool wanted,
                           char *out, size_t bytes, mbt_error *err)
{
    char key[2 * KEY_BYTES + 2];
    const char *value = NULL;
    (void)snprintf(key, sizeof key, "%s%s%s", at, at[0] != '\0' ? "." : "", name);
    if (!wanted && !mbt_json_has(file, key)) {
        return MBT_OK;
    }
    mbt_status status = mbt_json_get_text(file, key, &value, err);
    return status == MBT_OK ? mbt_text_format(out, bytes, err, key, "%s", value) : status;
}

static mbt_status get_printed(const mbt_json_file *file, const char *at, const char *name,
                              double *value, mbt_error *err)
{
    char key[KEY_BYTES];
    *value = NAN;
    (void)snprintf(key, sizeof key, "%s.%s", at, name);
    return mbt_json_has(file, key) ? mbt_json_get(file, key, value, err) : MBT_OK;
}

static mbt_status get_data(const mbt_json_file *file, const char *at, const char *job,
                           mbt_job_row *row, mbt_error *err)
{
    char name[KEY_BYTES] = "";
    mbt_status status = get_text(file, at, "data", true, name, sizeof name, err);
    for (int i = 0; i < N_DATA_SETS && status == MBT_OK; i++) {
        if (strcmp(name, data_sets[i].key) == 0) {
            row->data_key = data_sets[i].key;
            row->data = data_sets[i].name;
            row->size = data_sets[i].size;
            row->n_classes = data_sets[i].n_classes;
            return MBT_OK;
        }
    }
    return status != MBT_OK ? status
                            : mbt_fail(err, MBT_DATA,
                                       "%s: %s.data: got \"%s\", wanted cifar10, cifar100, "
                                       "imagenet or synth",
                                       job, at, name);
}

static mbt_status get_seeds(const mbt_json_file *file, const char *at, const char *job,
                            mbt_job_row *row, mbt_error *err)
{
    char key[KEY_BYTES];
    (void)snprintf(key, sizeof key, "%s.seeds", at);
    row->n_seeds = mbt_json_count(file, key);
    if (row->n_seeds < 1 || row->n_seeds > MBT_JOB_SEEDS_MAX) {
        return mbt_fail(err, MBT_DATA, "%s: %s: got %d seeds, wanted 1 to %d", job, key,
                        row->n_seeds, MBT_JOB_SEEDS_MAX);
    }
    for (int i = 0; i < row->n_seeds; i++) {
        double value = 0;
        (void)snprintf(key, sizeof key, "%s.seeds.%d", at, i);
        const mbt_status status = mbt_json_get(file, key, &value, err);
        if (status != MBT_OK) {
            return status;
        }
        if (!(value >= 0 && value <= 0x1p53) || value != floor(value)) {
            return mbt_fail(err, MBT_DATA, "%s: %s: got %g, wanted a whole number from 0", job, key,
                            value);
        }
        row->seeds[i] = (int64_t)value;
        for (int k = 0; k < i; k++) {
            if (row->seeds[k] == row->seeds[i]) {
                return mbt_fail(err, MBT_DATA, "%s: %s: got %g a second time", job, key, value);
            }
        }
    }
    return MBT_OK;
}

static mbt_status get_runs(const mbt_json_file *file, const char *at, const char *job,
                           mbt_job_row *row, mbt_error *err)
{
    char key[KEY_BYTES], name[KEY_BYTES];
    (void)snprintf(key, sizeof key, "%s.runs", at);
    const int n = mbt_json_count(file, key);
    if (n == 0 && mbt_json_has(file, key)) {
        return mbt_fail(err, MBT_DATA, "%s: %s: wanted a list of folders", job, key);
    }
    row->runs = n > 0 ? calloc((size_t)n, sizeof *row->runs) : NULL;
    if (n > 0 && row->runs == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: out of memory", key);
    }
    row->n_runs = n;
    mbt_status status = MBT_OK;
    for (int i = 0; i < n && status == MBT_OK; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        status = get_text(file, key, name, true, row->runs[i], sizeof *row->runs, err);
    }
    return status;
}

static mbt_status read_row(const mbt_json_file *file, const char *job, int i, mbt_job_row *row,
                           mbt_error *err)
{
    char at[AT_BYTES], printed[AT_BYTES];
    (void)snprintf(at, sizeof at, "rows.%d", i);
    (void)snprintf(printed, sizeof printed, "rows.%d.printed", i);
    mbt_status status = check_members(file, job, at, row_members, err);
    if (status == MBT_OK) {
        status = check_members(file, job, printed, printed_members, err);
    }
    if (status == MBT_OK) {
        status = get_text(file, at, "label", true, row->label, sizeof row->label, err);
    }
    if (status == MBT_OK) {
        status = get_text(file, at, "configuration", true, row->configuration,
                          sizeof row->configuration, err);
    }
    if (status == MBT_OK) {
        status = get_text(file, at, "source", false, row->source, sizeof row->source, err);
    }
    if (status == MBT_OK) {
        status = get_data(file, at, job, row, err);
    }
    if (status == MBT_OK) {
        status = get_seeds(file, at, job, row, err);
    }
    if (status == MBT_OK) {
        status = get_runs(file, at, job, row, err);
    }
    if (status == MBT_OK) {
        status = get_printed(file, printed, "parameters", &row->printed_parameters, err);
    }
    if (status == MBT_OK) {
        status = get_printed(file, printed, "top1", &row->printed_top1, err);
    }
    if (status == MBT_OK) {
        status = get_printed(file, printed, "top5", &row->printed_top5, err);
    }
    if (status == MBT_OK) {
        mbt_config_defaults(&row->config);
        status = mbt_config_read(row->configuration, &row->config, err);
    }
    return status != MBT_OK ? mbt_error_prefix(err, "%s: rows.%d", job, i) : MBT_OK;
}

mbt_status mbt_job_read(const char *path, mbt_job *job, mbt_error *err)
{
    mbt_json_file *file = NULL;
    *job = (mbt_job){0};
    mbt_status status = mbt_json_read(path, &file, err);
    if (status == MBT_OK) {
        status = mbt_text_format(job->path, sizeof job->path, err, "path", "%s", path);
    }
    if (status == MBT_OK) {
        status = check_members(file, path, "", job_members, err);
    }
    if (status == MBT_OK) {
        status = get_text(file, "", "title", true, job->title, sizeof job->title, err);
    }
    if (status == MBT_OK) {
        status = get_text(file, "", "note", false, job->note, sizeof job->note, err);
    }
    const int n = status == MBT_OK ? mbt_json_count(file, "rows") : 0;
    if (status == MBT_OK && (n < 1 || n > MBT_JOB_ROWS_MAX)) {
        status =
            mbt_fail(err, MBT_DATA, "%s: got %d rows, wanted 1 to %d", path, n, MBT_JOB_ROWS_MAX);
    }
    job->rows = status == MBT_OK ? calloc((size_t)n, sizeof *job->rows) : NULL;
    if (status == MBT_OK && job->rows == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: no memory for %d rows", path, n);
    }
    for (int i = 0; i < n && status == MBT_OK; i++) {
        status = read_row(file, path, i, &job->rows[i], err);
        job->n_rows = i + 1;
    }
    mbt_json_close(file);
    if (status != MBT_OK) {
        mbt_job_clear(job);
    }
    return status;
}

void mbt_job_clear(mbt_job *job)
{
    for (int i = 0; i < job->n_rows; i++) {
        free(job->rows[i].runs);
    }
    free(job->rows);
    *job = (mbt_job){0};
}

mbt_status mbt_job_run_folder(const mbt_job *job, int row, int seed, char folder[MBT_PATH_BYTES],
                              mbt_error *err)
{
    const mbt_job_row *r = &job->rows[row];
    const char *slash = strrchr(r->configuration, '/');
    const char *name = slash != NULL ? slash + 1 : r->configuration;
    const char *dot = strrchr(name, '.');
    return mbt_text_format(folder, MBT_PATH_BYTES, err, "run folder", "runs/%.*s-seed%" PRId64,
                           dot != NULL ? (int)(dot - name) : (int)strlen(name), name,
                           r->seeds[seed]);
}

bool mbt_job_listed_before(const mbt_job *job, int row, int64_t seed)
{
    for (int r = 0; r < row; r++) {
        for (int s = 0; s < job->rows[r].n_seeds; s++) {
            if (job->rows[r].seeds[s] == seed &&
                strcmp(job->rows[r].configuration, job->rows[row].configuration) == 0) {
                return true;
            }
        }
    }
    return false;
}

mbt_status mbt_job_print_rows(const mbt_job *job, FILE *out, mbt_error *err)
{
    int index = 0;
    for (int r = 0; r < job->n_rows; r++) {
        const mbt_job_row *row = &job->rows[r];
        for (int s = 0; s < row->n_seeds; s++) {
            char folder[MBT_PATH_BYTES];
            if (mbt_job_listed_before(job, r, row->seeds[s])) {
                continue;
            }
            const mbt_status status = mbt_job_run_folder(job, r, s, folder, err);
            if (status != MBT_OK) {
                return status;
            }
            (void)fprintf(out, "%d\t%s\t%" PRId64 "\t%s\n", index++, row->configuration,
                          row->seeds[s], folder);
        }
    }
    return MBT_OK;
}
