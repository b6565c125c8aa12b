/* walltime: what a squeue of our own says, or fails to say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mbt/timer.h"
#include "mbt/walltime.h"

typedef struct place {
    char folder[64], squeue[96], path[4096]; /* path: PATH as it was */
} place;

static int set_up(void **state)
{
    static place here;
    const char *path = getenv("PATH");
    char with[4200];
    *state = &here;
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_JOB_END_TIME");
    unsetenv("SLURM_ARRAY_JOB_ID");
    unsetenv("SLURM_ARRAY_TASK_ID");
    snprintf(here.path, sizeof here.path, "%s", path ? path : "");
    snprintf(here.folder, sizeof here.folder, "/tmp/test_walltime-XXXXXX");
    if (!mkdtemp(here.folder)) {
        return -1;
    }
    snprintf(here.squeue, sizeof here.squeue, "%s/squeue", here.folder);
    snprintf(with, sizeof with, "%s:%s", here.folder, here.path);
    return setenv("PATH", with, 1);
}

static int tear_down(void **state)
{
    place *here = *state;
    unlink(here->squeue);
    setenv("PATH", here->path, 1);
    return rmdir(here->folder);
}

/* squeue says and does this from now on. */
static void squeue(place *here, const char *script)
{
    FILE *file = fopen(here->squeue, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(here->squeue, 0700), 0);
    setenv("SLURM_JOB_ID", "4711", 1);
}

/* Within: seconds that the answer may take. */
static double left_within(double within, mbt_status wanted, const char *message)
{
    mbt_error err = {0};
    double seconds = -1;
    assert_int_equal(mbt_walltime_left(within, &seconds, &err), wanted);
    if (message && !strstr(err.message, message)) {
        fail_msg("\"%s\" lacks \"%s\"", err.message, message);
    }
    return seconds;
}

static double left_of(mbt_status wanted, const char *message)
{
    return left_within(30, wanted, message);
}

static void outside_of_a_job(void **state)
{
    squeue(*state, "echo 1");
    unsetenv("SLURM_JOB_ID");
    assert_true(isinf(left_of(MBT_OK, NULL)));
}

static void variable_is_enough(void **state)
{
    char text[32];
    squeue(*state, "exit 1");
    snprintf(text, sizeof text, "%lld", (long long)time(NULL) + 500);
    setenv("SLURM_JOB_END_TIME", text, 1);
    const double left = left_of(MBT_OK, NULL);
    assert_true(left > 490 && left <= 500);
}

static void squeue_is_asked(void **state)
{
    squeue(*state, "[ \"$*\" = '--noheader --jobs=4711 --format=%e' ] || exit 1\n"
                   "[ \"$SLURM_TIME_FORMAT\" = %s ] || exit 1\n"
                   "echo $(($(date +%s) + 7200))");
    const double left = left_of(MBT_OK, NULL);
    assert_true(left > 7190 && left <= 7201);
}

static void task_of_an_array(void **state)
{
    squeue(*state, "[ \"$*\" = '--noheader --jobs=4700_3 --format=%e' ] || exit 1\n"
                   "echo $(($(date +%s) + 7200))");
    setenv("SLURM_ARRAY_JOB_ID", "4700", 1);
    setenv("SLURM_ARRAY_TASK_ID", "3", 1);
    assert_true(left_of(MBT_OK, NULL) > 7190);
}

static void job_without_a_limit(void **state)
{
    static const char *const answers[] = {"echo N/A", "echo NONE", "echo Unknown"};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        squeue(*state, answers[i]);
        assert_true(isinf(left_of(MBT_OK, NULL)));
    }
}

static void bad_answers(void **state)
{
    static const struct {
        const char *script, *message;
    } cases[] = {
        {"exit 3", "SLURM job 4711: its end is not known: squeue: it failed"},
        {"exit 0", "squeue: got the end time \"\""},
        {"echo 2026-11-25T10:00:00", "squeue: got the end time \"2026-11-25T10:00:00\""},
        {"echo 1000", "in the past"},
        {"yes | head -c 300000", "squeue: got the end time \"y\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        squeue(*state, cases[i].script);
        assert_true(isinf(left_of(MBT_FAILURE, cases[i].message)));
    }
}

static void silence_is_bounded(void **state)
{
    squeue(*state, "exec sleep 60");
    const double from = mbt_timer_clock();
    assert_true(isinf(left_within(2, MBT_FAILURE, "squeue: no answer within 2 s")));
    assert_true(mbt_timer_clock() - from < 20);
}

static void no_squeue(void **state)
{
    (void)state;
    setenv("SLURM_JOB_ID", "4711", 1);
    setenv("PATH", "/nowhere", 1);
    assert_true(isinf(left_of(MBT_FAILURE, "squeue")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(outside_of_a_job),   TEST(variable_is_enough),  TEST(squeue_is_asked),
        TEST(task_of_an_array),   TEST(job_without_a_limit), TEST(bad_answers),
        TEST(silence_is_bounded), TEST(no_squeue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
