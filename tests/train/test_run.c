/* The run directory: entering it in each mode, its lock between processes, its files, and what it
 * says when it cannot. The monotonic clock is the test's own; heartbeats are put into the lock by
 * hand. */
#define _XOPEN_SOURCE 700 /* nftw */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "mbt/run.h"
#include "mbt/text.h"

static double fake_now = 1000;

double __wrap_mbt_timer_clock(void);
double __wrap_mbt_timer_clock(void)
{
    return fake_now;
}

typedef struct fixture {
    char base[64], folder[128]; /* folder: base/run */
    mbt_log log;
    mbt_error err;
    mbt_run *run;
} fixture;

/* ---- files ---- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_tree(const char *path)
{
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static const char *path_in(const fixture *f, const char *name)
{
    static char paths[4][PATH_MAX];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", f->folder, name);
    return path;
}

static int exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void read_text(const char *path, char **text)
{
    mbt_error err = {0};
    if (mbt_text_read_file(path, 1 << 20, text, NULL, &err) != MBT_OK)
        fail_msg("%s", err.message);
}

static int file_contains(const char *path, const char *what)
{
    char *text = NULL;
    read_text(path, &text);
    int found = strstr(text, what) != NULL;
    free(text);
    return found;
}

static int setup(void **state)
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

static int teardown(void **state)
{
    fixture *f = *state;
    mbt_run_close(f->run);
    remove_tree(f->base);
    free(f);
    return 0;
}

/* ---- opening ---- */

static mbt_status open_run(fixture *f, mbt_run_mode mode)
{
    f->err.message[0] = '\0';
    return mbt_run_open(f->folder, mode, &f->log, &f->run, &f->err);
}

static void close_run(fixture *f)
{
    mbt_run_close(f->run);
    f->run = NULL;
}

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

/* A folder that holds a run, with nobody in it. */
static void make_old(fixture *f, const char *mark)
{
    assert_opens(f, MBT_RUN_NEW);
    close_run(f);
    write_text(path_in(f, "config.json"), mark);
}

static void test_new_folder(void **state)
{
    fixture *f = *state;
    strcat(f->folder, "/deep/er/"); /* parents are made, slashes at the end do not matter */
    assert_opens(f, MBT_RUN_NEW);
    f->folder[strlen(f->folder) - 1] = '\0';
    assert_string_equal(mbt_run_folder(f->run), f->folder);
    assert_string_equal(mbt_run_checkpoints(f->run), path_in(f, "checkpoints"));
    assert_true(exists(path_in(f, "checkpoints")));
    assert_non_null(f->log.file);
    mbt_log_root(&f->log, MBT_LOG_INFO, "a line for both");
    assert_true(file_contains(path_in(f, "log.txt"), "a line for both\n"));

    char host[256] = "", own[512];
    gethostname(host, sizeof host - 1);
    snprintf(own, sizeof own, "%s - %ld ", host, (long)getpid());
    char *line = NULL;
    read_text(path_in(f, "lock"), &line);
    assert_memory_equal(line, own, strlen(own));
    long long beat = atoll(strrchr(line, ' ') + 1);
    assert_true(beat <= time(NULL) && beat > time(NULL) - 60);
    free(line);

    close_run(f);
    assert_null(f->log.file);
    assert_false(exists(path_in(f, "lock")));
    assert_opens(f, MBT_RUN_NEW); /* no configuration and no checkpoint: nothing is lost */
    mbt_run_close(NULL);
}

static void test_new_refuses_a_run(void **state)
{
    fixture *f = *state;
    make_old(f, "{}");
    assert_int_equal(open_run(f, MBT_RUN_NEW), MBT_FAILURE);
    assert_null(f->run);
    assert_null(f->log.file);
    assert_says(f, f->folder);
    assert_says(f, "mbtrain resume");
    assert_says(f, "--force");
    assert_false(exists(path_in(f, "lock")));

    unlink(path_in(f, "config.json"));
    write_text(path_in(f, "checkpoints/.probe-1"), ""); /* no checkpoint */
    assert_opens(f, MBT_RUN_NEW);
    close_run(f);
    write_text(path_in(f, "checkpoints/step-0000000001.h5"), "");
    assert_int_equal(open_run(f, MBT_RUN_NEW), MBT_FAILURE);
}

static void test_resume(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_run(f, MBT_RUN_RESUME), MBT_DATA);
    assert_says(f, f->folder);
    assert_false(exists(f->folder));
    assert_int_equal(mkdir(f->folder, 0777), 0);
    assert_int_equal(open_run(f, MBT_RUN_RESUME), MBT_DATA);
    assert_false(exists(path_in(f, "lock")));

    make_old(f, "{}");
    write_text(path_in(f, "log.txt"), "before\n");
    assert_opens(f, MBT_RUN_RESUME);
    mbt_log_root(&f->log, MBT_LOG_INFO, "behind");
    char *text = NULL;
    read_text(path_in(f, "log.txt"), &text);
    assert_memory_equal(text, "before\n", 7);
    assert_non_null(strstr(text, "behind\n"));
    free(text);
    assert_true(file_contains(path_in(f, "config.json"), "{}"));
}

static void test_force(void **state)
{
    fixture *f = *state;
    char old[256];
    assert_opens(f, MBT_RUN_FORCE); /* nothing there: like new */
    close_run(f);
    assert_opens(f, MBT_RUN_FORCE);
    close_run(f);
    snprintf(old, sizeof old, "%s.old-1", f->folder);
    assert_false(exists(old));

    for (int n = 1; n <= 3; n++) {
        char mark[16], name[300];
        snprintf(mark, sizeof mark, "run %d", n);
        make_old(f, mark);
        assert_opens(f, MBT_RUN_FORCE);
        assert_false(exists(path_in(f, "config.json")));
        assert_true(exists(path_in(f, "lock")));
        snprintf(old, sizeof old, "%s.old-%d", f->folder, n);
        assert_true(file_contains(path_in(f, "log.txt"), old));
        close_run(f);
        snprintf(name, sizeof name, "%s/config.json", old);
        assert_true(file_contains(name, mark));
        snprintf(name, sizeof name, "%s/lock", old);
        assert_false(exists(name));
    }
}

static void test_force_behind_a_link(void **state)
{
    fixture *f = *state;
    char real[256], link[256];
    make_old(f, "{}");
    snprintf(real, sizeof real, "%s.old-1", f->folder);
    snprintf(link, sizeof link, "%s/link", f->base);
    assert_int_equal(symlink("run", link), 0);
    assert_int_equal(mbt_run_open(link, MBT_RUN_FORCE, &f->log, &f->run, &f->err), MBT_OK);
    assert_true(exists(real));
    strcat(link, "/lock");
    assert_true(exists(link) && exists(path_in(f, "lock")));
}

/* ---- the lock ---- */

static const char *this_host(void)
{
    static char host[256];
    gethostname(host, sizeof host - 1);
    return host;
}

static long long this_namespace(void)
{
    struct stat info;
    assert_int_equal(stat("/proc/self/ns/pid", &info), 0);
    return (long long)info.st_ino;
}

/* The lock of somebody who is not there. */
static void put_lock(const fixture *f, const char *host, long pid, long long start,
                     long long namespace, int age)
{
    char line[512];
    snprintf(line, sizeof line, "%s 77 %ld %lld %lld %012lld\n", host, pid, start, namespace,
             (long long)time(NULL) - age);
    write_text(path_in(f, "lock"), line);
}

static pid_t dead_pid(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

static void assert_held(fixture *f)
{
    char *before = NULL;
    read_text(path_in(f, "lock"), &before);
    assert_int_equal(open_run(f, MBT_RUN_RESUME), MBT_FAILURE);
    assert_null(f->run);
    assert_says(f, path_in(f, "lock"));
    assert_says(f, "in use");
    assert_int_equal(open_run(f, MBT_RUN_FORCE), MBT_FAILURE); /* nor is it moved away */
    assert_says(f, "in use");
    char *after = NULL;
    read_text(path_in(f, "lock"), &after);
    assert_string_equal(before, after); /* untouched */
    free(before);
    free(after);
}

static void assert_taken_over(fixture *f)
{
    write_text(path_in(f, "log.txt"), "");
    assert_opens(f, MBT_RUN_RESUME);
    assert_true(file_contains(path_in(f, "log.txt"), "warning: "));
    assert_true(file_contains(path_in(f, "log.txt"), "taken over"));
    char own[512];
    snprintf(own, sizeof own, "%s - %ld ", this_host(), (long)getpid());
    assert_true(file_contains(path_in(f, "lock"), own));
    close_run(f);
    assert_false(exists(path_in(f, "lock")));
}

static void test_lock_of_this_process(void **state)
{
    fixture *f = *state;
    make_old(f, "{}");
    assert_opens(f, MBT_RUN_RESUME);
    mbt_run *first = f->run;
    assert_held(f);
    char pid[32];
    snprintf(pid, sizeof pid, "pid %ld,", (long)getpid());
    assert_says(f, pid);
    assert_says(f, this_host());
    mbt_run_close(first);
    assert_opens(f, MBT_RUN_RESUME);
}

static void test_lock_by_its_line(void **state)
{
    fixture *f = *state;
    pid_t dead = dead_pid();
    long long here = this_namespace();
    make_old(f, "{}");

    /* another host: only its heartbeat tells */
    put_lock(f, "elsewhere", dead, 1, here, 0);
    assert_held(f);
    assert_says(f, "elsewhere");
    assert_says(f, "job 77");
    put_lock(f, "elsewhere", dead, 1, here, MBT_LOCK_SILENT_S - 20);
    assert_held(f);
    put_lock(f, "elsewhere", getpid(), 1, here, MBT_LOCK_SILENT_S + 20);
    assert_taken_over(f);

    /* this host: the process tells at once */
    put_lock(f, this_host(), dead, 1, here, 0);
    assert_taken_over(f);
    put_lock(f, this_host(), getpid(), 1, here, 0); /* the pid is used again */
    assert_taken_over(f);
    put_lock(f, this_host(), getpid(), 0, here, 0); /* its start is not known */
    assert_held(f);
    put_lock(f, this_host(), getpid(), 0, here, MBT_LOCK_SILENT_S + 20); /* hangs */
    assert_taken_over(f);

    /* the same host name, but pids of another container */
    put_lock(f, this_host(), dead, 1, here + 1, 0);
    assert_held(f);
    put_lock(f, this_host(), dead, 1, here + 1, MBT_LOCK_SILENT_S + 20);
    assert_taken_over(f);
}

static void test_lock_without_a_line(void **state)
{
    fixture *f = *state;
    static const char *const lines[] = {"", "\n", "host job 12", "host job pid 1 1 1\n",
                                        "host job -4 1 1 1\n"};
    make_old(f, "{}");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct utimbuf past = {time(NULL) - MBT_LOCK_SILENT_S - 20,
                               time(NULL) - MBT_LOCK_SILENT_S - 20};
        write_text(path_in(f, "lock"), lines[i]);
        assert_held(f); /* its owner may be about to write it */
        assert_int_equal(utime(path_in(f, "lock"), &past), 0);
        assert_taken_over(f);
    }
}

static void test_job_is_in_the_line(void **state)
{
    fixture *f = *state;
    setenv("SLURM_JOB_ID", "4711", 1);
    assert_opens(f, MBT_RUN_NEW);
    unsetenv("SLURM_JOB_ID");
    assert_true(file_contains(path_in(f, "lock"), " 4711 "));
}

/* Opens in a child, tells by one byte how it went, and holds the run until it is killed or told
 * to go on by the end of `go`. */
typedef struct child {
    pid_t pid;
    int told, go;
} child;

static child start_child(fixture *f, int barrier)
{
    int told[2], go[2];
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char byte;
        close(told[0]);
        close(go[1]);
        f->log.level = MBT_LOG_ERROR;
        if (barrier >= 0)
            (void)!read(barrier, &byte, 1);
        mbt_status status = open_run(f, MBT_RUN_RESUME);
        byte = (char)status;
        (void)!write(told[1], &byte, 1);
        (void)!read(go[0], &byte, 1);
        mbt_run_close(f->run);
        _exit(0);
    }
    close(told[1]);
    close(go[0]);
    return (child){pid, told[0], go[1]};
}

static mbt_status answer(child *c)
{
    char byte = 0x7f;
    assert_int_equal(read(c->told, &byte, 1), 1);
    return (mbt_status)byte;
}

static void end_child(child *c)
{
    close(c->go);
    close(c->told);
    assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
}

static void test_lock_of_another_process(void **state)
{
    fixture *f = *state;
    make_old(f, "{}");
    child c = start_child(f, -1);
    assert_int_equal(answer(&c), MBT_OK);
    assert_held(f);
    end_child(&c); /* closes in order */
    assert_opens(f, MBT_RUN_RESUME);
    close_run(f);
    assert_false(file_contains(path_in(f, "log.txt"), "taken over"));

    c = start_child(f, -1);
    assert_int_equal(answer(&c), MBT_OK);
    kill(c.pid, SIGSTOP);
    assert_held(f); /* stopped is not gone */
    kill(c.pid, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT), 0);
    assert_taken_over(f); /* dead, though its parent has not asked for it */
    end_child(&c);
}

/* Several processes find a stale lock, or none, at the same moment: exactly one gets in. */
static void race(fixture *f, int with_stale_lock)
{
    enum { CHILDREN = 8, ROUNDS = 25 };
    pid_t dead = dead_pid();
    for (int round = 0; round < ROUNDS; round++) {
        child children[CHILDREN];
        int barrier[2];
        int n_in = 0;
        assert_int_equal(pipe(barrier), 0);
        if (with_stale_lock)
            put_lock(f, this_host(), dead, 1, this_namespace(), 0);
        for (int i = 0; i < CHILDREN; i++)
            children[i] = start_child(f, barrier[0]);
        assert_int_equal(write(barrier[1], "12345678", CHILDREN), CHILDREN);
        for (int i = 0; i < CHILDREN; i++) {
            mbt_status status = answer(&children[i]);
            assert_true(status == MBT_OK || status == MBT_FAILURE);
            n_in += status == MBT_OK;
        }
        assert_int_equal(n_in, 1);
        assert_true(exists(path_in(f, "lock")));
        for (int i = 0; i < CHILDREN; i++) {
            /* killed, since the children after it hold copies of its pipe's ends */
            kill(children[i].pid, SIGKILL);
            end_child(&children[i]);
        }
        close(barrier[0]);
        close(barrier[1]);
        unlink(path_in(f, "lock"));
    }
}

static void test_race_for_a_stale_lock(void **state)
{
    fixture *f = *state;
    make_old(f, "{}");
    race(f, 1);
}

static void test_race_for_no_lock(void **state)
{
    fixture *f = *state;
    make_old(f, "{}");
    race(f, 0);
}

/* ---- the heartbeat ---- */

static long long beat_in(const fixture *f)
{
    char *line = NULL;
    read_text(path_in(f, "lock"), &line);
    long long beat = atoll(strrchr(line, ' ') + 1);
    free(line);
    return beat;
}

static void test_beat(void **state)
{
    fixture *f = *state;
    assert_opens(f, MBT_RUN_NEW);
    /* the same file with an old heartbeat: what is written by us shows */
    char *line = NULL;
    read_text(path_in(f, "lock"), &line);
    size_t bytes = strlen(line);
    memcpy(strrchr(line, ' ') + 1, "000000000001", 12);
    int fd = open(path_in(f, "lock"), O_WRONLY);
    assert_int_equal(write(fd, line, bytes), bytes);
    close(fd);
    free(line);
    assert_int_equal(beat_in(f), 1);

    fake_now += MBT_LOCK_BEAT_S - 1;
    assert_int_equal(mbt_run_beat(f->run, &f->err), MBT_OK);
    assert_int_equal(beat_in(f), 1);
    fake_now += 2;
    assert_int_equal(mbt_run_beat(f->run, &f->err), MBT_OK);
    assert_true(beat_in(f) > time(NULL) - 60);
    read_text(path_in(f, "lock"), &line);
    assert_int_equal(strlen(line), bytes);
    free(line);
}

/* Somebody took the lock over (or removed it): nothing more is written, his lock stays. */
static void lose(fixture *f, int removed)
{
    mbt_metrics metrics = {0};
    mbt_config config;
    mbt_config_defaults(&config);
    assert_opens(f, MBT_RUN_NEW);
    if (removed) {
        assert_int_equal(unlink(path_in(f, "lock")), 0);
    } else {
        char line[128];
        snprintf(line, sizeof line, "elsewhere 5 6 7 8 %012lld\n", (long long)time(NULL));
        write_text(path_in(f, "lock.new"), line);
        assert_int_equal(rename(path_in(f, "lock.new"), path_in(f, "lock")), 0);
    }
    fake_now += MBT_LOCK_BEAT_S - 1;
    assert_int_equal(mbt_run_beat(f->run, &f->err), MBT_OK); /* not asked yet */
    fake_now += 2;
    assert_int_equal(mbt_run_beat(f->run, &f->err), MBT_FAILURE);
    assert_says(f, path_in(f, "lock"));
    assert_says(f, removed ? "not there" : "elsewhere");
    assert_int_equal(mbt_run_beat(f->run, &f->err), MBT_FAILURE); /* from now on */

    assert_null(f->log.file);
    mbt_log_root(&f->log, MBT_LOG_INFO, "not in the file");
    assert_false(file_contains(path_in(f, "log.txt"), "not in the file"));
    assert_int_equal(mbt_run_write_config(f->run, &config, &f->err), MBT_FAILURE);
    assert_int_equal(mbt_run_write_metrics(f->run, &metrics, &f->err), MBT_FAILURE);
    assert_false(exists(path_in(f, "config.json")) || exists(path_in(f, "metrics.h5")) ||
                 exists(path_in(f, "metrics.csv")));
    close_run(f);
    assert_int_equal(exists(path_in(f, "lock")), !removed);
}

static void test_lock_taken_from_us(void **state)
{
    lose(*state, 0);
}

static void test_lock_removed(void **state)
{
    lose(*state, 1);
}

/* ---- files of a run ---- */

static void test_config(void **state)
{
    fixture *f = *state;
    mbt_config config, back;
    char differs[256];
    mbt_config_defaults(&config);
    config.train.epochs = 37;
    config.schedule.lr = 1.0 / 3.0;
    assert_opens(f, MBT_RUN_NEW);
    if (mbt_run_write_config(f->run, &config, &f->err) != MBT_OK)
        fail_msg("%s", f->err.message);
    memset(&back, 0xff, sizeof back);
    if (mbt_run_read_config(f->folder, &back, &f->err) != MBT_OK)
        fail_msg("%s", f->err.message);
    assert_true(back.schedule.lr == config.schedule.lr);
    mbt_config_difference(&config, &back, differs, sizeof differs);
    assert_string_equal(differs, "");

    close_run(f);
    assert_int_equal(open_run(f, MBT_RUN_NEW), MBT_FAILURE); /* now it holds a run */
    remove_tree(f->folder);
    assert_int_equal(mbt_run_read_config(f->folder, &back, &f->err), MBT_CONFIG);
    assert_says(f, "config.json");
}

static void test_metrics(void **state)
{
    fixture *f = *state;
    mbt_metrics metrics = {0}, back = {0};
    mbt_store *store = NULL;
    assert_opens(f, MBT_RUN_NEW);
    for (int i = 1; i <= 3; i++) {
        mbt_metrics_row row = {.epoch = i, .step = 10 * i, .train_loss = 1.0 / i};
        assert_int_equal(mbt_metrics_append(&metrics, &row, &f->err), MBT_OK);
        if (mbt_run_write_metrics(f->run, &metrics, &f->err) != MBT_OK)
            fail_msg("%s", f->err.message);
    }
    assert_true(file_contains(path_in(f, "metrics.csv"), "\n3,30,0,0.333333333333333"));
    if (mbt_store_open(path_in(f, "metrics.h5"), 1 << 20, &store, &f->err) != MBT_OK)
        fail_msg("%s", f->err.message);
    assert_int_equal(mbt_metrics_load(&back, store, "/metrics", &f->err), MBT_OK);
    assert_int_equal(back.n_rows, 3);
    assert_memory_equal(back.rows, metrics.rows, 3 * sizeof *back.rows);
    mbt_store_close(store);
    mbt_metrics_clear(&back);
    mbt_metrics_clear(&metrics);
}

/* ---- where it cannot be ---- */

static void test_file_in_the_way(void **state)
{
    fixture *f = *state;
    static const mbt_run_mode modes[] = {MBT_RUN_NEW, MBT_RUN_FORCE, MBT_RUN_RESUME};
    write_text(f->folder, "precious");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(open_run(f, modes[i]), MBT_FAILURE);
        assert_says(f, f->folder);
        assert_says(f, "is a file");
    }
    strcat(f->folder, "/below");
    assert_int_equal(open_run(f, MBT_RUN_NEW), MBT_FAILURE);
    assert_says(f, f->folder);
    assert_says(f, "File exists"); /* above it, not a folder */
    *strrchr(f->folder, '/') = '\0';
    assert_true(file_contains(f->folder, "precious"));

    assert_int_equal(mbt_run_open("", MBT_RUN_NEW, &f->log, &f->run, &f->err), MBT_FAILURE);
    assert_says(f, "empty name");
}

static void test_checkpoints_in_the_way(void **state)
{
    fixture *f = *state;
    assert_int_equal(mkdir(f->folder, 0777), 0);
    write_text(path_in(f, "checkpoints"), "");
    assert_int_equal(open_run(f, MBT_RUN_NEW), MBT_FAILURE);
    assert_says(f, path_in(f, "checkpoints"));
    assert_false(exists(path_in(f, "lock")));
    assert_null(f->log.file);
}

/* Runs `mode` in a child that may not do something; its message comes back. */
static mbt_status open_in_child(fixture *f, mbt_run_mode mode, void (*restrict_it)(void))
{
    int told[2];
    int how = -1;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        restrict_it();
        mbt_status status = open_run(f, mode);
        (void)!write(told[1], f->err.message, sizeof f->err.message);
        mbt_run_close(f->run);
        _exit((int)status);
    }
    close(told[1]);
    (void)!read(told[0], f->err.message, sizeof f->err.message);
    close(told[0]);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how));
    return (mbt_status)WEXITSTATUS(how);
}

/* Root writes anywhere: the child becomes somebody else. */
static void be_nobody(void)
{
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(99);
}

static void test_unwritable(void **state)
{
    fixture *f = *state;
    static const char *const places[] = {"", "/checkpoints"};
    make_old(f, "{}");
    assert_int_equal(chmod(f->base, 0755), 0);
    for (int i = 0; i < 2; i++) {
        char place[256];
        snprintf(place, sizeof place, "%s%s", f->folder, places[i]);
        assert_int_equal(chmod(f->folder, 0777), 0);
        assert_int_equal(chmod(path_in(f, "checkpoints"), 0777), 0);
        assert_int_equal(chmod(place, 0555), 0);
        assert_int_equal(open_in_child(f, MBT_RUN_RESUME, be_nobody), MBT_FAILURE);
        assert_says(f, place);
        assert_says(f, "Permission denied");
        assert_int_equal(chmod(place, 0755), 0);
        assert_false(exists(path_in(f, "lock")));
    }
    snprintf(f->folder, sizeof f->folder, "%s/other", f->base);
    assert_int_equal(chmod(f->base, 0555), 0);
    assert_int_equal(open_in_child(f, MBT_RUN_NEW, be_nobody), MBT_FAILURE);
    assert_says(f, f->folder);
    assert_says(f, "Permission denied");
    assert_int_equal(chmod(f->base, 0755), 0);
}

/* A limit on file sizes stands for a full disk: writes are cut short, then fail. */
static void limit_files(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, bytes}) != 0)
        _exit(99);
}

static void no_bytes(void)
{
    limit_files(0);
}

static void few_bytes(void)
{
    limit_files(1000);
}

static void test_no_space(void **state)
{
    fixture *f = *state;
    make_old(f, "{}");
    assert_int_equal(open_in_child(f, MBT_RUN_RESUME, no_bytes), MBT_FAILURE);
    assert_says(f, path_in(f, "lock"));
    assert_says(f, "File too large");
    assert_false(exists(path_in(f, "lock")));

    assert_int_equal(open_in_child(f, MBT_RUN_RESUME, few_bytes), MBT_FAILURE);
    assert_says(f, path_in(f, "checkpoints"));
    assert_says(f, "File too large");
    assert_false(exists(path_in(f, "lock")));
    assert_int_equal(rmdir(path_in(f, "checkpoints")), 0); /* nothing was left there */

    /* a stale lock stays what it was */
    put_lock(f, this_host(), dead_pid(), 1, this_namespace(), 0);
    char *before = NULL;
    read_text(path_in(f, "lock"), &before);
    assert_int_equal(open_in_child(f, MBT_RUN_RESUME, no_bytes), MBT_FAILURE);
    char *after = NULL;
    read_text(path_in(f, "lock"), &after);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_new_folder),
        TEST(test_new_refuses_a_run),
        TEST(test_resume),
        TEST(test_force),
        TEST(test_force_behind_a_link),
        TEST(test_lock_of_this_process),
        TEST(test_lock_by_its_line),
        TEST(test_lock_without_a_line),
        TEST(test_job_is_in_the_line),
        TEST(test_lock_of_another_process),
        TEST(test_race_for_a_stale_lock),
        TEST(test_race_for_no_lock),
        TEST(test_beat),
        TEST(test_lock_taken_from_us),
        TEST(test_lock_removed),
        TEST(test_config),
        TEST(test_metrics),
        TEST(test_file_in_the_way),
        TEST(test_checkpoints_in_the_way),
        TEST(test_unwritable),
        TEST(test_no_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
