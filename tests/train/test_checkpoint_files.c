/* The checkpoint folder: links, what is kept, the newest whole file, saves that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/file.h"
#include "mbt/store.h"
#include "mbt/text.h"
#include "train/checkpoint_state.h"

typedef struct place {
    char top[64], folder[96];
    fixture f;
    mbt_log log;
    char said[4096]; /* by the log */
} place;

static void remove_files(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry = NULL;
    char path[512];
    while (dir && (entry = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
            (void)remove(path);
    }
    if (dir)
        (void)closedir(dir);
}

static int enter(void **state)
{
    place *p = calloc(1, sizeof *p);
    (void)snprintf(p->top, sizeof p->top, "/tmp/mbt_checkpoints_XXXXXX");
    if (!mkdtemp(p->top))
        return -1;
    (void)snprintf(p->folder, sizeof p->folder, "%s/run/checkpoints", p->top);
    mbt_error err = {0};
    if (mbt_file_make_folder(p->folder, &err) != MBT_OK)
        return -1;
    fixture_make(&p->f, FIXTURE_PLAIN, 16, true);
    mbt_log_init(&p->log, MBT_LOG_INFO, 0, 1);
    p->log.file = tmpfile();
    *state = p;
    return p->log.file ? 0 : -1;
}

static int leave(void **state)
{
    place *p = *state;
    char run[96];
    (void)snprintf(run, sizeof run, "%s/run", p->top);
    remove_files(p->folder);
    (void)rmdir(p->folder);
    (void)rmdir(run);
    fixture_clear(&p->f);
    (void)fclose(p->log.file);
    int left = rmdir(p->top);
    free(p);
    return left;
}

static mbt_status try_save(place *p, int64_t step, bool best, int keep, mbt_error *err)
{
    char digest[MBT_DIGEST_TEXT];
    fixture_at_step(&p->f, step);
    const mbt_status status = mbt_checkpoint_save(&p->f.state, p->folder, best, NULL, digest, err);
    return status ? status
                  : mbt_checkpoint_prune(p->folder, step, &(mbt_retention){.keep = keep}, err);
}

static void save(place *p, int64_t step, bool best, int keep)
{
    mbt_error err = {0};
    if (try_save(p, step, best, keep, &err))
        fail_msg("%s", err.message);
}

/* The folder's entries in order of name, with the targets of links: "best.h5>40 last.h5>50 40 50".
 */
static const char *entries(const place *p)
{
    static char text[2048];
    struct dirent **list = NULL;
    size_t at = 0;
    int n = scandir(p->folder, &list, NULL, alphasort);
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        char path[512], target[256];
        const char *name = list[i]->d_name;
        (void)snprintf(path, sizeof path, "%s/%s", p->folder, name);
        ssize_t bytes = readlink(path, target, sizeof target - 1);
        target[bytes > 0 ? bytes : 0] = '\0';
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at ? " " : "",
                                   strncmp(name, "step-", 5) == 0 ? name + 13 : name);
            if (bytes > 0)
                at += (size_t)snprintf(text + at, sizeof text - at, ">%s", target + 13);
        }
        free(list[i]);
    }
    free(list);
    return text;
}

static void links_move_and_the_best_stays(void **state)
{
    place *p = *state;
    save(p, 10, true, 2);
    assert_string_equal(entries(p), "best.h5>10.h5 last.h5>10.h5 10.h5");
    save(p, 20, false, 2);
    save(p, 30, false, 2);
    assert_string_equal(entries(p), "best.h5>10.h5 last.h5>30.h5 10.h5 20.h5 30.h5");
    save(p, 40, false, 2);
    assert_string_equal(entries(p), "best.h5>10.h5 last.h5>40.h5 10.h5 30.h5 40.h5");
    save(p, 50, true, 2);
    assert_string_equal(entries(p), "best.h5>50.h5 last.h5>50.h5 40.h5 50.h5");
    save(p, 60, false, 1);
    assert_string_equal(entries(p), "best.h5>50.h5 last.h5>60.h5 50.h5 60.h5");
    save(p, 70, true, 0); /* the one just written always stays */
    assert_string_equal(entries(p), "best.h5>70.h5 last.h5>70.h5 70.h5");
    save(p, 80, false, 0);
    assert_string_equal(entries(p), "best.h5>70.h5 last.h5>80.h5 70.h5 80.h5");
}

static void later_files_do_not_count(void **state)
{
    place *p = *state;
    save(p, 10, false, 9);
    save(p, 20, false, 9);
    save(p, 30, false, 9);
    save(p, 40, false, 9);
    save(p, 25, false, 2); /* after a fall back to 20 */
    assert_string_equal(entries(p), "last.h5>25.h5 20.h5 25.h5 30.h5 40.h5");
}

/* The file of a step was written so many seconds after some time. */
static void written_at(const place *p, int64_t step, int64_t seconds)
{
    char path[MBT_PATH_BYTES];
    mbt_error err = {0};
    const struct timespec times[2] = {{.tv_sec = 1700000000 + seconds},
                                      {.tv_sec = 1700000000 + seconds}};
    assert_int_equal(mbt_checkpoint_path(p->folder, step, path, &err), MBT_OK);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void the_first_of_each_period_stays(void **state)
{
    place *p = *state;
    static const int64_t at[] = {0, 40, 99, 101, 150, 230, 299, 301};
    enum { N = sizeof at / sizeof at[0] };
    const mbt_retention keep = {.keep = 2, .every_s = 100};
    for (int i = 0; i < N; i++) {
        char digest[MBT_DIGEST_TEXT];
        mbt_error err = {0};
        fixture_at_step(&p->f, 10 + i);
        assert_int_equal(mbt_checkpoint_save(&p->f.state, p->folder, false, NULL, digest, &err),
                         MBT_OK);
        assert_int_equal(mbt_checkpoint_prune(p->folder, 10 + i, &keep, &err), MBT_OK);
        written_at(p, 10 + i, at[i]);
    }
    /* of seconds 0, 101 and 230, and the two newest */
    assert_string_equal(entries(p), "last.h5>17.h5 10.h5 13.h5 15.h5 16.h5 17.h5");
}

static void links_survive_a_move_of_the_folder(void **state)
{
    place *p = *state;
    char moved[96], path[128], digest[MBT_DIGEST_TEXT];
    mbt_error err = {0};
    save(p, 10, true, 2);
    (void)snprintf(moved, sizeof moved, "%s/run/moved", p->top);
    assert_int_equal(rename(p->folder, moved), 0);
    (void)snprintf(path, sizeof path, "%s/best.h5", moved);
    assert_int_equal(mbt_checkpoint_verify(path, digest, &err), MBT_OK);
    assert_int_equal(rename(moved, p->folder), 0);
}

static void the_same_step_is_replaced(void **state)
{
    place *p = *state;
    char path[128], first[MBT_DIGEST_TEXT], second[MBT_DIGEST_TEXT];
    mbt_error err = {0};
    save(p, 10, false, 2);
    (void)snprintf(path, sizeof path, "%s/last.h5", p->folder);
    assert_int_equal(mbt_checkpoint_verify(path, first, &err), MBT_OK);
    p->f.weights[0] += 1.0f;
    save(p, 10, false, 2);
    assert_string_equal(entries(p), "last.h5>10.h5 10.h5");
    assert_int_equal(mbt_checkpoint_verify(path, second, &err), MBT_OK);
    assert_string_not_equal(first, second);
}

static void other_files_are_left_alone(void **state)
{
    place *p = *state;
    static const char *const names[] = {"step-1.h5",           "stop-0000000010.h5",
                                        "step-00000000010.h5", "step-000000001x.h5",
                                        "notes.txt",           "step-0000000010.h5.old"};
    mbt_error err = {0};
    mbt_checkpoint_list list;
    char path[512];
    save(p, 20, false, 1);
    for (size_t i = 0; i < 6; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", p->folder, names[i]);
        assert_int_equal(mbt_file_replace(path, "x", 1, &err), MBT_OK);
    }
    /* what a killed save leaves, of the store and of a link */
    (void)snprintf(path, sizeof path, "%s/.step-0000000019.h5.tmp-4711-0", p->folder);
    assert_int_equal(mbt_file_replace(path, "x", 1, &err), MBT_OK);
    (void)snprintf(path, sizeof path, "%s/.last.h5.tmp", p->folder);
    assert_int_equal(symlink("nowhere", path), 0);
    save(p, 30, false, 1);
    assert_int_equal(mbt_checkpoint_list_read(p->folder, &list, &err), MBT_OK);
    assert_int_equal(list.n_steps, 1);
    assert_int_equal(list.steps[0], 30);
    assert_int_equal(list.last, 30);
    assert_int_equal(list.best, -1);
    mbt_checkpoint_list_clear(&list);
    for (size_t i = 0; i < 6; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", p->folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_string_equal(entries(p), "last.h5>30.h5 30.h5");
}

static void many_steps_are_listed_in_order(void **state)
{
    place *p = *state;
    mbt_error err = {0};
    mbt_checkpoint_list list;
    char path[512];
    save(p, 5, false, 100);
    for (int64_t step = 40; step >= 10; step--) {
        assert_int_equal(mbt_checkpoint_path(p->folder, step, path, &err), MBT_OK);
        assert_int_equal(mbt_file_replace(path, "x", 1, &err), MBT_OK);
    }
    assert_int_equal(mbt_checkpoint_list_read(p->folder, &list, &err), MBT_OK);
    assert_int_equal(list.n_steps, 32);
    assert_int_equal(list.steps[0], 5);
    for (int i = 1; i < 32; i++)
        assert_int_equal(list.steps[i], 9 + i);
    mbt_checkpoint_list_clear(&list);
    assert_int_equal(mbt_checkpoint_path(p->folder, -1, path, &err), MBT_FAILURE);
    assert_int_equal(mbt_checkpoint_path(p->folder, INT64_C(10000000000), path, &err), MBT_FAILURE);
    assert_int_equal(mbt_checkpoint_list_read(p->top, &list, &err), MBT_OK);
    assert_int_equal(list.n_steps, 0);
    assert_int_equal(mbt_checkpoint_list_read("/nonexistent", &list, &err), MBT_DATA);
}

/* ---- the newest ---- */

static void damage(const place *p, int64_t step)
{
    char path[512];
    mbt_error err = {0};
    assert_int_equal(mbt_checkpoint_path(p->folder, step, path, &err), MBT_OK);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 5000, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, 5000, SEEK_SET), 0);
    (void)fputc(byte ^ 4, file);
    assert_int_equal(fclose(file), 0);
}

/* Finds the newest and takes what the log said meanwhile into p->said. */
static mbt_status newest(place *p, char *path, mbt_error *err)
{
    rewind(p->log.file);
    assert_int_equal(ftruncate(fileno(p->log.file), 0), 0);
    mbt_status status = mbt_checkpoint_newest(p->folder, &p->log, path, err);
    rewind(p->log.file);
    p->said[fread(p->said, 1, sizeof p->said - 1, p->log.file)] = '\0';
    return status;
}

static void is_newest(place *p, const char *name)
{
    char path[MBT_PATH_BYTES], wanted[256];
    mbt_error err = {0};
    if (newest(p, path, &err))
        fail_msg("%s", err.message);
    (void)snprintf(wanted, sizeof wanted, "%s/%s", p->folder, name);
    assert_string_equal(path, wanted);
}

static void damaged_files_are_passed_over_with_a_warning(void **state)
{
    place *p = *state;
    char path[MBT_PATH_BYTES];
    mbt_error err = {0};
    save(p, 10, false, 9);
    save(p, 20, false, 9);
    save(p, 30, false, 9);
    is_newest(p, "step-0000000030.h5");
    assert_string_equal(p->said, "");
    damage(p, 30);
    is_newest(p, "step-0000000020.h5");
    assert_non_null(strstr(p->said, "warning: checkpoint not usable"));
    assert_non_null(strstr(p->said, "step-0000000030.h5: "));
    assert_null(strstr(p->said, "step-0000000020.h5"));
    damage(p, 20);
    is_newest(p, "step-0000000010.h5");
    assert_non_null(strstr(p->said, "step-0000000030.h5: "));
    assert_non_null(strstr(p->said, "step-0000000020.h5: "));
    damage(p, 10);
    assert_int_equal(newest(p, path, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "no checkpoint that can be used (3 damaged)"));
    assert_non_null(strstr(err.message, p->folder));
}

static void the_last_link_goes_before_the_number(void **state)
{
    place *p = *state;
    char path[512];
    save(p, 30, false, 9);
    save(p, 20, false, 9); /* a run that fell back to an older checkpoint and went on */
    is_newest(p, "step-0000000020.h5");
    assert_string_equal(p->said, "");
    (void)snprintf(path, sizeof path, "%s/last.h5", p->folder);
    assert_int_equal(unlink(path), 0);
    is_newest(p, "step-0000000030.h5");
    assert_non_null(strstr(p->said, "has no last.h5"));
    assert_int_equal(symlink("step-0000000099.h5", path), 0); /* dangling */
    is_newest(p, "step-0000000030.h5");
    assert_non_null(strstr(p->said, "step-0000000099.h5"));
}

static void a_last_file_that_is_no_link_will_do(void **state)
{
    place *p = *state;
    char from[512], path[512];
    save(p, 30, false, 9);
    (void)snprintf(path, sizeof path, "%s/last.h5", p->folder);
    (void)snprintf(from, sizeof from, "%s/step-0000000030.h5", p->folder);
    assert_int_equal(rename(from, path), 0);
    is_newest(p, "last.h5");
    assert_string_equal(p->said, "");
}

static void nothing_to_find_is_said(void **state)
{
    place *p = *state;
    char path[MBT_PATH_BYTES];
    mbt_error err = {0};
    assert_int_equal(newest(p, path, &err), MBT_DATA);
    assert_non_null(strstr(err.message, p->folder));
    assert_int_equal(mbt_file_make_folder(p->folder, &err), MBT_OK);
    assert_int_equal(newest(p, path, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "(0 damaged)"));
}

/* ---- saves that fail ---- */

static void a_full_disk_leaves_the_old_files(void **state)
{
    place *p = *state;
    struct rlimit old, small;
    char path[512], digest[MBT_DIGEST_TEXT];
    mbt_error err = {0};
    save(p, 10, true, 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit <= 20000; limit += 4000) {
        small = old;
        small.rlim_cur = limit;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        mbt_status status = try_save(p, 20, true, 1, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(status, MBT_FAILURE);
        assert_non_null(strstr(err.message, "step-0000000020.h5"));
        assert_non_null(strstr(err.message, "File too large"));
        assert_string_equal(entries(p), "best.h5>10.h5 last.h5>10.h5 10.h5");
    }
    (void)signal(SIGXFSZ, handler);
    (void)snprintf(path, sizeof path, "%s/last.h5", p->folder);
    assert_int_equal(mbt_checkpoint_verify(path, digest, &err), MBT_OK);
    save(p, 20, true, 1);
    assert_string_equal(entries(p), "best.h5>20.h5 last.h5>20.h5 20.h5");
}

static void what_stands_in_the_way_is_named(void **state)
{
    place *p = *state;
    char path[512];
    mbt_error err = {0};
    save(p, 10, false, 1);
    (void)snprintf(path, sizeof path, "%s/best.h5", p->folder);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(try_save(p, 20, true, 1, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "best.h5: cannot rename a new link to it"));
    assert_int_equal(rmdir(path), 0);
    assert_string_equal(entries(p), "last.h5>10.h5 10.h5 20.h5");

    (void)snprintf(path, sizeof path, "%s/file", p->top);
    assert_int_equal(mbt_file_replace(path, "x", 1, &err), MBT_OK);
    char digest[MBT_DIGEST_TEXT];
    assert_int_equal(mbt_checkpoint_save(&p->f.state, path, false, NULL, digest, &err),
                     MBT_FAILURE);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter, leave)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(links_move_and_the_best_stays),
        IN_FOLDER(later_files_do_not_count),
        IN_FOLDER(the_first_of_each_period_stays),
        IN_FOLDER(links_survive_a_move_of_the_folder),
        IN_FOLDER(the_same_step_is_replaced),
        IN_FOLDER(other_files_are_left_alone),
        IN_FOLDER(many_steps_are_listed_in_order),
        IN_FOLDER(damaged_files_are_passed_over_with_a_warning),
        IN_FOLDER(the_last_link_goes_before_the_number),
        IN_FOLDER(a_last_file_that_is_no_link_will_do),
        IN_FOLDER(nothing_to_find_is_said),
        IN_FOLDER(a_full_disk_leaves_the_old_files),
        IN_FOLDER(what_stands_in_the_way_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
