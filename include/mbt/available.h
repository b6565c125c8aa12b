/* How much memory is to be had here. Depends on status. */
#ifndef MBT_AVAILABLE_H
#define MBT_AVAILABLE_H

#include <stddef.h>

#include "mbt/status.h"

/* Bytes that this process may still fill without swapping or being killed: the least of what the
 * kernel says is available and of what each control group that it is in (a batch job's, a
 * container's; version 1 or 2) leaves of its limit, files that can be dropped not counted. SIZE_MAX
 * when nothing is known. root: "", or a folder with proc and sys of another machine (tests). */
size_t mbt_available_bytes(const char *root);

/* Before so many bytes are touched, which would end the process without a word where they are not
 * there: MBT_FAILURE then, with both figures in MiB. */
mbt_status mbt_available_check(size_t bytes, mbt_error *err) MBT_WARN_UNUSED;

#endif
