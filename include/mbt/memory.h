/* What a rank allocates for training and keeps: what its process grows by. Depends on setup. */
#ifndef MBT_MEMORY_H
#define MBT_MEMORY_H

#include <stddef.h>
#include <stdio.h>

#include "mbt/setup.h"

typedef struct mbt_memory {
    size_t plan, evaluator; /* arenas */
    size_t momentum;        /* of the optimizer, without what lies in the node's memory */
    size_t average;         /* of the weights */
    size_t sums;            /* of the reduction, without what lies in the node's memory */
    size_t samples;         /* ids of the training split, and their order */
    size_t images;          /* an image on its way to the network, where it is decoded or resized */
    size_t code;            /* what the convolutions' library takes for itself, its generated code
                               above all: measured while the plans are made, as it does not say */
    size_t save; /* rank zero: the copy that is saved, and while it is, the checkpoint as HDF5 holds
                    it, and again as it is written */
    size_t total; /* of rank zero, the largest */
} mbt_memory;

/* Of a setup for training. The data set's window, which the ranks of a node share, is not in it. */
mbt_memory mbt_memory_of(const mbt_setup *setup);

void mbt_memory_print(const mbt_memory *memory, FILE *out);

/* Bytes of this process that are resident and its own: without windows that it shares, and without
 * pages of files, which are the libraries' code; 0 where the system does not say. */
size_t mbt_memory_resident(void);

/* What the process has grown by at most since the setup began, without windows and files. */
size_t mbt_memory_grown(const mbt_setup *setup);

#endif
