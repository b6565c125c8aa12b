/* The learning rate of a step; a pure function of the configuration and the step.
 *
 * Warm-up: linear from warmup_start * lr to lr over the first warmup * total steps; then the kind's
 * rule. Cosine and linear run from the warm-up's end to the last step; step and exponential go by
 * whole epochs. Depends on config. */
#ifndef MBT_SCHEDULE_H
#define MBT_SCHEDULE_H

#include <stdint.h>

#include "mbt/config.h"

double mbt_schedule_lr(const mbt_config *config, int64_t step, int64_t steps_per_epoch,
                       int64_t total_steps);

#endif
