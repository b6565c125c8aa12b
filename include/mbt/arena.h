/* One block of memory, mapped and touched once, cut from front to back, never returned piecewise.
 *
 * First touch of fresh pages costs seconds per GiB, so a rank maps everything its plan needs at
 * start, with huge pages where the kernel grants them. Depends on available, status. */
#ifndef MBT_ARENA_H
#define MBT_ARENA_H

#include <stddef.h>

#include "mbt/status.h"

enum { MBT_ARENA_ALIGN = 128 }; /* bytes: two cache lines, what adjacent-line prefetch pairs */

typedef struct mbt_arena mbt_arena;

/* Maps and touches `bytes` (rounded up to whole huge pages; zero-filled).
 * MBT_FAILURE when the memory is not to be had (available.h); the message has the figures in MiB.
 */
mbt_status mbt_arena_create(size_t bytes, mbt_arena **arena, mbt_error *err) MBT_WARN_UNUSED;
void mbt_arena_destroy(mbt_arena *arena); /* NULL is allowed */

/* The next `bytes`, aligned to MBT_ARENA_ALIGN, zero-filled. The arena was sized by its owner:
 * running over is an invariant broken and asserts. */
void *mbt_arena_take(mbt_arena *arena, size_t bytes);

/* `bytes` as mbt_arena_take consumes them, for adding up a size beforehand. */
size_t mbt_arena_round(size_t bytes);

size_t mbt_arena_used(const mbt_arena *arena);  /* bytes */
size_t mbt_arena_bytes(const mbt_arena *arena); /* of the block, all touched */

#endif
