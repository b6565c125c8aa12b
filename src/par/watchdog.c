/* The watchdog's thread, and the table by which the ranks of a node see each other. */
#include "mbt/watchdog.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crash.h"
#include "mbt/signals.h"

enum {
    TICK_MS = 100,
    STILL_MS = 3000, /* a thread that has not run for so long belongs to a process that does not */
    TURN_MS = 300,   /* that the node's first rank, which has the log file, is given to speak */
    GRACE_MS = 1500, /* for what is said to get out, also on other nodes */
    START_FACTOR = 10,
    NAMED_MAX = 6, /* ranks that a message names */
    TEXT_BYTES = 1024,
};

/* What a rank shows to its neighbours. */
struct slot {
    pthread_mutex_t life; /* held by the rank's thread; robust, so the kernel tells when it died */
    mbt_pulse pulse;
    _Atomic int64_t calls;  /* of collective functions, see mbt_comm_count */
    _Atomic int64_t ran_ms; /* when the rank's thread ran last; one clock for the node */
    _Atomic int rank;
    _Atomic int joined;
    _Atomic int dead;
    char pad[64]; /* ranks beat in cache lines of their own */
};

struct table {
    _Atomic int speaker; /* somebody has said what happened on this node */
    char pad[60];
    struct slot slots[];
};

struct mbt_watchdog {
    mbt_comm *comm;
    mbt_log *log;
    mbt_share share;
    struct table *table;
    struct slot *mine;
    int n_slots, me;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* of `begun` and `ending` */
    pthread_cond_t wake;
    bool begun; /* the thread holds its slot's life: a death is seen from here on */
    bool ending;
    _Atomic int64_t limit_ms;
    _Atomic int seasoned; /* a step has been done */
    int64_t heard;        /* beats at the last tick */
    int64_t silent_ms;    /* since they changed */
    char text[TEXT_BYTES];
};

static int64_t clock_ms(void)
{
    return (int64_t)(1e3 * mbt_timer_clock());
}

static void nap(int ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    (void)nanosleep(&time, NULL);
}

/* ---- what is wrong ---- */

/* Index of a neighbour that died, or -1. The first to find the lock of a dead owner marks it. */
static int find_dead(mbt_watchdog *w)
{
    for (int i = 0; i < w->n_slots; i++) {
        struct slot *slot = &w->table->slots[i];
        if (slot == w->mine || !atomic_load(&slot->joined)) {
            continue;
        }
        if (atomic_load(&slot->dead)) {
            return i;
        }
        const int taken = pthread_mutex_trylock(&slot->life);
        if (taken == EOWNERDEAD) {
            atomic_store(&slot->dead, 1);
            (void)pthread_mutex_consistent(&slot->life);
        }
        if (taken == 0 || taken == EOWNERDEAD) { /* 0: it has not begun yet, or has left */
            (void)pthread_mutex_unlock(&slot->life);
        }
        if (taken == EOWNERDEAD) {
            return i;
        }
    }
    return -1;
}

/* Adds the time since the last tick to the silence. A tick that comes late adds no more than two:
 * this process was not running. */
static bool is_silent(mbt_watchdog *w, int64_t since_ms)
{
    const int64_t beats = atomic_load(&w->mine->pulse.beats);
    if (beats != w->heard) {
        w->heard = beats;
        w->silent_ms = 0;
        return false;
    }
    w->silent_ms += since_ms < 2 * TICK_MS ? since_ms : 2 * TICK_MS;
    const int64_t limit = atomic_load(&w->limit_ms);
    return limit > 0 && w->silent_ms >= (atomic_load(&w->seasoned) ? limit : START_FACTOR * limit);
}

/* ---- saying so ---- */

static void add(mbt_watchdog *w, const char *format, ...) MBT_PRINTF(2, 3);
static void add(mbt_watchdog *w, const char *format, ...)
{
    const size_t at = strlen(w->text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(w->text + at, sizeof w->text - at, format, arguments);
    va_end(arguments);
}

static const char *phase_of(struct slot *slot)
{
    return mbt_phase_name((mbt_phase)atomic_load(&slot->pulse.phase));
}

static bool stands_still(struct slot *slot)
{
    return clock_ms() - atomic_load(&slot->ran_ms) > STILL_MS;
}

/* "rank 3 (step 41, backward; its process stands still)" */
static void add_rank(mbt_watchdog *w, struct slot *slot)
{
    add(w, "rank %d (step %" PRId64 ", %s%s)", atomic_load(&slot->rank),
        atomic_load(&slot->pulse.step), phase_of(slot),
        stands_still(slot) ? "; its process stands still, stopped?" : "");
}

/* Names the ranks of this node that the others wait for; returns how many. One that is inside an
 * earlier call than its neighbours waits for a rank of another node, when there are others. */
static int add_culprits(mbt_watchdog *w)
{
    int64_t most = 0;
    for (int i = 0; i < w->n_slots; i++) {
        const int64_t calls = atomic_load(&w->table->slots[i].calls);
        most = calls > most ? calls : most;
    }
    int n = 0;
    for (int i = 0; i < w->n_slots; i++) {
        struct slot *slot = &w->table->slots[i];
        const int64_t calls = atomic_load(&slot->calls);
        const bool waits = calls % 2 != 0 && (calls == most || mbt_comm_n_nodes(w->comm) > 1);
        if (!atomic_load(&slot->joined) || (waits && !stands_still(slot))) {
            continue;
        }
        if (n < NAMED_MAX) {
            add(w, n > 0 ? ", " : "");
            add_rank(w, slot);
        }
        n++;
    }
    if (n > NAMED_MAX) {
        add(w, " and %d more", n - NAMED_MAX);
    }
    return n;
}

static void describe_death(mbt_watchdog *w, int index)
{
    struct slot *slot = &w->table->slots[index];
    add(w, "rank %d on %s died at step %" PRId64 ", %s: the job ends", atomic_load(&slot->rank),
        mbt_comm_host(w->comm), atomic_load(&slot->pulse.step), phase_of(slot));
}

static void describe_silence(mbt_watchdog *w)
{
    add(w, "watchdog: nothing has moved on %s for %" PRId64 " s: ", mbt_comm_host(w->comm),
        w->silent_ms / 1000);
    const int n = add_culprits(w);
    if (n > 0) {
        add(w, " hang%s%s: the job ends", n == 1 ? "s" : "",
            n < mbt_comm_size(w->comm) ? " and the others wait" : "");
        return;
    }
    add_rank(w, w->mine);
    if (mbt_comm_n_nodes(w->comm) > 1) {
        add(w,
            " and all others here wait for other nodes: a rank there hangs or a link is cut: the "
            "job ends");
    } else {
        add(w, " and all others wait in the same call of MPI: the job ends");
    }
}

static void *speak(void *watchdog)
{
    mbt_watchdog *w = watchdog;
    mbt_log_all(w->log, MBT_LOG_ERROR, "%s", w->text);
    return NULL;
}

/* Whoever comes first speaks for its node, in a thread of its own: a stream or a file system may be
 * what hangs. */
static void end_job(mbt_watchdog *w)
{
    if (w->me > 0) {
        nap(TURN_MS);
    }
    pthread_t speaker;
    if (atomic_exchange(&w->table->speaker, 1) == 0) {
        (void)pthread_create(&speaker, NULL, speak, w);
    }
    nap(GRACE_MS);
    mbt_comm_abort(w->comm, MBT_PEER, NULL);
}

/* ---- the thread ---- */

/* Sleeps for a tick; false when the watchdog is to end. */
static bool tick(mbt_watchdog *w)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    int waited = 0;
    (void)pthread_mutex_lock(&w->lock);
    while (!w->ending && waited == 0) {
        waited = pthread_cond_timedwait(&w->wake, &w->lock, &until);
    }
    const bool ending = w->ending;
    (void)pthread_mutex_unlock(&w->lock);
    return !ending;
}

static void *watch(void *watchdog)
{
    mbt_watchdog *w = watchdog;
    (void)pthread_mutex_lock(&w->mine->life);
    (void)pthread_mutex_lock(&w->lock);
    w->begun = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    int64_t before = clock_ms();
    while (tick(w)) {
        const int64_t now = clock_ms();
        atomic_store(&w->mine->ran_ms, now);
        const int dead = find_dead(w);
        if (dead >= 0) {
            describe_death(w, dead);
        } else if (is_silent(w, now - before)) {
            describe_silence(w);
        }
        if (w->text[0] != '\0') {
            end_job(w);
        }
        before = now;
    }
    (void)pthread_mutex_unlock(&w->mine->life);
    return NULL;
}

/* ---- start and end ---- */

/* The other ranks look at the lock, so it is shared and robust. */
static int init_slot(struct slot *slot, int rank)
{
    pthread_mutexattr_t kind;
    int failed = pthread_mutexattr_init(&kind);
    failed = failed ? failed : pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    failed = failed ? failed : pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    failed = failed ? failed : pthread_mutex_init(&slot->life, &kind);
    if (!failed) {
        (void)pthread_mutexattr_destroy(&kind);
    }
    atomic_store(&slot->rank, rank);
    atomic_store(&slot->pulse.phase, MBT_PHASE_OTHER);
    atomic_store(&slot->ran_ms, clock_ms());
    atomic_store(&slot->joined, !failed);
    return failed;
}

static int start_thread(mbt_watchdog *w)
{
    pthread_condattr_t kind;
    int failed = pthread_mutex_init(&w->lock, NULL);
    failed = failed ? failed : pthread_condattr_init(&kind);
    failed = failed ? failed : pthread_condattr_setclock(&kind, CLOCK_MONOTONIC);
    failed = failed ? failed : pthread_cond_init(&w->wake, &kind);
    failed = failed ? failed : mbt_signals_start_thread(&w->thread, watch, w);
    w->running = !failed;
    if (w->running) {
        (void)pthread_mutex_lock(&w->lock);
        while (!w->begun) {
            (void)pthread_cond_wait(&w->wake, &w->lock);
        }
        (void)pthread_mutex_unlock(&w->lock);
    }
    return failed;
}

mbt_status mbt_watchdog_create(mbt_comm *comm, mbt_log *log, mbt_watchdog **watchdog,
                               mbt_error *err)
{
    mbt_watchdog *w = calloc(1, sizeof *w);
    mbt_status status = w != NULL ? MBT_OK : mbt_fail(err, MBT_FAILURE, "watchdog: out of memory");
    status = mbt_comm_agree(comm, status, err);
    if (status != MBT_OK) {
        free(w);
        return status;
    }
    w->comm = comm;
    w->log = log;
    w->n_slots = mbt_comm_node_size(comm);
    w->me = mbt_comm_node_rank(comm);
    const size_t bytes = sizeof *w->table + (size_t)w->n_slots * sizeof *w->table->slots;
    status = mbt_share_create(comm, bytes, &w->share, err);
    if (status != MBT_OK) {
        free(w);
        return status;
    }
    w->table = w->share.data;
    w->mine = &w->table->slots[w->me];
    if (w->share.writer) {
        memset(w->table, 0, bytes);
    }
    mbt_share_publish(comm, &w->share);
    if (!w->share.shared) {
        mbt_log_root(
            log, MBT_LOG_WARN,
            "/dev/shm has no room for the watchdog: a rank's death is seen by run.watchdog "
            "or the launcher alone");
    }
    int failed = init_slot(w->mine, mbt_comm_rank(comm));
    failed = failed ? failed : start_thread(w);
    status = failed ? mbt_fail(err, MBT_FAILURE, "watchdog: thread: %s", strerror(failed)) : MBT_OK;
    if (status == MBT_OK) {
        status = crash_watch(mbt_comm_rank(comm), mbt_comm_host(comm), &w->mine->pulse, err);
    }
    status = mbt_comm_agree(comm, status, err);
    if (status != MBT_OK) {
        mbt_watchdog_destroy(w);
        return status;
    }
    mbt_comm_count(comm, &w->mine->calls);
    *watchdog = w;
    return MBT_OK;
}

void mbt_watchdog_destroy(mbt_watchdog *w)
{
    if (w == NULL) {
        return;
    }
    crash_forget();
    mbt_comm_count(w->comm, NULL);
    if (w->running) {
        (void)pthread_mutex_lock(&w->lock);
        w->ending = true;
        (void)pthread_cond_signal(&w->wake);
        (void)pthread_mutex_unlock(&w->lock);
        (void)pthread_join(w->thread, NULL);
    }
    mbt_share_destroy(w->comm, &w->share);
    free(w);
}

void mbt_watchdog_limit(mbt_watchdog *w, double limit_s)
{
    atomic_store(&w->limit_ms, (int64_t)(1e3 * limit_s));
}

mbt_pulse *mbt_watchdog_pulse(mbt_watchdog *w)
{
    return w != NULL ? &w->mine->pulse : NULL;
}

void mbt_watchdog_step(mbt_watchdog *w, int64_t step)
{
    if (w == NULL) {
        return;
    }
    if (atomic_exchange(&w->mine->pulse.step, step) != 0) {
        atomic_store(&w->seasoned, 1);
    }
    mbt_pulse_beat(&w->mine->pulse);
}
