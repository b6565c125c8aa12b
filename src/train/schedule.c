/* The learning rate of a step.
 *
 * Every rank computes it for itself, so it must not depend on the machine: powers are products and
 * the cosine is a series, because libm picks its code by the processor and differs in last bits. */
#include "mbt/schedule.h"

#include <assert.h>

/* base^exponent by squaring */
static double power(double base, int64_t exponent)
{
    double result = 1.0;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1) {
            result *= base;
        }
        base *= base;
    }
    return result;
}

/* (1 + cos(pi t)) / 2 = cos(pi t / 2)^2 for t in [0, 1], by cosine's series: its 13 terms leave
 * 3e-22 at the far end. */
static double half_cosine(double t)
{
    enum { TERMS = 13 };
    static const double HALF_PI = 1.57079632679489661923;
    double square = HALF_PI * t * (HALF_PI * t);
    double sum = 1.0;
    for (int k = TERMS - 1; k > 0; k--) { /* Horner, from the smallest term */
        sum = 1.0 - sum * square / (double)((2 * k - 1) * (2 * k));
    }
    return sum * sum;
}

static int64_t milestones_passed(const mbt_config_list *milestones, int64_t epoch)
{
    int64_t n = 0;
    for (int i = 0; i < milestones->count; i++) {
        n += (double)epoch >= milestones->value[i];
    }
    return n;
}

double mbt_schedule_lr(const mbt_config *config, int64_t step, int64_t steps_per_epoch,
                       int64_t total_steps)
{
    assert(step >= 0 && steps_per_epoch > 0);
    double peak = config->schedule.lr;
    double last = config->schedule.final_lr;
    double warm = config->schedule.warmup * (double)total_steps;
    if ((double)step < warm) {
        double start = config->schedule.warmup_start;
        return peak * (start + (1.0 - start) * (double)step / warm);
    }
    int64_t epoch = step / steps_per_epoch;
    /* What is left after the warm-up, 1 to 0; steps before the last have warm < total. */
    double left =
        step < total_steps ? (double)(total_steps - step) / ((double)total_steps - warm) : 0.0;
    switch (config->schedule.kind) {
    case MBT_SCHEDULE_CONSTANT:
        return peak;
    case MBT_SCHEDULE_STEP:
        return peak * power(config->schedule.gamma,
                            milestones_passed(&config->schedule.milestones, epoch));
    case MBT_SCHEDULE_EXPONENTIAL:
        return peak * power(config->schedule.gamma, epoch);
    case MBT_SCHEDULE_COSINE:
        return last + (peak - last) * half_cosine(1.0 - left);
    case MBT_SCHEDULE_LINEAR:
        return last + (peak - last) * left;
    }
    return peak;
}
