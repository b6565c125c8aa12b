/* Reading what came of a run. */
#include "mbt/outcome.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mbt/checkpoint.h"
#include "mbt/job.h"
#include "mbt/run.h"
#include "mbt/text.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)
enum { DIFFERENCE_BYTES = 2048 };

/* Keys, and beginnings of keys, that change no result, or another one in every run of a table. */
static const char *const of_no_weight[] = {
    "run.",           "data.path",
    "data.memory",    "data.prefetch",
    "train.seed",     "train.max_steps",
    "plan.kernels",   "plan.threads",
    "plan.tile",      "plan.without",
    "evaluate.every", "evaluate.flip",
    "checkpoint.",    NULL,
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

/* The row that the run's figures come from: the best by the validation split, else the last that
 * was evaluated. */
static int figure_row(const mbt_metrics *metrics)
{
    int best = -1, last = metrics->n_rows - 1;
    for (int i = 0; i < metrics->n_rows; i++) {
        const mbt_metrics_row *row = &metrics->rows[i];
        last = isnan(row->test_top1) ? last : i;
        if (!isnan(row->valid_top1) &&
            (best < 0 || row->valid_top1 > metrics->rows[best].valid_top1)) {
            best = i;
        }
    }
    return best >= 0 ? best : last;
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
    struct stat info;
    if (status == MBT_OK && stat(path, &info) != 0 && errno == ENOENT) {
        return MBT_OK; /* it is written after the first epoch */
    }
    if (status == MBT_OK) {
        status = mbt_store_open(path, FILE_BYTES_MAX, &store, err);
    }
    if (status == MBT_OK) {
        status = mbt_metrics_load(metrics, store, "/metrics", err);
    }
    mbt_store_close(store);
    return status;
}

/* "cifar10" of "data/cifar10.h5". */
static void data_set_of(const mbt_config *config, char *name, size_t bytes)
{
    const char *slash = strrchr(config->data.path, '/');
    const char *start = slash != NULL ? slash + 1 : config->data.path;
    (void)snprintf(name, bytes, "%.*s", (int)strcspn(start, "."), start);
}

static mbt_status count_network(const mbt_config *config, mbt_record_facts *facts, mbt_error *err)
{
    int side, n_classes;
    if (!mbt_job_data_set(facts->data_set, &side, &n_classes)) {
        return mbt_fail(err, MBT_DATA, "data set %s: is none of those that tables are of",
                        facts->data_set);
    }
    return mbt_job_count(config, side, n_classes, &facts->parameters, &facts->macs, err);
}

/* What about.h5 would say, without the commands. */
static mbt_status facts_of_older(const char *folder, const mbt_config *config,
                                 mbt_record_facts *facts, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_checkpoint_info info = {0};
    mbt_status status = mbt_text_path(folder, "checkpoints/last.h5", path, err);
    if (status == MBT_OK) {
        status = mbt_checkpoint_read_info(path, &info, err);
    }
    if (status == MBT_OK) {
        (void)snprintf(facts->network, sizeof facts->network, "%s", info.network);
        (void)snprintf(facts->provenance, sizeof facts->provenance, "%s", info.provenance);
        memcpy(facts->data_digest, info.data_digest, sizeof facts->data_digest);
        data_set_of(config, facts->data_set, sizeof facts->data_set);
        status = count_network(config, facts, err);
        mbt_checkpoint_info_clear(&info);
    }
    return status;
}

static mbt_status read_facts(const char *folder, const mbt_config *config, mbt_record_facts *facts,
                             mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    struct stat info;
    const mbt_status status = mbt_text_path(folder, "about.h5", path, err);
    if (status != MBT_OK) {
        return status;
    }
    return stat(path, &info) == 0 ? mbt_record_read_facts(folder, facts, err)
                                  : facts_of_older(folder, config, facts, err);
}

/* The folder without a slash at its end; "." and "..", which are no names, written out. */
static mbt_status name_folder(const char *folder, char out[MBT_PATH_BYTES], mbt_error *err)
{
    mbt_status status = mbt_text_format(out, MBT_PATH_BYTES, err, "path", "%s", folder);
    for (size_t n = strlen(out); n > 1 && out[n - 1] == '/'; n--) {
        out[n - 1] = '\0';
    }
    const char *slash = strrchr(out, '/');
    const char *last = slash != NULL ? slash + 1 : out;
    if (status == MBT_OK && (strcmp(last, ".") == 0 || strcmp(last, "..") == 0)) {
        char *whole = realpath(folder, NULL);
        status = whole != NULL ? mbt_text_format(out, MBT_PATH_BYTES, err, "path", "%s", whole)
                               : mbt_fail(err, MBT_DATA, "run %s: %s", folder, strerror(errno));
        free(whole);
    }
    return status;
}

mbt_status mbt_outcome_read_begun(const char *folder, mbt_outcome *outcome, mbt_error *err)
{
    struct stat info;
    *outcome = (mbt_outcome){.row = -1};
    mbt_status status = name_folder(folder, outcome->folder, err);
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
        status = read_facts(folder, &outcome->config, &outcome->facts, err);
    }
    if (status == MBT_OK) {
        status = read_metrics(folder, &outcome->metrics, err);
    }
    if (status != MBT_OK) {
        mbt_outcome_clear(outcome);
        return status;
    }
    const mbt_metrics *metrics = &outcome->metrics;
    const int last = metrics->n_rows - 1;
    outcome->row = figure_row(metrics);
    outcome->hours = hours_of(metrics);
    outcome->finished = last >= 0 && metrics->rows[last].epoch >= outcome->config.train.epochs;
    return MBT_OK;
}

mbt_status mbt_outcome_read(const char *folder, mbt_outcome *outcome, mbt_error *err)
{
    mbt_status status = mbt_outcome_read_begun(folder, outcome, err);
    if (status == MBT_OK && outcome->metrics.n_rows == 0) {
        status = mbt_fail(err, MBT_DATA, "run %s: no epoch was completed", folder);
        mbt_outcome_clear(outcome);
    }
    return status;
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

void mbt_outcome_network(const mbt_outcome *outcome, char *out, size_t bytes)
{
    const mbt_config *config = &outcome->config;
    const bool as_named = !(config->network.width < 1) && !(config->network.width > 1);
    char width[MBT_NUMBER_BYTES];
    (void)snprintf(out, bytes, "%s %s, ds%" PRId64 "%s%s%s", outcome->facts.network,
                   config->network.depth, config->network.downsampling, as_named ? "" : ", width ",
                   as_named ? "" : mbt_text_number(config->network.width, width),
                   strcmp(outcome->facts.arithmetic, "bf16") == 0 ? ", bf16" : "");
}
