/* A small state with every kind and form of parameter, for tests of checkpoints. Values follow a
 * formula, so that the same state can be made in several layouts, and checked by a script. */
#ifndef CHECKPOINT_STATE_H
#define CHECKPOINT_STATE_H

#include "mbt/checkpoint.h"

enum { FIXTURE_MAX = 16 };

typedef enum fixture_variant {
    FIXTURE_PLAIN,
    FIXTURE_REORDERED, /* the same slices, in another order in the block */
    FIXTURE_MISSING,   /* without blocks.0.dw.weight and head.bias */
    FIXTURE_EXTRA,     /* with extra.bias */
    FIXTURE_RESHAPED,  /* head.weight and head.bias of 7 classes instead of 10 */
    FIXTURE_UNTRAINED, /* head.bias without momentum */
} fixture_variant;

typedef struct fixture {
    mbt_params params;
    float *weights, *momentum;
    float *square, *ema; /* NULL without fixture_add_blocks */
    mbt_metrics metrics;
    mbt_config config;
    mbt_state state; /* borrows from the above */
} fixture;

/* Filled with values by the formula when `filled`, else with -7 and no metrics. */
void fixture_make(fixture *f, fixture_variant variant, int block, bool filled);
void fixture_clear(fixture *f);

/* Squares and average too: by the formula for momentum and for weights, 0.125 more. */
void fixture_add_blocks(fixture *f, bool filled);

/* Canonical element i of a tensor; of its momentum when `momentum`. */
float fixture_value(const char *name, size_t i, bool momentum);

/* Sets the counters as after so many steps, two epochs of 100 steps done. */
void fixture_at_step(fixture *f, int64_t step);

#endif
