/* Asking the batch system. */
#include "mbt/walltime.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mbt/text.h"
#include "mbt/timer.h"

extern char **environ;

enum { ANSWER_BYTES = 128 };

/* Starts a command with its stdout in *out, without stdin and stderr. posix_spawn and not fork: MPI
 * libraries may hold memory that a copy of the process must not touch. */
static mbt_status start(const char *const *words, pid_t *child, int *out, mbt_error *err)
{
    int ends[2], code = 0;
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0) {
        return mbt_fail(err, MBT_FAILURE, "pipe: %s", strerror(errno));
    }
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    code = posix_spawn_file_actions_init(&actions);
    if (code == 0) {
        code = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        code = code ? code : posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        code = code ? code
                    : posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
                                                       O_WRONLY, 0);
        /* argv is not written to: POSIX has no const there for C's history alone. */
        code = code ? code
                    : posix_spawnp(child, words[0], &actions, NULL, (char *const *)words, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)close(ends[1]);
    if (code != 0) {
        (void)close(ends[0]);
        return mbt_fail(err, MBT_FAILURE, "%s: cannot be started: %s", words[0], strerror(code));
    }
    *out = ends[0];
    return MBT_OK;
}

/* Reads to the end of file or the end of patience; false then. A longer answer is cut. */
static bool read_answer(int out, double patience_s, char answer[ANSWER_BYTES])
{
    const double deadline = mbt_timer_clock() + patience_s;
    size_t used = 0;
    answer[0] = '\0';
    for (;;) {
        const double left = deadline - mbt_timer_clock();
        struct pollfd wait = {.fd = out, .events = POLLIN};
        if (left <= 0) {
            return false;
        }
        if (poll(&wait, 1, (int)(1000 * left) + 1) <= 0) {
            continue; /* a signal, or too late */
        }
        char rest[ANSWER_BYTES];
        const bool room = used < ANSWER_BYTES - 1;
        const ssize_t got =
            room ? read(out, answer + used, ANSWER_BYTES - 1 - used) : read(out, rest, sizeof rest);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return true;
        }
        if (room && got > 0) {
            used += (size_t)got;
            answer[used] = '\0';
        }
    }
}

static mbt_status ask(const char *const *words, double patience_s, char answer[ANSWER_BYTES],
                      mbt_error *err)
{
    pid_t child = -1;
    int out = -1, ended = 0;
    mbt_status status = start(words, &child, &out, err);
    if (status != MBT_OK) {
        return status;
    }
    const bool answered = read_answer(out, patience_s, answer);
    (void)close(out);
    if (!answered) {
        (void)kill(child, SIGKILL);
    }
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR) {
    }
    if (!answered) {
        return mbt_fail(err, MBT_FAILURE, "no answer within %g s", patience_s);
    }
    return WIFEXITED(ended) && WEXITSTATUS(ended) == 0
               ? MBT_OK
               : mbt_fail(err, MBT_FAILURE, "it failed (wait status %d)", ended);
}

/* The first line, without the blanks around it. */
static char *first_line(char *text)
{
    text += strspn(text, " ");
    text[strcspn(text, " \r\n")] = '\0';
    return text;
}

/* "--jobs=..." of this job alone: the plain id of an array's last task is also that of the array,
 * and squeue would tell of all tasks. */
static void name_job(const char *job, char *option, size_t bytes)
{
    const char *array = getenv("SLURM_ARRAY_JOB_ID"), *task = getenv("SLURM_ARRAY_TASK_ID");
    if (array != NULL && task != NULL) {
        (void)snprintf(option, bytes, "--jobs=%.40s_%.40s", array, task);
    } else {
        (void)snprintf(option, bytes, "--jobs=%.40s", job);
    }
}

static mbt_status ask_squeue(const char *job, double patience_s, double *end, mbt_error *err)
{
    char option[96], answer[ANSWER_BYTES];
    name_job(job, option, sizeof option);
    /* squeue writes times as strftime does, by this variable: seconds since 1970 have no zone. */
    const char *const words[] = {"env",  "SLURM_TIME_FORMAT=%s", "squeue", "--noheader",
                                 option, "--format=%e",          NULL};
    mbt_status status = ask(words, patience_s, answer, err);
    if (status != MBT_OK) {
        return mbt_error_prefix(err, "squeue");
    }
    const char *text = first_line(answer);
    if (strcmp(text, "N/A") == 0 || strcmp(text, "NONE") == 0 || strcmp(text, "Unknown") == 0) {
        *end = INFINITY;
        return MBT_OK;
    }
    return mbt_text_to_f64(text, end)
               ? MBT_OK
               : mbt_fail(err, MBT_FAILURE,
                          "squeue: got the end time \"%s\", wanted seconds since "
                          "1970",
                          text);
}

mbt_status mbt_walltime_left(double patience_s, double *seconds, mbt_error *err)
{
    const char *job = getenv("SLURM_JOB_ID"), *known = getenv("SLURM_JOB_END_TIME");
    double end = INFINITY;
    mbt_status status = MBT_OK;
    *seconds = INFINITY;
    if (job == NULL || job[0] == '\0') {
        return MBT_OK;
    }
    if (known == NULL || !mbt_text_to_f64(known, &end)) {
        status = ask_squeue(job, patience_s, &end, err);
    }
    const double left = end - (double)time(NULL);
    if (status == MBT_OK && left <= 0) {
        status = mbt_fail(err, MBT_FAILURE, "its end lies %.0f s in the past by this host's clock",
                          -left);
    }
    if (status != MBT_OK) {
        return mbt_error_prefix(err, "SLURM job %.40s: its end is not known", job);
    }
    *seconds = left;
    return MBT_OK;
}
