/* The lock of a run directory: see lock.h for the file and what makes it safe. */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mbt/run.h"

enum { HOST_BYTES = 256, JOB_BYTES = 128, LINE_BYTES = 1024, WORDS = 6, TRIES = 20 };

typedef struct owner {
    char host[HOST_BYTES], job[JOB_BYTES];
    int64_t pid, start, namespace, beat;
} owner;

/* ---- who we are, who the owner is ---- */

/* State and start of a process from /proc/<pid>/stat: fields 3 and 22, counted behind the command's
 * closing parenthesis, since the command may hold anything. false when it cannot be read. */
static bool process_facts(int64_t pid, char *state, int64_t *start)
{
    enum { STATE_FIELD = 3, START_FIELD = 22 };
    char path[64], text[LINE_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    char *rest = NULL;
    char *at = strrchr(text, ')');
    char *word = at ? strtok_r(at + 1, " ", &rest) : NULL;
    for (int field = STATE_FIELD; word; field++, word = strtok_r(NULL, " ", &rest)) {
        if (field == STATE_FIELD) {
            *state = *word;
        } else if (field == START_FIELD) {
            return mbt_text_to_i64(word, start);
        }
    }
    return false;
}

/* A word of the line: no blanks, never empty. */
static void set_word(char *out, size_t bytes, const char *text)
{
    (void)snprintf(out, bytes, "%s", text && *text ? text : "-");
    for (; *out; out++) {
        if (*out <= ' ') {
            *out = '_';
        }
    }
}

static owner ourselves(void)
{
    static const char *const job_names[] = {"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID"};
    owner us = {.pid = getpid(), .beat = time(NULL)};
    char host[HOST_BYTES] = "";
    char state;
    struct stat info;
    const char *job = NULL, *leg = getenv("SLURM_RESTART_COUNT");
    char name[JOB_BYTES];
    (void)gethostname(host, sizeof host - 1);
    for (size_t i = 0; i < sizeof job_names / sizeof *job_names && !job; i++) {
        job = getenv(job_names[i]);
    }
    set_word(us.host, sizeof us.host, host);
    (void)snprintf(name, sizeof name, "%s/%s", job ? job : "", leg ? leg : "0");
    set_word(us.job, sizeof us.job, getenv(job_names[0]) ? name : job);
    if (!process_facts(us.pid, &state, &us.start)) {
        us.start = 0; /* no /proc: the pid alone has to do */
    }
    us.namespace = stat("/proc/self/ns/pid", &info) == 0 ? (int64_t)info.st_ino : 0;
    return us;
}

/* Fixed width in what changes, so that a heartbeat overwrites the one before it. */
static int owner_line(const owner *o, char line[LINE_BYTES])
{
    return snprintf(line, LINE_BYTES, "%s %s %lld %lld %lld %012lld\n", o->host, o->job,
                    (long long)o->pid, (long long)o->start, (long long)o->namespace,
                    (long long)o->beat);
}

static bool parse_line(char *line, owner *o)
{
    char *words[WORDS], *rest = NULL;
    for (int i = 0; i < WORDS; i++) {
        words[i] = strtok_r(i ? NULL : line, " \n", &rest);
        if (!words[i]) {
            return false;
        }
    }
    set_word(o->host, sizeof o->host, words[0]);
    set_word(o->job, sizeof o->job, words[1]);
    return mbt_text_to_i64(words[2], &o->pid) && mbt_text_to_i64(words[3], &o->start) &&
           mbt_text_to_i64(words[4], &o->namespace) && mbt_text_to_i64(words[5], &o->beat) &&
           o->pid > 0;
}

/* The owner was this SLURM job before it was put back into the queue: SLURM has ended that leg, if
 * only with the node it ran on. */
static bool is_earlier_leg(const owner *o, const owner *us)
{
    const char *theirs = strrchr(o->job, '/'), *ours = strrchr(us->job, '/');
    int64_t leg = 0, now = 0;
    return theirs && ours && theirs - o->job == ours - us->job &&
           strncmp(o->job, us->job, (size_t)(ours - us->job)) == 0 &&
           mbt_text_to_i64(theirs + 1, &leg) && mbt_text_to_i64(ours + 1, &now) && leg < now;
}

/* The owner's process is known to be no more. A pid is only looked up where it means the same
 * process. */
static bool is_gone(const owner *o, const owner *us)
{
    char state = '?';
    int64_t start = 0;
    if (is_earlier_leg(o, us)) {
        return true;
    }
    if (strcmp(o->host, us->host) != 0 || o->namespace != us->namespace) {
        return false;
    }
    if (kill((pid_t)o->pid, 0) != 0 && errno == ESRCH) {
        return true;
    }
    /* A zombie answers signals and has ended all the same. */
    return process_facts(o->pid, &state, &start) &&
           (state == 'Z' || state == 'X' || (o->start != 0 && start != o->start));
}

/* Reads the lock behind `fd`. true when it may be taken over; `what` then says why, otherwise who
 * holds it. A line that cannot be read (its owner is writing it, or died before it did) counts by
 * the file's time. */
static bool is_stale(int fd, char what[MBT_LOCK_OWNER_BYTES])
{
    char line[LINE_BYTES];
    owner us = ourselves();
    owner o = {0};
    ssize_t got = pread(fd, line, sizeof line - 1, 0);
    line[got > 0 ? got : 0] = '\0';
    if (!parse_line(line, &o)) {
        struct stat info;
        int64_t age = fstat(fd, &info) == 0 ? us.beat - (int64_t)info.st_mtime : 0;
        (void)snprintf(what, MBT_LOCK_OWNER_BYTES, "an owner that it does not name, %lld s ago",
                       (long long)age);
        return age > MBT_LOCK_SILENT_S;
    }
    int64_t age = us.beat - o.beat;
    bool gone = is_gone(&o, &us);
    (void)snprintf(what, MBT_LOCK_OWNER_BYTES, "host %s, job %s, pid %lld, %s %lld s ago", o.host,
                   o.job, (long long)o.pid, gone ? "which is gone, last heard of" : "last heard of",
                   (long long)age);
    return gone || age > MBT_LOCK_SILENT_S;
}

/* ---- the file ---- */

static bool same_file(int fd, const char *path)
{
    struct stat open_one, in_place;
    return fstat(fd, &open_one) == 0 && stat(path, &in_place) == 0 &&
           open_one.st_dev == in_place.st_dev && open_one.st_ino == in_place.st_ino;
}

static mbt_status write_line(int fd, const char *path, mbt_error *err)
{
    char line[LINE_BYTES];
    owner us = ourselves();
    int n = owner_line(&us, line);
    ssize_t put = pwrite(fd, line, (size_t)n, 0);
    if (put != n) {
        return mbt_fail(err, MBT_FAILURE, "%s: write: %s", path,
                        put < 0 ? strerror(errno) : "cut short");
    }
    return MBT_OK;
}

/* A new lock file of ours; it must not exist. *fd -1 and MBT_OK when it does. */
static mbt_status create(const char *path, int *fd, mbt_error *err)
{
    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (*fd < 0) {
        return errno == EEXIST
                   ? MBT_OK
                   : mbt_fail(err, MBT_FAILURE, "%s: cannot be created: %s", path, strerror(errno));
    }
    mbt_status status = write_line(*fd, path, err);
    if (status != MBT_OK) {
        (void)unlink(path);
        (void)close(*fd);
        *fd = -1;
    }
    return status;
}

/* Puts a fresh lock of ours in the place of a stale one; lock->fd -1 and MBT_OK when somebody was
 * faster. The caller holds flock on the stale file unless the file system has none (`alone` false);
 * there whoever renames last wins, and waiting shows who that is. */
static mbt_status replace(mbt_lock *lock, bool alone, mbt_error *err)
{
    char fresh[MBT_PATH_BYTES];
    int fd = -1;
    mbt_status status = mbt_text_format(fresh, sizeof fresh, err, "path", "%s.%s.%ld", lock->path,
                                        ourselves().host, (long)getpid());
    if (status != MBT_OK) {
        return status;
    }
    (void)unlink(fresh); /* left by a process of the same pid that died right here */
    status = create(fresh, &fd, err);
    if (status != MBT_OK) {
        return status;
    }
    if (fd < 0 || rename(fresh, lock->path) != 0) {
        status = mbt_fail(err, MBT_FAILURE, "%s: rename from %s: %s", lock->path, fresh,
                          strerror(errno));
        (void)unlink(fresh);
        goto done;
    }
    if (!alone) {
        (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
    if (same_file(fd, lock->path)) {
        lock->fd = fd;
        fd = -1;
    }
done:
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

/* The lock file is there: refuses, or takes it over. lock->fd -1 and MBT_OK: look again. */
static mbt_status take_over(mbt_lock *lock, mbt_error *err)
{
    mbt_status status = MBT_OK;
    char what[MBT_LOCK_OWNER_BYTES];
    int fd = open(lock->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? MBT_OK
                               : mbt_fail(err, MBT_FAILURE, "%s: cannot be opened: %s", lock->path,
                                          strerror(errno));
    }
    /* Between judging and replacing, one at a time: nobody can replace a lock that was judged
     * before somebody else replaced it. */
    bool alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
    bool busy = !alone && errno == EWOULDBLOCK;
    if (busy || !same_file(fd, lock->path)) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        goto done;
    }
    if (!is_stale(fd, what)) {
        status = mbt_fail(err, MBT_FAILURE,
                          "%s: the folder is in use by %s; if that run is no more, remove the file",
                          lock->path, what);
        goto done;
    }
    status = replace(lock, alone, err);
    if (status == MBT_OK && lock->fd >= 0) {
        memcpy(lock->taken_from, what, sizeof what);
    }
done:
    (void)close(fd); /* drops flock */
    return status;
}

mbt_status mbt_lock_take(mbt_lock *lock, const char *path, mbt_error *err)
{
    lock->fd = -1;
    mbt_status status = mbt_text_format(lock->path, sizeof lock->path, err, "path", "%s", path);
    for (int i = 0; i < TRIES && status == MBT_OK && lock->fd < 0; i++) {
        status = create(lock->path, &lock->fd, err);
        if (status == MBT_OK && lock->fd < 0) {
            status = take_over(lock, err);
        }
    }
    if (status == MBT_OK && lock->fd < 0) {
        status = mbt_fail(err, MBT_FAILURE, "%s: several runs try to take it at once", path);
    }
    return status;
}

/* Whether the folder of the lock can be looked into: a file system may be away for a while. */
static bool folder_is_there(const mbt_lock *lock)
{
    char folder[MBT_PATH_BYTES];
    struct stat info;
    const char *slash = strrchr(lock->path, '/');
    const int n = slash ? (int)(slash + 1 - lock->path) : 0;
    (void)snprintf(folder, sizeof folder, "%.*s.", n, lock->path);
    return stat(folder, &info) == 0;
}

mbt_status mbt_lock_check(const mbt_lock *lock, mbt_error *err)
{
    if (same_file(lock->fd, lock->path) || !folder_is_there(lock)) {
        return MBT_OK;
    }
    char what[MBT_LOCK_OWNER_BYTES] = "it is not there any more";
    int fd = open(lock->path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)is_stale(fd, what);
        (void)close(fd);
    }
    return mbt_fail(err, MBT_FAILURE, "%s: the lock is lost: got %s, wanted our own", lock->path,
                    what);
}

mbt_status mbt_lock_beat(const mbt_lock *lock, mbt_error *err)
{
    return write_line(lock->fd, lock->path, err);
}

void mbt_lock_release(mbt_lock *lock)
{
    if (lock->fd < 0) {
        return;
    }
    /* Nobody takes it over between the question and the removal. */
    (void)flock(lock->fd, LOCK_EX);
    if (same_file(lock->fd, lock->path)) {
        (void)unlink(lock->path);
    }
    (void)close(lock->fd);
    lock->fd = -1;
}
