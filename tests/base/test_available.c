/* available: on machines of our own making, and on this one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/available.h"
#include "mbt/file.h"

enum { MIB = 1 << 20, PATH_ROOM = 512 };

static int enter_folder(void **state)
{
    char folder[] = "/tmp/mbt_available_XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        return -1;
    }
    *state = strdup(folder);
    return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[PATH_ROOM];
    (void)snprintf(command, sizeof command, "rm -r '%s'", (char *)*state);
    const int failed = chdir("/") | system(command);
    free(*state);
    return failed;
}

static void say(const char *path, const char *text)
{
    mbt_error err = {0};
    char folder[PATH_ROOM];
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(mbt_file_make_folder(folder, &err), MBT_OK);
    assert_int_equal(mbt_file_replace(path, text, strlen(text), &err), MBT_OK);
}

static void nothing_is_known(void **state)
{
    (void)state;
    assert_true(mbt_available_bytes(".") == SIZE_MAX);
}

static void without_limits(void **state)
{
    (void)state;
    say("./proc/meminfo", "MemTotal: 4096 kB\nMemAvailable:    2048 kB\n");
    say("./proc/self/cgroup", "0::/\n");
    assert_int_equal(mbt_available_bytes("."), 2 * MIB);
    say("./sys/fs/cgroup/memory.max", "max\n");
    assert_int_equal(mbt_available_bytes("."), 2 * MIB);
}

/* The job's group has the limit, the step's has none. */
static void a_job_of_version_2(void **state)
{
    (void)state;
    say("./proc/meminfo", "MemAvailable: 1048576 kB\n");
    say("./proc/self/cgroup", "0::/slurm/job_7/step_0\n");
    say("./sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
    say("./sys/fs/cgroup/slurm/job_7/memory.max", "10485760\n");
    say("./sys/fs/cgroup/slurm/job_7/memory.current", "6291456\n");
    say("./sys/fs/cgroup/slurm/job_7/memory.stat", "anon 1\ninactive_file 1048576\n");
    assert_int_equal(mbt_available_bytes("."), 5 * MIB);
    say("./sys/fs/cgroup/slurm/memory.max", "3145728\n");
    say("./sys/fs/cgroup/slurm/memory.current", "0\n");
    assert_int_equal(mbt_available_bytes("."), 3 * MIB);
    say("./sys/fs/cgroup/slurm/memory.current", "4194304\n"); /* more than it may */
    assert_int_equal(mbt_available_bytes("."), 0);
}

static void a_container_of_version_1(void **state)
{
    (void)state;
    say("./proc/meminfo", "MemAvailable: 1048576 kB\n");
    say("./proc/self/cgroup", "9:cpu,cpuacct:/\n4:memory:/box\n0::/\n");
    say("./sys/fs/cgroup/memory/box/memory.limit_in_bytes", "8388608\n");
    say("./sys/fs/cgroup/memory/box/memory.usage_in_bytes", "4194304\n");
    say("./sys/fs/cgroup/memory/box/memory.stat", "inactive_file 7\ntotal_inactive_file 2097152\n");
    assert_int_equal(mbt_available_bytes("."), 6 * MIB);
}

static void this_machine(void **state)
{
    (void)state;
    const size_t bytes = mbt_available_bytes("");
    assert_true(bytes >= 16 * (size_t)MIB && bytes < SIZE_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(nothing_is_known), TEST(without_limits),
                                       TEST(a_job_of_version_2), TEST(a_container_of_version_1),
                                       TEST(this_machine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
