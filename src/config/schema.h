/* Private to src/config: the rows of the key table, and the few helpers everybody who walks it
 * needs.
 *
 * The table is in schema.c; fields.c moves values between a row and its field and owns the range
 * check; faults.c collects what is wrong. Depends on config, status. */
#ifndef MBT_CONFIG_SCHEMA_H
#define MBT_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mbt/config.h"
#include "mbt/status.h"
#include "mbt/text.h"

enum {
    MBT_ROWS_MAX = 128,     /* rows the table may have; callers size arrays by it */
    MBT_WANTED_BYTES = 192, /* what mbt_row_wanted writes */
    MBT_SHOWN_BYTES = 64,   /* a piece of the user's text in a message */
};

/* cJSON reads every number as a double, so integers are exact up to here, 2^53 - 1. */
#define MBT_INTEGER_MAX 9007199254740991.0

typedef enum mbt_row_type {
    MBT_ROW_I64,   /* int64_t */
    MBT_ROW_F64,   /* double */
    MBT_ROW_BOOL,  /* bool */
    MBT_ROW_TEXT,  /* char[bytes]; one of `names` when the row has them */
    MBT_ROW_ENUM,  /* an enum that counts from 0 in the order of `names` */
    MBT_ROW_FLAGS, /* unsigned; bit i is names[i]; JSON array of names */
    MBT_ROW_LIST,  /* mbt_config_list; JSON array of numbers */
} mbt_row_type;

typedef struct mbt_row {
    const char *path; /* "group.key", always two parts */
    mbt_row_type type;
    size_t offset, bytes;     /* of the field in mbt_config */
    const char *standard;     /* the default, written as --set takes it */
    double min, max;          /* numbers: both inclusive; text: min is the least length in bytes */
    const char *const *names; /* NULL-ended, or NULL */
    const char *unit;         /* "" when the number has none */
    const char *help;
} mbt_row;

/* ---- schema.c ---- */

const mbt_row *mbt_rows(int *n_rows);

/* Index of the row "group.key", of the first row of a group; -1 when there is none. */
int mbt_row_find(const char *path);
int mbt_row_find_in(const char *group, size_t group_length, const char *key);
int mbt_row_find_group(const char *group);

/* Bytes of the group's name at the front of a path. */
size_t mbt_row_group_length(const mbt_row *row);

/* The path, or when `groups` the group's name, nearest to an unknown one; false when none is near.
 * `near` has MBT_SHOWN_BYTES. */
bool mbt_row_nearest(const char *path, bool groups, char *near);

/* ---- fields.c ---- */

/* Raw access; the row's type must fit. Integer is for I64, BOOL, ENUM and FLAGS. */
int64_t mbt_row_integer(const mbt_row *row, const mbt_config *config);
double mbt_row_number(const mbt_row *row, const mbt_config *config);
const char *mbt_row_text(const mbt_row *row, const mbt_config *config);
const mbt_config_list *mbt_row_list(const mbt_row *row, const mbt_config *config);
void mbt_row_put_integer(const mbt_row *row, int64_t value, mbt_config *config);
void mbt_row_put_number(const mbt_row *row, double value, mbt_config *config);
void mbt_row_put_list(const mbt_row *row, const mbt_config_list *list, mbt_config *config);
bool mbt_row_equal(const mbt_row *row, const mbt_config *a, const mbt_config *b);

typedef struct mbt_faults mbt_faults;

/* Text or the name of an enum's value, with its faults: too long, not UTF-8, no such name. */
void mbt_row_put_text(const mbt_row *row, const char *text, mbt_config *config, mbt_faults *faults);

/* The bit of one flag's name; 0 with a fault when there is none. */
unsigned mbt_row_flag(const mbt_row *row, const char *name, mbt_faults *faults);

/* The range check, the only one: what the row's field holds against the row. */
void mbt_row_verify(const mbt_row *row, const mbt_config *config, mbt_faults *faults);

/* What the row takes, as in "wanted ..."; out has MBT_WANTED_BYTES. Returns out. */
const char *mbt_row_wanted(const mbt_row *row, char *out);

/* "text" with JSON's quotes. Texts hold no control characters (fields.c refuses them), so two
 * escapes are enough. */
void mbt_json_quote(FILE *out, const char *text);

/* Bytes of the UTF-8 sequence at `at`, 0 when it is none. */
size_t mbt_utf8_step(const char *at, const char *end);

/* ---- faults.c ---- */

/* All faults of one source, one a line; plain data, see mbt_faults_init. */
struct mbt_faults {
    char name[80]; /* the source, at the front of every line */
    int count;     /* faults met */
    int n_shown;   /* faults that fitted into text */
    size_t used;   /* bytes of text without the zero */
    char text[MBT_ERROR_MAX];
};

void mbt_faults_init(mbt_faults *faults, const char *name);

/* Adds the line "<name>: <key>: <message>"; only counted when there is no more room. */
void mbt_faults_add(mbt_faults *faults, const char *key, const char *format, ...) MBT_PRINTF(3, 4);

/* MBT_OK without faults, else all of them under `code`. */
mbt_status mbt_faults_report(const mbt_faults *faults, mbt_status code,
                             mbt_error *err) MBT_WARN_UNUSED;

/* The user's text for a message: in one line, printable, cut with "..."; out has MBT_SHOWN_BYTES.
 * Returns out. */
const char *mbt_shown(const char *text, char *out);

/* ---- syntax.c ---- */

/* Whether `text` is one JSON value and nothing else; MBT_CONFIG with line and column otherwise. */
mbt_status mbt_syntax_check(const char *text, size_t bytes, const char *name,
                            mbt_error *err) MBT_WARN_UNUSED;

#endif
