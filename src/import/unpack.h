/* A .tar or .tar.gz as a libarchive reader whose gzip checksum is looked at. Private to src/import.
 */
#ifndef MBT_UNPACK_H
#define MBT_UNPACK_H

#include <archive.h>

#include "mbt/status.h"

struct unpack;

/* Opens `path`; *tar reads entries and belongs to the unpacker. MBT_DATA when it is no archive. */
mbt_status unpack_open(const char *path, struct unpack **unpack, struct archive **tar,
                       mbt_error *err) MBT_WARN_UNUSED;

/* To be called after the last entry: reads what is left and compares length and checksum. Only now
 * is known that what was read is what was packed. */
mbt_status unpack_finish(struct unpack *unpack, mbt_error *err) MBT_WARN_UNUSED;

void unpack_close(struct unpack *unpack); /* NULL is allowed */

/* MBT_DATA with the reader's own message. */
mbt_status unpack_fail(struct archive *archive, const char *path, mbt_error *err);

#endif
