/* Feature maps in memory: shape and blocked layout.
 *
 * Legend used everywhere: N images, C channels, H rows, W columns, G groups of a convolution,
 * K classes, B channels of a block, S sections, P stored channels of a section.
 *
 * A map is stored as float [S][N][P/B][H][W][B]: its C channels are cut into S equal sections (the
 * groups of the grouped convolution that makes or reads it), each padded with zero channels to a
 * multiple of B; B channels of one pixel lie side by side, as a vector register holds them. A
 * section of a grouped convolution is so a dense convolution of its own. With S = 1 and C a
 * multiple of B this is oneDNN's nChw16c (B = 16) or nChw8c (B = 8).
 * Padded channels are zero and stay zero in forward, backward and update. Depends on nothing. */
#ifndef MBT_TENSOR_H
#define MBT_TENSOR_H

#include <stddef.h>

typedef struct mbt_layout {
    int c, h, w;  /* C, H, W */
    int sections; /* S, divides C */
    int block;    /* B */
} mbt_layout;

int mbt_layout_section(const mbt_layout *l);               /* P */
int mbt_layout_stored(const mbt_layout *l);                /* S * P, channels as stored */
int mbt_layout_position(const mbt_layout *l, int channel); /* s * P + channel mod (C/S) */
size_t mbt_layout_image(const mbt_layout *l); /* floats of one image in one section: P*H*W */
size_t mbt_layout_floats(const mbt_layout *l, int n_images); /* S * N * P*H*W */

/* What an element of a map is in memory. bf16 is the upper half of a float, rounded to the nearest,
 * ties away from zero; arithmetic is float all the same. */
typedef enum mbt_storage { MBT_STORAGE_FP32, MBT_STORAGE_BF16 } mbt_storage;

size_t mbt_storage_bytes(mbt_storage storage); /* of an element */

/* A map in memory, or a run of images of one. Borrowed. */
typedef struct mbt_map {
    void *data;     /* section 0 of the first image */
    size_t section; /* elements from a section to the next: capacity in images * P*H*W */
    mbt_storage storage;
} mbt_map;

/* Images first .. of a map that starts at `data` and has room for `capacity` images. */
mbt_map mbt_map_view(const mbt_layout *l, void *data, mbt_storage storage, int capacity, int first);

#endif
