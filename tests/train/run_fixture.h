/* What the tests of the run directory share: a folder of their own in /tmp, small files, locks of
 * others, a clock that stands still (linked with --wrap=mbt_timer_clock). */
#ifndef MBT_TEST_RUN_FIXTURE_H
#define MBT_TEST_RUN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/types.h>

#include "mbt/run.h"

typedef struct fixture {
    char base[64], folder[128]; /* folder: base/run */
    mbt_log log;
    mbt_error err;
    mbt_run *run;
} fixture;

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int setup(void **state);
int teardown(void **state);

void pass_seconds(double seconds);

/* A path in the folder; the last four stay valid. */
const char *path_in(const fixture *f, const char *name);
int exists(const char *path);
void write_text(const char *path, const char *text);
void read_text(const char *path, char **text); /* caller frees */
int file_contains(const char *path, const char *what);
void remove_tree(const char *path);

mbt_status open_run(fixture *f, mbt_run_mode mode);
void close_run(fixture *f);

/* A folder that holds a run, with nobody in it. */
void make_old(fixture *f, const char *mark);

const char *this_host(void);
long long this_namespace(void);
pid_t dead_pid(void);

/* The lock of somebody who is not there. */
void put_lock(const fixture *f, const char *host, long pid, long long start, long long namespace,
              int age);

#define assert_opens(f, mode)                                                                      \
    do {                                                                                           \
        if (open_run((f), (mode)) != MBT_OK)                                                       \
            fail_msg("%s", (f)->err.message);                                                      \
    } while (0)

#define assert_says(f, text)                                                                       \
    do {                                                                                           \
        if (!strstr((f)->err.message, (text)))                                                     \
            fail_msg("no \"%s\" in \"%s\"", (text), (f)->err.message);                             \
    } while (0)

#endif
