/* The files of a tree with one folder for each class. Private to src/import. */
#ifndef MBT_IMPORT_FOLDER_LIST_H
#define MBT_IMPORT_FOLDER_LIST_H

#include <stdint.h>

#include "mbt/status.h"

struct folder_class {
    char *name;   /* of the folder */
    char **files; /* names in it, sorted */
    int64_t n_files;
};

struct folder_tree {
    const char *path;
    struct folder_class *classes; /* sorted by name */
    int64_t n_classes;
};

/* Names that begin with a dot are passed over. MBT_DATA for a file beside the folders, a folder
 * without files, a folder or special file in one. Zeroed by the caller; folder_clear also after a
 * failure. */
mbt_status folder_list(const char *path, struct folder_tree *tree, mbt_error *err) MBT_WARN_UNUSED;
void folder_clear(struct folder_tree *tree);

/* MBT_DATA unless both trees have the same classes. */
mbt_status folder_compare(const struct folder_tree *a, const struct folder_tree *b,
                          mbt_error *err) MBT_WARN_UNUSED;

#endif
