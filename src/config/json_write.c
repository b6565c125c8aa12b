/* JSON out, one member a line. Numbers read back to the same bits. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>

#include "mbt/json.h"
#include "schema.h"

void mbt_json_quote(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            (void)fputc('\\', out);
        }
        (void)fputc(*c, out);
    }
    (void)fputc('"', out);
}

/* All that stands before a value. */
static void open_value(mbt_json *j, const char *name)
{
    if (j->depth > 0) {
        (void)fprintf(j->out, "%s\n%*s", j->empty ? "" : ",", 2 * j->depth, "");
    }
    if (name != NULL) {
        mbt_json_quote(j->out, name);
        (void)fputs(": ", j->out);
    }
    j->empty = false;
}

static void open_level(mbt_json *j, const char *name, char begin, char end)
{
    assert(j->depth < MBT_JSON_DEPTH);
    open_value(j, name);
    (void)fputc(begin, j->out);
    j->ends[j->depth++] = end;
    j->empty = true;
}

void mbt_json_begin(mbt_json *j, FILE *out)
{
    *j = (mbt_json){.out = out, .empty = true};
}

void mbt_json_object(mbt_json *j, const char *name)
{
    open_level(j, name, '{', '}');
}

void mbt_json_array(mbt_json *j, const char *name)
{
    open_level(j, name, '[', ']');
}

void mbt_json_end(mbt_json *j)
{
    assert(j->depth > 0);
    j->depth--;
    if (!j->empty) {
        (void)fprintf(j->out, "\n%*s", 2 * j->depth, "");
    }
    (void)fputc(j->ends[j->depth], j->out);
    if (j->depth == 0) {
        (void)fputc('\n', j->out);
    }
    j->empty = false;
}

void mbt_json_number(mbt_json *j, const char *name, double value)
{
    char number[MBT_NUMBER_BYTES];
    open_value(j, name);
    (void)fputs(isfinite(value) ? mbt_text_number(value, number) : "null", j->out);
}

void mbt_json_integer(mbt_json *j, const char *name, int64_t value)
{
    open_value(j, name);
    (void)fprintf(j->out, "%" PRId64, value);
}

void mbt_json_text(mbt_json *j, const char *name, const char *value)
{
    open_value(j, name);
    mbt_json_quote(j->out, value);
}
