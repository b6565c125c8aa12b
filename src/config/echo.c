/* The configuration written out: as JSON that reads back to the same bits, as help for people, and
 * as the keys on which two differ. Numbers are written here and not by cJSON, which compares them
 * with a tolerance when it chooses digits. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/config.h"
#include "schema.h"

static void write_flags(FILE *out, const mbt_row *row, int64_t bits)
{
    const char *separator = "";
    fputc('[', out);
    for (int i = 0; row->names[i] != NULL; i++) {
        if ((bits >> i & 1) != 0) {
            fprintf(out, "%s\"%s\"", separator, row->names[i]);
            separator = ", ";
        }
    }
    fputc(']', out);
}

static void write_value(FILE *out, const mbt_row *row, const mbt_config *config)
{
    char number[MBT_NUMBER_BYTES];
    const mbt_config_list *list = NULL;
    switch (row->type) {
    case MBT_ROW_I64:
        fprintf(out, "%" PRId64, mbt_row_integer(row, config));
        break;
    case MBT_ROW_F64:
        fputs(mbt_text_number(mbt_row_number(row, config), number), out);
        break;
    case MBT_ROW_BOOL:
        fputs(mbt_row_integer(row, config) != 0 ? "true" : "false", out);
        break;
    case MBT_ROW_TEXT:
        mbt_json_quote(out, mbt_row_text(row, config));
        break;
    case MBT_ROW_ENUM:
        mbt_json_quote(out, row->names[mbt_row_integer(row, config)]);
        break;
    case MBT_ROW_FLAGS:
        write_flags(out, row, mbt_row_integer(row, config));
        break;
    case MBT_ROW_LIST:
        list = mbt_row_list(row, config);
        fputc('[', out);
        for (int i = 0; i < list->count; i++) {
            fprintf(out, "%s%s", i > 0 ? ", " : "", mbt_text_number(list->value[i], number));
        }
        fputc(']', out);
        break;
    }
}

/* Whether row i is the first of its group. */
static bool opens_group(const mbt_row *rows, int i)
{
    size_t length = mbt_row_group_length(&rows[i]);
    return i == 0 || mbt_row_group_length(&rows[i - 1]) != length ||
           memcmp(rows[i - 1].path, rows[i].path, length) != 0;
}

mbt_status mbt_config_echo(const mbt_config *config, char **text, mbt_error *err)
{
    int n_rows = 0;
    const mbt_row *rows = mbt_rows(&n_rows);
    char *buffer = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&buffer, &bytes);
    if (out == NULL) {
        return mbt_fail(err, MBT_FAILURE, "configuration: no memory to write it");
    }
    fputc('{', out);
    for (int i = 0; i < n_rows; i++) {
        size_t group = mbt_row_group_length(&rows[i]);
        if (opens_group(rows, i)) {
            fprintf(out, "%s\n  \"%.*s\": {", i > 0 ? "\n  }," : "", (int)group, rows[i].path);
        } else {
            fputc(',', out);
        }
        fprintf(out, "\n    \"%s\": ", rows[i].path + group + 1);
        write_value(out, &rows[i], config);
    }
    fputs("\n  }\n}\n", out);
    bool failed = ferror(out) != 0;
    failed = fclose(out) != 0 || failed;
    if (failed) {
        free(buffer);
        return mbt_fail(err, MBT_FAILURE, "configuration: no memory to write it");
    }
    *text = buffer;
    return MBT_OK;
}

void mbt_config_help(FILE *out)
{
    int n_rows = 0;
    const mbt_row *rows = mbt_rows(&n_rows);
    char wanted[MBT_WANTED_BYTES];
    fputs("A configuration is a JSON file of objects in one object: train.batch stands as\n"
          "    {\"train\": {\"batch\": 256}}\n"
          "and on the command line as --set train.batch=256. A key that is left out has its\n"
          "default. Lists are arrays in JSON ([\"bn\", \"bias\"], [200, 300]) and comma-separated\n"
          "in --set (bn,bias and 200,300); an empty one is [] and nothing. A key \"comment\" with\n"
          "a text may stand beside the groups; it is not read.\n",
          out);
    for (int i = 0; i < n_rows; i++) {
        const mbt_row *row = &rows[i];
        bool quoted = row->type == MBT_ROW_TEXT || *row->standard == '\0';
        fprintf(out, "%s%s\n    %s%s%s, default %s%s%s\n    %s\n", opens_group(rows, i) ? "\n" : "",
                row->path, mbt_row_wanted(row, wanted), *row->unit != '\0' ? ", in " : "",
                row->unit, quoted ? "\"" : "", row->standard, quoted ? "\"" : "", row->help);
    }
}

void mbt_config_difference(const mbt_config *a, const mbt_config *b, char *out, size_t bytes)
{
    int n_rows = 0;
    const mbt_row *rows = mbt_rows(&n_rows);
    size_t used = 0;
    if (bytes == 0) {
        return;
    }
    out[0] = '\0';
    for (int i = 0; i < n_rows && used < bytes; i++) {
        if (!mbt_row_equal(&rows[i], a, b)) {
            int n = snprintf(out + used, bytes - used, "%s%s", used > 0 ? ", " : "", rows[i].path);
            used += n > 0 ? (size_t)n : 0;
        }
    }
}
