/* watchdog: whatever happens to one rank of three, the job ends in time, with its code, and with
 * the rank's name; what only looks like silence ends nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "mbt/status.h"
#include "mbt/timer.h"

enum { OUTPUT_BYTES = 1 << 16 };
static const double LIMIT_S = 1, ALLOWED_S = 10; /* of watchdog_probe.c; beyond it */

/* Runs the probe on n ranks; its output goes to `out`, and its exit code is wanted. */
static void probe(int n, const char *what, int code, char out[OUTPUT_BYTES])
{
    char command[4096];
    const double from = mbt_timer_clock();
    const int length =
        n == 1 ? snprintf(command, sizeof command, "exec '%s' %s 2>&1", WATCHDOG_PROBE, what)
               : snprintf(command, sizeof command,
                          "exec " MPIRUN " --oversubscribe --allow-run-as-root -n %d '%s' %s 2>&1",
                          n, WATCHDOG_PROBE, what);
    assert_in_range(length, 1, sizeof command - 1);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    out[fread(out, 1, OUTPUT_BYTES - 1, pipe)] = '\0';
    const int ended = pclose(pipe);
    if (!WIFEXITED(ended) || WEXITSTATUS(ended) != code) {
        fail_msg("%s: got code %d, wanted %d: %s", what, WEXITSTATUS(ended), code, out);
    }
    assert_true(mbt_timer_clock() - from < LIMIT_S + ALLOWED_S);
}

static void wants(const char *out, const char *text)
{
    if (strstr(out, text) == NULL) {
        fail_msg("lacks \"%s\": %s", text, out);
    }
}

/* Said once for the node, though two ranks noticed. */
static void wants_once(const char *out, const char *text)
{
    wants(out, text);
    const char *again = strstr(strstr(out, text) + 1, text);
    if (again != NULL) {
        fail_msg("\"%s\" is said twice: %s", text, out);
    }
}

static void hang_is_named(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    probe(3, "sleep", MBT_PEER, out);
    wants_once(out, "error: watchdog: nothing has moved");
    wants(out, " s: rank 2 (step 2, forward) hangs and the others wait: the job ends\n");
    wants(out, "[rank 0/3] error"); /* which has the log file */
    probe(1, "sleep", MBT_PEER, out);
    wants_once(out, "rank 0 (step 2, forward) hangs: the job ends\n");
}

static void stopped_process_is_named(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    probe(3, "stop", MBT_PEER, out);
    wants_once(out, "error: watchdog: nothing has moved");
    wants(out, " s: rank 2 (step 2, forward");
    wants(out, ") hangs and the others wait: the job ends\n");
}

static void death_is_named(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    probe(3, "kill", 128 + 9, out); /* mpirun's code */
    wants_once(out, "error: rank 2 on ");
    wants(out, " died at step 2, forward: the job ends\n");
}

#ifndef __SANITIZE_ADDRESS__ /* whose own report of a crash is left alone */
static void crash_is_named(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    probe(3, "crash", MBT_PEER, out);
    wants(out, "rank 2 on ");
    wants(out, " crashed: signal 11 (segmentation fault) at step 2, forward\n");
    wants(out, "watchdog_probe(+0x"); /* the stack */
    probe(3, "overflow", MBT_PEER, out);
    wants(out, " crashed: signal 11 (segmentation fault) at step 2, forward\n");
    probe(3, "exit", MBT_PEER, out);
    wants(out, " was ended: code 255 (by a library) at step 2, forward\n");
}
#endif

static void no_alarm_without_need(void **state)
{
    (void)state;
    static const char *const harmless[] = {"nothing", "beat", "start", "off"};
    char out[OUTPUT_BYTES];
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        probe(1, harmless[i], MBT_OK, out);
        assert_string_equal(out, "");
    }
    probe(1, "pause", MBT_OK, out);
    assert_string_equal(out, "");
    probe(3, "nothing", MBT_OK, out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hang_is_named),         cmocka_unit_test(stopped_process_is_named),
        cmocka_unit_test(death_is_named),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(crash_is_named),
#endif
        cmocka_unit_test(no_alarm_without_need),
    };
    (void)setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    (void)setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
