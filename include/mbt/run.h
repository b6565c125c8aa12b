/* The run directory: its files and its lock.
 *
 * config.json (resolved), log.txt, metrics.h5 and metrics.csv (replaced each epoch), checkpoints/.
 * A lock file with an owner line (host, job, pid, heartbeat time) keeps a second run out. An owner
 * on this host whose process is gone, an earlier leg of the SLURM job that we are, or any owner
 * whose heartbeat is older than MBT_LOCK_SILENT_S, is taken over with a logged line. Rank zero
 * alone calls these functions. Depends on status, log, config, metrics, text. */
#ifndef MBT_RUN_H
#define MBT_RUN_H

#include <stdbool.h>

#include "mbt/config.h"
#include "mbt/log.h"
#include "mbt/metrics.h"
#include "mbt/status.h"

enum { MBT_LOCK_SILENT_S = 300, MBT_LOCK_BEAT_S = 20 };

typedef struct mbt_run mbt_run;

typedef enum mbt_run_mode {
    MBT_RUN_NEW,    /* MBT_FAILURE when the folder holds a run already (message names resume and
                       --force) */
    MBT_RUN_FORCE,  /* like NEW; an old run in the folder is moved to <folder>.old-<n> first */
    MBT_RUN_RESUME, /* the folder must hold a run: MBT_DATA otherwise */
    MBT_RUN_AUTO,   /* like RESUME when the folder holds a run, like NEW when it does not */
} mbt_run_mode;

/* Makes or enters the folder, takes the lock, opens log.txt for appending into log->file.
 * Writability is tested here, not after an hour. */
mbt_status mbt_run_open(const char *folder, mbt_run_mode mode, mbt_log *log, mbt_run **run,
                        mbt_error *err) MBT_WARN_UNUSED;
void mbt_run_close(mbt_run *run); /* releases the lock, detaches the log; NULL is allowed */

const char *mbt_run_folder(const mbt_run *run);
const char *mbt_run_checkpoints(const mbt_run *run); /* <folder>/checkpoints */

/* Renews the lock's heartbeat when MBT_LOCK_BEAT_S have passed. MBT_FAILURE when somebody else
 * holds the lock by now: this run must end without writing anything more. */
mbt_status mbt_run_beat(mbt_run *run, mbt_error *err) MBT_WARN_UNUSED;

/* The same question at once: before something is written by other means than this module's. */
mbt_status mbt_run_check(mbt_run *run, mbt_error *err) MBT_WARN_UNUSED;

/* The same from any thread, with no more than an answer. run: an mbt_run. */
mbt_status mbt_run_ask(void *run, mbt_error *err) MBT_WARN_UNUSED;

/* config.json, replaced as a whole. MBT_FAILURE when it cannot be written, or the lock is lost. */
mbt_status mbt_run_write_config(mbt_run *run, const mbt_config *config,
                                mbt_error *err) MBT_WARN_UNUSED;
/* The defaults, and over them the folder's config.json: keys that it lacks are at their defaults.
 * MBT_CONFIG when it is missing or has faults. */
mbt_status mbt_run_read_config(const char *folder, mbt_config *config,
                               mbt_error *err) MBT_WARN_UNUSED;

/* path, of MBT_PATH_BYTES: the checkpoint of a run folder that its figures in tables are of,
 * best.h5 when training samples were held out to choose it, otherwise last.h5: never the best on
 * the test split. MBT_DATA when there is none. */
mbt_status mbt_run_counted(const char *folder, char *path, mbt_error *err) MBT_WARN_UNUSED;

/* metrics.h5 and metrics.csv, each replaced as a whole. MBT_FAILURE as with config.json. */
mbt_status mbt_run_write_metrics(mbt_run *run, const mbt_metrics *metrics,
                                 mbt_error *err) MBT_WARN_UNUSED;

#endif
