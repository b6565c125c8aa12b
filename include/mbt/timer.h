/* Where the time of a step goes: one clock, a fixed list of phases. Depends on nothing. */
#ifndef MBT_TIMER_H
#define MBT_TIMER_H

#include <stdint.h>

typedef enum mbt_phase {
    MBT_PHASE_INPUT,      /* reading, augmenting, assembling a group */
    MBT_PHASE_FORWARD,    /* forward and loss */
    MBT_PHASE_BACKWARD,   /* backward */
    MBT_PHASE_REDUCE,     /* turning gradients into what is summed, waiting for the sum */
    MBT_PHASE_UPDATE,     /* optimizer, running statistics */
    MBT_PHASE_EVALUATE,   /* held-out accuracy */
    MBT_PHASE_CHECKPOINT, /* saving */
    MBT_PHASE_OTHER,      /* everything else between start and end */
    MBT_PHASE_COUNT
} mbt_phase;

/* What other threads and processes may see of the one at work. Plain data, zero-initialised. */
typedef struct mbt_pulse {
    _Atomic int64_t beats; /* signs of life */
    _Atomic int64_t step;  /* that is being done, from 1; 0 before the first */
    _Atomic int phase;     /* mbt_phase */
} mbt_pulse;

/* Plain data, zero-initialised. Exactly one phase runs at a time, so the phases add up to the
 * whole. */
typedef struct mbt_timer {
    double seconds[MBT_PHASE_COUNT];
    mbt_phase now;
    double since;     /* monotonic seconds at which `now` began */
    mbt_pulse *pulse; /* borrowed; beats with every switch. NULL: nobody looks */
} mbt_timer;

double mbt_timer_clock(void); /* monotonic seconds */

void mbt_timer_start(mbt_timer *timer); /* begins in MBT_PHASE_OTHER */

/* Books the time since the last switch to the running phase and goes on in `phase`.
 * Returns the phase that ran. */
mbt_phase mbt_timer_switch(mbt_timer *timer, mbt_phase phase);

void mbt_pulse_beat(mbt_pulse *pulse); /* a sign of life; NULL is allowed */

const char *mbt_phase_name(mbt_phase phase); /* "forward", static storage */

#endif
