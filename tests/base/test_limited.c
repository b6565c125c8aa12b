/* limited: what the child finds comes back, and whatever becomes of it is a bad file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/limited.h"

static const char *const name = "some.h5";
static int n_done; /* in this process: the child's stays with the child */

static mbt_status finds(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    (void)err;
    n_done++;
    (void)snprintf(answer, MBT_LIMITED_ANSWER, "found %s", (const char *)context);
    return MBT_OK;
}

static mbt_status refuses(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    (void)context;
    (void)answer;
    return mbt_fail(err, MBT_DATA, "%s: not as wanted", name);
}

static mbt_status raises(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    (void)answer;
    (void)err;
    (void)raise(*(int *)context);
    return MBT_OK;
}

static mbt_status leaves(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    (void)context;
    (void)answer;
    (void)err;
    _exit(1);
}

static mbt_status writes(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    (void)answer;
    (void)err;
    FILE *file = fopen(context, "w");
    if (file != NULL) {
        (void)fputs("more than nothing", file);
        (void)fclose(file);
    }
    return MBT_OK;
}

static mbt_status takes_memory(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    (void)context;
    (void)answer;
    volatile char *block = malloc((size_t)6 << 30);
    if (block == NULL) {
        return mbt_fail(err, MBT_DATA, "refused");
    }
    return MBT_OK;
}

static mbt_status tells_process(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    (void)context;
    (void)err;
    (void)snprintf(answer, MBT_LIMITED_ANSWER, "%ld", (long)getpid());
    return MBT_OK;
}

static mbt_status tells_inner_process(void *context, char answer[MBT_LIMITED_ANSWER],
                                      mbt_error *err)
{
    char inner[MBT_LIMITED_ANSWER], mine[32];
    const mbt_status status = mbt_limited_run(name, tells_process, context, inner, err);
    (void)snprintf(mine, sizeof mine, "%ld", (long)getpid());
    (void)snprintf(answer, MBT_LIMITED_ANSWER, "%s",
                   strcmp(inner, mine) == 0 ? "the same process" : "another process");
    return status;
}

/* A limited child of an ordinary user cannot start another one. */
static void a_child_works_for_itself(void **state)
{
    (void)state;
    char answer[MBT_LIMITED_ANSWER];
    mbt_error err = {0};
    assert_int_equal(mbt_limited_run(name, tells_inner_process, NULL, answer, &err), MBT_OK);
    assert_string_equal(answer, "the same process");
}

static void what_is_found_comes_back(void **state)
{
    (void)state;
    char answer[MBT_LIMITED_ANSWER];
    mbt_error err = {0};
    assert_int_equal(mbt_limited_run(name, finds, (void *)"it", answer, &err), MBT_OK);
    assert_string_equal(answer, "found it");
    assert_int_equal(n_done, 0);
    assert_int_equal(mbt_limited_run(name, refuses, NULL, answer, &err), MBT_DATA);
    assert_string_equal(err.message, "some.h5: not as wanted");
    assert_string_equal(answer, "");
}

static void ends_badly(mbt_limited_work *work, void *context, const char *wanted)
{
    char answer[MBT_LIMITED_ANSWER];
    mbt_error err = {0};
    assert_int_equal(mbt_limited_run(name, work, context, answer, &err), MBT_DATA);
    if (strstr(err.message, wanted) == NULL) {
        fail_msg("got \"%s\", wanted \"%s\"", err.message, wanted);
    }
}

static void on_crash(int number)
{
    (void)number;
    _exit(0); /* as a handler of the parent that must not run in the child */
}

static void crashes_are_bad_files(void **state)
{
    (void)state;
    static const struct {
        int number;
        const char *what;
    } ends[] = {{SIGSEGV, "some.h5: bad file: reading it crashes the library (signal 11)"},
                {SIGABRT, "crashes the library (signal 6)"},
                {SIGKILL, "takes too much time or memory (signal 9)"},
                {SIGXCPU, "takes too much time or memory (signal 24)"}};
    (void)signal(SIGABRT, on_crash);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
#ifdef __SANITIZE_ADDRESS__
        if (ends[i].number == SIGSEGV) {
            continue; /* the sanitizer's own handler turns it into a code */
        }
#endif
        int number = ends[i].number;
        ends_badly(raises, &number, ends[i].what);
    }
    (void)signal(SIGABRT, SIG_DFL);
    ends_badly(leaves, NULL, "ended the process with code 1");
}

static void limits_hold(void **state)
{
    (void)state;
    char path[] = "/tmp/test_limited_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    ends_badly(writes, path, "tries to write a file");
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    (void)close(fd);
    (void)unlink(path);
    ends_badly(takes_memory, NULL, "refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_found_comes_back),
        cmocka_unit_test(a_child_works_for_itself),
        cmocka_unit_test(crashes_are_bad_files),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
