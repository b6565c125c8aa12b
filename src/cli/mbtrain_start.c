/* How a training starts: the run folder, the checkpoint it goes on from, the time it has. */
#include <math.h>
#include <sys/stat.h>

#include "mbt/checkpoint.h"
#include "mbt/stop.h"
#include "mbt/walltime.h"
#include "mbtrain_session.h"

/* The newest whole checkpoint, or "" and a logged line for a run that had written none: it begins
 * again, and ends no differently. One whose files are all damaged is left for its owner to judge.
 */
static mbt_status find_start(mbtrain_session *s, const char *folder, char *path, mbt_error *err)
{
    struct stat info;
    mbt_checkpoint_list list = {0};
    mbt_status status = mbt_checkpoint_list_read(folder, &list, err);
    const int n_steps = list.n_steps;
    mbt_checkpoint_list_clear(&list);
    if (status == MBT_OK) {
        status = mbt_text_path(folder, "last.h5", path, err);
    }
    if (status == MBT_OK && n_steps == 0 && lstat(path, &info) != 0) {
        mbt_log_root(&s->log, MBT_LOG_INFO, "%s: no checkpoint yet, the run begins at step 0",
                     folder);
        path[0] = '\0';
        return MBT_OK;
    }
    return status == MBT_OK ? mbt_checkpoint_newest(folder, &s->log, path, err) : status;
}

/* What a resumed run does otherwise than before: its overrides, or, where the configuration was
 * given again, every key that the checkpoint `start` has otherwise. */
static mbt_status say_what_differs(mbtrain_session *s, mbt_run_mode mode, const char *start,
                                   mbt_error *err)
{
    static const char text[] = "resumed with another configuration: %s";
    mbt_checkpoint_info info = {0};
    mbt_config before;
    char keys[512];
    if (mode == MBT_RUN_RESUME) {
        for (int i = 0; i < s->options.n_sets; i++) {
            mbt_log_root(&s->log, MBT_LOG_INFO, text, s->options.sets[i]);
        }
        return MBT_OK;
    }
    mbt_config_defaults(&before);
    mbt_status status = mbt_checkpoint_read_info(start, &info, err);
    if (status == MBT_OK) {
        status = mbt_config_parse(info.config, start, &before, err);
    }
    if (status == MBT_OK) {
        mbt_config_difference(&before, &s->config, keys, sizeof keys);
        if (keys[0] != '\0') {
            mbt_log_root(&s->log, MBT_LOG_WARN, text, keys);
        }
    }
    mbt_checkpoint_info_clear(&info);
    return status;
}

mbt_status mbtrain_enter_run(mbtrain_session *s, mbt_run_mode mode, mbt_run **run, char *start,
                             mbt_error *err)
{
    mbt_status status = mbt_run_open(s->config.run.folder, mode, &s->log, run, err);
    const bool resumes = mode == MBT_RUN_RESUME || mode == MBT_RUN_AUTO;
    if (status == MBT_OK && resumes) {
        status = find_start(s, mbt_run_checkpoints(*run), start, err);
    }
    if (status == MBT_OK && start[0] != '\0') {
        status = say_what_differs(s, mode, start, err);
    }
    return status;
}

void mbtrain_limit_time(mbtrain_session *s)
{
    enum { PATIENCE_S = 10 };
    mbt_error err = {0};
    double seconds = INFINITY;
    if (s->options.max_hours > 0) {
        mbt_stop_limit(3600.0 * s->options.max_hours, "time limit");
    }
    if (!mbtrain_is_root(s)) {
        return;
    }
    if (mbt_walltime_left(PATIENCE_S, &seconds, &err) != MBT_OK) {
        mbt_log_root(&s->log, MBT_LOG_WARN, "%s; signals and --max-hours stop the run all the same",
                     err.message);
    } else if (isfinite(seconds)) {
        mbt_log_root(&s->log, MBT_LOG_INFO,
                     "the job ends in %.2f h: before that the run stops with a checkpoint",
                     seconds / 3600);
        mbt_stop_limit(seconds, "end of the job");
    }
}
