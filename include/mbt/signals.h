/* Which thread a signal comes to: the rank's first one, unless the signal tells of a thread's own
 * fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT), which is never held back, so that whoever
 * reports crashes sees it. Depends on nothing. */
#ifndef MBT_SIGNALS_H
#define MBT_SIGNALS_H

#include <pthread.h>
#include <signal.h>

/* Holds signals back from the calling thread until mbt_signals_release; `before` is the caller's,
 * for that call. Pairs may be nested. */
void mbt_signals_hold(sigset_t *before);
void mbt_signals_release(const sigset_t *before);

/* pthread_create with default attributes, of a thread that takes no signals. Returns 0, or what
 * pthread_create does. */
int mbt_signals_start_thread(pthread_t *thread, void *(*work)(void *context), void *context);

#endif
