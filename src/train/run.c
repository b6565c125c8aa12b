/* The run directory: entering it, its small files, its heartbeat. The lock itself is lock.c. */
#include "mbt/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lock.h"
#include "mbt/file.h"
#include "mbt/text.h"
#include "mbt/timer.h"

struct mbt_run {
    char folder[MBT_PATH_BYTES], checkpoints[MBT_PATH_BYTES];
    char moved_to[MBT_PATH_BYTES]; /* the old run, with MBT_RUN_FORCE; or "" */
    mbt_log *log;
    FILE *log_file;
    mbt_lock lock;
    double last_beat;
    bool lost;        /* the lock: nothing may be written any more */
    bool beat_failed; /* said once */
};

/* ---- what is there ---- */

/* Any file in checkpoints/ counts; names with a dot in front are leftovers of probes. */
static bool has_files(const char *folder)
{
    DIR *listing = opendir(folder);
    bool any = false;
    if (!listing) {
        return false;
    }
    for (const struct dirent *entry = readdir(listing); entry && !any; entry = readdir(listing)) {
        any = entry->d_name[0] != '.';
    }
    (void)closedir(listing);
    return any;
}

static mbt_status holds_run(const char *folder, bool *holds, mbt_error *err)
{
    char config[MBT_PATH_BYTES], checkpoints[MBT_PATH_BYTES];
    struct stat info;
    mbt_status status = mbt_text_path(folder, "config.json", config, err);
    if (status == MBT_OK) {
        status = mbt_text_path(folder, "checkpoints", checkpoints, err);
    }
    if (status == MBT_OK) {
        *holds = lstat(config, &info) == 0 || has_files(checkpoints);
    }
    return status;
}

/* The name without slashes at its end; not empty, and no file in its place. */
static mbt_status set_folder(mbt_run *run, const char *folder, mbt_error *err)
{
    struct stat info;
    mbt_status status = mbt_text_format(run->folder, sizeof run->folder, err, "path", "%s", folder);
    if (status != MBT_OK) {
        return status;
    }
    for (size_t n = strlen(run->folder); n > 1 && run->folder[n - 1] == '/'; n--) {
        run->folder[n - 1] = '\0';
    }
    if (run->folder[0] == '\0') {
        return mbt_fail(err, MBT_FAILURE, "run folder: got an empty name");
    }
    if (stat(run->folder, &info) == 0 && !S_ISDIR(info.st_mode)) {
        return mbt_fail(err, MBT_FAILURE, "run folder %s: is a file, wanted a folder", run->folder);
    }
    return MBT_OK;
}

static mbt_status refuse_old(const char *folder, mbt_error *err)
{
    bool holds = false;
    mbt_status status = holds_run(folder, &holds, err);
    if (status == MBT_OK && holds) {
        status = mbt_fail(err, MBT_FAILURE,
                          "run folder %s: holds a run already; continue it with \"mbtrain resume "
                          "%s\", or move it away and start anew with --force",
                          folder, folder);
    }
    return status;
}

static mbt_status want_old(const char *folder, mbt_error *err)
{
    bool holds = false;
    mbt_status status = holds_run(folder, &holds, err);
    if (status == MBT_OK && !holds) {
        status = mbt_fail(err, MBT_DATA,
                          "run folder %s: got neither config.json nor checkpoints, wanted a run to "
                          "resume",
                          folder);
    }
    return status;
}

/* Whether the folder is as the mode wants it. */
static mbt_status check_old(const char *folder, mbt_run_mode mode, mbt_error *err)
{
    switch (mode) {
    case MBT_RUN_AUTO:
        return MBT_OK;
    case MBT_RUN_RESUME:
        return want_old(folder, err);
    default:
        return refuse_old(folder, err);
    }
}

/* ---- getting in ---- */

/* What a killed run was about to put in place. Called under the lock, which keeps every other
 * writer out; what cannot be removed does no harm. Checkpoints have their own sweep, at each save.
 */
static void sweep(const char *folder)
{
    static const char *const leftovers[] = {".probe-",           ".metrics.h5.tmp-",
                                            ".about.h5.tmp-",    ".predictions.h5.tmp-",
                                            ".metrics.csv.tmp-", ".config.json.tmp-"};
    char path[MBT_PATH_BYTES];
    DIR *listing = opendir(folder);
    for (const struct dirent *entry = listing ? readdir(listing) : NULL; entry;
         entry = readdir(listing)) {
        for (size_t i = 0; i < sizeof leftovers / sizeof leftovers[0]; i++) {
            mbt_error ignored;
            if (strncmp(entry->d_name, leftovers[i], strlen(leftovers[i])) == 0 &&
                mbt_text_path(folder, entry->d_name, path, &ignored) == MBT_OK) {
                (void)unlink(path);
            }
        }
    }
    if (listing) {
        (void)closedir(listing);
    }
}

static mbt_status take_lock(mbt_run *run, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_status status = mbt_text_path(run->folder, "lock", path, err);
    if (status == MBT_OK) {
        status = mbt_lock_take(&run->lock, path, err);
    }
    return status;
}

/* Moves a folder that holds a run to <folder>.old-<n>. Its lock is held meanwhile, so that nobody
 * loses a folder he is working in. Behind a symbolic link the folder itself moves, and the link
 * goes on to name the new one. */
static mbt_status move_old(mbt_run *run, mbt_error *err)
{
    bool holds = false;
    char real[PATH_MAX], old[MBT_PATH_BYTES];
    struct stat info;
    mbt_status status = holds_run(run->folder, &holds, err);
    if (status != MBT_OK || !holds) {
        return status;
    }
    if (!realpath(run->folder, real)) {
        return mbt_fail(err, MBT_FAILURE, "run folder %s: realpath: %s", run->folder,
                        strerror(errno));
    }
    status = take_lock(run, err);
    for (int n = 1; status == MBT_OK; n++) {
        status = mbt_text_format(old, sizeof old, err, "path", "%s.old-%d", real, n);
        if (status == MBT_OK && lstat(old, &info) != 0) {
            break;
        }
    }
    if (status == MBT_OK && rename(real, old) != 0) {
        status = mbt_fail(err, MBT_FAILURE, "run folder %s: cannot be moved to %s: %s", real, old,
                          strerror(errno));
    }
    if (status == MBT_OK) {
        memcpy(run->moved_to, old, sizeof old);
        status = mbt_text_path(old, "lock", run->lock.path, err);
    }
    if (status == MBT_OK) {
        /* The working directory may just have moved: from here on by its full name. */
        status = mbt_text_format(run->folder, sizeof run->folder, err, "path", "%s", real);
    }
    mbt_lock_release(&run->lock);
    return status;
}

/* Some bytes to the disk and away again, and a link, as checkpoints have: permissions, quota, space
 * and what the file system can do are known now. */
static mbt_status probe(const char *folder, mbt_error *err)
{
    static const char zeros[65536];
    char path[MBT_PATH_BYTES];
    mbt_status status =
        mbt_text_format(path, sizeof path, err, "path", "%s/.probe-%ld", folder, (long)getpid());
    if (status != MBT_OK) {
        return status;
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || mbt_file_write(fd, zeros, sizeof zeros) != 0 || fsync(fd) != 0) {
        status = mbt_fail(err, MBT_FAILURE, "run folder: cannot write into %s: %s", folder,
                          strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(path);
    }
    if (status == MBT_OK && symlink("nothing", path) != 0) {
        status = mbt_fail(err, MBT_FAILURE,
                          "run folder: cannot make a symbolic link in %s, which checkpoints need: "
                          "%s",
                          folder, strerror(errno));
    } else if (status == MBT_OK) {
        (void)unlink(path);
    }
    return status;
}

static mbt_status open_log(mbt_run *run, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_status status = mbt_text_path(run->folder, "log.txt", path, err);
    if (status != MBT_OK) {
        return status;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    run->log_file = fd >= 0 ? fdopen(fd, "a") : NULL;
    if (!run->log_file) {
        status = mbt_fail(err, MBT_FAILURE, "%s: cannot be opened: %s", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    run->log->file = run->log_file;
    return MBT_OK;
}

static mbt_status enter(mbt_run *run, mbt_run_mode mode, mbt_error *err)
{
    mbt_status status = MBT_OK;
    if (mode == MBT_RUN_FORCE) {
        status = move_old(run, err);
    } else {
        status = check_old(run->folder, mode, err); /* before anything is changed */
    }
    if (status == MBT_OK && mode != MBT_RUN_RESUME) {
        status = mbt_file_make_folder(run->folder, err);
    }
    if (status == MBT_OK) {
        status = take_lock(run, err);
    }
    if (status == MBT_OK) { /* once more: another run may have begun or gone before the lock */
        status = check_old(run->folder, mode, err);
    }
    if (status == MBT_OK) {
        status = mbt_text_path(run->folder, "checkpoints", run->checkpoints, err);
    }
    if (status == MBT_OK) {
        status = mbt_file_make_folder(run->checkpoints, err);
    }
    if (status == MBT_OK) {
        sweep(run->folder);
        sweep(run->checkpoints);
        status = probe(run->checkpoints, err);
    }
    if (status == MBT_OK) {
        status = open_log(run, err);
    }
    return status;
}

/* Last, so that log.txt has it when there is one by now. */
static void say_what_changed(mbt_run *run)
{
    if (run->lock.taken_from[0] != '\0') {
        mbt_log_root(run->log, MBT_LOG_WARN, "%s: taken over from %s", run->lock.path,
                     run->lock.taken_from);
    }
    if (run->moved_to[0] != '\0') {
        mbt_log_root(run->log, MBT_LOG_INFO, "moved the old run to %s", run->moved_to);
    }
}

mbt_status mbt_run_open(const char *folder, mbt_run_mode mode, mbt_log *log, mbt_run **run,
                        mbt_error *err)
{
    *run = NULL;
    mbt_run *opened = calloc(1, sizeof *opened);
    if (!opened) {
        return mbt_fail(err, MBT_FAILURE, "run folder %s: no memory", folder);
    }
    opened->log = log;
    opened->lock.fd = -1;
    mbt_status status = set_folder(opened, folder, err);
    if (status == MBT_OK) {
        status = enter(opened, mode, err);
        say_what_changed(opened);
    }
    if (status != MBT_OK) {
        mbt_run_close(opened);
        return status;
    }
    opened->last_beat = mbt_timer_clock();
    *run = opened;
    return MBT_OK;
}

static void detach_log(mbt_run *run)
{
    if (run->log_file) {
        run->log->file = NULL;
        (void)fclose(run->log_file); /* log.c has flushed every line */
        run->log_file = NULL;
    }
}

void mbt_run_close(mbt_run *run)
{
    if (!run) {
        return;
    }
    detach_log(run);
    mbt_lock_release(&run->lock);
    free(run);
}

const char *mbt_run_folder(const mbt_run *run)
{
    return run->folder;
}

const char *mbt_run_checkpoints(const mbt_run *run)
{
    return run->checkpoints;
}

/* ---- while it runs ---- */

mbt_status mbt_run_ask(void *run, mbt_error *err)
{
    return mbt_lock_check(&((const mbt_run *)run)->lock, err);
}

mbt_status mbt_run_check(mbt_run *run, mbt_error *err)
{
    mbt_status status = mbt_lock_check(&run->lock, err);
    if (status != MBT_OK && !run->lost) {
        run->lost = true;
        detach_log(run); /* log.txt is the other run's now */
    }
    return status;
}

mbt_status mbt_run_beat(mbt_run *run, mbt_error *err)
{
    double now = mbt_timer_clock();
    if (!run->lost && now - run->last_beat < MBT_LOCK_BEAT_S) {
        return MBT_OK;
    }
    run->last_beat = now;
    mbt_status status = mbt_run_check(run, err);
    if (status != MBT_OK) {
        return status;
    }
    /* A heartbeat that cannot be written (a full disk) is no reason to end: should another run
     * believe us dead for it, the next check finds out. */
    mbt_error why = {0};
    if (mbt_lock_beat(&run->lock, &why) != MBT_OK && !run->beat_failed) {
        run->beat_failed = true;
        mbt_log_root(run->log, MBT_LOG_WARN, "no heartbeat: %s", why.message);
    }
    return MBT_OK;
}

mbt_status mbt_run_write_config(mbt_run *run, const mbt_config *config, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    char *text = NULL;
    mbt_status status = mbt_run_check(run, err);
    if (status == MBT_OK) {
        status = mbt_text_path(run->folder, "config.json", path, err);
    }
    if (status == MBT_OK) {
        status = mbt_config_echo(config, &text, err);
    }
    if (status == MBT_OK) {
        status = mbt_file_replace(path, text, strlen(text), err);
    }
    free(text);
    return status;
}

mbt_status mbt_run_read_config(const char *folder, mbt_config *config, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_status status = mbt_text_path(folder, "config.json", path, err);
    if (status == MBT_OK) {
        mbt_config_defaults(config);
        status = mbt_config_read(path, config, err);
    }
    return status;
}

mbt_status mbt_run_counted(const char *folder, char *path, mbt_error *err)
{
    mbt_config config;
    struct stat info;
    mbt_status status = mbt_run_read_config(folder, &config, err);
    if (status != MBT_OK) {
        return status;
    }
    const char *name = config.data.validation > 0 ? "checkpoints/best.h5" : "checkpoints/last.h5";
    status = mbt_text_path(folder, name, path, err);
    if (status == MBT_OK && lstat(path, &info) != 0) {
        status =
            mbt_fail(err, MBT_DATA,
                     "%s: there is no such checkpoint (yet); wanted a run that has been %s, or "
                     "a checkpoint file",
                     path, config.data.validation > 0 ? "evaluated" : "saved");
    }
    return status;
}

mbt_status mbt_run_write_metrics(mbt_run *run, const mbt_metrics *metrics, mbt_error *err)
{
    const mbt_status status = mbt_run_check(run, err);
    return status != MBT_OK ? status : mbt_metrics_write_files(metrics, run->folder, err);
}
