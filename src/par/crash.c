/* The crash handler: nothing but async-signal-safe calls, into a buffer on the handler's own stack,
 * so that an overflown stack is reported too. */
#include "crash.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STACK_BYTES = 1 << 16, LINE_BYTES = 512, FRAMES = 48 };

/* A signal handler has no other way to know. */
static struct {
    const char *host;
    const mbt_pulse *pulse;
    int rank;
    bool cores;
    void *stack;
} crash;

static const struct {
    int number;
    const char *what;
} signals[] = {
    {SIGSEGV, "segmentation fault"},
    {SIGBUS, "bus error: memory or a mapped file that is not there"},
    {SIGILL, "illegal instruction"},
    {SIGFPE, "arithmetic fault"},
    {SIGABRT, "aborted"},
};
enum { N_SIGNALS = sizeof signals / sizeof signals[0] };

struct line {
    char text[LINE_BYTES];
    size_t n;
};

static void add_text(struct line *line, const char *text)
{
    while (*text != '\0' && line->n < LINE_BYTES) {
        line->text[line->n++] = *text++;
    }
}

static void add_number(struct line *line, int64_t number)
{
    char digits[24];
    size_t n = sizeof digits - 1;
    digits[n] = '\0';
    do {
        digits[--n] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    add_text(line, digits + n);
}

/* "rank 1 on HOST <how> 11 (<what>) at step 3, forward", and the stack. */
static void report(const char *how, int number, const char *what)
{
    struct line line = {.n = 0};
    add_text(&line, "rank ");
    add_number(&line, crash.rank);
    add_text(&line, " on ");
    add_text(&line, crash.host);
    add_text(&line, how);
    add_number(&line, number);
    add_text(&line, " (");
    add_text(&line, what);
    add_text(&line, ") at step ");
    add_number(&line, atomic_load(&crash.pulse->step));
    add_text(&line, ", ");
    add_text(&line, mbt_phase_name((mbt_phase)atomic_load(&crash.pulse->phase)));
    add_text(&line, "\n");
    (void)!write(STDERR_FILENO, line.text, line.n);

    void *frames[FRAMES];
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
}

static void on_crash(int number)
{
    const char *what = "";
    for (int i = 0; i < N_SIGNALS; i++) {
        what = signals[i].number == number ? signals[i].what : what;
    }
    report(" crashed: signal ", number, what);
    if (crash.cores) {
        /* Blocked while this handler runs, so it takes effect on return. */
        (void)signal(number, SIG_DFL);
        (void)raise(number);
        return;
    }
    _exit(MBT_PEER);
}

/* A library may end the process by itself: HDF5 1.10 does when it gets no memory. */
static void on_exit_of_process(int code, void *ignored)
{
    (void)ignored;
    if (crash.stack != NULL) {
        report(" was ended: code ", code & 0xff, "by a library");
        _exit(MBT_PEER);
    }
}

mbt_status crash_watch(int rank, const char *host, const mbt_pulse *pulse, mbt_error *err)
{
#ifdef __SANITIZE_ADDRESS__
    return MBT_OK; /* its report says more */
#endif
    struct rlimit core = {0, 0};
    (void)getrlimit(RLIMIT_CORE, &core);
    crash.rank = rank;
    crash.host = host;
    crash.pulse = pulse;
    crash.cores = core.rlim_cur > 0;
    crash.stack = malloc(STACK_BYTES);
    const stack_t stack = {.ss_sp = crash.stack, .ss_size = STACK_BYTES};
    if (crash.stack == NULL || sigaltstack(&stack, NULL) != 0) {
        return mbt_fail(err, MBT_FAILURE, "crash handler: no stack of %d bytes", STACK_BYTES);
    }
    void *frame;
    (void)backtrace(&frame, 1); /* the first call loads a library, which no handler may do */
    if (on_exit(on_exit_of_process, NULL) != 0) {
        return mbt_fail(err, MBT_FAILURE, "crash handler: on_exit: out of memory");
    }
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    for (int i = 0; i < N_SIGNALS; i++) {
        if (sigaction(signals[i].number, &action, NULL) != 0) {
            return mbt_fail(err, MBT_FAILURE, "signal %d: sigaction: %s", signals[i].number,
                            strerror(errno));
        }
    }
    return MBT_OK;
}

void crash_forget(void)
{
    if (crash.stack == NULL) {
        return;
    }
    for (int i = 0; i < N_SIGNALS; i++) {
        (void)signal(signals[i].number, SIG_DFL);
    }
    const stack_t none = {.ss_flags = SS_DISABLE};
    (void)sigaltstack(&none, NULL);
    free(crash.stack);
    crash.stack = NULL;
}
