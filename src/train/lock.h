/* A lock file with an owner line, for folders that several hosts may see. Private to run.c.
 *
 *   host job pid start pid-namespace heartbeat
 *
 * job: the batch job's id, of SLURM with the number of times that the job was put back into the
 * queue: ID/TIMES; start: the process's start in clock ticks since boot, so that a pid that is used
 * again is not taken for the owner; pid-namespace: so that a pid is looked up only where it means
 * the same process; heartbeat: seconds since 1970, fixed width. The owner keeps the file open and
 * writes its heartbeat into that open file; a lock changes hands only by another file being renamed
 * into its place. Therefore a late owner can never overwrite its successor, and whose the lock is
 * shows in the inode. Depends on status, text. */
#ifndef MBT_TRAIN_LOCK_H
#define MBT_TRAIN_LOCK_H

#include "mbt/status.h"
#include "mbt/text.h"

enum { MBT_LOCK_OWNER_BYTES = 512 };

typedef struct mbt_lock {
    char path[MBT_PATH_BYTES];
    char taken_from[MBT_LOCK_OWNER_BYTES]; /* the stale owner before us, or "" */
    int fd;                                /* of our lock file, -1 when there is none */
} mbt_lock;

/* Takes the lock `path` into a zeroed `lock`, whose folder exists. An owner that is gone or silent
 * (run.h) is taken over and named in taken_from, for the log. MBT_FAILURE: held, naming the owner,
 * or not writable. */
mbt_status mbt_lock_take(mbt_lock *lock, const char *path, mbt_error *err) MBT_WARN_UNUSED;

/* MBT_FAILURE when the file in place is not ours any more. A folder that cannot be reached belongs
 * to nobody else: whoever writes into it learns what is wrong. */
mbt_status mbt_lock_check(const mbt_lock *lock, mbt_error *err) MBT_WARN_UNUSED;

/* Writes the line with the present time. MBT_FAILURE names the reason. */
mbt_status mbt_lock_beat(const mbt_lock *lock, mbt_error *err) MBT_WARN_UNUSED;

/* Removes the file if it is still ours. An untaken lock (fd -1) is allowed. */
void mbt_lock_release(mbt_lock *lock);

#endif
