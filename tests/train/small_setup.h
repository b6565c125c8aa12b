/* A narrow network on a data set of a few drawn images, opened the way a run opens them. */
#ifndef SMALL_SETUP_H
#define SMALL_SETUP_H

#include "mbt/setup.h"

enum { SMALL_TRAIN = 24, SMALL_TEST = 10, SMALL_SIDE = 16, SMALL_CLASSES = 3 };

typedef struct small_setup {
    char folder[64], path[96]; /* of the data set, removed by small_setup_clear */
    uint8_t *images;           /* training images, then test images: [n][H][W][C] */
    int32_t labels[SMALL_TRAIN + SMALL_TEST];
    mbt_comm *comm;
    mbt_log log;
    mbt_setup setup;
} small_setup;

/* Groups of 8. `config` at its defaults when NULL; data, network, batch and group are set here. */
void small_setup_make(small_setup *s, const mbt_config *config);
void small_setup_clear(small_setup *s);

/* Signs of life given to the run of a setup, in programs linked with --wrap=mbt_run_beat: the run
 * is not looked at. */
extern int small_setup_beats;

/* Training image `id` normalised, in double arithmetic: value of channel c at (y, x). */
double small_setup_pixel(const small_setup *s, int id, int c, int y, int x);

#endif
