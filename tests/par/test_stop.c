/* stop: each test works in a child of its own, for the flag is set once and for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mbt/stop.h"

enum { SURVIVED = 0 };

/* Returns the line of the first failed check, SURVIVED without one. */
typedef int scene(void);

/* Plays a scene in a child: its exit code, or minus the signal that ended it. */
static int play(scene *plays)
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        alarm(20);
        int line = plays();
        if (line != SURVIVED) {
            (void)fprintf(stderr, "check at line %d failed\n", line);
        }
        exit(line == SURVIVED ? 0 : 1);
    }
    int ended = 0;
    assert_int_equal(waitpid(child, &ended, 0), child);
    return WIFSIGNALED(ended) ? -WTERMSIG(ended) : WEXITSTATUS(ended);
}

static int one_signal(int number, const char *reason)
{
    mbt_error err;
    if (mbt_stop_install(&err) != MBT_OK) {
        return __LINE__;
    }
    if (mbt_stop_wanted(1e9) || strcmp(mbt_stop_reason(), "") != 0) {
        return __LINE__;
    }
    (void)raise(number);
    if (!mbt_stop_wanted(0) || strcmp(mbt_stop_reason(), reason) != 0) {
        return __LINE__;
    }
    return SURVIVED;
}

static int scene_int(void)
{
    return one_signal(SIGINT, "signal 2 (Interrupt)");
}

static int scene_term(void)
{
    return one_signal(SIGTERM, "signal 15 (Terminated)");
}

static int scene_usr1(void)
{
    return one_signal(SIGUSR1, "signal 10 (User defined signal 1)");
}

static int scene_usr2(void)
{
    return one_signal(SIGUSR2, "signal 12 (User defined signal 2)");
}

static void each_signal_sets_the_flag(void **state)
{
    (void)state;
    assert_int_equal(play(scene_int), 0);
    assert_int_equal(play(scene_term), 0);
    assert_int_equal(play(scene_usr1), 0);
    assert_int_equal(play(scene_usr2), 0);
}

/* As SLURM sends them: one wish. */
static int scene_term_twice(void)
{
    const int line = one_signal(SIGTERM, "signal 15 (Terminated)");
    (void)usleep(10000);
    (void)raise(SIGTERM);
    return line;
}

static int scene_second_term(void)
{
    int line = one_signal(SIGTERM, "signal 15 (Terminated)");
    (void)usleep(3100000);
    (void)raise(SIGTERM);
    return line ? line : __LINE__; /* not reached */
}

static int scene_second_int(void)
{
    int line = one_signal(SIGINT, "signal 2 (Interrupt)");
    (void)raise(SIGINT);
    return line ? line : __LINE__; /* not reached */
}

static int scene_int_after_term(void)
{
    int line = one_signal(SIGTERM, "signal 15 (Terminated)");
    (void)raise(SIGINT);
    return line ? line : __LINE__; /* not reached */
}

static void second_urgent_signal_kills(void **state)
{
    (void)state;
    assert_int_equal(play(scene_term_twice), 0);
    assert_int_equal(play(scene_second_term), -SIGTERM);
    assert_int_equal(play(scene_second_int), -SIGINT);
    assert_int_equal(play(scene_int_after_term), -SIGINT);
}

/* With the default actions back, a signal that came before them has its own. */
static int scene_removed(void)
{
    int line = one_signal(SIGUSR2, "signal 12 (User defined signal 2)");
    mbt_stop_remove();
    return line ? line : __LINE__; /* not reached */
}

static int scene_removed_in_peace(void)
{
    mbt_error err;
    if (mbt_stop_install(&err) != MBT_OK) {
        return __LINE__;
    }
    mbt_stop_remove();
    (void)raise(SIGTERM);
    return __LINE__; /* not reached */
}

static void removed_it_takes_no_signal(void **state)
{
    (void)state;
    assert_int_equal(play(scene_removed), -SIGUSR2);
    assert_int_equal(play(scene_removed_in_peace), -SIGTERM);
}

/* A scheduler warns by USR1 and may repeat it; the first TERM after it is still polite. */
static int scene_warnings(void)
{
    int line = one_signal(SIGUSR1, "signal 10 (User defined signal 1)");
    if (line) {
        return line;
    }
    (void)raise(SIGUSR1);
    (void)raise(SIGUSR2);
    (void)raise(SIGTERM);
    (void)raise(SIGUSR2);
    if (!mbt_stop_wanted(0) ||
        strcmp(mbt_stop_reason(), "signal 10 (User defined signal 1)") != 0) {
        return __LINE__;
    }
    return SURVIVED;
}

static void warnings_may_repeat(void **state)
{
    (void)state;
    assert_int_equal(play(scene_warnings), 0);
}

static int scene_limit(void)
{
    mbt_error err;
    if (mbt_stop_install(&err) != MBT_OK) {
        return __LINE__;
    }
    mbt_stop_limit(2, "time limit");
    if (mbt_stop_wanted(0) || mbt_stop_wanted(-10) || strcmp(mbt_stop_reason(), "") != 0) {
        return __LINE__;
    }
    (void)usleep(2020000);
    if (mbt_stop_wanted(-10)) {
        return __LINE__;
    }
    if (!mbt_stop_wanted(0) || strcmp(mbt_stop_reason(), "time limit") != 0) {
        return __LINE__;
    }
    return SURVIVED;
}

static int scene_reserve(void)
{
    mbt_error err;
    if (mbt_stop_install(&err) != MBT_OK) {
        return __LINE__;
    }
    mbt_stop_limit(3600, "time limit");
    if (mbt_stop_wanted(3590)) {
        return __LINE__;
    }
    /* Once wanted it stays wanted, also when less reserve is asked for next time. */
    if (!mbt_stop_wanted(3601) || !mbt_stop_wanted(0)) {
        return __LINE__;
    }
    return strcmp(mbt_stop_reason(), "time limit") == 0 ? SURVIVED : __LINE__;
}

static int scene_two_limits(void)
{
    mbt_error err;
    if (mbt_stop_install(&err) != MBT_OK) {
        return __LINE__;
    }
    mbt_stop_limit(3600, "late");
    mbt_stop_limit(60, "early");
    mbt_stop_limit(7200, "later");
    if (mbt_stop_wanted(50) || !mbt_stop_wanted(70)) {
        return __LINE__;
    }
    return strcmp(mbt_stop_reason(), "early") == 0 ? SURVIVED : __LINE__;
}

static void the_earliest_limit_counts(void **state)
{
    (void)state;
    assert_int_equal(play(scene_limit), 0);
    assert_int_equal(play(scene_reserve), 0);
    assert_int_equal(play(scene_two_limits), 0);
}

/* A read that a signal interrupts goes on: no EINTR in the middle of a file. */
static int scene_restart(void)
{
    mbt_error err;
    int ends[2];
    if (mbt_stop_install(&err) != MBT_OK || pipe(ends) != 0) {
        return __LINE__;
    }
    pid_t parent = getpid();
    pid_t writer = fork();
    if (writer == 0) {
        (void)usleep(100000);
        (void)kill(parent, SIGUSR1);
        (void)usleep(100000);
        _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
    }
    char byte = 0;
    ssize_t got = read(ends[0], &byte, 1);
    (void)waitpid(writer, NULL, 0);
    return got == 1 && byte == 'x' && mbt_stop_wanted(0) ? SURVIVED : __LINE__;
}

static void calls_go_on_after_a_signal(void **state)
{
    (void)state;
    assert_int_equal(play(scene_restart), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_signal_sets_the_flag),  cmocka_unit_test(second_urgent_signal_kills),
        cmocka_unit_test(warnings_may_repeat),        cmocka_unit_test(the_earliest_limit_counts),
        cmocka_unit_test(calls_go_on_after_a_signal), cmocka_unit_test(removed_it_takes_no_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
