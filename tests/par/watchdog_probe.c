/* A program for test_watchdog.c: `watchdog_probe WHAT` does a step on all ranks, then in the second
 * one WHAT on the last rank while the others wait for it. Silence is limited to a second. */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mbt/stop.h"
#include "mbt/watchdog.h"

static void nap(int tenths)
{
    const struct timespec time = {tenths / 10, tenths % 10 * 100000000L};
    (void)nanosleep(&time, NULL);
}

static int deep(volatile int *level)
{
    volatile char page[4096];
    page[0] = (char)*level;
    *level += 1;
    return *level < 0 ? 0 : deep(level) + page[0]; /* never below */
}

/* Stopped as by a batch system, and continued from outside. */
static void pause_process(void)
{
    const pid_t parent = getpid();
    if (fork() == 0) {
        nap(25);
        (void)kill(parent, SIGCONT);
        _exit(0);
    }
    (void)raise(SIGSTOP);
}

static bool happen(const char *what, mbt_pulse *pulse)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"stop", SIGSTOP}, {"kill", SIGKILL}, {"crash", SIGSEGV}};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (strcmp(what, signals[i].name) == 0) {
            (void)raise(signals[i].number);
            return true;
        }
    }
    volatile int level = 0;
    if (strcmp(what, "sleep") == 0) {
        nap(600);
    } else if (strcmp(what, "overflow") == 0) {
        (void)deep(&level);
    } else if (strcmp(what, "exit") == 0) {
        exit(-1);
    } else if (strcmp(what, "pause") == 0) {
        pause_process();
    } else if (strcmp(what, "beat") == 0) {
        for (int i = 0; i < 15; i++) {
            nap(2);
            mbt_pulse_beat(pulse);
        }
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    mbt_comm *comm = NULL;
    mbt_watchdog *watchdog = NULL;
    mbt_log log;
    mbt_error err;
    /* As in mbtrain: mpirun's TERM after a death leaves the neighbours the time to say so. */
    if (argc != 2 || mbt_stop_install(&err) != MBT_OK ||
        mbt_comm_create(&argc, &argv, &comm, &err) != MBT_OK) {
        return MBT_USAGE;
    }
    mbt_log_init(&log, MBT_LOG_INFO, mbt_comm_rank(comm), mbt_comm_size(comm));
    if (mbt_watchdog_create(comm, &log, &watchdog, &err) != MBT_OK) {
        return MBT_FAILURE;
    }
    mbt_timer timer = {.pulse = mbt_watchdog_pulse(watchdog)};
    const bool last = mbt_comm_rank(comm) == mbt_comm_size(comm) - 1;
    mbt_timer_start(&timer);
    mbt_watchdog_limit(watchdog, strcmp(argv[1], "off") == 0 ? 0 : 1);
    mbt_watchdog_step(watchdog, 1);
    if (strcmp(argv[1], "start") == 0) {
        nap(25);
    }
    mbt_comm_barrier(comm);
    mbt_watchdog_step(watchdog, 2);
    (void)mbt_timer_switch(&timer, MBT_PHASE_FORWARD);
    if (strcmp(argv[1], "off") == 0) {
        nap(25);
    } else if (last) {
        (void)happen(argv[1], timer.pulse);
    }
    (void)mbt_timer_switch(&timer, MBT_PHASE_REDUCE);
    mbt_comm_barrier(comm);
    mbt_watchdog_destroy(watchdog);
    mbt_comm_destroy(comm);
    return MBT_OK;
}
