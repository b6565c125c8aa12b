/* The command line of mbtrain. */
#ifndef MBT_CLI_MBTRAIN_OPTIONS_H
#define MBT_CLI_MBTRAIN_OPTIONS_H

#include <stdbool.h>

#include "mbt/status.h"

enum { MBTRAIN_SETS_MAX = 64 };

typedef enum mbtrain_verb {
    MBTRAIN_TRAIN,
    MBTRAIN_RESUME,
    MBTRAIN_EVAL,
    MBTRAIN_BENCH,
    MBTRAIN_PLAN,
    MBTRAIN_CHECK,
    MBTRAIN_VERBS
} mbtrain_verb;

typedef struct mbtrain_options {
    mbtrain_verb verb;
    const char
        *target; /* configuration, run folder or checkpoint; borrowed from argv, as are sets */
    const char *sets[MBTRAIN_SETS_MAX];
    int n_sets;
    bool force;
    bool resume_auto;
    double max_hours;                /* 0: no limit */
    const char *predictions;         /* eval: file to write, or NULL; borrowed */
    int steps;                       /* bench */
    bool comm, json;                 /* bench */
    int ranks, nodes;                /* plan: to predict for; 0 ranks: print the layers */
    const char *from;                /* plan: what bench --json wrote, or NULL; borrowed */
    double latency_us, bandwidth_gb; /* plan: of the network between nodes */
    int classes, size;               /* plan, bench; 0: by the network's strides */
} mbtrain_options;

/* MBT_USAGE with one message. */
mbt_status mbtrain_options_parse(int argc, char **argv, mbtrain_options *options, mbt_error *err);

/* Answers --help, --help-config and --version and returns true, without MPI: login nodes often
 * forbid it. Under a launcher only the first rank speaks. */
bool mbtrain_options_help(int argc, char **argv);

#endif
