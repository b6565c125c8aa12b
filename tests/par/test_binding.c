/* binding: what counts as badly bound, how places are written, and that the own place is the one
 * the operating system knows. */
#define _GNU_SOURCE /* sched_setaffinity */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "mbt/binding.h"

enum { TEXT_BYTES = 512 };

/* A rank on `host` that may run on the cores from `from` to `to`. */
static mbt_binding bound(const char *host, int threads, int from, int to)
{
    mbt_binding b = {.threads = threads, .n_cores = to - from + 1};
    snprintf(b.host, sizeof b.host, "%s", host);
    for (int i = from; i <= to; i++) {
        b.cores[i / 64] |= UINT64_C(1) << i % 64;
    }
    return b;
}

static void good(const mbt_binding *ranks, int n)
{
    char why[TEXT_BYTES] = "";
    if (!mbt_binding_good(ranks, n, why, sizeof why)) {
        fail_msg("%s", why);
    }
}

static void bad(const mbt_binding *ranks, int n, const char *wanted)
{
    char why[TEXT_BYTES] = "nothing";
    assert_false(mbt_binding_good(ranks, n, why, sizeof why));
    if (strncmp(why, wanted, strlen(wanted)) != 0) {
        fail_msg("got \"%s\", wanted \"%s...\"", why, wanted);
    }
}

static void own_cores_are_good(void **state)
{
    (void)state;
    /* One core each; unbound on a host with enough; one core each on two hosts; threads. */
    good((mbt_binding[]){bound("a", 1, 0, 0), bound("a", 1, 1, 1)}, 2);
    good((mbt_binding[]){bound("a", 1, 0, 3), bound("a", 1, 0, 3), bound("a", 1, 0, 3)}, 3);
    good((mbt_binding[]){bound("a", 1, 0, 0), bound("b", 1, 0, 0)}, 2);
    good((mbt_binding[]){bound("a", 4, 0, 3), bound("a", 4, 700, 703)}, 2);
    /* A bound rank, and one that can step aside. */
    good((mbt_binding[]){bound("a", 1, 0, 0), bound("a", 1, 0, 1)}, 2);
    /* The system does not say. */
    good((mbt_binding[]){{.host = "a", .threads = 1}, {.host = "a", .threads = 1}}, 2);
}

static void shared_cores_are_bad(void **state)
{
    (void)state;
    bad((mbt_binding[]){bound("a", 1, 0, 0), bound("a", 1, 0, 0), bound("a", 1, 1, 1)}, 3,
        "3 threads share 2 cores of a: ");
    bad((mbt_binding[]){bound("a", 1, 1, 1), bound("a", 1, 3, 3), bound("a", 1, 1, 1),
                        bound("a", 1, 0, 3)},
        4, "ranks 0 and 2 are both bound to core 1 of a: ");
    bad((mbt_binding[]){bound("a", 1, 0, 0), bound("b", 2, 5, 5)}, 2,
        "2 threads share 1 core of b: ");
    bad((mbt_binding[]){bound("a", 2, 0, 0), bound("a", 1, 1, 3)}, 2,
        "rank 0 on a has 2 threads and 1 core: ");
    mbt_binding many[16];
    for (int r = 0; r < 16; r++) {
        many[r] = bound("a", 1, 0, 1);
    }
    bad(many, 16, "16 threads share 2 cores of a: ");
}

static void places_are_short(void **state)
{
    (void)state;
    char text[TEXT_BYTES];
    mbt_binding ranks[] = {bound("a", 1, 0, 1),
                           bound("a", 1, 0, 1),
                           bound("a", 1, 64, 64),
                           {.host = "b", .threads = 1}};
    ranks[2].cores[0] = 5;
    assert_int_equal(mbt_binding_place(ranks, 4, 0, text, sizeof text), 2);
    assert_string_equal(text, "ranks 0-1: a, cores 0-1");
    assert_int_equal(mbt_binding_place(ranks, 4, 2, text, sizeof text), 3);
    assert_string_equal(text, "rank 2: a, cores 0,2,64");
    assert_int_equal(mbt_binding_place(ranks, 4, 3, text, sizeof text), 4);
    assert_string_equal(text, "rank 3: b, cores unknown");
    /* Every other core of a thousand does not fit, and is cut. */
    memset(ranks[0].cores, 0x55, sizeof ranks[0].cores);
    (void)mbt_binding_place(ranks, 1, 0, text, sizeof text);
    assert_in_range(strlen(text), sizeof text - 32, sizeof text - 1);
}

static void own_place_is_the_systems(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    mbt_binding before, after;
    mbt_binding_read("here", 3, &before);
    assert_string_equal(before.host, "here");
    assert_int_equal(before.threads, 3);
    assert_in_range(before.n_cores, 1, CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    mbt_binding_read("here", 1, &after);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(after.n_cores, 1);
    for (int i = 0; i < MBT_BINDING_CORES / 64; i++) {
        assert_int_equal(after.cores[i] & ~before.cores[i], 0);
    }
}

/* What a run says with so many threads; lines of the log. */
static int lines_of_check(int threads, char text[2048])
{
    mbt_comm *comm = NULL;
    mbt_error err;
    mbt_log log;
    mbt_log_init(&log, MBT_LOG_INFO, 0, 1);
    log.file = tmpfile();
    assert_non_null(log.file);
    assert_int_equal(mbt_comm_create(NULL, NULL, &comm, &err), MBT_OK);
    assert_int_equal(mbt_binding_check(comm, &log, threads, &err), MBT_OK);
    mbt_comm_destroy(comm);
    rewind(log.file);
    text[fread(text, 1, 2047, log.file)] = '\0';
    fclose(log.file);
    int lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    return lines;
}

static void check_warns_once(void **state)
{
    (void)state;
    char text[2048];
    assert_int_equal(lines_of_check(1, text), 0);
    assert_int_equal(lines_of_check(2000, text), 2);
    assert_non_null(strstr(text, "warning: badly bound: 2000 threads share "));
    assert_non_null(strstr(text, "rank 0: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_cores_are_good), cmocka_unit_test(shared_cores_are_bad),
        cmocka_unit_test(places_are_short),   cmocka_unit_test(own_place_is_the_systems),
        cmocka_unit_test(check_warns_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
