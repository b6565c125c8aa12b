/* Preloaded into mbtrain: a chosen call that a save makes fails, or ends the process; or a chosen
 * step is followed by a signal. Counting calls instead of waiting for chance makes every point of a
 * save reachable, and again.
 *
 *   MBT_FAULT_FOLDER  files below it count, from the first temporary checkpoint that is opened on;
 *                     what a start writes comes before that
 *   MBT_FAULT_AT      N: the N-th call that counts; 0 none
 *   MBT_FAULT_HOW     ENOSPC, EIO, EDQUOT, EROFS: it fails so; short: it moves half of its bytes;
 *                     kill: SIGKILL in its place
 *   MBT_FAULT_FOR     so many calls from N on (1); 0: all
 *   MBT_FAULT_LOG     a file that gets a line for each call that counts
 *   MBT_FAULT_MALLOC  N: the N-th allocation of the thread that saves fails
 *   MBT_MALLOC_FILE   gets the number of such allocations when the process ends
 *   MBT_STOP_AFTER    K: rank zero gets SIGUSR1 after the K-th step of the process (0: before the
 *                     first)
 *   MBT_STEPS_FILE    holds the number of steps that the process has made
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int armed, calls;

enum { GOES_ON, FAILS, SHORT };

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

/* Sets errno to what the call shall fail with. */
static int fault(void)
{
    static const struct {
        const char *name;
        int code;
    } ways[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}};
    const char *how = getenv("MBT_FAULT_HOW");
    for (size_t i = 0; how && i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(how, ways[i].name) == 0) {
            errno = ways[i].code;
            return FAILS;
        }
    }
    if (how && strcmp(how, "kill") == 0) {
        (void)kill(getpid(), SIGKILL);
    }
    return how && strcmp(how, "short") == 0 ? SHORT : GOES_ON;
}

static void note(int n, const char *call, const char *path)
{
    const char *log = getenv("MBT_FAULT_LOG");
    char line[PATH_MAX + 64];
    if (!log) {
        return;
    }
    const int bytes = snprintf(line, sizeof line, "%d %s %s\n", n, call, path);
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    (void)syscall(SYS_write, fd, line, (size_t)bytes);
    (void)syscall(SYS_close, fd);
}

/* What shall become of a call on a path; counts it when it counts. */
static int meet(const char *call, const char *path)
{
    const char *folder = getenv("MBT_FAULT_FOLDER");
    if (!folder || strncmp(path, folder, strlen(folder)) != 0 || strstr(path, "/.probe-") ||
        strstr(path, "/lock") || strstr(path, "/log.txt")) {
        return GOES_ON;
    }
    if (strstr(path, "/.step-")) {
        armed = 1;
    }
    if (!armed) {
        return GOES_ON;
    }
    const int n = ++calls;
    const long at = number("MBT_FAULT_AT", 0), count = number("MBT_FAULT_FOR", 1);
    note(n, call, path);
    return at > 0 && n >= at && (count == 0 || n < at + count) ? fault() : GOES_ON;
}

static int meet_fd(const char *call, int fd)
{
    char link[64], path[PATH_MAX];
    const int kept = errno;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    errno = kept;
    return meet(call, path);
}

/* The path as the kernel would see it: those of runs are relative. */
static int meet_path(const char *call, const char *path)
{
    char whole[2 * PATH_MAX], here[PATH_MAX];
    if (path[0] == '/') {
        return meet(call, path);
    }
    (void)snprintf(whole, sizeof whole, "%s/%s", getcwd(here, sizeof here) ? here : "", path);
    return meet(call, whole);
}

static size_t some(int what, size_t bytes)
{
    return what == SHORT && bytes > 1 ? bytes / 2 : bytes;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    const int what = meet_fd("write", fd);
    return what == FAILS ? -1 : syscall(SYS_write, fd, data, some(what, bytes));
}

static ssize_t any_pread(int fd, void *data, size_t bytes, off_t offset)
{
    const int what = meet_fd("pread", fd);
    return what == FAILS ? -1 : syscall(SYS_pread64, fd, data, some(what, bytes), offset);
}

ssize_t pread(int fd, void *data, size_t bytes, off_t offset)
{
    return any_pread(fd, data, bytes, offset);
}

ssize_t pread64(int fd, void *data, size_t bytes, off_t offset)
{
    return any_pread(fd, data, bytes, offset);
}

static int any_open(const char *path, int flags, mode_t mode)
{
    return meet_path("open", path) == FAILS ? -1
                                            : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(arguments, mode_t) : 0;       \
        va_end(arguments);                                                                         \
        return any_open(path, flags, mode);                                                        \
    }
OPEN(open)
OPEN(open64)

int fsync(int fd)
{
    return meet_fd("fsync", fd) == FAILS ? -1 : (int)syscall(SYS_fsync, fd);
}

/* The file is closed all the same, as it is where close fails. */
int close(int fd)
{
    const int what = meet_fd("close", fd), code = errno;
    const int result = (int)syscall(SYS_close, fd);
    errno = what == FAILS ? code : errno;
    return what == FAILS ? -1 : result;
}

int rename(const char *from, const char *to)
{
    return meet_path("rename", to) == FAILS ? -1 : (int)syscall(SYS_rename, from, to);
}

int symlink(const char *target, const char *path)
{
    return meet_path("symlink", path) == FAILS ? -1 : (int)syscall(SYS_symlink, target, path);
}

int unlink(const char *path)
{
    return meet_path("unlink", path) == FAILS ? -1 : (int)syscall(SYS_unlink, path);
}

/* ---- memory ---- */

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

static atomic_int allocations;

/* Whether this allocation is the one: those of other threads do not count. */
static int starved(void)
{
    char name[16] = "";
    if (prctl(PR_GET_NAME, name) != 0 || strcmp(name, "mbt-saver") != 0) {
        return 0;
    }
    const int n = ++allocations;
    if (number("MBT_FAULT_MALLOC", 0) != n) {
        return 0;
    }
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t bytes)
{
    return starved() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    return starved() ? NULL : __libc_calloc(n, bytes);
}

void *realloc(void *old, size_t bytes)
{
    return starved() ? NULL : __libc_realloc(old, bytes);
}

__attribute__((destructor)) static void tell_allocations(void)
{
    const char *path = getenv("MBT_MALLOC_FILE");
    FILE *out = path && allocations > 0 ? fopen(path, "w") : NULL; /* not a launcher's helpers */
    if (out) {
        (void)fprintf(out, "%d\n", allocations);
        (void)fclose(out);
    }
}

/* ---- steps ---- */

/* Rank zero's count of steps, told outside, and the signal that is to follow one. */
static void step_done(int n)
{
    const char *path = getenv("MBT_STEPS_FILE");
    char text[32];
    if (path) {
        const int bytes = snprintf(text, sizeof text, "%d\n", n);
        const int fd =
            (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        (void)syscall(SYS_pwrite64, fd, text, (size_t)bytes, 0L);
        (void)syscall(SYS_close, fd);
    }
    if (number("MBT_STOP_AFTER", -1) == n) {
        (void)raise(SIGUSR1);
    }
}

/* A step ends with the one message of so many integers. The types are those of Open MPI. */
enum { INTEGERS_OF_A_STEP = 6 };

int MPI_Allreduce(const void *from, void *to, int count, void *type, void *op, void *comm)
{
    static int (*real)(const void *, void *, int, void *, void *, void *);
    static int steps;
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "MPI_Allreduce");
    }
    const int result = real(from, to, count, type, op, comm);
    if (count == INTEGERS_OF_A_STEP && (!rank || strcmp(rank, "0") == 0)) {
        step_done(++steps);
    }
    return result;
}

/* The line before the first step stands for the end of step 0. */
size_t fwrite(const void *data, size_t size, size_t n, FILE *stream)
{
    static size_t (*real)(const void *, size_t, size_t, FILE *);
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "fwrite");
    }
    if (stream == stderr && size == 1 && n > 9 && memcmp(data, "training ", 9) == 0) {
        step_done(0);
    }
    return real(data, size, n, stream);
}
