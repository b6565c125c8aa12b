/* A child process for a file that may be hostile: fork, limits, and a pipe for what it found. */
#include "mbt/limited.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMITED_MEMORY ((rlim_t)4 << 30)
enum { MEMORY_TIMES = 8, SECONDS = 300, BYTES_PER_SECOND = 10 << 20 };

/* What comes through the pipe, whole or not at all. */
struct finding {
    mbt_status status;
    char message[MBT_ERROR_MAX];
    char answer[MBT_LIMITED_ANSWER];
};

/* Bytes of address space that this process has; 0: unknown. */
static rlim_t present_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu", &pages) != 1) {
        pages = 0;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void limit(int what, rlim_t most)
{
    struct rlimit now;
    if (getrlimit(what, &now) == 0 && (now.rlim_max == RLIM_INFINITY || most < now.rlim_max)) {
        const struct rlimit wanted = {most, most};
        (void)setrlimit(what, &wanted);
    }
}

static void limit_all(rlim_t file_bytes)
{
    const rlim_t present = present_bytes();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_CPU, SECONDS + file_bytes / BYTES_PER_SECOND);
    if (present > 0) {
        limit(RLIMIT_AS, present + LIMITED_MEMORY + MEMORY_TIMES * file_bytes);
    }
}

/* Whether this process is such a child: it may not start another one, and need not. */
static bool is_limited(void)
{
    struct rlimit processes, file;
    return getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_max == 0 &&
           getrlimit(RLIMIT_FSIZE, &file) == 0 && file.rlim_max == 0;
}

/* The signals' own effects: handlers that say which rank crashed are the parent's. */
static void reset_signals(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGABRT, SIGTERM,
                                  SIGINT,  SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)signal(numbers[i], SIG_DFL);
    }
}

static void work_in_child(mbt_limited_work *work, void *context, rlim_t file_bytes, int to)
{
    struct finding found = {.status = MBT_OK};
    mbt_error err = {0};
    reset_signals();
    limit_all(file_bytes);
    found.status = work(context, found.answer, &err);
    memcpy(found.message, err.message, sizeof found.message);
    const ssize_t written = write(to, &found, sizeof found); /* PIPE_BUF: in one piece */
    _exit(written == (ssize_t)sizeof found ? 0 : 1);
}

static bool read_finding(int from, struct finding *found)
{
    size_t have = 0;
    while (have < sizeof *found) {
        const ssize_t n = read(from, (char *)found + have, sizeof *found - have);
        if (n <= 0 && !(n < 0 && errno == EINTR)) {
            return false;
        }
        have += n > 0 ? (size_t)n : 0;
    }
    found->message[MBT_ERROR_MAX - 1] = '\0'; /* whatever became of the child */
    found->answer[MBT_LIMITED_ANSWER - 1] = '\0';
    return true;
}

static mbt_status say_ended(const char *path, int ended, mbt_error *err)
{
    if (!WIFSIGNALED(ended)) {
        return mbt_fail(err, MBT_DATA, "%s: bad file: reading it ended the process with code %d",
                        path, WEXITSTATUS(ended));
    }
    const int number = WTERMSIG(ended);
    return mbt_fail(err, MBT_DATA, "%s: bad file: reading it %s (signal %d)", path,
                    number == SIGXCPU || number == SIGKILL ? "takes too much time or memory"
                    : number == SIGXFSZ                    ? "tries to write a file"
                                                           : "crashes the library",
                    number);
}

mbt_status mbt_limited_run(const char *path, mbt_limited_work *work, void *context,
                           char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    struct stat info;
    struct finding found;
    int ends[2], ended = 0;
    const rlim_t file_bytes = stat(path, &info) == 0 && info.st_size > 0 ? (rlim_t)info.st_size : 0;
    answer[0] = '\0';
    if (is_limited()) {
        return work(context, answer, err);
    }
    if (pipe(ends) != 0) {
        return mbt_fail(err, MBT_FAILURE, "%s: pipe to a child: %s", path, strerror(errno));
    }
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        work_in_child(work, context, file_bytes, ends[1]);
    }
    (void)close(ends[1]);
    if (child < 0) {
        (void)close(ends[0]);
        return mbt_fail(err, MBT_FAILURE, "%s: child to read it: %s", path, strerror(errno));
    }
    const bool whole = read_finding(ends[0], &found);
    (void)close(ends[0]);
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR) {
    }
    if (!whole) {
        return say_ended(path, ended, err);
    }
    memcpy(answer, found.answer, sizeof found.answer);
    return found.status == MBT_OK ? MBT_OK : mbt_fail(err, found.status, "%s", found.message);
}
