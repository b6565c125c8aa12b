/* Values in and out of the configuration's fields, and the one range check. */
#include "schema.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/text.h"

static const void *field_of(const mbt_row *row, const mbt_config *config)
{
    return (const char *)config + row->offset;
}

static void *field_to(const mbt_row *row, mbt_config *config)
{
    return (char *)config + row->offset;
}

int64_t mbt_row_integer(const mbt_row *row, const mbt_config *config)
{
    int64_t wide = 0;
    bool yes = false;
    int number = 0;
    unsigned bits = 0;
    switch (row->type) {
    case MBT_ROW_I64:
        memcpy(&wide, field_of(row, config), sizeof wide);
        return wide;
    case MBT_ROW_BOOL:
        memcpy(&yes, field_of(row, config), sizeof yes);
        return yes;
    case MBT_ROW_ENUM:
        memcpy(&number, field_of(row, config), sizeof number);
        return number;
    case MBT_ROW_FLAGS:
        memcpy(&bits, field_of(row, config), sizeof bits);
        return bits;
    default:
        assert(!"an integer row");
        return 0;
    }
}

void mbt_row_put_integer(const mbt_row *row, int64_t value, mbt_config *config)
{
    bool yes = value != 0;
    int number = (int)value;
    unsigned bits = (unsigned)value;
    switch (row->type) {
    case MBT_ROW_I64:
        memcpy(field_to(row, config), &value, sizeof value);
        break;
    case MBT_ROW_BOOL:
        memcpy(field_to(row, config), &yes, sizeof yes);
        break;
    case MBT_ROW_ENUM:
        memcpy(field_to(row, config), &number, sizeof number);
        break;
    case MBT_ROW_FLAGS:
        memcpy(field_to(row, config), &bits, sizeof bits);
        break;
    default:
        assert(!"an integer row");
    }
}

double mbt_row_number(const mbt_row *row, const mbt_config *config)
{
    double value = 0;
    assert(row->type == MBT_ROW_F64);
    memcpy(&value, field_of(row, config), sizeof value);
    return value;
}

void mbt_row_put_number(const mbt_row *row, double value, mbt_config *config)
{
    assert(row->type == MBT_ROW_F64);
    memcpy(field_to(row, config), &value, sizeof value);
}

const char *mbt_row_text(const mbt_row *row, const mbt_config *config)
{
    assert(row->type == MBT_ROW_TEXT);
    return field_of(row, config);
}

const mbt_config_list *mbt_row_list(const mbt_row *row, const mbt_config *config)
{
    assert(row->type == MBT_ROW_LIST);
    return field_of(row, config);
}

void mbt_row_put_list(const mbt_row *row, const mbt_config_list *list, mbt_config *config)
{
    assert(row->type == MBT_ROW_LIST);
    memcpy(field_to(row, config), list, sizeof *list);
}

bool mbt_row_equal(const mbt_row *row, const mbt_config *a, const mbt_config *b)
{
    if (row->type == MBT_ROW_F64) {
        return mbt_row_number(row, a) == mbt_row_number(row, b);
    }
    if (row->type == MBT_ROW_TEXT) {
        return strcmp(mbt_row_text(row, a), mbt_row_text(row, b)) == 0;
    }
    if (row->type != MBT_ROW_LIST) {
        return mbt_row_integer(row, a) == mbt_row_integer(row, b);
    }
    const mbt_config_list *x = mbt_row_list(row, a);
    const mbt_config_list *y = mbt_row_list(row, b);
    bool equal = x->count == y->count;
    for (int i = 0; equal && i < x->count; i++) {
        equal = x->value[i] == y->value[i];
    }
    return equal;
}

static int count_names(const mbt_row *row)
{
    int n = 0;
    while (row->names[n] != NULL) {
        n++;
    }
    return n;
}

/* The name's index, or -1 with a fault that proposes the nearest. */
static int find_name(const mbt_row *row, const char *name, mbt_faults *faults)
{
    int n_names = count_names(row);
    for (int i = 0; i < n_names; i++) {
        if (strcmp(row->names[i], name) == 0) {
            return i;
        }
    }
    char wanted[MBT_WANTED_BYTES];
    char shown[MBT_SHOWN_BYTES];
    int near = strlen(name) < MBT_SHOWN_BYTES ? mbt_text_nearest(name, row->names, n_names) : -1;
    mbt_faults_add(faults, row->path, "got \"%s\", wanted %s%s%s%s", mbt_shown(name, shown),
                   mbt_row_wanted(row, wanted), near >= 0 ? " (nearest: " : "",
                   near >= 0 ? row->names[near] : "", near >= 0 ? ")" : "");
    return -1;
}

unsigned mbt_row_flag(const mbt_row *row, const char *name, mbt_faults *faults)
{
    int at = find_name(row, name, faults);
    return at < 0 ? 0 : 1U << at;
}

/* What makes a text unfit for the echo and for messages; NULL when nothing does. */
static const char *text_fault(const char *text)
{
    const char *end = text + strlen(text);
    for (const char *at = text; at < end;) {
        if ((unsigned char)*at < 0x20 || *at == 0x7F) {
            return "a control character";
        }
        size_t step = mbt_utf8_step(at, end);
        if (step == 0) {
            return "bytes that are not UTF-8";
        }
        at += step;
    }
    return NULL;
}

void mbt_row_put_text(const mbt_row *row, const char *text, mbt_config *config, mbt_faults *faults)
{
    if (row->type == MBT_ROW_ENUM) {
        int at = find_name(row, text, faults);
        if (at >= 0) {
            mbt_row_put_integer(row, at, config);
        }
        return;
    }
    assert(row->type == MBT_ROW_TEXT);
    char wanted[MBT_WANTED_BYTES];
    const char *fault = text_fault(text);
    size_t length = strlen(text);
    if (fault != NULL) {
        mbt_faults_add(faults, row->path, "got %s, wanted %s", fault, mbt_row_wanted(row, wanted));
    } else if (length >= row->bytes) {
        mbt_faults_add(faults, row->path, "got %zu bytes, wanted %s", length,
                       mbt_row_wanted(row, wanted));
    } else {
        char *field = field_to(row, config);
        memset(field, 0, row->bytes);
        memcpy(field, text, length + 1);
    }
}

static void verify_number(const mbt_row *row, double value, mbt_faults *faults)
{
    char wanted[MBT_WANTED_BYTES];
    char number[MBT_NUMBER_BYTES];
    if (!(value >= row->min && value <= row->max)) { /* so that NaN is refused */
        mbt_faults_add(faults, row->path, "got %s, wanted %s", mbt_text_number(value, number),
                       mbt_row_wanted(row, wanted));
    }
}

/* A text may also have come from a command line (run.folder), by no check but this. */
static void verify_text(const mbt_row *row, const char *text, mbt_faults *faults)
{
    char wanted[MBT_WANTED_BYTES];
    const char *fault = text_fault(text);
    if (row->names != NULL) {
        (void)find_name(row, text, faults);
    } else if (fault != NULL) {
        mbt_faults_add(faults, row->path, "got %s, wanted %s", fault, mbt_row_wanted(row, wanted));
    } else if (strlen(text) < (size_t)row->min) {
        mbt_faults_add(faults, row->path, "got \"\", wanted %s", mbt_row_wanted(row, wanted));
    }
}

void mbt_row_verify(const mbt_row *row, const mbt_config *config, mbt_faults *faults)
{
    char wanted[MBT_WANTED_BYTES];
    int64_t integer = 0;
    const mbt_config_list *list = NULL;
    switch (row->type) {
    case MBT_ROW_I64:
        integer = mbt_row_integer(row, config);
        if ((double)integer < row->min || (double)integer > row->max) {
            mbt_faults_add(faults, row->path, "got %" PRId64 ", wanted %s", integer,
                           mbt_row_wanted(row, wanted));
        }
        break;
    case MBT_ROW_F64:
        verify_number(row, mbt_row_number(row, config), faults);
        break;
    case MBT_ROW_BOOL:
        break;
    case MBT_ROW_TEXT:
        verify_text(row, mbt_row_text(row, config), faults);
        break;
    case MBT_ROW_ENUM:
    case MBT_ROW_FLAGS:
        integer = mbt_row_integer(row, config);
        if (integer < 0 ||
            integer >= (row->type == MBT_ROW_ENUM ? count_names(row) : 1 << count_names(row))) {
            mbt_faults_add(faults, row->path, "got the value %" PRId64 ", wanted %s", integer,
                           mbt_row_wanted(row, wanted));
        }
        break;
    case MBT_ROW_LIST:
        list = mbt_row_list(row, config);
        if (list->count < 0 || list->count > MBT_LIST_MAX) {
            mbt_faults_add(faults, row->path, "got the count %d, wanted %s", list->count,
                           mbt_row_wanted(row, wanted));
            break;
        }
        for (int i = 0; i < list->count; i++) {
            verify_number(row, list->value[i], faults);
        }
        break;
    }
}

/* "a, b, c" */
static const char *join_names(const mbt_row *row, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; row->names[i] != NULL; i++) {
        int n = snprintf(out + used, bytes - used, "%s%s", i > 0 ? ", " : "", row->names[i]);
        assert(n > 0 && (size_t)n < bytes - used);
        used += (size_t)n;
    }
    return out;
}

const char *mbt_row_wanted(const mbt_row *row, char *out)
{
    char low[MBT_NUMBER_BYTES];
    char high[MBT_NUMBER_BYTES];
    char names[MBT_WANTED_BYTES - 32];
    switch (row->type) {
    case MBT_ROW_I64:
        snprintf(out, MBT_WANTED_BYTES, "an integer %.0f .. %.0f", row->min, row->max);
        break;
    case MBT_ROW_F64:
        snprintf(out, MBT_WANTED_BYTES, "a number %s .. %s", mbt_text_number(row->min, low),
                 mbt_text_number(row->max, high));
        break;
    case MBT_ROW_BOOL:
        snprintf(out, MBT_WANTED_BYTES, "true or false");
        break;
    case MBT_ROW_TEXT:
    case MBT_ROW_ENUM:
        if (row->names != NULL) {
            snprintf(out, MBT_WANTED_BYTES, "one of %s", join_names(row, names, sizeof names));
        } else {
            snprintf(out, MBT_WANTED_BYTES, "a text of %.0f to %zu bytes in one line", row->min,
                     row->bytes - 1);
        }
        break;
    case MBT_ROW_FLAGS:
        snprintf(out, MBT_WANTED_BYTES, "a list of names out of %s",
                 join_names(row, names, sizeof names));
        break;
    case MBT_ROW_LIST:
        snprintf(out, MBT_WANTED_BYTES, "a list of at most %d numbers %s .. %s", MBT_LIST_MAX,
                 mbt_text_number(row->min, low), mbt_text_number(row->max, high));
        break;
    }
    return out;
}

size_t mbt_utf8_step(const char *at, const char *end)
{
    unsigned char lead = (unsigned char)*at;
    if (lead < 0x80) {
        return 1;
    }
    /* Length by the lead byte; the second byte's limits shut out overlong forms, surrogates and
     * what lies above U+10FFFF (RFC 3629). */
    size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (length == 0 || (size_t)(end - at) < length) {
        return 0;
    }
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    unsigned char second = (unsigned char)at[1];
    if (second < low || second > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (((unsigned char)at[i] & 0xC0U) != 0x80U) {
            return 0;
        }
    }
    return length;
}
