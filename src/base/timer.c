/* The phase clock. */
#include "mbt/timer.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

double mbt_timer_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock on Linux */
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void mbt_timer_start(mbt_timer *timer)
{
    timer->now = MBT_PHASE_OTHER;
    timer->since = mbt_timer_clock();
}

mbt_phase mbt_timer_switch(mbt_timer *timer, mbt_phase phase)
{
    mbt_phase ran = timer->now;
    double now = mbt_timer_clock();
    timer->seconds[ran] += now - timer->since;
    timer->since = now;
    timer->now = phase;
    if (timer->pulse != NULL) {
        atomic_store_explicit(&timer->pulse->phase, (int)phase, memory_order_relaxed);
        mbt_pulse_beat(timer->pulse);
    }
    return ran;
}

void mbt_pulse_beat(mbt_pulse *pulse)
{
    if (pulse != NULL) {
        (void)atomic_fetch_add_explicit(&pulse->beats, 1, memory_order_relaxed);
    }
}

const char *mbt_phase_name(mbt_phase phase)
{
    static const char *const names[MBT_PHASE_COUNT] = {
        [MBT_PHASE_INPUT] = "input",           [MBT_PHASE_FORWARD] = "forward",
        [MBT_PHASE_BACKWARD] = "backward",     [MBT_PHASE_REDUCE] = "reduce",
        [MBT_PHASE_UPDATE] = "update",         [MBT_PHASE_EVALUATE] = "evaluate",
        [MBT_PHASE_CHECKPOINT] = "checkpoint", [MBT_PHASE_OTHER] = "other",
    };
    return (unsigned)phase < MBT_PHASE_COUNT ? names[phase] : "unknown";
}
