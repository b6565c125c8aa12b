/* Values from plain text: overrides of the command line, and the defaults, which the table writes
 * the same way. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "mbt/config.h"
#include "mbt/text.h"
#include "schema.h"

static void add_mistyped(const mbt_row *row, const char *text, mbt_faults *faults)
{
    char shown[MBT_SHOWN_BYTES];
    char wanted[MBT_WANTED_BYTES];
    mbt_faults_add(faults, row->path, "got \"%s\", wanted %s", mbt_shown(text, shown),
                   mbt_row_wanted(row, wanted));
}

/* Copies the next piece of a comma-separated text and moves on; *at is NULL behind the last.
 * False when the piece is longer than any name or number. */
static bool next_piece(const char **at, char piece[MBT_NAME_BYTES])
{
    size_t length = strcspn(*at, ",");
    bool fits = length < MBT_NAME_BYTES;
    snprintf(piece, MBT_NAME_BYTES, "%.*s", (int)(fits ? length : 0), *at);
    *at = (*at)[length] == ',' ? *at + length + 1 : NULL;
    return fits;
}

static bool set_flags(const mbt_row *row, const char *text, mbt_config *config, mbt_faults *faults)
{
    char piece[MBT_NAME_BYTES];
    unsigned bits = 0;
    const char *at = *text != '\0' ? text : NULL;
    while (at != NULL) {
        if (!next_piece(&at, piece)) {
            return false;
        }
        unsigned bit = mbt_row_flag(row, piece, faults);
        if ((bits & bit) != 0) {
            mbt_faults_add(faults, row->path, "got \"%s\" twice, wanted it once", piece);
        }
        bits |= bit;
    }
    mbt_row_put_integer(row, bits, config);
    return true;
}

static bool set_list(const mbt_row *row, const char *text, mbt_config *config)
{
    char piece[MBT_NAME_BYTES];
    mbt_config_list list = {0};
    const char *at = *text != '\0' ? text : NULL;
    while (at != NULL) {
        if (!next_piece(&at, piece) || list.count == MBT_LIST_MAX ||
            !mbt_text_to_f64(piece, &list.value[list.count])) {
            return false;
        }
        list.count++;
    }
    mbt_row_put_list(row, &list, config);
    return true;
}

/* False when the text is no value of the row's type; other faults are added where they are found.
 */
static bool set_typed(const mbt_row *row, const char *text, mbt_config *config, mbt_faults *faults)
{
    int64_t integer = 0;
    double number = 0;
    bool yes = strcmp(text, "true") == 0;
    switch (row->type) {
    case MBT_ROW_I64:
        if (!mbt_text_to_i64(text, &integer)) {
            return false;
        }
        mbt_row_put_integer(row, integer, config);
        return true;
    case MBT_ROW_F64:
        if (!mbt_text_to_f64(text, &number)) {
            return false;
        }
        mbt_row_put_number(row, number, config);
        return true;
    case MBT_ROW_BOOL:
        mbt_row_put_integer(row, yes, config);
        return yes || strcmp(text, "false") == 0;
    case MBT_ROW_TEXT:
    case MBT_ROW_ENUM:
        mbt_row_put_text(row, text, config, faults);
        return true;
    case MBT_ROW_FLAGS:
        return set_flags(row, text, config, faults);
    case MBT_ROW_LIST:
        return set_list(row, text, config);
    }
    return false;
}

static void set_row(const mbt_row *row, const char *text, mbt_config *config, mbt_faults *faults)
{
    int before = faults->count;
    if (!set_typed(row, text, config, faults)) {
        add_mistyped(row, text, faults);
    }
    if (faults->count == before) {
        mbt_row_verify(row, config, faults);
    }
}

mbt_status mbt_config_set(const char *assignment, mbt_config *config, mbt_error *err)
{
    int n_rows = 0;
    const mbt_row *rows = mbt_rows(&n_rows);
    char path[MBT_SHOWN_BYTES];
    char near[MBT_SHOWN_BYTES];
    mbt_config copy = *config;
    mbt_faults faults;
    mbt_faults_init(&faults, "--set");

    const char *equals = strchr(assignment, '=');
    size_t length = equals != NULL ? (size_t)(equals - assignment) : 0;
    int at = -1;
    if (length < sizeof path) {
        memcpy(path, assignment, length);
        path[length] = '\0';
        at = mbt_row_find(path);
    }
    if (equals == NULL) {
        mbt_faults_add(&faults, assignment, "got no '=', wanted key=value");
    } else if (at >= 0) {
        set_row(&rows[at], equals + 1, &copy, &faults);
    } else if (length < sizeof path && mbt_row_nearest(path, false, near)) {
        mbt_faults_add(&faults, path, "got an unknown key, wanted a known one (nearest: %s)", near);
    } else {
        mbt_faults_add(&faults, length < sizeof path ? path : assignment,
                       "got an unknown key, wanted one of --help-config");
    }

    mbt_status status = mbt_faults_report(&faults, MBT_USAGE, err);
    if (status == MBT_OK) {
        *config = copy;
    }
    return status;
}

void mbt_config_defaults(mbt_config *config)
{
    int n_rows = 0;
    const mbt_row *rows = mbt_rows(&n_rows);
    mbt_faults faults;
    mbt_faults_init(&faults, "defaults");
    memset(config, 0, sizeof *config); /* unused bytes of texts and lists too */
    for (int i = 0; i < n_rows; i++) {
        set_row(&rows[i], rows[i].standard, config, &faults);
    }
    assert(faults.count == 0);
}
