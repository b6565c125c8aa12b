/* Event files on a disk that is full for a while. What is in them is read by e2e/events.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/events.h"

enum { FRAME_BYTES = 16, FIRST_EVENTS = 2 /* version, session start */ };

static void room_for(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int enter_folder(void **state)
{
    char folder[] = "/tmp/mbt_events_XXXXXX";
    (void)signal(SIGXFSZ, SIG_IGN); /* a write says EFBIG */
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        return -1;
    }
    *state = strdup(folder);
    return *state ? 0 : -1;
}

/* The only file here; NULL without one. */
static const char *event_file(void)
{
    static char name[256];
    DIR *dir = opendir(".");
    int n = 0;
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(name, sizeof name, "%s", entry->d_name);
            n++;
        }
    }
    closedir(dir);
    assert_true(n <= 1);
    return n == 1 ? name : NULL;
}

static int leave_folder(void **state)
{
    room_for(RLIM_INFINITY);
    const char *name = event_file();
    int failed = name != NULL ? unlink(name) : 0;
    failed |= chdir("/") | rmdir(*state);
    free(*state);
    return failed;
}

static off_t size_now(void)
{
    struct stat info;
    assert_int_equal(stat(event_file(), &info), 0);
    return info.st_size;
}

/* Records from end to end of the file, whatever is in them. */
static int count_records(void)
{
    uint64_t length;
    unsigned char rest[4096];
    int n = 0;
    FILE *file = fopen(event_file(), "rb");
    assert_non_null(file);
    while (fread(&length, sizeof length, 1, file) == 1) {
        assert_in_range(length, 1, sizeof rest - FRAME_BYTES);
        const size_t bytes = (size_t)length + FRAME_BYTES - sizeof length;
        assert_int_equal(fread(rest, 1, bytes, file), bytes);
        n++;
    }
    fclose(file);
    return n;
}

static void add_row(mbt_metrics *metrics)
{
    mbt_error err = {0};
    mbt_metrics_row row = {.epoch = metrics->n_rows + 1, .step = 10 * (metrics->n_rows + 1)};
    row.train_loss = 1.0 / (double)row.epoch;
    assert_int_equal(mbt_metrics_append(metrics, &row, &err), MBT_OK);
}

static void rows_of_a_full_disk_come_later(void **state)
{
    (void)state;
    mbt_log log;
    mbt_error err = {0};
    mbt_events *events = NULL;
    mbt_metrics metrics = {0};
    mbt_log_init(&log, MBT_LOG_ERROR, 0, 1);
    add_row(&metrics); /* of an earlier sitting */
    assert_int_equal(mbt_events_open(".", 10, &log, &events, &err), MBT_OK);
    add_row(&metrics);
    assert_int_equal(mbt_events_follow(events, &metrics, &err), MBT_OK);
    assert_int_equal(count_records(), FIRST_EVENTS + 1);

    const off_t whole = size_now();
    room_for((rlim_t)whole + 20); /* cuts the record */
    for (int i = 0; i < 2; i++) {
        add_row(&metrics);
        assert_int_equal(mbt_events_follow(events, &metrics, &err), MBT_FAILURE);
        assert_non_null(strstr(err.message, event_file()));
        assert_int_equal(size_now(), whole);
    }
    room_for(RLIM_INFINITY);
    add_row(&metrics);
    assert_int_equal(mbt_events_follow(events, &metrics, &err), MBT_OK);
    assert_int_equal(count_records(), FIRST_EVENTS + 4);
    assert_int_equal(mbt_events_follow(events, &metrics, &err), MBT_OK); /* nothing new */
    assert_int_equal(count_records(), FIRST_EVENTS + 4);
    mbt_events_close(events);
    mbt_metrics_clear(&metrics);
}

static void what_cannot_be_begun_leaves_no_file(void **state)
{
    (void)state;
    mbt_log log;
    mbt_error err = {0};
    mbt_events *events = NULL;
    mbt_log_init(&log, MBT_LOG_ERROR, 0, 1);
    room_for(20);
    assert_int_equal(mbt_events_open(".", 0, &log, &events, &err), MBT_FAILURE);
    assert_null(events);
    room_for(RLIM_INFINITY);
    assert_null(event_file());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(rows_of_a_full_disk_come_later),
                                       TEST(what_cannot_be_begun_leaves_no_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
