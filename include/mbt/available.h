/* How much memory is to be had here. Depends on nothing. */
#ifndef MBT_AVAILABLE_H
#define MBT_AVAILABLE_H

#include <stddef.h>

/* Bytes that this process may still fill without swapping or being killed: the least of what the
 * kernel says is available and of what each control group that it is in (a batch job's, a
 * container's; version 1 or 2) leaves of its limit, files that can be dropped not counted. SIZE_MAX
 * when nothing is known. root: "", or a folder with proc and sys of another machine (tests). */
size_t mbt_available_bytes(const char *root);

#endif
