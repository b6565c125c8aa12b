/* The run directory: entering it in each mode, its files, and what it says when it cannot. */
#include "train/run_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

static mode_t mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void test_umask(void **state)
{
    fixture *f = *state;
    strcat(f->folder, "/deep/er");
    const mode_t before = umask(027);
    const mbt_status status = open_run(f, MBT_RUN_NEW);
    (void)umask(before);
    assert_int_equal(status, MBT_OK);
    assert_int_equal(mode_of(f->folder), 0750);
    assert_int_equal(mode_of(path_in(f, "checkpoints")), 0750);
    assert_int_equal(mode_of(path_in(f, "log.txt")), 0640);
    assert_int_equal(mode_of(path_in(f, "lock")), 0640);
    close_run(f);
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

/* One line for the first start and for every later one. */
static void test_auto(void **state)
{
    fixture *f = *state;
    assert_opens(f, MBT_RUN_AUTO);
    write_text(path_in(f, "config.json"), "{}");
    close_run(f);
    assert_opens(f, MBT_RUN_AUTO);
    mbt_run *first = f->run;
    assert_int_equal(open_run(f, MBT_RUN_AUTO), MBT_FAILURE);
    assert_says(f, "in use");
    mbt_run_close(first);
    assert_true(exists(path_in(f, "config.json")));
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
    const struct CMUnitTest tests[] = {
        TEST(test_new_folder),      TEST(test_new_refuses_a_run),
        TEST(test_resume),          TEST(test_auto),
        TEST(test_force),           TEST(test_force_behind_a_link),
        TEST(test_config),          TEST(test_metrics),
        TEST(test_file_in_the_way), TEST(test_checkpoints_in_the_way),
        TEST(test_unwritable),      TEST(test_no_space),
        TEST(test_umask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
