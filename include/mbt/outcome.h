/* What came of a run, read from its folder: configuration, facts, metric table, the row that
 * counts. Depends on config, record. */
#ifndef MBT_OUTCOME_H
#define MBT_OUTCOME_H

#include <stdbool.h>

#include "mbt/config.h"
#include "mbt/metrics.h"
#include "mbt/record.h"
#include "mbt/status.h"

typedef struct mbt_outcome {
    char folder[MBT_PATH_BYTES];
    mbt_config config;
    mbt_record_facts facts;
    mbt_metrics metrics; /* at least one row, but of mbt_outcome_read_begun */
    bool finished;       /* all epochs of the configuration are done */
    /* The row whose figures count: the last that was evaluated (the last, when none was), or, when
     * samples were held out, the one with the best validation top-1. Never the best on the test
     * split. */
    int row;
    double hours; /* of training, evaluating and saving, over all sittings */
} mbt_outcome;

/* A run from before there was about.h5 is known by its last checkpoint and its configuration; its
 * commands are not. MBT_DATA when the folder holds no run or no epoch was completed. */
mbt_status mbt_outcome_read(const char *folder, mbt_outcome *outcome,
                            mbt_error *err) MBT_WARN_UNUSED;

/* As mbt_outcome_read, but a run in its first epoch is none to refuse: it has no rows, and row is
 * -1. */
mbt_status mbt_outcome_read_begun(const char *folder, mbt_outcome *outcome,
                                  mbt_error *err) MBT_WARN_UNUSED;
void mbt_outcome_clear(mbt_outcome *outcome); /* a zeroed one is allowed */

/* The last part of the folder's path. Borrowed. */
const char *mbt_outcome_name(const mbt_outcome *outcome);

/* "mobilenetv2 1.0, ds8" (name, depth, downsampling), and what is not usual: ", width 0.5",
 * ", bf16". */
void mbt_outcome_network(const mbt_outcome *outcome, char *out, size_t bytes);

/* The keys of recipe and network on which two configurations differ, comma separated; "" when they
 * are the same up to the seed, paths, and what changes no result. */
void mbt_outcome_difference(const mbt_config *a, const mbt_config *b, char *out, size_t bytes);

#endif
