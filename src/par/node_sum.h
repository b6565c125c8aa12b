/* Sums over ranks of one node in memory that they all see: nothing is sent. Each rank has a block
 * of its own; of a range of the blocks every rank adds up one slice, and copies the others' slices
 * when they are there. Integers are added exactly, floats in rank order, so the bits depend on
 * nothing else.
 *
 * A sum has a ticket, counted alike on all ranks, and three stages, which each rank announces for
 * itself: its values are given, its slice is added up, it has copied all slices. Whoever has seen
 * the last of all others may write to its block again. Pure memory: no MPI. */
#ifndef MBT_PAR_NODE_SUM_H
#define MBT_PAR_NODE_SUM_H

#include "mbt/comm.h"

struct node_sum {
    int rank, size;
    size_t block_bytes; /* of a rank, whole cache lines */
    unsigned char *stages, *blocks;
    int64_t tickets; /* given out */
};

/* Bytes of the memory for blocks of so many bytes. */
size_t node_sum_bytes(int size, size_t block_bytes);
/* memory: the same zeroed memory on all ranks, aligned to 64 bytes. */
struct node_sum node_sum_at(void *memory, int rank, int size, size_t block_bytes);

void *node_sum_block(const struct node_sum *sum, int rank);
/* Whether the range is of this rank's block. */
bool node_sum_holds(const struct node_sum *sum, const void *data, size_t bytes);

/* A sum of `count` elements at the same place of all blocks. */
struct node_sum_range {
    struct node_sum *sum;
    mbt_comm_type type; /* I64 or F32 */
    size_t offset, count;
    int64_t ticket;
    int stage; /* of this rank */
};

struct node_sum_range node_sum_give(struct node_sum *sum, mbt_comm_type type, void *data,
                                    size_t count);
/* Does what can be done now; true when the sum is in this rank's block and nobody needs the block
 * any more. */
bool node_sum_move(struct node_sum_range *range);

#endif
