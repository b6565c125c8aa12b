/* status, log, arena and timer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mbt/arena.h"
#include "mbt/crc.h"
#include "mbt/log.h"
#include "mbt/status.h"
#include "mbt/timer.h"

/* ---- status ---- */

static void error_has_code_message_and_place(void **state)
{
    (void)state;
    mbt_error err;
    int line = __LINE__ + 1;
    mbt_status status = mbt_fail(&err, MBT_DATA, "%s: got %d, wanted %d", "x.h5", 3, 4);
    assert_int_equal(status, MBT_DATA);
    assert_int_equal(err.code, MBT_DATA);
    assert_string_equal(err.message, "x.h5: got 3, wanted 4");
    assert_string_equal(err.file, "test_base.c");
    assert_int_equal(err.line, line);
    assert_int_equal(mbt_fail(NULL, MBT_CONFIG, "unheard"), MBT_CONFIG);
}

static void error_is_cut_at_its_end(void **state)
{
    (void)state;
    struct {
        mbt_error err;
        char guard[16];
    } held;
    memset(&held, 0x5a, sizeof held);
    char text[3 * MBT_ERROR_MAX];
    memset(text, 'm', sizeof text);
    memcpy(text, "start", 5);
    text[sizeof text - 1] = '\0';
    (void)mbt_fail(&held.err, MBT_FAILURE, "%s", text);
    assert_int_equal(strlen(held.err.message), MBT_ERROR_MAX - 1);
    assert_memory_equal(held.err.message, text, MBT_ERROR_MAX - 1);

    assert_int_equal(mbt_error_prefix(&held.err, "rank %d", 7), MBT_FAILURE);
    assert_int_equal(strlen(held.err.message), MBT_ERROR_MAX - 1);
    assert_memory_equal(held.err.message, "rank 7: startmmm", 16);

    assert_int_equal(mbt_error_prefix(&held.err, "%s", text), MBT_FAILURE);
    assert_int_equal(strlen(held.err.message), MBT_ERROR_MAX - 1);
    for (size_t i = 0; i < sizeof held.guard; i++) {
        assert_int_equal(held.guard[i], 0x5a);
    }
}

static void error_takes_its_own_message(void **state)
{
    (void)state;
    mbt_error err;
    (void)mbt_fail(&err, MBT_DATA, "inner");
    (void)mbt_fail(&err, MBT_CONFIG, "outer: %s", err.message);
    assert_string_equal(err.message, "outer: inner");
    assert_int_equal(mbt_error_prefix(&err, "%s", err.message), MBT_CONFIG);
    assert_string_equal(err.message, "outer: inner: outer: inner");
    assert_int_equal(mbt_error_prefix(NULL, "nothing"), MBT_FAILURE);
}

static void worse_status_wins_in_either_order(void **state)
{
    (void)state;
    static const mbt_status rising[] = {MBT_OK,   MBT_STOPPED, MBT_DIFFERS,
                                        MBT_PEER, MBT_FAILURE, MBT_DIVERGED,
                                        MBT_DATA, MBT_CONFIG,  MBT_USAGE};
    for (size_t i = 0; i < sizeof rising / sizeof rising[0]; i++) {
        for (size_t j = 0; j < sizeof rising / sizeof rising[0]; j++) {
            assert_int_equal(mbt_status_worse(rising[i], rising[j]), rising[i > j ? i : j]);
        }
    }
}

/* ---- log ---- */

enum { CAPTURED = 16384 };

typedef void speak(mbt_log *log);

/* What `speaks` writes to stderr. */
static void capture(speak *speaks, mbt_log *log, char out[CAPTURED])
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int kept = dup(STDERR_FILENO);
    assert_true(kept >= 0);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    speaks(log);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    rewind(file);
    out[fread(out, 1, CAPTURED - 1, file)] = '\0';
    fclose(file);
}

static void speak_levels(mbt_log *log)
{
    mbt_log_root(log, MBT_LOG_ERROR, "one %d", 1);
    mbt_log_root(log, MBT_LOG_WARN, "two");
    mbt_log_root(log, MBT_LOG_INFO, "three");
    mbt_log_root(log, MBT_LOG_DEBUG, "four");
    mbt_log_all(log, MBT_LOG_INFO, "five");
    mbt_log_all(log, MBT_LOG_DEBUG, "six");
}

static void log_obeys_level_and_rank(void **state)
{
    (void)state;
    char out[CAPTURED];
    mbt_log log;
    mbt_log_init(&log, MBT_LOG_INFO, 0, 1);
    capture(speak_levels, &log, out);
    assert_string_equal(out, "error: one 1\nwarning: two\nthree\nfive\n");
    mbt_log_init(&log, MBT_LOG_DEBUG, 0, 2);
    capture(speak_levels, &log, out);
    assert_string_equal(out, "error: one 1\nwarning: two\nthree\ndebug: four\n[rank 0/2] five\n"
                             "[rank 0/2] debug: six\n");
    mbt_log_init(&log, MBT_LOG_WARN, 1, 2);
    capture(speak_levels, &log, out);
    assert_string_equal(out, "");
    mbt_log_init(&log, MBT_LOG_INFO, 1, 2);
    capture(speak_levels, &log, out);
    assert_string_equal(out, "[rank 1/2] five\n");
}

static void log_ends_an_open_bar_and_copies_to_the_file(void **state)
{
    (void)state;
    char out[CAPTURED];
    char copy[CAPTURED];
    mbt_log log;
    mbt_log_init(&log, MBT_LOG_INFO, 0, 1);
    log.bar_open = 1;
    log.file = tmpfile();
    assert_non_null(log.file);
    capture(speak_levels, &log, out);
    assert_string_equal(out, "\nerror: one 1\nwarning: two\nthree\nfive\n");
    assert_int_equal(log.bar_open, 0);

    rewind(log.file);
    static const char *const wanted[] = {"error: one 1\n", "warning: two\n", "three\n", "five\n"};
    for (size_t i = 0; i < 4; i++) {
        int year, month, day, hour, minute, second, at = 0;
        assert_non_null(fgets(copy, sizeof copy, log.file));
        assert_int_equal(sscanf(copy, "%4d-%2d-%2dT%2d:%2d:%2dZ %n", &year, &month, &day, &hour,
                                &minute, &second, &at),
                         6);
        assert_int_equal(at, strlen("2026-01-31T12:00:00Z "));
        assert_string_equal(copy + at, wanted[i]);
    }
    assert_null(fgets(copy, sizeof copy, log.file));
    fclose(log.file);
}

static void speak_errors(mbt_log *log)
{
    mbt_error err;
    (void)mbt_error_set(&err, "/a/b/place.c", 12, MBT_DATA, "%s", "100%n");
    mbt_log_error(log, &err);
    err.file[0] = '\0';
    mbt_log_error(log, &err);
    err.message[0] = '\0';
    mbt_log_error(log, &err);
}

static void speak_at_length(mbt_log *log)
{
    char text[3 * CAPTURED / 4];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    mbt_log_all(log, MBT_LOG_INFO, "%s", text);
}

static void log_says_errors_and_cuts_long_lines(void **state)
{
    (void)state;
    char out[CAPTURED];
    mbt_log log;
    mbt_log_init(&log, MBT_LOG_INFO, 0, 1);
    capture(speak_errors, &log, out);
    assert_string_equal(out, "error: 100%n\nerror: 100%n\n");
    mbt_log_init(&log, MBT_LOG_DEBUG, 0, 1);
    capture(speak_errors, &log, out);
    assert_string_equal(out, "error: 100%n (place.c:12)\nerror: 100%n\n");
    mbt_log_init(&log, MBT_LOG_INFO, 3, 4);
    capture(speak_at_length, &log, out);
    size_t length = strlen(out);
    assert_true(length > MBT_ERROR_MAX && length < CAPTURED / 2);
    assert_memory_equal(out, "[rank 3/4] xxx", 14);
    assert_string_equal(out + length - 5, "x...\n");
    assert_ptr_equal(strchr(out, '\n'), out + length - 1);
}

/* ---- arena ---- */

static void arena_is_aligned_zero_and_cut_in_order(void **state)
{
    (void)state;
    mbt_arena *arena = NULL;
    mbt_error err;
    size_t total = mbt_arena_round(1) + mbt_arena_round(129) + mbt_arena_round(3 << 20);
    assert_int_equal(mbt_arena_create(total, &arena, &err), MBT_OK);
    assert_int_equal(mbt_arena_used(arena), 0);
    unsigned char *a = mbt_arena_take(arena, 1);
    unsigned char *b = mbt_arena_take(arena, 129);
    unsigned char *c = mbt_arena_take(arena, 3 << 20);
    assert_int_equal((uintptr_t)a % (2 << 20), 0);
    assert_ptr_equal(b, a + 128);
    assert_ptr_equal(c, b + 256);
    assert_int_equal(mbt_arena_used(arena), total);
    for (size_t i = 0; i < total; i++) {
        assert_int_equal(a[i], 0);
    }
    memset(a, 0xff, total);
    /* The block is whole huge pages: the rest of the last one is there too. */
    unsigned char *rest = mbt_arena_take(arena, (4 << 20) - total);
    assert_ptr_equal(rest, a + total);
    assert_int_equal(rest[(4 << 20) - total - 1], 0);
    mbt_arena_destroy(arena);
    mbt_arena_destroy(NULL);
}

static void arena_rounds_to_its_alignment(void **state)
{
    (void)state;
    assert_int_equal(mbt_arena_round(0), 0);
    assert_int_equal(mbt_arena_round(1), 128);
    assert_int_equal(mbt_arena_round(128), 128);
    assert_int_equal(mbt_arena_round(129), 256);
}

static void arena_is_resident_at_once(void **state)
{
    (void)state;
    mbt_arena *arena = NULL;
    mbt_error err;
    struct rusage before;
    struct rusage after;
    assert_int_equal(mbt_arena_create((size_t)64 << 20, &arena, &err), MBT_OK);
    unsigned char *data = mbt_arena_take(arena, (size_t)64 << 20);
    getrusage(RUSAGE_SELF, &before);
    for (size_t at = 0; at < (size_t)64 << 20; at += 4096) {
        data[at] = 1;
    }
    getrusage(RUSAGE_SELF, &after);
    /* 16384 small pages would fault if they had not been touched. */
    assert_true(after.ru_minflt - before.ru_minflt < 16);
    mbt_arena_destroy(arena);
}

static void arena_without_memory_fails_with_the_figure(void **state)
{
    (void)state;
    mbt_error failed;
    mbt_arena *arena = (mbt_arena *)&failed; /* anything but NULL */
    assert_int_equal(mbt_arena_create((size_t)1 << 60, &arena, &failed), MBT_FAILURE);
    assert_null(arena);
    assert_non_null(strstr(failed.message, "1099511627776 MiB"));
    assert_int_equal(mbt_arena_create(SIZE_MAX, &arena, &failed), MBT_FAILURE);
    assert_null(arena);
}

static void arena_run_over_asserts(void **state)
{
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        mbt_arena *arena = NULL;
        signal(SIGABRT, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        close(STDERR_FILENO);
        if (mbt_arena_create(1, &arena, NULL) != MBT_OK || !mbt_arena_take(arena, 2 << 20)) {
            _exit(1);
        }
        (void)mbt_arena_take(arena, 1);
        _exit(0);
    }
    int ended = 0;
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGABRT);
}

/* ---- timer ---- */

static void phases_add_up_to_the_whole(void **state)
{
    (void)state;
    mbt_timer timer = {0};
    double begin = mbt_timer_clock();
    mbt_timer_start(&timer);
    double started = timer.since;
    assert_true(started >= begin);
    assert_int_equal(mbt_timer_switch(&timer, MBT_PHASE_FORWARD), MBT_PHASE_OTHER);
    usleep(20000);
    assert_int_equal(mbt_timer_switch(&timer, MBT_PHASE_BACKWARD), MBT_PHASE_FORWARD);
    usleep(5000);
    assert_int_equal(mbt_timer_switch(&timer, MBT_PHASE_FORWARD), MBT_PHASE_BACKWARD);
    usleep(5000);
    assert_int_equal(mbt_timer_switch(&timer, MBT_PHASE_OTHER), MBT_PHASE_FORWARD);
    double sum = 0;
    for (int p = 0; p < MBT_PHASE_COUNT; p++) {
        sum += timer.seconds[p];
    }
    double whole = timer.since - started;
    assert_true(sum > whole - 1e-9 && sum < whole + 1e-9);
    assert_true(timer.seconds[MBT_PHASE_FORWARD] >= 0.025);
    assert_true(timer.seconds[MBT_PHASE_BACKWARD] >= 0.005);
    assert_true(timer.seconds[MBT_PHASE_INPUT] == 0);
}

static void phases_have_names_of_their_own(void **state)
{
    (void)state;
    assert_string_equal(mbt_phase_name(MBT_PHASE_FORWARD), "forward");
    for (int p = 0; p < MBT_PHASE_COUNT; p++) {
        for (int q = 0; q < p; q++) {
            assert_string_not_equal(mbt_phase_name((mbt_phase)p), mbt_phase_name((mbt_phase)q));
        }
        assert_string_not_equal(mbt_phase_name((mbt_phase)p), "unknown");
    }
    assert_string_equal(mbt_phase_name(MBT_PHASE_COUNT), "unknown");
}

/* The check values of Koopman's and Williams's catalogues, and RFC 3720's zeros (section B.4). */
static void sums_are_the_published_ones(void **state)
{
    static const char digits[] = "123456789";
    static const char zeros[32];
    (void)state;
    assert_int_equal(mbt_crc32(0, digits, 9), 0xcbf43926);
    assert_int_equal(mbt_crc32(mbt_crc32(0, digits, 4), digits + 4, 5), 0xcbf43926);
    assert_int_equal(mbt_crc32c(digits, 9), 0xe3069283);
    assert_int_equal(mbt_crc32c(zeros, sizeof zeros), 0x8a9136aa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_the_published_ones),
        cmocka_unit_test(error_has_code_message_and_place),
        cmocka_unit_test(error_is_cut_at_its_end),
        cmocka_unit_test(error_takes_its_own_message),
        cmocka_unit_test(worse_status_wins_in_either_order),
        cmocka_unit_test(log_obeys_level_and_rank),
        cmocka_unit_test(log_ends_an_open_bar_and_copies_to_the_file),
        cmocka_unit_test(log_says_errors_and_cuts_long_lines),
        cmocka_unit_test(arena_is_aligned_zero_and_cut_in_order),
        cmocka_unit_test(arena_rounds_to_its_alignment),
        cmocka_unit_test(arena_is_resident_at_once),
        cmocka_unit_test(arena_without_memory_fails_with_the_figure),
        cmocka_unit_test(arena_run_over_asserts),
        cmocka_unit_test(phases_add_up_to_the_whole),
        cmocka_unit_test(phases_have_names_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
