/* The progress line on a pseudo terminal and on a pipe. The clock is the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mbt/progress.h"

static double fake_now;

double __wrap_mbt_timer_clock(void);
double __wrap_mbt_timer_clock(void)
{
    return fake_now;
}

/* stderr goes to `inner`; what is written there is read from `outer`. */
typedef struct screen {
    int outer, inner, kept;
    mbt_log log;
    mbt_progress progress;
    size_t bytes;
    char text[1 << 16];
} screen;

static const char erase[] = "\r\033[K";

/* Reads what is there already, so that the kernel's buffer never fills up. */
static void drain(screen *s)
{
    struct pollfd ready = {.fd = s->outer, .events = POLLIN};
    while (poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN)) {
        ssize_t got = read(s->outer, s->text + s->bytes, sizeof s->text - 1 - s->bytes);
        if (got <= 0)
            break;
        s->bytes += (size_t)got;
    }
    s->text[s->bytes] = '\0';
}

static void begin(screen *s, int pseudo, int columns, double interval)
{
    memset(s, 0, sizeof *s);
    fake_now = 1000;
    setenv("TERM", "xterm", 1);
    if (pseudo) {
        struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = 24};
        assert_int_equal(openpty(&s->outer, &s->inner, NULL, NULL, &size), 0);
    } else {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        s->outer = ends[0];
        s->inner = ends[1];
    }
    s->kept = dup(STDERR_FILENO);
    assert_true(s->kept >= 0);
    dup2(s->inner, STDERR_FILENO);
    mbt_log_init(&s->log, MBT_LOG_INFO, 0, 1);
    mbt_progress_init(&s->progress, &s->log, interval);
}

/* Gives stderr back before anything is asserted. */
static void finish(screen *s)
{
    drain(s);
    dup2(s->kept, STDERR_FILENO);
    close(s->kept);
    close(s->inner);
    close(s->outer);
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

static void test_bar(void **state)
{
    (void)state;
    screen s;
    begin(&s, 1, 80, 30);
    mbt_progress_begin(&s.progress, 3, 5, 196);
    mbt_progress_show(&s.progress, 120, 512.4, 1.23454, 56.781, 192);
    finish(&s);
    assert_true(s.progress.terminal);
    assert_int_equal(s.log.bar_open, 1);
    assert_string_equal(s.text, "\r\033[Kepoch 3/5 [=====>   ] 120/196  512 img/s  loss 1.2345  "
                                "top1 56.78 %  left 03:12");
    assert_int_equal(strlen(s.text) - strlen(erase), 79);
}

/* Never as wide as the terminal; first the bar goes, then the end; and no wider than is useful. */
static void test_bar_fits_the_terminal(void **state)
{
    (void)state;
    static const char numbers[] = "120/196  512 img/s  loss 1.2345  top1 56.78 %  left 03:12";
    static const struct {
        int columns, length, cells;
    } cases[] = {{300, 110, 40}, {115, 110, 40}, {100, 99, 29}, {90, 89, 19},
                 {77, 76, 6},    {76, 67, 0},    {68, 67, 0},   {67, 66, 0},
                 {20, 19, 0},    {2, 1, 0},      {1, 0, 0},     {0, 79, 9}}; /* 0: unknown, 80 */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        screen s;
        begin(&s, 1, cases[i].columns, 30);
        mbt_progress_begin(&s.progress, 3, 5, 196);
        mbt_progress_show(&s.progress, 120, 512.4, 1.23454, 56.781, 192);
        finish(&s);
        assert_memory_equal(s.text, erase, strlen(erase));
        const char *line = s.text + strlen(erase);
        assert_int_equal(strlen(line), cases[i].length);
        const char *open = strchr(line, '['), *shut = strchr(line, ']');
        assert_int_equal(open && shut ? shut - open - 1 : 0, cases[i].cells);
        if (cases[i].cells > 0)
            assert_string_equal(shut + 2, numbers);
    }
}

static void test_bar_fills(void **state)
{
    (void)state;
    static const struct {
        int step;
        const char *bar;
    } cases[] = {
        {0, "[>          ]"}, {49, "[==>       ]"}, {195, "[========>]"}, {196, "[=========]"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        screen s;
        begin(&s, 1, 80, 30);
        mbt_progress_begin(&s.progress, 3, 5, 196);
        mbt_progress_show(&s.progress, cases[i].step, 512.4, 1.23454, 56.781, 192);
        finish(&s);
        assert_non_null(strstr(s.text, cases[i].bar));
    }
}

static void test_bar_is_drawn_ten_times_a_second(void **state)
{
    (void)state;
    screen s;
    begin(&s, 1, 80, 30);
    mbt_progress_begin(&s.progress, 1, 1, 5000);
    for (int i = 1; i <= 5000; i++) {
        fake_now += 0.001;
        mbt_progress_show(&s.progress, i, 512, 1, 50, 10);
        drain(&s);
    }
    finish(&s);
    assert_in_range(count(s.text, erase), 45, 51);
}

static void test_log_line_ends_the_bar(void **state)
{
    (void)state;
    screen s;
    begin(&s, 1, 80, 30);
    mbt_progress_begin(&s.progress, 1, 2, 100);
    mbt_progress_show(&s.progress, 1, 512, 1, 50, 10);
    mbt_log_root(&s.log, MBT_LOG_WARN, "hello");
    int open_after_log = s.log.bar_open;
    fake_now += 1;
    mbt_progress_show(&s.progress, 2, 512, 1, 50, 10);
    mbt_progress_end(&s.progress);
    mbt_progress_end(&s.progress); /* nothing to erase twice */
    finish(&s);
    assert_int_equal(open_after_log, 0);
    assert_int_equal(s.log.bar_open, 0);
    assert_int_equal(count(s.text, erase), 3);
    assert_non_null(strstr(s.text, "left 10.0 s\r\nwarning: hello\r\n\r\033[Kepoch 1/2 ["));
    assert_string_equal(s.text + strlen(s.text) - strlen(erase), erase);
}

static void test_what_is_no_number(void **state)
{
    (void)state;
    screen s;
    begin(&s, 1, 200, 30);
    mbt_progress_begin(&s.progress, 1, 1, 0);
    mbt_progress_show(&s.progress, 1, INFINITY, NAN, NAN, INFINITY);
    fake_now += 1;
    mbt_progress_show(&s.progress, 1, 1e300, 1e300, -1e300, NAN);
    finish(&s);
    assert_non_null(strstr(s.text, "inf img/s  loss nan  top1 nan %  left ?"));
    assert_int_equal(count(s.text, erase), 2);
}

/* The first line after 5 s, then one per interval, whatever the epochs do. */
static void test_pipe(void **state)
{
    (void)state;
    screen s;
    int lines_at[4] = {0};
    begin(&s, 0, 0, 30);
    for (int epoch = 1; epoch <= 100; epoch++) { /* of a second each */
        mbt_progress_begin(&s.progress, epoch, 100, 10);
        for (int i = 1; i <= 10; i++) {
            fake_now += 0.1;
            mbt_progress_show(&s.progress, i, 512.4, 1.23454, 56.781, 192);
        }
        mbt_progress_end(&s.progress);
        drain(&s);
        if (epoch == 4 || epoch == 6 || epoch == 34 || epoch == 36)
            lines_at[epoch / 30 * 2 + (epoch % 30 == 6)] = count(s.text, "\n");
    }
    finish(&s);
    assert_int_equal(s.progress.terminal, 0);
    assert_int_equal(lines_at[0], 0);
    assert_int_equal(lines_at[1], 1);
    assert_int_equal(lines_at[2], 1);
    assert_int_equal(lines_at[3], 2);
    assert_int_equal(count(s.text, "\n"), 4); /* 5, 35, 65, 95 s */
    assert_null(strchr(s.text, '\r'));
    assert_null(strchr(s.text, '\033'));
    assert_memory_equal(s.text, "epoch ", 6);
    assert_non_null(strstr(s.text, "/100  step "));
    assert_non_null(strstr(s.text, "/10  512 img/s  loss 1.2345  top1 56.78 %  left 03:12\n"));
}

/* Whatever interval is asked for: an interval of 0 is no flood, and a short one comes first. */
static void test_pipe_intervals(void **state)
{
    (void)state;
    static const struct {
        double interval;
        int lines;
    } cases[] = {{0, 20}, {-1, 20}, {2, 10}, {5, 4}, {1000, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        screen s;
        begin(&s, 0, 0, cases[i].interval);
        mbt_progress_begin(&s.progress, 1, 1, 20000);
        for (int step = 1; step <= 20500; step++) {
            fake_now += 0.001;
            mbt_progress_show(&s.progress, step, 512, 1, 50, 10);
            drain(&s);
        }
        finish(&s);
        assert_in_range(count(s.text, "\n"), cases[i].lines - 1, cases[i].lines);
    }
}

static void test_who_is_silent(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        screen s;
        begin(&s, i % 2, 80, 1);
        s.log.rank = i < 2;
        s.log.level = i < 2 ? MBT_LOG_INFO : MBT_LOG_WARN;
        mbt_progress_begin(&s.progress, 1, 1, 10);
        fake_now += 100;
        mbt_progress_show(&s.progress, 1, 512, 1, 50, 10);
        mbt_progress_end(&s.progress);
        finish(&s);
        assert_string_equal(s.text, "");
    }
}

/* A terminal that cannot erase gets plain lines. */
static void test_dumb_terminal(void **state)
{
    (void)state;
    screen s;
    begin(&s, 1, 80, 30);
    setenv("TERM", "dumb", 1);
    mbt_progress_init(&s.progress, &s.log, 30);
    mbt_progress_begin(&s.progress, 1, 1, 10);
    fake_now += 6;
    mbt_progress_show(&s.progress, 1, 512, 1, 50, 10);
    finish(&s);
    assert_int_equal(s.progress.terminal, 0);
    assert_string_equal(
        s.text, "epoch 1/1  step 1/10  512 img/s  loss 1.0000  top1 50.00 %  left 10.0 s\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bar),
        cmocka_unit_test(test_bar_fits_the_terminal),
        cmocka_unit_test(test_bar_fills),
        cmocka_unit_test(test_bar_is_drawn_ten_times_a_second),
        cmocka_unit_test(test_log_line_ends_the_bar),
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_pipe_intervals),
        cmocka_unit_test(test_who_is_silent),
        cmocka_unit_test(test_dumb_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
