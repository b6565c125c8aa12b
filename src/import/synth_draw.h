/* One image of the synthetic set. Private to src/import. */
#ifndef MBT_SYNTH_DRAW_H
#define MBT_SYNTH_DRAW_H

#include <stdint.h>

enum { SYNTH_SIDE = 32, SYNTH_CHANNELS = 3, SYNTH_CLASSES = 10 };

extern const char *const synth_names[SYNTH_CLASSES];

/* Draws sample `id` of class `label`. image: [SYNTH_SIDE][SYNTH_SIDE][SYNTH_CHANNELS] */
void synth_draw(uint64_t seed, uint64_t id, int label, uint8_t *image);

#endif
