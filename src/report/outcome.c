/* Reading what came of a run. */
#include "mbt/outcome.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "mbt/run.h"
#include "mbt/text.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)
enum { DIFFERENCE_BYTES = 2048 };

/* Keys that change no result, or another one in every run of a table. */
static const char *const of_no_weight[] = {
    "run.",        "data.path", "train.seed", "train.max_steps", "plan.kernels", "plan.threads",
    "checkpoint.", "evaluate.", NULL,
};

void mbt_outcome_difference(const mbt_config *a, const mbt_config *b, char *out, size_t bytes)
{
    char all[DIFFERENCE_BYTES];
    size_t used = 0;
    mbt_config_difference(a, b, all, sizeof all);
    out[0] = '\0';
    for (char *key = all; *key != '\0' && used < bytes;) {
        const size_t length = strcspn(key, ",");
        bool counts = true;
        for (int i = 0; of_no_weight[i] != NULL; i++) {
            counts = counts && strncmp(key, of_no_weight[i], strlen(of_no_weight[i])) != 0;
        }
        if (counts) {
            const int n = snprintf(out + used, bytes - used, "%s%.*s", used > 0 ? ", " : "",
                                   (int)length, key);
            used += n > 0 ? (size_t)n : 0;
        }
        key += length;
        key += strspn(key, ", ");
    }
}

static int figure_row(const mbt_metrics *metrics)
{
    int best = -1;
    for (int i = 0; i < metrics->n_rows; i++) {
        const mbt_metrics_row *row = &metrics->rows[i];
        if (!isnan(row->valid_top1) &&
            (best < 0 || row->valid_top1 > metrics->rows[best].valid_top1)) {
            best = i;
        }
    }
    return best >= 0 ? best : metrics->n_rows - 1;
}

static double hours_of(const mbt_metrics *metrics)
{
    double seconds = 0;
    for (int i = 0; i < metrics->n_rows; i++) {
        const mbt_metrics_row *row = &metrics->rows[i];
        seconds += row->train_s + row->evaluate_s;
        seconds += isnan(row->checkpoint_s) ? 0 : row->checkpoint_s; /* older runs have none */
    }
    return seconds / 3600;
}

static mbt_status read_metrics(const char *folder, mbt_metrics *metrics, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_store *store = NULL;
    mbt_status status = mbt_text_path(folder, "metrics.h5", path, err);
    if (status == MBT_OK) {
        status = mbt_store_open(path, FILE_BYTES_MAX, &store, err);
    }
    if (status == MBT_OK) {
        status = mbt_metrics_load(metrics, store, "/metrics", err);
    }
    mbt_store_close(store);
    return status;
}

mbt_status mbt_outcome_read(const char *folder, mbt_outcome *outcome, mbt_error *err)
{
    struct stat info;
    *outcome = (mbt_outcome){0};
    mbt_status status =
        mbt_text_format(outcome->folder, sizeof outcome->folder, err, "path", "%s", folder);
    for (size_t n = strlen(outcome->folder); n > 1 && outcome->folder[n - 1] == '/'; n--) {
        outcome->folder[n - 1] = '\0';
    }
    if (status == MBT_OK && stat(folder, &info) != 0) {
        status = mbt_fail(err, MBT_DATA, "run %s: %s", folder, strerror(errno));
    }
    if (status == MBT_OK) {
        status = mbt_run_read_config(folder, &outcome->config, err);
        if (status != MBT_OK) {
            status = mbt_fail(err, MBT_DATA, "run %.200s: %.600s", folder,
                              err != NULL ? err->message : "");
        }
    }
    if (status == MBT_OK) {
        status = mbt_record_read_facts(folder, &outcome->facts, err);
    }
    if (status == MBT_OK) {
        status = read_metrics(folder, &outcome->metrics, err);
    }
    if (status == MBT_OK && outcome->metrics.n_rows == 0) {
        status = mbt_fail(err, MBT_DATA, "run %s: no epoch was completed", folder);
    }
    if (status != MBT_OK) {
        mbt_outcome_clear(outcome);
        return status;
    }
    outcome->row = figure_row(&outcome->metrics);
    outcome->hours = hours_of(&outcome->metrics);
    outcome->finished =
        outcome->metrics.rows[outcome->metrics.n_rows - 1].epoch >= outcome->config.train.epochs;
    return MBT_OK;
}

void mbt_outcome_clear(mbt_outcome *outcome)
{
    mbt_metrics_clear(&outcome->metrics);
    *outcome = (mbt_outcome){0};
}

const char *mbt_outcome_name(const mbt_outcome *outcome)
{
    const char *slash = strrchr(outcome->folder, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : outcome->folder;
}
