/* The rows that arch.c lists; each family's file defines its own. */
#ifndef MBT_MODEL_ARCH_ROWS_H
#define MBT_MODEL_ARCH_ROWS_H

#include "mbt/arch.h"

typedef struct mbt_arch_row {
    const char *name, *help;
    mbt_status (*build)(const mbt_arch_request *request, const void *family, mbt_graph *graph,
                        mbt_error *err);
    const void *family; /* what build needs to tell this row from others */
} mbt_arch_row;

extern const mbt_arch_row mbt_arch_mobilenetv2, mbt_arch_mobilenetv2_torchvision;
extern const mbt_arch_row mbt_arch_igcv3d, mbt_arch_igcv3d_seesaw, mbt_arch_igcv3d_seed;

#endif
