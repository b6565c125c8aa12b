/* What the verbs of mbtrain share. */
#ifndef MBT_CLI_MBTRAIN_SESSION_H
#define MBT_CLI_MBTRAIN_SESSION_H

#include "mbt/comm.h"
#include "mbt/config.h"
#include "mbt/log.h"
#include "mbt/run.h"
#include "mbt/watchdog.h"
#include "mbtrain_options.h"

/* What every verb works with. */
typedef struct mbtrain_session {
    mbt_comm *comm;
    mbt_log log;
    mbt_watchdog *watchdog;
    mbtrain_options options;
    mbt_config config;
    char *command; /* what was called, one line */
    char *provenance;
    bool said; /* why the program ends */
} mbtrain_session;

bool mbtrain_is_root(const mbtrain_session *s);

/* The file named on the command line, and overrides, on every rank. Collective. */
mbt_status mbtrain_read_config(mbtrain_session *s, bool needs_data, mbt_error *err);

/* The command line's overrides, on this rank. */
mbt_status mbtrain_apply_overrides(mbtrain_session *s, mbt_error *err);

/* Rank zero's status and configuration become everybody's. Collective. */
mbt_status mbtrain_share_config(mbtrain_session *s, mbt_status status, mbt_error *err);

/* The run folder, and into `start` (MBT_PATH_BYTES) the checkpoint that a resumed run goes on from,
 * or "". Rank zero alone. */
mbt_status mbtrain_enter_run(mbtrain_session *s, mbt_run_mode mode, mbt_run **run, char *start,
                             mbt_error *err);

/* What ends the time of a training: the user's limit, and, on rank zero, that of the batch job. */
void mbtrain_limit_time(mbtrain_session *s);

/* Verbs that need no run. Collective. */
mbt_status mbtrain_eval(mbtrain_session *s, mbt_error *err);
mbt_status mbtrain_bench(mbtrain_session *s, mbt_error *err);
mbt_status mbtrain_plan(mbtrain_session *s, mbt_error *err);
mbt_status mbtrain_check(mbtrain_session *s, mbt_error *err); /* all before the first step */

#endif
