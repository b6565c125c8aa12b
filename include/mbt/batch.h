/* Groups made ready ahead of the step that needs them, by a thread of the rank.
 *
 * One group at a time: the rank says which comes next, computes, and takes it. What a group holds
 * does not depend on who made it. For images that are decoded or resized; of the others, making a
 * group takes less than handing it over. Depends on loader; POSIX threads. */
#ifndef MBT_BATCH_H
#define MBT_BATCH_H

#include "mbt/loader.h"

typedef struct mbt_batch mbt_batch;

/* augment: copied. group: samples at most. Starts the thread. */
mbt_status mbt_batch_create(const mbt_dataset *dataset, const mbt_augment *augment, int group,
                            mbt_batch **batch, mbt_error *err) MBT_WARN_UNUSED;
void mbt_batch_destroy(mbt_batch *batch); /* ends the thread; NULL is allowed */

size_t mbt_batch_bytes(const mbt_batch *batch); /* of memory it keeps; NULL: 0 */

/* Begins with a group; one that was begun and not taken is dropped. ids: copied. */
void mbt_batch_request(mbt_batch *batch, const mbt_split *split, int64_t epoch, const uint32_t *ids,
                       int n);

/* Waits for the group that was begun, when it is this one: *taken, and x and labels are filled as
 * by mbt_augment_group. */
mbt_status mbt_batch_take(mbt_batch *batch, const mbt_split *split, int64_t epoch,
                          const uint32_t *ids, int n, float *x, int32_t *labels, bool *taken,
                          mbt_error *err) MBT_WARN_UNUSED;

#endif
