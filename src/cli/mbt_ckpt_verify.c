/* mbt-ckpt verify: whether files are whole, each read in a child with limits. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/checkpoint.h"
#include "mbt/limited.h"
#include "mbt/metrics.h"
#include "mbt/record.h"
#include "mbt/run.h"
#include "mbt/store.h"
#include "mbt/text.h"

#include "mbt_ckpt.h"

/* mbt_limited_work: the answer is the state digest. */
static mbt_status verify_checkpoint(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    return mbt_checkpoint_verify(context, answer, err);
}

static mbt_status verify_file(const char *path, mbt_error *err)
{
    char digest[MBT_LIMITED_ANSWER];
    mbt_status status = mbt_limited_run(path, verify_checkpoint, (void *)path, digest, err);
    if (!status)
        printf("%s: whole, state digest %s\n", path, digest);
    return status;
}

/* ---- what a run folder has besides: mbt_limited_work, of the folder ---- */

static mbt_status load_metrics(void *run, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_store *store = NULL;
    mbt_metrics metrics = {0};
    mbt_status status = mbt_text_path(run, "metrics.h5", path, err);
    if (!status)
        status = mbt_store_open(path, MBT_CKPT_BYTES_MAX, &store, err);
    if (!status)
        status = mbt_metrics_load(&metrics, store, "/metrics", err);
    if (!status)
        (void)snprintf(answer, MBT_LIMITED_ANSWER, "%d epochs", metrics.n_rows);
    mbt_metrics_clear(&metrics);
    mbt_store_close(store);
    return status;
}

static mbt_status load_facts(void *run, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    mbt_record_facts facts;
    mbt_status status = mbt_record_read_facts(run, &facts, err);
    if (!status)
        (void)snprintf(answer, MBT_LIMITED_ANSWER, "of %.32s", facts.network);
    return status;
}

static mbt_status load_predictions(void *run, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    mbt_predictions predictions = {0};
    char(*class_names)[MBT_CLASS_NAME_BYTES] = NULL;
    int64_t epoch;
    mbt_status status = mbt_record_read_predictions(run, &predictions, &class_names, &epoch, err);
    if (!status)
        (void)snprintf(answer, MBT_LIMITED_ANSWER, "%" PRId64 " samples", predictions.n);
    mbt_predictions_clear(&predictions);
    free(class_names);
    return status;
}

static mbt_status load_config(void *run, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    mbt_config config;
    mbt_status status = mbt_run_read_config(run, &config, err);
    if (!status)
        (void)snprintf(answer, MBT_LIMITED_ANSWER, "of %.32s", config.network.name);
    return status;
}

static const struct part {
    const char *name;
    mbt_limited_work *load;
} parts[] = {{"config.json", load_config},
             {"metrics.h5", load_metrics},
             {"about.h5", load_facts},
             {"predictions.h5", load_predictions}};

/* When it is there. */
static mbt_status verify_part(const char *run, const struct part *part, mbt_error *err)
{
    char path[MBT_PATH_BYTES], answer[MBT_LIMITED_ANSWER];
    mbt_status status = mbt_text_path(run, part->name, path, err);
    if (status || access(path, F_OK) != 0)
        return status;
    status = mbt_limited_run(path, part->load, (void *)run, answer, err);
    if (!status)
        printf("%s: whole, %s\n", path, answer);
    return status;
}

/* A link of a folder, if it is there: it names one of the files that are verified, or is one
 * itself, as in a copy that has files for links, or one that its run has saved meanwhile. */
static mbt_status verify_link(const mbt_checkpoint_list *list, const char *folder, const char *link,
                              int64_t step, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    struct stat info;
    for (int i = 0; i < list->n_steps; i++)
        if (list->steps[i] == step)
            return MBT_OK;
    mbt_status status = mbt_text_path(folder, link, path, err);
    return status || (lstat(path, &info) != 0 && errno == ENOENT) ? status : verify_file(path, err);
}

static mbt_status verify_folder(const char *argument, mbt_error *err)
{
    char folder[MBT_PATH_BYTES], path[MBT_PATH_BYTES];
    mbt_checkpoint_list list = {.last = -1, .best = -1};
    mbt_status worst = MBT_OK, status = mbt_ckpt_folder(argument, folder, err);
    if (!status)
        status = mbt_checkpoint_list_read(folder, &list, err);
    if (!status && list.n_steps == 0)
        status = mbt_fail(err, MBT_DATA, "%s: has no checkpoints", folder);
    if (status)
        return status;
    for (int i = 0; i < list.n_steps; i++) {
        mbt_error fault = {0};
        status = mbt_checkpoint_path(folder, list.steps[i], path, &fault);
        if (!status)
            status = verify_file(path, &fault);
        struct stat info;
        if (!status || lstat(path, &info) == 0 || errno != ENOENT) /* else its run removed it */
            mbt_ckpt_add_fault(status, &fault, &worst, err);
    }
    mbt_error faults[2] = {{0}};
    mbt_ckpt_add_fault(verify_link(&list, folder, "last.h5", list.last, &faults[0]), &faults[0],
                       &worst, err);
    mbt_ckpt_add_fault(verify_link(&list, folder, "best.h5", list.best, &faults[1]), &faults[1],
                       &worst, err);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        mbt_error fault = {0};
        mbt_ckpt_add_fault(verify_part(argument, &parts[i], &fault), &fault, &worst, err);
    }
    mbt_checkpoint_list_clear(&list);
    return worst;
}

mbt_status mbt_ckpt_verify(int n_files, char **files, mbt_error *err)
{
    mbt_status worst = MBT_OK;
    for (int i = 0; i < n_files; i++) {
        mbt_error fault = {0};
        mbt_ckpt_add_fault(mbt_ckpt_is_folder(files[i]) ? verify_folder(files[i], &fault)
                                                        : verify_file(files[i], &fault),
                           &fault, &worst, err);
    }
    return worst;
}
