/* Read from /proc and /sys: numbers in text files, where a file that is missing says nothing. */
#include "mbt/available.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 4352, FILE_BYTES = 8192 };

/* How one version of control groups says it. */
struct kind {
    const char *const *mounts; /* below /sys/fs/cgroup, with NULL behind them */
    const char *limit, *usage, *droppable;
};
static const char *const mounts_1[] = {"/memory", NULL}, *const mounts_2[] = {"", "/unified", NULL};
static const struct kind version_1 = {mounts_1, "memory.limit_in_bytes", "memory.usage_in_bytes",
                                      "total_inactive_file "};
static const struct kind version_2 = {mounts_2, "memory.max", "memory.current", "inactive_file "};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The number behind `key` at the start of a line of the file; false without one ("max"). */
static int read_number(const char *path, const char *key, size_t *value)
{
    char line[LINE_BYTES];
    unsigned long long number = 0;
    int found = 0;
    FILE *in = fopen(path, "r");
    while (in != NULL && !found && fgets(line, sizeof line, in) != NULL) {
        found = strncmp(line, key, strlen(key)) == 0 &&
                sscanf(line + strlen(key), "%llu", &number) == 1;
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    *value = found ? (size_t)number : 0;
    return found;
}

/* What the group of that folder leaves. */
static size_t left_of_group(const struct kind *kind, const char *folder)
{
    char path[FILE_BYTES];
    size_t limit, usage, droppable;
    (void)snprintf(path, sizeof path, "%s/%s", folder, kind->limit);
    if (!read_number(path, "", &limit)) {
        return SIZE_MAX;
    }
    (void)snprintf(path, sizeof path, "%s/%s", folder, kind->usage);
    (void)read_number(path, "", &usage);
    (void)snprintf(path, sizeof path, "%s/memory.stat", folder);
    (void)read_number(path, kind->droppable, &droppable);
    usage -= least(droppable, usage);
    return limit - least(usage, limit);
}

/* Of the group and all it is in: each may have a limit. */
static size_t left_of_groups(const char *root, const struct kind *kind, const char *group)
{
    size_t left = SIZE_MAX;
    for (int i = 0; kind->mounts[i] != NULL; i++) {
        char folder[FILE_BYTES];
        const int n = snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s", root, kind->mounts[i]);
        (void)snprintf(folder + n, sizeof folder - (size_t)n, "%s", group);
        for (char *end = folder + strlen(folder); end >= folder + n; *end = '\0') {
            left = least(left, left_of_group(kind, folder));
            while (--end >= folder + n && *end != '/') {
            }
        }
    }
    return left;
}

size_t mbt_available_bytes(const char *root)
{
    char path[FILE_BYTES], line[LINE_BYTES];
    size_t kib, left = SIZE_MAX;
    (void)snprintf(path, sizeof path, "%s/proc/meminfo", root);
    if (read_number(path, "MemAvailable:", &kib)) {
        left = kib * 1024;
    }
    (void)snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *groups = fopen(path, "r");
    while (groups != NULL && fgets(line, sizeof line, groups) != NULL) {
        char *controllers = strchr(line, ':'), *group = NULL;
        group = controllers != NULL ? strchr(++controllers, ':') : NULL;
        if (group == NULL) {
            continue;
        }
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (controllers[0] == '\0') {
            left = least(left, left_of_groups(root, &version_2, group));
        } else if (strcmp(controllers, "memory") == 0) {
            left = least(left, left_of_groups(root, &version_1, group));
        }
    }
    if (groups != NULL) {
        (void)fclose(groups);
    }
    return left;
}

mbt_status mbt_available_check(size_t bytes, mbt_error *err)
{
    const size_t left = mbt_available_bytes("");
    return bytes <= left ? MBT_OK
                         : mbt_fail(err, MBT_FAILURE,
                                    "memory: %zu MiB wanted in one block, %zu MiB are available",
                                    bytes >> 20, left >> 20);
}
