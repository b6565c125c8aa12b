/* Saving by a thread: what is written is the state as it was, the caller does not wait, failures
 * come back, and the next save makes them good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mbt/file.h"
#include "mbt/saver.h"
#include "train/checkpoint_state.h"

static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;
static sigset_t blocked; /* of the thread that wrote last */

int __real_fsync(int fd);
static atomic_bool *set_at_fsync; /* NULL: nothing is */
static atomic_bool waits;         /* for the disk, or has waited */

int __wrap_fsync(int fd)
{
    atomic_store(&waits, true);
    (void)pthread_mutex_lock(&disk);
    if (set_at_fsync != NULL) {
        atomic_store(set_at_fsync, true);
    }
    (void)pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    const int result = __real_fsync(fd);
    (void)pthread_mutex_unlock(&disk);
    return result;
}

typedef struct place {
    char top[64], checkpoints[96];
    fixture f;
    mbt_saver *saver;
    atomic_bool lost; /* the folder is another's */
} place;

static mbt_status ask(void *context, mbt_error *err)
{
    place *p = context;
    return atomic_load(&p->lost) ? mbt_fail(err, MBT_FAILURE, "the folder is lost") : MBT_OK;
}

static int enter(void **state)
{
    place *p = calloc(1, sizeof *p);
    mbt_error err = {0};
    const mbt_retention keep = {.keep = 9};
    (void)snprintf(p->top, sizeof p->top, "/tmp/mbt_saver_XXXXXX");
    if (!mkdtemp(p->top))
        return -1;
    (void)snprintf(p->checkpoints, sizeof p->checkpoints, "%s/checkpoints", p->top);
    fixture_make(&p->f, FIXTURE_PLAIN, 16, true);
    fixture_at_step(&p->f, 213);
    *state = p;
    return mbt_file_make_folder(p->checkpoints, &err) ||
           mbt_saver_create(&p->f.state, p->top, p->checkpoints, &keep, (mbt_guard){ask, p},
                            &p->saver, &err);
}

static int leave(void **state)
{
    place *p = *state;
    char command[128];
    mbt_saver_destroy(p->saver);
    fixture_clear(&p->f);
    (void)snprintf(command, sizeof command, "rm -r %s", p->top);
    const int left = system(command);
    free(p);
    return left;
}

static void begin(place *p, unsigned what)
{
    mbt_error err = {0};
    if (mbt_saver_begin(p->saver, &p->f.state, what, &err) != MBT_OK)
        fail_msg("%s", err.message);
}

static bool is_there(const place *p, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", p->top, name);
    return access(path, F_OK) == 0;
}

/* The state digest of a file, "" when it is not whole. */
static const char *digest_of(const place *p, const char *name)
{
    static char digest[MBT_DIGEST_TEXT];
    char path[256];
    mbt_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", p->checkpoints, name);
    return mbt_checkpoint_verify(path, digest, &err) == MBT_OK ? digest : "";
}

/* What cannot be removed does not make a checkpoint one that failed. */
static void litter_is_told_apart(void **state)
{
    place *p = *state;
    char path[256];
    mbt_saved saved;
    (void)snprintf(path, sizeof path, "%s/step-0000000001.h5", p->checkpoints);
    assert_int_equal(mkdir(path, 0777), 0); /* the oldest of ten, which cannot go */
    for (int step = 2; step <= 9; step++) {
        (void)snprintf(path, sizeof path, "%s/step-%010d.h5", p->checkpoints, step);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    }
    begin(p, MBT_SAVE_CHECKPOINT);
    assert_true(mbt_saver_take(p->saver, true, &saved));
    assert_int_equal(saved.failed, 0);
    assert_int_equal(saved.litter.code, MBT_FAILURE);
    assert_non_null(strstr(saved.litter.message, "step-0000000001.h5: cannot remove an old"));
    assert_string_equal(digest_of(p, "last.h5"), saved.digest);
}

static void the_state_is_the_one_at_the_beginning(void **state)
{
    place *p = *state;
    char wanted[MBT_DIGEST_TEXT];
    mbt_error err = {0};
    mbt_saved saved;
    assert_int_equal(mbt_state_digest(&p->f.state, wanted, &err), MBT_OK);
    assert_false(mbt_saver_take(p->saver, true, &saved)); /* nothing was begun */

    (void)pthread_mutex_lock(&disk);
    atomic_store(&waits, false);
    begin(p, MBT_SAVE_CHECKPOINT | MBT_SAVE_BEST | MBT_SAVE_METRICS);
    /* the disk does not answer, and training goes on */
    for (size_t i = 0; i < p->f.params.n_floats; i++) {
        p->f.weights[i] += 1;
        p->f.momentum[i] -= 1;
    }
    fixture_at_step(&p->f, 214);
    p->f.metrics.n_rows--;
    while (!atomic_load(&waits)) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_false(mbt_saver_take(p->saver, false, &saved));
    assert_false(is_there(p, "checkpoints/last.h5"));
    (void)pthread_mutex_unlock(&disk);

    assert_true(mbt_saver_take(p->saver, true, &saved));
    p->f.metrics.n_rows++;
    assert_int_equal(saved.failed, 0);
    assert_int_equal(saved.step, 213);
    assert_true(saved.seconds >= 0.05);
    assert_string_equal(saved.digest, wanted);
    assert_string_equal(digest_of(p, "last.h5"), wanted);
    assert_string_equal(digest_of(p, "best.h5"), wanted);
    assert_true(is_there(p, "metrics.csv") && is_there(p, "metrics.h5"));
    assert_false(mbt_saver_take(p->saver, true, &saved)); /* taken */
}

/* Suspended before a save, or in the middle of one, for so long that another run has the folder by
 * now. */
static void a_lost_folder_stays_as_it_is(void **state)
{
    place *p = *state;
    char old[MBT_DIGEST_TEXT];
    mbt_saved saved;
    begin(p, MBT_SAVE_CHECKPOINT | MBT_SAVE_BEST);
    assert_true(mbt_saver_take(p->saver, true, &saved));
    memcpy(old, saved.digest, sizeof old);

    fixture_at_step(&p->f, 214);
    atomic_store(&p->lost, true);
    begin(p, MBT_SAVE_CHECKPOINT);
    assert_true(mbt_saver_take(p->saver, true, &saved));
    assert_string_equal(saved.error.message, "the folder is lost");
    assert_false(is_there(p, "checkpoints/step-0000000214.h5"));
    atomic_store(&p->lost, false);

    set_at_fsync = &p->lost;
    begin(p, MBT_SAVE_CHECKPOINT | MBT_SAVE_BEST | MBT_SAVE_METRICS);
    assert_true(mbt_saver_take(p->saver, true, &saved));
    set_at_fsync = NULL;
    assert_true(is_there(p, "checkpoints/step-0000000214.h5"));
    assert_int_equal(saved.failed, saved.wanted);
    assert_string_equal(saved.error.message, "the folder is lost");
    assert_string_equal(digest_of(p, "last.h5"), old);
    assert_string_equal(digest_of(p, "best.h5"), old);
    assert_false(is_there(p, "metrics.csv"));
}

/* Else a handler could run in the thread that writes, and a second INT would end it in the midst of
 * what the first thread does. */
static void signals_are_not_the_writers(void **state)
{
    place *p = *state;
    mbt_saved saved;
    sigset_t mine;
    (void)sigemptyset(&blocked);
    begin(p, MBT_SAVE_CHECKPOINT);
    assert_true(mbt_saver_take(p->saver, true, &saved));
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
    (void)pthread_sigmask(SIG_BLOCK, NULL, &mine);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_int_equal(sigismember(&blocked, signals[i]), 1);
        assert_int_equal(sigismember(&mine, signals[i]), 0);
    }
    assert_int_equal(sigismember(&blocked, SIGSEGV), 0);
}

static void what_fails_is_told_and_the_rest_is_done(void **state)
{
    place *p = *state;
    char wanted[MBT_DIGEST_TEXT], old[MBT_DIGEST_TEXT], away[128];
    mbt_error err = {0};
    mbt_saved saved;
    begin(p, MBT_SAVE_CHECKPOINT);
    assert_true(mbt_saver_take(p->saver, true, &saved));
    memcpy(old, saved.digest, sizeof old);

    (void)snprintf(away, sizeof away, "%s/away", p->top);
    assert_int_equal(rename(p->checkpoints, away), 0);
    fixture_at_step(&p->f, 214);
    begin(p, MBT_SAVE_CHECKPOINT | MBT_SAVE_METRICS);
    assert_true(mbt_saver_take(p->saver, true, &saved));
    assert_int_equal(saved.failed, MBT_SAVE_CHECKPOINT);
    assert_int_equal(saved.error.code, MBT_FAILURE);
    assert_non_null(strstr(saved.error.message, "step-0000000214.h5"));
    assert_non_null(strstr(saved.error.message, "No such file or directory"));
    assert_true(is_there(p, "metrics.csv"));
    assert_false(is_there(p, "checkpoints")); /* not made again: it may be on another disk */

    assert_int_equal(rename(away, p->checkpoints), 0);
    assert_string_equal(digest_of(p, "last.h5"), old);
    assert_int_equal(mbt_state_digest(&p->f.state, wanted, &err), MBT_OK);
    begin(p, MBT_SAVE_CHECKPOINT);
    assert_true(mbt_saver_take(p->saver, true, &saved));
    assert_int_equal(saved.failed, 0);
    assert_string_equal(digest_of(p, "last.h5"), wanted);
}

static void what_is_not_finite_is_told_apart(void **state)
{
    place *p = *state;
    mbt_saved saved;
    p->f.weights[mbt_params_find(&p->f.params, "stem.weight")->offset] = INFINITY;
    begin(p, MBT_SAVE_CHECKPOINT | MBT_SAVE_BEST);
    assert_true(mbt_saver_take(p->saver, true, &saved));
    assert_int_equal(saved.failed, MBT_SAVE_CHECKPOINT | MBT_SAVE_BEST);
    assert_int_equal(saved.error.code, MBT_DIVERGED);
    assert_false(is_there(p, "checkpoints/last.h5"));
}

static void destroying_waits(void **state)
{
    place *p = *state;
    char wanted[MBT_DIGEST_TEXT];
    mbt_error err = {0};
    assert_int_equal(mbt_state_digest(&p->f.state, wanted, &err), MBT_OK);
    begin(p, MBT_SAVE_CHECKPOINT);
    mbt_saver_destroy(p->saver);
    p->saver = NULL;
    assert_string_equal(digest_of(p, "last.h5"), wanted);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter, leave)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_state_is_the_one_at_the_beginning),
        IN_FOLDER(signals_are_not_the_writers),
        IN_FOLDER(what_fails_is_told_and_the_rest_is_done),
        IN_FOLDER(what_is_not_finite_is_told_apart),
        IN_FOLDER(litter_is_told_apart),
        IN_FOLDER(a_lost_folder_stays_as_it_is),
        IN_FOLDER(destroying_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
