/* signals: which are held back, for how long, and in a thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>

#include "mbt/signals.h"

static volatile sig_atomic_t came;

static void count(int number)
{
    (void)number;
    came++;
}

static void none_comes_before_the_release(void **state)
{
    (void)state;
    sigset_t before, inner;
    struct sigaction action = {.sa_handler = count};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    mbt_signals_hold(&before);
    assert_int_equal(raise(SIGUSR1), 0);
    mbt_signals_hold(&inner);
    mbt_signals_release(&inner);
    assert_int_equal(came, 0);
    mbt_signals_release(&before);
    assert_int_equal(came, 1);
}

static void a_fault_does(void **state)
{
    (void)state;
    sigset_t before;
    struct sigaction action = {.sa_handler = count};
    came = 0;
    assert_int_equal(sigaction(SIGFPE, &action, NULL), 0);
    mbt_signals_hold(&before);
    assert_int_equal(raise(SIGFPE), 0);
    assert_int_equal(came, 1);
    mbt_signals_release(&before);
}

static void *read_mask(void *context)
{
    (void)pthread_sigmask(SIG_BLOCK, NULL, context);
    return NULL;
}

static void a_thread_takes_none_and_its_maker_all(void **state)
{
    (void)state;
    static const int held[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t its, mine;
    pthread_t thread;
    assert_int_equal(mbt_signals_start_thread(&thread, read_mask, &its), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)read_mask(&mine);
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++) {
        assert_int_equal(sigismember(&its, held[i]), 1);
        assert_int_equal(sigismember(&mine, held[i]), 0);
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        assert_int_equal(sigismember(&its, faults[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(none_comes_before_the_release),
                                       cmocka_unit_test(a_fault_does),
                                       cmocka_unit_test(a_thread_takes_none_and_its_maker_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
