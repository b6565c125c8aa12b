/* The list of networks; each family's file defines its rows. */
#ifndef MBT_MODEL_ARCH_ROWS_H
#define MBT_MODEL_ARCH_ROWS_H

#include "mbt/arch.h"

/* clang-format off */
/* In the order of help; a row NAME is the object mbt_arch_NAME. */
#define MBT_ARCH_ROWS(row)       \
    row(mobilenetv2)             \
    row(mobilenetv2_torchvision) \
    row(igcv3d)                  \
    row(igcv3d_seesaw)           \
    row(igcv3d_seed)             \
    row(igcv3_g2g4)              \
    row(igcv3w)                  \
    row(igcv2_c416)              \
    row(igcv2_matched)           \
    row(igcv1_l4m8)              \
    row(igcv1_l24m2)             \
    row(igcv1_l24m2_ident)       \
    row(igcv1_l32m26)            \
    row(igcv1_l100m2)            \
    row(igcv1_l450m2)            \
    row(igcv1_regconv_w16)       \
    row(igcv1_regconv_w18)       \
    row(igcv1_regconv_w18_ident) \
    /* end */
/* clang-format on */

typedef struct mbt_arch_row {
    const char *name, *help;
    mbt_status (*build)(const mbt_arch_request *request, const void *family, mbt_graph *graph,
                        mbt_error *err);
    const void *family; /* what build needs to tell this row from others */
} mbt_arch_row;

#define MBT_ARCH_DECLARE(row) extern const mbt_arch_row mbt_arch_##row;
MBT_ARCH_ROWS(MBT_ARCH_DECLARE)

#endif
