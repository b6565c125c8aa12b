/* Strict parsing of numbers, bounded strings, paths, small files. Depends on status. */
#ifndef MBT_TEXT_H
#define MBT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mbt/status.h"

enum { MBT_PATH_BYTES = 4096 };

/* The whole string must be one number; false (and *value untouched) otherwise. No leading blanks,
 * no hexadecimal, no infinities, no range overflow. */
bool mbt_text_to_i64(const char *text, int64_t *value);
bool mbt_text_to_f64(const char *text, double *value);

/* snprintf that reports a cut: MBT_FAILURE with `what` in the message when the result does not fit.
 */
mbt_status mbt_text_format(char *out, size_t bytes, mbt_error *err, const char *what,
                           const char *format, ...) MBT_PRINTF(5, 6) MBT_WARN_UNUSED;

/* "<folder>/<name>"; out has MBT_PATH_BYTES. */
mbt_status mbt_text_path(const char *folder, const char *name, char *out,
                         mbt_error *err) MBT_WARN_UNUSED;

/* The index of the name nearest to `word` by edit distance, or -1 when none is near enough to be
 * worth proposing (distance above a third of the word's length, at least 2). */
int mbt_text_nearest(const char *word, const char *const *names, int n_names);

/* A whole regular file into fresh memory with a zero byte behind it; *bytes may be NULL.
 * MBT_DATA when it is missing, not a regular file or larger than max_bytes. Caller frees *data. */
mbt_status mbt_text_read_file(const char *path, size_t max_bytes, char **data, size_t *bytes,
                              mbt_error *err) MBT_WARN_UNUSED;

/* Makes and opens, for reading and writing, the hidden file "<folder>/.<name>.tmp-<pid>-<k>" beside
 * `path`. Another process may use the same pid on another host or have died with it: k is the first
 * that is free. temporary: its name, MBT_PATH_BYTES. *fd: the caller's, -1 on failure. */
mbt_status mbt_text_temporary(const char *path, char *temporary, int *fd,
                              mbt_error *err) MBT_WARN_UNUSED;

/* All the bytes, a MiB a call; 0, or -1 with errno. */
int mbt_text_write(int fd, const void *data, size_t bytes) MBT_WARN_UNUSED;

/* Writes, flushes and renames into place, so that the file is old or new, never half.
 * Folder is fsynced too. MBT_FAILURE names the path, the call and errno's text. */
mbt_status mbt_text_replace_file(const char *path, const void *data, size_t bytes,
                                 mbt_error *err) MBT_WARN_UNUSED;

/* Flushes the folder of `path`: a rename to `path` is on disk from there on. */
mbt_status mbt_text_sync_folder(const char *path, mbt_error *err) MBT_WARN_UNUSED;

/* mkdir -p with the user's umask. */
mbt_status mbt_text_make_folder(const char *path, mbt_error *err) MBT_WARN_UNUSED;

/* "1 d 02:03:04", "12:03", "4.1 s" for people; out has 32 bytes. Returns out. */
char *mbt_text_duration(double seconds, char *out);

#endif
