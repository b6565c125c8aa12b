/* A thread begins with the mask of its maker, so that is what is set. */
#include "mbt/signals.h"

#include <stddef.h>

void mbt_signals_hold(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t held;
    (void)sigfillset(&held);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        (void)sigdelset(&held, faults[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &held, before); /* fails for an unknown `how` alone */
}

void mbt_signals_release(const sigset_t *before)
{
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

int mbt_signals_start_thread(pthread_t *thread, void *(*work)(void *context), void *context)
{
    sigset_t before;
    mbt_signals_hold(&before);
    const int failed = pthread_create(thread, NULL, work, context);
    mbt_signals_release(&before);
    return failed;
}
