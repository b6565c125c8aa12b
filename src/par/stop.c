/* The stop flag: what a signal handler may do, and no more. */
#include "mbt/stop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "mbt/timer.h"

/* SLURM's preemption and its time limit send TERM twice in a row, and that is one wish. */
enum { SAME_TERM_S = 2 };

/* Mutable and global: a signal handler has no other way to be heard. */
static struct {
    volatile sig_atomic_t signal; /* the first that came, 0 for none */
    volatile sig_atomic_t urgent; /* the first of INT and TERM that came, 0 for none */
    time_t urgent_at;             /* on the monotonic clock */
    const char *limit;            /* the earliest limit's reason, NULL without one */
    bool late;                    /* it was seen to be reached */
    double deadline_s;            /* on mbt_timer_clock */
} stop;

/* Number and name as literals, so that the reason needs no buffer. */
#define QUOTE(text) #text
#define REASON(number, name) "signal " QUOTE(number) " (" name ")"

static const struct {
    int number;
    const char *reason;
} signals[] = {
    {SIGINT, REASON(SIGINT, "Interrupt")},
    {SIGTERM, REASON(SIGTERM, "Terminated")},
    {SIGUSR1, REASON(SIGUSR1, "User defined signal 1")},
    {SIGUSR2, REASON(SIGUSR2, "User defined signal 2")},
};
enum { N_SIGNALS = sizeof signals / sizeof signals[0] };

/* Of two signals only one is handled at a time: the mask of mbt_stop_install. */
static void on_signal(int number)
{
    if (number == SIGINT || number == SIGTERM) {
        struct timespec now = {0};
        (void)clock_gettime(CLOCK_MONOTONIC, &now); /* may be called here, by POSIX */
        const bool same = number == SIGTERM && stop.urgent == SIGTERM &&
                          now.tv_sec - stop.urgent_at <= SAME_TERM_S;
        if (stop.urgent && !same) {
            /* Blocked while this handler runs, so it takes effect on return. */
            (void)signal(number, SIG_DFL);
            (void)raise(number);
            return;
        }
        if (!stop.urgent) {
            stop.urgent = number;
            stop.urgent_at = now.tv_sec;
        }
    }
    if (!stop.signal) {
        stop.signal = number;
    }
}

mbt_status mbt_stop_install(mbt_error *err)
{
    stop.limit = NULL;
    stop.late = false;
    /* Restarted calls: files in the middle of being written must not see EINTR. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    for (int i = 0; i < N_SIGNALS; i++) {
        (void)sigaddset(&action.sa_mask, signals[i].number);
    }
    for (int i = 0; i < N_SIGNALS; i++) {
        if (sigaction(signals[i].number, &action, NULL) != 0) {
            return mbt_fail(err, MBT_FAILURE, "signal %d: sigaction: %s", signals[i].number,
                            strerror(errno));
        }
    }
    return MBT_OK;
}

void mbt_stop_remove(void)
{
    for (int i = 0; i < N_SIGNALS; i++) {
        (void)signal(signals[i].number, SIG_DFL);
    }
    if (stop.signal) {
        (void)raise(stop.signal);
    }
}

void mbt_stop_limit(double seconds, const char *reason)
{
    const double deadline_s = mbt_timer_clock() + seconds;
    if (stop.limit == NULL || deadline_s < stop.deadline_s) {
        stop.limit = reason;
        stop.deadline_s = deadline_s;
    }
}

bool mbt_stop_wanted(double reserve_s)
{
    if (stop.limit != NULL && mbt_timer_clock() >= stop.deadline_s - reserve_s) {
        stop.late = true;
    }
    return stop.signal != 0 || stop.late;
}

mbt_status mbt_stop_check(const char *what, mbt_error *err)
{
    return mbt_stop_wanted(0) ? mbt_fail(err, MBT_FAILURE, "%s: stopped by %s, nothing is written",
                                         what, mbt_stop_reason())
                              : MBT_OK;
}

const char *mbt_stop_reason(void)
{
    int number = stop.signal;
    for (int i = 0; i < N_SIGNALS; i++) {
        if (signals[i].number == number) {
            return signals[i].reason;
        }
    }
    return stop.late ? stop.limit : "";
}
