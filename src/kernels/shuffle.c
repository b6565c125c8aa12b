/* Channel maps as lane moves between blocks: made once by the plan, read by the apply passes. */
#include <stdlib.h>

#include "mbt/kernel.h"

/* Adds "destination lane `lane` of `block` comes from lane `from_lane` of block `from`". */
static void add_move(mbt_shuffle_block *block, int lane, int from, int from_lane)
{
    int k = 0;
    while (k < block->n_from && block->from[k] != from) {
        k++;
    }
    if (k == block->n_from) {
        block->from[block->n_from++] = from;
    }
    block->mask[k] |= 1u << lane;
    block->lane[k][lane] = from_lane;
}

mbt_status mbt_shuffle_create(const mbt_layout *source, const mbt_layout *destination,
                              const int *from, mbt_shuffle *shuffle, mbt_error *err)
{
    const int b = destination->block;
    const int stored = mbt_layout_stored(destination);
    *shuffle =
        (mbt_shuffle){.straight = stored == mbt_layout_stored(source), .n_blocks = stored / b};
    shuffle->blocks = calloc((size_t)shuffle->n_blocks, sizeof *shuffle->blocks);
    if (shuffle->blocks == NULL) {
        return mbt_fail(err, MBT_FAILURE, "channel shuffle: out of memory");
    }
    for (int c = 0; c < destination->c; c++) {
        const int to = mbt_layout_position(destination, c);
        const int at = mbt_layout_position(source, from != NULL ? from[c] : c);
        shuffle->straight = shuffle->straight && to == at;
        add_move(&shuffle->blocks[to / b], to % b, at / b, at % b);
    }
    return MBT_OK;
}

void mbt_shuffle_clear(mbt_shuffle *shuffle)
{
    free(shuffle->blocks);
    *shuffle = (mbt_shuffle){0};
}
