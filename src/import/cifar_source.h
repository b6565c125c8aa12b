/* The files of a CIFAR source, wherever they stand: a folder or an archive. Private to src/import.
 */
#ifndef MBT_CIFAR_SOURCE_H
#define MBT_CIFAR_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "mbt/status.h"

/* One file to look for by its base name; data is NULL when it was not there. */
struct cifar_file {
    const char *name;
    bool needed;
    size_t max_bytes;
    char *data; /* owned, with a zero behind it */
    size_t bytes;
};

/* Fills data and bytes of `files` from a folder (or the folder `official` in it) or from a .tar or
 * .tar.gz, which is read in memory. MBT_DATA when a needed file is missing, double, too large or
 * cut. What was loaded stays until cifar_unload, after a failure too. */
mbt_status cifar_load(const char *source, const char *official, struct cifar_file *files,
                      int n_files, mbt_error *err) MBT_WARN_UNUSED;
void cifar_unload(struct cifar_file *files, int n_files);

#endif
