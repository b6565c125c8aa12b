/* JSON for what measures and what reads measurements: written name by name, read back by paths.
 * Depends on status. */
#ifndef MBT_JSON_H
#define MBT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mbt/status.h"

enum { MBT_JSON_DEPTH = 12 };

/* Writing; plain data, to be given to mbt_json_begin first. */
typedef struct mbt_json {
    FILE *out;
    int depth;
    bool empty;                /* nothing stands in the innermost object or array yet */
    char ends[MBT_JSON_DEPTH]; /* what closes each level */
} mbt_json;

void mbt_json_begin(mbt_json *json, FILE *out);

/* `name` is the member's, NULL in an array and at the top. mbt_json_end closes the innermost. */
void mbt_json_object(mbt_json *json, const char *name);
void mbt_json_array(mbt_json *json, const char *name);
void mbt_json_end(mbt_json *json);

void mbt_json_number(mbt_json *json, const char *name, double value); /* not finite: null */
void mbt_json_integer(mbt_json *json, const char *name, int64_t value);
void mbt_json_text(mbt_json *json, const char *name, const char *value); /* no control characters */

/* Reading. A path names members and places, "a.b.3.c". */
typedef struct mbt_json_file mbt_json_file;

/* MBT_DATA when the file is missing, too large, or no JSON. */
mbt_status mbt_json_read(const char *path, mbt_json_file **file, mbt_error *err) MBT_WARN_UNUSED;
void mbt_json_close(mbt_json_file *file); /* NULL is allowed */

/* MBT_DATA with file, path and what was wanted, when it is not there. */
mbt_status mbt_json_get(const mbt_json_file *file, const char *path, double *value,
                        mbt_error *err) MBT_WARN_UNUSED;
mbt_status mbt_json_get_text(const mbt_json_file *file, const char *path, const char **value,
                             mbt_error *err) MBT_WARN_UNUSED; /* borrowed from the file */
bool mbt_json_has(const mbt_json_file *file, const char *path);

/* Members or elements; 0 when there is no such object or array. */
int mbt_json_count(const mbt_json_file *file, const char *path);

/* The name of member i of an object, borrowed from the file; NULL when there is none. */
const char *mbt_json_member(const mbt_json_file *file, const char *path, int i);

#endif
