/* Shared by the tests of the run directory: see run_fixture.h. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "train/run_fixture.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mbt/file.h"

static double fake_now = 1000;

double __wrap_mbt_timer_clock(void);
double __wrap_mbt_timer_clock(void)
{
    return fake_now;
}

void pass_seconds(double seconds)
{
    fake_now += seconds;
}

/* ---- files ---- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

void remove_tree(const char *path)
{
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *path_in(const fixture *f, const char *name)
{
    static char paths[4][PATH_MAX];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", f->folder, name);
    return path;
}

int exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void read_text(const char *path, char **text)
{
    mbt_error err = {0};
    if (mbt_file_read(path, 1 << 20, text, NULL, &err) != MBT_OK)
        fail_msg("%s", err.message);
}

int file_contains(const char *path, const char *what)
{
    char *text = NULL;
    read_text(path, &text);
    int found = strstr(text, what) != NULL;
    free(text);
    return found;
}

int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    strcpy(f->base, "/tmp/mbt-run-XXXXXX");
    if (!mkdtemp(f->base))
        return -1;
    snprintf(f->folder, sizeof f->folder, "%s/run", f->base);
    mbt_log_init(&f->log, MBT_LOG_INFO, 0, 1);
    unsetenv("SLURM_JOB_ID");
    *state = f;
    return 0;
}

int teardown(void **state)
{
    fixture *f = *state;
    mbt_run_close(f->run);
    remove_tree(f->base);
    free(f);
    return 0;
}

/* ---- opening ---- */

mbt_status open_run(fixture *f, mbt_run_mode mode)
{
    f->err.message[0] = '\0';
    return mbt_run_open(f->folder, mode, &f->log, &f->run, &f->err);
}

void close_run(fixture *f)
{
    mbt_run_close(f->run);
    f->run = NULL;
}

void make_old(fixture *f, const char *mark)
{
    assert_opens(f, MBT_RUN_NEW);
    close_run(f);
    write_text(path_in(f, "config.json"), mark);
}

const char *this_host(void)
{
    static char host[256];
    gethostname(host, sizeof host - 1);
    return host;
}

long long this_namespace(void)
{
    struct stat info;
    assert_int_equal(stat("/proc/self/ns/pid", &info), 0);
    return (long long)info.st_ino;
}

void put_lock(const fixture *f, const char *host, long pid, long long start, long long namespace,
              int age)
{
    char line[512];
    snprintf(line, sizeof line, "%s 77 %ld %lld %lld %012lld\n", host, pid, start, namespace,
             (long long)time(NULL) - age);
    write_text(path_in(f, "lock"), line);
}

pid_t dead_pid(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}
