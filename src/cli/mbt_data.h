/* What the files of mbt-data share: its command line, and the verbs that make data sets. Private to
 * src/cli. */
#ifndef MBT_CLI_MBT_DATA_H
#define MBT_CLI_MBT_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "mbt/status.h"

/* Which options a verb takes, by bit. */
enum { TAKES_OUTPUT = 1, TAKES_SUBSET = 2, TAKES_NUMBERS = 4, TAKES_FOLDER = 8 };

/* What the command line says; numbers are -1 when not given. */
struct options {
    const char *output, *name;
    int64_t n_train, n_test, seed, resize, square, quality;
    bool subset, skip;
    unsigned given;   /* the bits of the options that were */
    char **arguments; /* the verb and what follows it */
    int n_arguments;
};

mbt_status mbt_data_import(const struct options *options, mbt_error *err) MBT_WARN_UNUSED;
mbt_status mbt_data_synth(const struct options *options, mbt_error *err) MBT_WARN_UNUSED;

/* One line on a file that was just made. */
mbt_status mbt_data_report(const char *path, mbt_error *err) MBT_WARN_UNUSED;

#endif
