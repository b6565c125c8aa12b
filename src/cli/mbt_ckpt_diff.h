/* The verb diff of mbt-ckpt. */
#ifndef MBT_CLI_MBT_CKPT_DIFF_H
#define MBT_CLI_MBT_CKPT_DIFF_H

#include "mbt/status.h"

/* Prints what differs. MBT_DIFFERS, without a message, when the states do. */
mbt_status mbt_ckpt_diff(const char *path_a, const char *path_b, mbt_error *err);

#endif
