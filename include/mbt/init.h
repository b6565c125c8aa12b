/* Initial weights, drawn per parameter and element, so that layout and ranks play no part.
 * Depends on param, config. */
#ifndef MBT_INIT_H
#define MBT_INIT_H

#include <stdbool.h>

#include "mbt/config.h"
#include "mbt/graph.h"
#include "mbt/param.h"

/* Convolutions by config->init.kind (He et al. 2015), classifier N(0, 0.01), with he_fan_in by its
 * inputs as all else, and zero bias; batch norm gamma 1 (0 where zero_gamma is asked and the graph
 * marks it), beta 0, running mean 0 and variance 1. weights: flat block. */
mbt_status mbt_init_weights(const mbt_params *params, const mbt_graph *graph,
                            const mbt_config *config, float *weights,
                            mbt_error *err) MBT_WARN_UNUSED;

#endif
