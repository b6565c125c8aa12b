/* The lock of a run directory: whose line may be taken over, processes that race for it, the
 * heartbeat, and losing it. */
#include "train/run_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

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
    assert_true(file_contains(path_in(f, "lock"), " 4711/0 "));
}

/* A job that SLURM has put back into the queue, on another node than before. */
static void test_earlier_leg_of_the_job(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *owner, *job, *leg;
        bool gone;
    } cases[] = {
        {"4711/0", "4711", "1", true},   {"4711/1", "4711", "3", true},
        {"4711/1", "4711", "1", false},  {"4711/2", "4711", "1", false},
        {"4711/0", "4711", NULL, false}, {"471/0", "4711", "1", false},
        {"47112/0", "4711", "1", false}, {"4711", "4711", "1", false},
    };
    make_old(f, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[128];
        snprintf(line, sizeof line, "elsewhere %s 5 1 1 %012lld\n", cases[i].owner,
                 (long long)time(NULL));
        write_text(path_in(f, "lock"), line);
        setenv("SLURM_JOB_ID", cases[i].job, 1);
        if (cases[i].leg) {
            setenv("SLURM_RESTART_COUNT", cases[i].leg, 1);
        }
        assert_int_equal(open_run(f, MBT_RUN_RESUME), cases[i].gone ? MBT_OK : MBT_FAILURE);
        close_run(f);
        unsetenv("SLURM_JOB_ID");
        unsetenv("SLURM_RESTART_COUNT");
    }
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

    pass_seconds(MBT_LOCK_BEAT_S - 1);
    assert_int_equal(mbt_run_beat(f->run, &f->err), MBT_OK);
    assert_int_equal(beat_in(f), 1);
    pass_seconds(2);
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
    pass_seconds(MBT_LOCK_BEAT_S - 1);
    assert_int_equal(mbt_run_beat(f->run, &f->err), MBT_OK); /* not asked yet */
    pass_seconds(2);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lock_of_this_process),
        TEST(test_lock_by_its_line),
        TEST(test_lock_without_a_line),
        TEST(test_job_is_in_the_line),
        TEST(test_earlier_leg_of_the_job),
        TEST(test_lock_of_another_process),
        TEST(test_race_for_a_stale_lock),
        TEST(test_race_for_no_lock),
        TEST(test_beat),
        TEST(test_lock_taken_from_us),
        TEST(test_lock_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
