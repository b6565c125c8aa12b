/* The checkpoint folder: file names, the links last.h5 and best.h5, what is kept, the newest file
 * that is whole. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint_format.h"
#include "mbt/file.h"
#include "mbt/text.h"

#define STEP_NAME "step-%010" PRId64 ".h5"
/* How the store names what it has not finished yet (store.h: temporary name in the same folder). */
#define TEMPORARY_PREFIX ".step-"
#define TEMPORARY_PART ".h5.tmp-"

/* The step of "step-<10 digits>.h5", or -1. */
static int64_t step_of(const char *name)
{
    char digits[11], again[CKPT_FILE_NAME_BYTES];
    int64_t step = 0;
    if (strlen(name) != strlen("step-0000000000.h5"))
        return -1;
    memcpy(digits, name + strlen("step-"), 10);
    digits[10] = '\0';
    if (!mbt_text_to_i64(digits, &step) || step < 0)
        return -1;
    (void)snprintf(again, sizeof again, STEP_NAME, step);
    return strcmp(again, name) == 0 ? step : -1;
}

mbt_status mbt_checkpoint_path(const char *folder, int64_t step, char *path, mbt_error *err)
{
    char name[CKPT_FILE_NAME_BYTES];
    if (step < 0 || step > CKPT_STEP_MAX)
        return mbt_fail(err, MBT_FAILURE,
                        "checkpoint: step %" PRId64 " has no file name, wanted 0 "
                        "to %" PRId64,
                        step, CKPT_STEP_MAX);
    (void)snprintf(name, sizeof name, STEP_NAME, step);
    return mbt_text_path(folder, name, path, err);
}

static mbt_status fail_errno(const char *path, const char *what, mbt_error *err)
{
    int code = errno;
    return mbt_fail(err, MBT_FAILURE, "%s: %s: %s", path, what, strerror(code));
}

mbt_status ckpt_move_link(const char *folder, const char *link, int64_t step, mbt_error *err)
{
    char target[CKPT_FILE_NAME_BYTES], temporary_name[CKPT_FILE_NAME_BYTES];
    char path[MBT_PATH_BYTES], temporary[MBT_PATH_BYTES];
    (void)snprintf(target, sizeof target, STEP_NAME, step);
    (void)snprintf(temporary_name, sizeof temporary_name, ".%s.tmp", link);
    mbt_status status = mbt_text_path(folder, link, path, err);
    if (!status)
        status = mbt_text_path(folder, temporary_name, temporary, err);
    if (status)
        return status;
    (void)unlink(temporary); /* of a killed run */
    if (symlink(target, temporary) != 0) {
        bool unable = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS;
        return fail_errno(path,
                          unable ? "this file system has no symbolic links, which checkpoint "
                                   "folders need"
                                 : "cannot make a symbolic link",
                          err);
    }
    if (rename(temporary, path) != 0) {
        status = fail_errno(path, "cannot rename a new link to it", err);
        (void)unlink(temporary);
        return status;
    }
    return mbt_file_sync_folder(path, err);
}

/* The step that a link names: -1 when there is no link or it names something else. */
static mbt_status read_link(const char *folder, const char *link, int64_t *step, mbt_error *err)
{
    char path[MBT_PATH_BYTES], target[CKPT_FILE_NAME_BYTES];
    mbt_status status = mbt_text_path(folder, link, path, err);
    if (status)
        return status;
    ssize_t bytes = readlink(path, target, sizeof target - 1);
    if (bytes < 0 && errno != ENOENT && errno != EINVAL) /* EINVAL: no link but a file */
        return fail_errno(path, "cannot read the link", err);
    target[bytes > 0 ? bytes : 0] = '\0';
    *step = step_of(target);
    return MBT_OK;
}

static int by_step(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static mbt_status add_step(mbt_checkpoint_list *list, int64_t step, mbt_error *err)
{
    if ((list->n_steps & (list->n_steps - 1)) == 0) { /* full at every power of two */
        size_t capacity = list->n_steps ? 2 * (size_t)list->n_steps : 1;
        int64_t *steps = realloc(list->steps, capacity * sizeof *steps);
        if (!steps)
            return mbt_fail(err, MBT_FAILURE, "checkpoint folder: out of memory");
        list->steps = steps;
    }
    list->steps[list->n_steps++] = step;
    return MBT_OK;
}

mbt_status mbt_checkpoint_list_read(const char *folder, mbt_checkpoint_list *list, mbt_error *err)
{
    mbt_status status = MBT_OK;
    *list = (mbt_checkpoint_list){.last = -1, .best = -1};
    DIR *dir = opendir(folder);
    if (!dir)
        return mbt_fail(err, MBT_DATA, "%s: checkpoint folder cannot be read: %s", folder,
                        strerror(errno));
    struct dirent *entry = NULL;
    errno = 0;
    while (!status && (entry = readdir(dir)) != NULL) {
        int64_t step = step_of(entry->d_name);
        if (step >= 0)
            status = add_step(list, step, err);
        errno = 0;
    }
    if (!status && errno)
        status = fail_errno(folder, "cannot read the folder", err);
    (void)closedir(dir);
    if (!status)
        status = read_link(folder, CKPT_LAST, &list->last, err);
    if (!status)
        status = read_link(folder, CKPT_BEST, &list->best, err);
    if (status)
        mbt_checkpoint_list_clear(list);
    else if (list->n_steps)
        qsort(list->steps, (size_t)list->n_steps, sizeof *list->steps, by_step);
    return status;
}

void mbt_checkpoint_list_clear(mbt_checkpoint_list *list)
{
    free(list->steps);
    *list = (mbt_checkpoint_list){.last = -1, .best = -1};
}

/* Removes temporary files that a killed run left: the run's lock keeps every other writer out. */
static mbt_status remove_temporaries(const char *folder, mbt_error *err)
{
    mbt_status status = MBT_OK;
    DIR *dir = opendir(folder);
    if (!dir)
        return fail_errno(folder, "cannot read the folder", err);
    struct dirent *entry = NULL;
    while (!status && (entry = readdir(dir)) != NULL) {
        char path[MBT_PATH_BYTES];
        if (strncmp(entry->d_name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) != 0 ||
            !strstr(entry->d_name, TEMPORARY_PART))
            continue;
        status = mbt_text_path(folder, entry->d_name, path, err);
        if (!status && unlink(path) != 0 && errno != ENOENT)
            status = fail_errno(path, "cannot remove what a killed run left", err);
    }
    (void)closedir(dir);
    return status;
}

/* Of the files that count does not keep, by rising step: whether this one is the first of its time.
 * kept_at: when the last one that stays was written; moves on. A file without a time goes. */
static bool is_due(const char *path, double every_s, double *kept_at)
{
    struct stat info;
    if (every_s <= 0 || stat(path, &info) != 0)
        return false;
    const double written = (double)info.st_mtim.tv_sec + 1e-9 * (double)info.st_mtim.tv_nsec;
    if (written - *kept_at < every_s)
        return false;
    *kept_at = written;
    return true;
}

mbt_status mbt_checkpoint_prune(const char *folder, int64_t step, const mbt_retention *keep,
                                mbt_error *err)
{
    mbt_checkpoint_list list;
    mbt_status status = mbt_checkpoint_list_read(folder, &list, err);
    if (status)
        return status;
    /* Files of later steps are not counted: after a fall back to an older checkpoint they are the
     * damaged ones, and must not push good ones out. */
    int n_old = 0;
    while (n_old < list.n_steps && list.steps[n_old] <= step)
        n_old++;
    double kept_at = -INFINITY;
    for (int i = 0; !status && i < n_old - keep->keep; i++) {
        char path[MBT_PATH_BYTES];
        status = mbt_checkpoint_path(folder, list.steps[i], path, err);
        if (status || is_due(path, keep->every_s, &kept_at) || list.steps[i] == list.last ||
            list.steps[i] == list.best)
            continue;
        if (unlink(path) != 0 && errno != ENOENT)
            status = fail_errno(path, "cannot remove an old checkpoint", err);
    }
    mbt_checkpoint_list_clear(&list);
    return status ? status : remove_temporaries(folder, err);
}

/* Whether a file is whole; says so in a warning when it is not. */
static bool verifies(const char *path, mbt_log *log)
{
    mbt_error err = {0};
    char digest[MBT_DIGEST_TEXT];
    if (mbt_checkpoint_verify(path, digest, &err) == MBT_OK)
        return true;
    mbt_log_root(log, MBT_LOG_WARN, "checkpoint not usable, trying an older one: %s", err.message);
    return false;
}

/* What last.h5 names, or last.h5 itself when it is no link to a step (a copied folder); false when
 * it is missing. */
static mbt_status last_path(const char *folder, const mbt_checkpoint_list *list, char *path,
                            bool *exists, mbt_error *err)
{
    struct stat info;
    mbt_status status = mbt_text_path(folder, CKPT_LAST, path, err);
    if (status)
        return status;
    *exists = lstat(path, &info) == 0;
    return list->last >= 0 ? mbt_checkpoint_path(folder, list->last, path, err) : MBT_OK;
}

mbt_status mbt_checkpoint_newest(const char *folder, mbt_log *log, char *path, mbt_error *err)
{
    mbt_checkpoint_list list;
    bool exists = false;
    int n_bad = 0;
    mbt_status status = mbt_checkpoint_list_read(folder, &list, err);
    if (!status)
        status = last_path(folder, &list, path, &exists, err);
    if (status)
        goto done;
    if (exists && verifies(path, log))
        goto done;
    if (exists)
        n_bad++;
    else if (list.n_steps)
        mbt_log_root(log, MBT_LOG_WARN, "%s: has no last.h5, taking its newest checkpoint", folder);
    for (int i = list.n_steps - 1; i >= 0; i--) {
        if (list.steps[i] == list.last)
            continue;
        status = mbt_checkpoint_path(folder, list.steps[i], path, err);
        if (status || verifies(path, log))
            goto done;
        n_bad++;
    }
    path[0] = '\0';
    status = mbt_fail(err, MBT_DATA, "%s: has no checkpoint that can be used (%d damaged)", folder,
                      n_bad);
done:
    mbt_checkpoint_list_clear(&list);
    return status;
}
