/* Which part of a picture becomes the network's input, and at what size. Private to src/data.
 * Depends on augment. */
#ifndef MBT_DATA_CROP_H
#define MBT_DATA_CROP_H

#include "mbt/augment.h"
#include "resize.h"

/* From row `top` and column `left` on, rows.in x columns.in pixels are resized to rows.out x
 * columns.out, of which a window of crop->size x crop->size is taken. */
typedef struct crop_box {
    int top, left;
    resize_axis rows, columns;
} crop_box;

/* The box of a sample in an epoch. */
crop_box crop_choose(const mbt_crop *crop, int64_t epoch, uint32_t sample, int height, int width);

#endif
