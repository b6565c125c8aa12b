/* Preloaded into mbtrain: the disk below the folder MBT_FULL_FOLDER has room for MBT_FULL_BYTES
 * bytes that a process writes, and is full then. A true full disk needs a mount, which few may do.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long long written;

static int is_full(int fd, size_t bytes)
{
    const char *folder = getenv("MBT_FULL_FOLDER"), *room = getenv("MBT_FULL_BYTES");
    char link[64], path[PATH_MAX];
    if (!folder || !room) {
        return 0;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    if (strncmp(path, folder, strlen(folder)) != 0) {
        return 0;
    }
    written += (long long)bytes;
    return written > atoll(room);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    if (is_full(fd, bytes)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_write, fd, data, bytes);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    if (is_full(fd, bytes)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, bytes, offset);
}
