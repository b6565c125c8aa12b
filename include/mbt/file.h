/* Small files as a whole, and the parts of replacing one. Depends on status. */
#ifndef MBT_FILE_H
#define MBT_FILE_H

#include <stddef.h>

#include "mbt/status.h"

/* A whole regular file into fresh memory with a zero byte behind it; *bytes may be NULL.
 * MBT_DATA when it is missing, not a regular file or larger than max_bytes. Caller frees *data. */
mbt_status mbt_file_read(const char *path, size_t max_bytes, char **data, size_t *bytes,
                         mbt_error *err) MBT_WARN_UNUSED;

/* Makes and opens, for reading and writing, the hidden file "<folder>/.<name>.tmp-<pid>-<k>" beside
 * `path`. Another process may use the same pid on another host or have died with it: k is the first
 * that is free. temporary: its name, MBT_PATH_BYTES. *fd: the caller's, -1 on failure. What is at
 * `path` already and is no regular file (a device, a link) is not to be replaced: MBT_FAILURE. */
mbt_status mbt_file_temporary(const char *path, char *temporary, int *fd,
                              mbt_error *err) MBT_WARN_UNUSED;

/* All the bytes, a MiB a call; 0, or -1 with errno. */
int mbt_file_write(int fd, const void *data, size_t bytes) MBT_WARN_UNUSED;

/* Writes, flushes and renames into place, so that the file is old or new, never half.
 * Folder is fsynced too. MBT_FAILURE names the path, the call and errno's text. */
mbt_status mbt_file_replace(const char *path, const void *data, size_t bytes,
                            mbt_error *err) MBT_WARN_UNUSED;

/* Flushes the folder of `path`: a rename to `path` is on disk from there on. */
mbt_status mbt_file_sync_folder(const char *path, mbt_error *err) MBT_WARN_UNUSED;

/* mkdir -p with the user's umask. */
mbt_status mbt_file_make_folder(const char *path, mbt_error *err) MBT_WARN_UNUSED;

#endif
