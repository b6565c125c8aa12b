/* A JSON configuration into the structure.
 *
 * The tree is walked child by child, never through cJSON's getters: those ignore case and hide
 * duplicates. Values go into a copy, which becomes the caller's only when there is no fault. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/config.h"
#include "mbt/file.h"
#include "mbt/text.h"
#include "schema.h"

enum { FILE_BYTES_MAX = 1 << 20 };

typedef struct reader {
    const mbt_row *rows;
    mbt_config *config;
    mbt_faults faults;
    bool row_seen[MBT_ROWS_MAX];
    bool group_seen[MBT_ROWS_MAX]; /* at the index of the group's first row */
} reader;

enum { DESCRIBED_BYTES = MBT_SHOWN_BYTES + 16 };

/* The item for "got ..."; returns out. */
static const char *describe(const cJSON *item, char out[DESCRIBED_BYTES])
{
    char shown[MBT_SHOWN_BYTES];
    if (cJSON_IsString(item)) {
        snprintf(out, DESCRIBED_BYTES, "the text \"%s\"", mbt_shown(item->valuestring, shown));
    } else if (cJSON_IsNumber(item)) {
        char number[MBT_NUMBER_BYTES];
        snprintf(out, DESCRIBED_BYTES, "the number %s", mbt_text_number(item->valuedouble, number));
    } else {
        snprintf(out, DESCRIBED_BYTES, "%s",
                 cJSON_IsObject(item)  ? "an object"
                 : cJSON_IsArray(item) ? "an array"
                 : cJSON_IsNull(item)  ? "null"
                 : cJSON_IsTrue(item)  ? "true"
                                       : "false");
    }
    return out;
}

static void add_mistyped(reader *r, const mbt_row *row, const char *where, const cJSON *item)
{
    char got[DESCRIBED_BYTES];
    char wanted[MBT_WANTED_BYTES];
    mbt_faults_add(&r->faults, row->path, "got %s%s, wanted %s", describe(item, got), where,
                   mbt_row_wanted(row, wanted));
}

static void read_integer(reader *r, const mbt_row *row, const cJSON *item)
{
    double value = item->valuedouble;
    if (!cJSON_IsNumber(item) || (isfinite(value) && value != trunc(value))) {
        add_mistyped(r, row, "", item);
    } else if (fabs(value) > MBT_INTEGER_MAX) {
        mbt_faults_add(&r->faults, row->path,
                       "got an integer beyond 2^53 - 1 (about %.9g), which JSON does not keep "
                       "exactly; wanted %.0f .. %.0f",
                       value, row->min, row->max);
    } else {
        mbt_row_put_integer(row, (int64_t)value, r->config);
    }
}

static void read_flags(reader *r, const mbt_row *row, const cJSON *item)
{
    unsigned bits = 0;
    const cJSON *element = NULL;
    cJSON_ArrayForEach(element, item)
    {
        if (!cJSON_IsString(element)) {
            add_mistyped(r, row, " in the array", element);
            continue;
        }
        unsigned bit = mbt_row_flag(row, element->valuestring, &r->faults);
        if ((bits & bit) != 0) {
            mbt_faults_add(&r->faults, row->path, "got \"%s\" twice, wanted it once",
                           element->valuestring);
        }
        bits |= bit;
    }
    mbt_row_put_integer(row, bits, r->config);
}

static void read_list(reader *r, const mbt_row *row, const cJSON *item)
{
    char wanted[MBT_WANTED_BYTES];
    mbt_config_list list = {0};
    int count = cJSON_GetArraySize(item);
    if (count > MBT_LIST_MAX) {
        mbt_faults_add(&r->faults, row->path, "got %d numbers, wanted %s", count,
                       mbt_row_wanted(row, wanted));
        return;
    }
    const cJSON *element = NULL;
    cJSON_ArrayForEach(element, item)
    {
        if (!cJSON_IsNumber(element)) {
            add_mistyped(r, row, " in the array", element);
            return;
        }
        list.value[list.count++] = element->valuedouble;
    }
    mbt_row_put_list(row, &list, r->config);
}

static void read_row(reader *r, const mbt_row *row, const cJSON *item)
{
    bool fits = true;
    int before = r->faults.count;
    switch (row->type) {
    case MBT_ROW_I64:
        read_integer(r, row, item);
        break;
    case MBT_ROW_F64:
        fits = cJSON_IsNumber(item);
        if (fits) {
            mbt_row_put_number(row, item->valuedouble, r->config);
        }
        break;
    case MBT_ROW_BOOL:
        fits = cJSON_IsBool(item);
        if (fits) {
            mbt_row_put_integer(row, cJSON_IsTrue(item), r->config);
        }
        break;
    case MBT_ROW_TEXT:
    case MBT_ROW_ENUM:
        fits = cJSON_IsString(item);
        if (fits) {
            mbt_row_put_text(row, item->valuestring, r->config, &r->faults);
        }
        break;
    case MBT_ROW_FLAGS:
        fits = cJSON_IsArray(item);
        if (fits) {
            read_flags(r, row, item);
        }
        break;
    case MBT_ROW_LIST:
        fits = cJSON_IsArray(item);
        if (fits) {
            read_list(r, row, item);
        }
        break;
    }
    if (!fits) {
        add_mistyped(r, row, "", item);
    }
    if (r->faults.count == before) { /* one fault a key is enough */
        mbt_row_verify(row, r->config, &r->faults);
    }
}

static void add_unknown(reader *r, const char *path, bool group)
{
    char near[MBT_SHOWN_BYTES];
    if (group && mbt_row_find(path) >= 0) {
        mbt_faults_add(&r->faults, path,
                       "got the whole path as a key, wanted {\"%.*s\": {\"%s\": ...}}",
                       (int)strcspn(path, "."), path, path + strcspn(path, ".") + 1);
    } else if (mbt_row_nearest(path, group, near) ||
               (group && mbt_row_nearest(path, false, near))) {
        mbt_faults_add(&r->faults, path, "got an unknown key, wanted a known one (nearest: %s)",
                       near);
    } else {
        mbt_faults_add(&r->faults, path, "got an unknown key, wanted one of --help-config");
    }
}

static void read_group(reader *r, const char *group, const cJSON *object)
{
    size_t length = strlen(group);
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object)
    {
        int at = mbt_row_find_in(group, length, item->string);
        if (at < 0) {
            char path[2 * MBT_SHOWN_BYTES];
            snprintf(path, sizeof path, "%s.%s", group, item->string);
            add_unknown(r, path, false);
        } else if (r->row_seen[at]) {
            mbt_faults_add(&r->faults, r->rows[at].path, "got the key again, wanted it once");
        } else {
            r->row_seen[at] = true;
            read_row(r, &r->rows[at], item);
        }
    }
}

static void read_root(reader *r, const cJSON *root)
{
    char got[DESCRIBED_BYTES];
    bool comment_seen = false;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, root)
    {
        bool comment = strcmp(item->string, "comment") == 0;
        int at = comment ? -1 : mbt_row_find_group(item->string);
        bool *seen = comment ? &comment_seen : at >= 0 ? &r->group_seen[at] : NULL;
        if (seen == NULL) {
            add_unknown(r, item->string, true);
            continue;
        }
        if (*seen) {
            mbt_faults_add(&r->faults, item->string, "got the key again, wanted it once");
            continue;
        }
        *seen = true;
        if (comment ? !cJSON_IsString(item) : !cJSON_IsObject(item)) {
            mbt_faults_add(&r->faults, item->string, "got %s, wanted %s", describe(item, got),
                           comment ? "a text" : "an object of keys");
        } else if (!comment) {
            read_group(r, item->string, item);
        }
    }
}

static mbt_status parse_bytes(const char *text, size_t bytes, const char *name, mbt_config *config,
                              mbt_error *err)
{
    mbt_status status = mbt_syntax_check(text, bytes, name, err);
    if (status != MBT_OK) {
        return status;
    }
    cJSON *root = cJSON_ParseWithLength(text, bytes);
    if (root == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: no memory to read it", name);
    }
    int n_rows = 0;
    mbt_config copy = *config;
    reader r = {.rows = mbt_rows(&n_rows), .config = &copy};
    mbt_faults_init(&r.faults, name);
    if (cJSON_IsObject(root)) {
        read_root(&r, root);
    } else {
        char got[DESCRIBED_BYTES];
        mbt_faults_add(&r.faults, "", "got %s, wanted an object", describe(root, got));
    }
    cJSON_Delete(root);
    status = mbt_faults_report(&r.faults, MBT_CONFIG, err);
    if (status == MBT_OK) {
        *config = copy;
    }
    return status;
}

mbt_status mbt_config_parse(const char *text, const char *name, mbt_config *config, mbt_error *err)
{
    return parse_bytes(text, strlen(text), name, config, err);
}

mbt_status mbt_config_read(const char *path, mbt_config *config, mbt_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    mbt_error cause = {0};
    if (mbt_file_read(path, FILE_BYTES_MAX, &text, &bytes, &cause) != MBT_OK) {
        return mbt_fail(err, MBT_CONFIG, "configuration: %s", cause.message);
    }
    mbt_status status = parse_bytes(text, bytes, path, config, err);
    free(text);
    return status;
}
