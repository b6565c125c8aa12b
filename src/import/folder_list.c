/* Class folders and their files, sorted by the bytes of their names: the same on every machine. */
#include "folder_list.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mbt/dataset.h"
#include "mbt/text.h"

struct names {
    char **name;
    size_t n, room;
};

static void free_names(char **name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(name[i]);
    }
    free(name);
}

static int add_name(struct names *names, const char *name)
{
    if (names->n == names->room) {
        const size_t room = names->room > 0 ? 2 * names->room : 64;
        char **grown = realloc(names->name, room * sizeof *grown);
        if (grown == NULL) {
            return -1;
        }
        names->name = grown;
        names->room = room;
    }
    names->name[names->n] = strdup(name);
    if (names->name[names->n] == NULL) {
        return -1;
    }
    names->n++;
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted names of what is in a folder. */
static mbt_status read_folder(const char *path, struct names *names, mbt_error *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return mbt_fail(err, MBT_DATA, "%s: cannot open the folder: %s", path, strerror(errno));
    }
    mbt_status status = MBT_OK;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            break;
        }
        if (entry->d_name[0] != '.' && add_name(names, entry->d_name) != 0) {
            status = mbt_fail(err, MBT_FAILURE, "%s: no memory for its names", path);
            break;
        }
    }
    if (status == MBT_OK && errno != 0) {
        status = mbt_fail(err, MBT_DATA, "%s: cannot read the folder: %s", path, strerror(errno));
    }
    (void)closedir(folder);
    if (status == MBT_OK && names->n > 0) {
        qsort(names->name, names->n, sizeof *names->name, by_bytes);
    }
    return status;
}

static mbt_status want_kind(const char *folder, const char *name, bool wants_folder,
                            const char *wanted, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    struct stat info;
    mbt_status status = mbt_text_path(folder, name, path, err);
    if (status == MBT_OK && stat(path, &info) != 0) {
        status = mbt_fail(err, MBT_DATA, "%s: cannot look at it: %s", path, strerror(errno));
    } else if (status == MBT_OK &&
               (wants_folder ? !S_ISDIR(info.st_mode) : !S_ISREG(info.st_mode))) {
        status = mbt_fail(err, MBT_DATA, "%s: got %s, wanted %s", path,
                          S_ISDIR(info.st_mode)   ? "a folder"
                          : S_ISREG(info.st_mode) ? "a file"
                                                  : "a special file",
                          wanted);
    }
    return status;
}

static mbt_status list_class(const char *tree, struct folder_class *class, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    struct names names = {0};
    mbt_status status = want_kind(tree, class->name, true, "one folder for each class", err);
    if (status == MBT_OK) {
        status = mbt_text_path(tree, class->name, path, err);
    }
    if (status == MBT_OK) {
        status = read_folder(path, &names, err);
        class->files = names.name;
        class->n_files = (int64_t)names.n;
    }
    if (status == MBT_OK && names.n == 0) {
        status = mbt_fail(err, MBT_DATA, "%s: the class has no images", path);
    }
    for (size_t i = 0; i < names.n && status == MBT_OK; i++) {
        status =
            want_kind(path, names.name[i], false, "images alone in the folder of a class", err);
    }
    return status;
}

mbt_status folder_list(const char *path, struct folder_tree *tree, mbt_error *err)
{
    struct names names = {0};
    mbt_status status = read_folder(path, &names, err);
    tree->path = path;
    if (status == MBT_OK && (names.n < 2 || names.n > MBT_CLASSES_MAX)) {
        status = mbt_fail(err, MBT_DATA, "%s: got %zu folders of classes, wanted 2 .. %d", path,
                          names.n, MBT_CLASSES_MAX);
    }
    if (status == MBT_OK) {
        tree->classes = calloc(names.n, sizeof *tree->classes);
        if (tree->classes == NULL) {
            status = mbt_fail(err, MBT_FAILURE, "%s: no memory for its classes", path);
        }
    }
    if (status != MBT_OK) {
        free_names(names.name, names.n);
        return status;
    }
    tree->n_classes = (int64_t)names.n;
    for (size_t i = 0; i < names.n; i++) {
        tree->classes[i].name = names.name[i];
    }
    free(names.name);
    for (int64_t i = 0; i < tree->n_classes && status == MBT_OK; i++) {
        status = list_class(path, &tree->classes[i], err);
    }
    return status;
}

void folder_clear(struct folder_tree *tree)
{
    for (int64_t i = 0; i < tree->n_classes; i++) {
        free(tree->classes[i].name);
        free_names(tree->classes[i].files, (size_t)tree->classes[i].n_files);
    }
    free(tree->classes);
    *tree = (struct folder_tree){0};
}

mbt_status folder_compare(const struct folder_tree *a, const struct folder_tree *b, mbt_error *err)
{
    for (int64_t i = 0; i < a->n_classes || i < b->n_classes; i++) {
        const char *in_a = i < a->n_classes ? a->classes[i].name : NULL;
        const char *in_b = i < b->n_classes ? b->classes[i].name : NULL;
        const int order = in_a == NULL ? 1 : in_b == NULL ? -1 : strcmp(in_a, in_b);
        if (order != 0) { /* both are sorted: the smaller one is missing from the other */
            return mbt_fail(err, MBT_DATA,
                            "%s: has %" PRId64 " classes, %s has %" PRId64
                            ": \"%.64s\" is missing from %s",
                            a->path, a->n_classes, b->path, b->n_classes, order < 0 ? in_a : in_b,
                            order < 0 ? b->path : a->path);
        }
    }
    return MBT_OK;
}
