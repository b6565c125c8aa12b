/* mbt-ckpt verify: whether files are whole, each read in a child with limits. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/checkpoint.h"
#include "mbt/limited.h"
#include "mbt/metrics.h"
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

/* mbt_limited_work: the answer is the number of epochs. */
static mbt_status load_metrics(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    mbt_store *store = NULL;
    mbt_metrics metrics = {0};
    mbt_status status = mbt_store_open(context, MBT_CKPT_BYTES_MAX, &store, err);
    if (!status)
        status = mbt_metrics_load(&metrics, store, "/metrics", err);
    if (!status)
        (void)snprintf(answer, MBT_LIMITED_ANSWER, "%d epochs", metrics.n_rows);
    mbt_metrics_clear(&metrics);
    mbt_store_close(store);
    return status;
}

/* metrics.h5 of a run folder, when there is one. */
static mbt_status verify_metrics(const char *run, mbt_error *err)
{
    char path[MBT_PATH_BYTES], epochs[MBT_LIMITED_ANSWER];
    mbt_status status = mbt_text_path(run, "metrics.h5", path, err);
    if (status || access(path, F_OK) != 0)
        return status;
    status = mbt_limited_run(path, load_metrics, path, epochs, err);
    if (!status)
        printf("%s: whole, %s\n", path, epochs);
    return status;
}

/* A link of a folder names one of its files; -1: there is no link. */
static mbt_status verify_link(const mbt_checkpoint_list *list, const char *folder, const char *link,
                              int64_t step, mbt_error *err)
{
    for (int i = 0; i < list->n_steps; i++)
        if (list->steps[i] == step)
            return MBT_OK;
    return step < 0 ? MBT_OK
                    : mbt_fail(err, MBT_DATA, "%s/%s: names step %" PRId64 ", which is not there",
                               folder, link, step);
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
    mbt_error faults[3] = {{0}};
    mbt_ckpt_add_fault(verify_link(&list, folder, "last.h5", list.last, &faults[0]), &faults[0],
                       &worst, err);
    mbt_ckpt_add_fault(verify_link(&list, folder, "best.h5", list.best, &faults[1]), &faults[1],
                       &worst, err);
    mbt_ckpt_add_fault(verify_metrics(argument, &faults[2]), &faults[2], &worst, err);
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
