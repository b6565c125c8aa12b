/* What the files of mbt-ckpt share, and its verbs with files of their own. */
#ifndef MBT_CLI_MBT_CKPT_H
#define MBT_CLI_MBT_CKPT_H

#include <stdbool.h>
#include <stddef.h>

#include "mbt/status.h"

#define MBT_CKPT_BYTES_MAX ((size_t)4 << 30) /* of a file */

bool mbt_ckpt_is_folder(const char *path);

/* Into `folder` (MBT_PATH_BYTES) the folder of checkpoints that a run folder has; any other folder
 * is one itself. */
mbt_status mbt_ckpt_folder(const char *argument, char *folder, mbt_error *err) MBT_WARN_UNUSED;

/* The worst of several files: every fault gets its line, the last of them in main. */
void mbt_ckpt_add_fault(mbt_status status, const mbt_error *fault, mbt_status *worst,
                        mbt_error *err);

/* Prints what differs, tensor by tensor. MBT_DIFFERS when the states do. */
mbt_status mbt_ckpt_diff(const char *path_a, const char *path_b, mbt_error *err) MBT_WARN_UNUSED;

/* Files, or folders with all that they have. */
mbt_status mbt_ckpt_verify(int n_files, char **files, mbt_error *err) MBT_WARN_UNUSED;

#endif
