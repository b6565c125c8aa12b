/* Saving while training goes on: the state is copied, a thread writes the copy.
 *
 * One save runs at a time. While it does, nobody else calls HDF5 and nobody else writes what it
 * writes. The copy is allocated at the beginning, so that a run that has begun has the memory to
 * save. Rank zero alone has one. Depends on checkpoint, metrics, status. */
#ifndef MBT_SAVER_H
#define MBT_SAVER_H

#include <stdbool.h>
#include <stdint.h>

#include "mbt/checkpoint.h"

typedef struct mbt_saver mbt_saver;

/* What is to be written; values are or-ed. */
enum {
    MBT_SAVE_CHECKPOINT = 1, /* the state, with last.h5 */
    MBT_SAVE_BEST = 2,       /* with MBT_SAVE_CHECKPOINT: and best.h5 */
    MBT_SAVE_METRICS = 4,    /* metrics.h5 and metrics.csv */
};

/* What became of a save. */
typedef struct mbt_saved {
    unsigned wanted; /* MBT_SAVE_ values */
    unsigned failed; /* those that failed */
    int64_t step;
    mbt_error error;              /* of the first that failed */
    mbt_error litter;             /* code 0, or why files stay that a checkpoint made superfluous */
    char digest[MBT_DIGEST_TEXT]; /* the state digest, when a checkpoint was written */
    double seconds;               /* that the thread took */
} mbt_saved;

/* state says what will be saved: each block that it may ever have is there now, and copied at each
 * save that it is there; what it borrows besides stays as it is. folder: of the run; checkpoints:
 * the folder of its checkpoints. guard: asked by the thread before it changes what is there: a
 * process that was suspended for long may have lost the folder in the middle of a save. */
mbt_status mbt_saver_create(const mbt_state *state, const char *folder, const char *checkpoints,
                            const mbt_retention *keep, mbt_guard guard, mbt_saver **saver,
                            mbt_error *err) MBT_WARN_UNUSED;

/* Copies the state and starts writing it. The save before must have been taken. */
mbt_status mbt_saver_begin(mbt_saver *saver, const mbt_state *state, unsigned what,
                           mbt_error *err) MBT_WARN_UNUSED;

/* Takes what became of the save that was begun: false when there is none, or when it still runs and
 * `wait` is false. */
bool mbt_saver_take(mbt_saver *saver, bool wait, mbt_saved *saved);

void mbt_saver_destroy(mbt_saver *saver); /* waits for a save that runs; NULL is allowed */

/* What a saver of so many blocks allocates at the beginning. */
size_t mbt_saver_bytes(const mbt_params *params, int n_blocks);

#endif
