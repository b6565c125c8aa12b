/* A table as text, Markdown, HTML, CSV and HDF5. People see `views`, programs all of `columns`. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "mbt/store.h"
#include "mbt/table.h"
#include "mbt/text.h"

enum { CELL_BYTES = 640 };

static const struct column {
    const char *name;
    size_t offset; /* in mbt_table_row */
    const char *unit, *description;
} columns[] = {
    {"printed_parameters", offsetof(mbt_table_row, printed_parameters), "10^6", "printed count"},
    {"parameters", offsetof(mbt_table_row, parameters), "1", "trained parameters"},
    {"macs", offsetof(mbt_table_row, macs), "1", "multiply-accumulates of one image"},
    {"epochs", offsetof(mbt_table_row, epochs), "epochs", "epochs of the configuration"},
    {"seeds", offsetof(mbt_table_row, seeds), "runs", "runs that the job wants"},
    {"runs", offsetof(mbt_table_row, runs), "runs", "finished runs"},
    {"unfinished", offsetof(mbt_table_row, unfinished), "runs", "runs begun and not finished"},
    {"printed_top1", offsetof(mbt_table_row, printed_top1), "%", "printed top-1"},
    {"top1", offsetof(mbt_table_row, top1), "%", "test top-1, mean of the finished runs"},
    {"top1_deviation", offsetof(mbt_table_row, top1_deviation), "%",
     "sample deviation of top1 over the runs"},
    {"flip_top1", offsetof(mbt_table_row, flip_top1), "%",
     "test top-1 of image and mirror image together, mean of the finished runs that have it"},
    {"flip_top1_deviation", offsetof(mbt_table_row, flip_top1_deviation), "%",
     "sample deviation of flip_top1 over these runs"},
    {"printed_top5", offsetof(mbt_table_row, printed_top5), "%", "printed top-5"},
    {"top5", offsetof(mbt_table_row, top5), "%", "test top-5, mean of the finished runs"},
    {"top5_deviation", offsetof(mbt_table_row, top5_deviation), "%",
     "sample deviation of top5 over the runs"},
    {"hours", offsetof(mbt_table_row, hours), "h", "wall time of a run, mean"},
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

/* The field at the offset. */
static double number_at(const mbt_table_row *row, size_t offset)
{
    double value;
    memcpy(&value, (const char *)row + offset, sizeof value);
    return value;
}

/* ---- cells for people ---- */

static void put_number(char *out, const char *format, double value, const char *otherwise)
{
    if (isnan(value)) {
        (void)snprintf(out, CELL_BYTES, "%s", otherwise);
    } else {
        (void)snprintf(out, CELL_BYTES, format, value);
    }
}

static void label_cell(const mbt_table_row *row, char *out)
{
    (void)snprintf(out, CELL_BYTES, "%s", row->row->label);
}

static void data_cell(const mbt_table_row *row, char *out)
{
    (void)snprintf(out, CELL_BYTES, "%s", row->row->data);
}

static void with_deviation(double mean, double deviation, const char *otherwise, char *out)
{
    put_number(out, "%.2f", mean, otherwise);
    if (!isnan(deviation)) {
        (void)snprintf(out, CELL_BYTES, "%.2f +- %.2f", mean, deviation);
    }
}

static void top1_cell(const mbt_table_row *row, char *out)
{
    with_deviation(row->top1, row->top1_deviation, row->unfinished > 0 ? "unfinished" : "not run",
                   out);
}

static void flip_top1_cell(const mbt_table_row *row, char *out)
{
    with_deviation(row->flip_top1, row->flip_top1_deviation, "-", out);
}

static void top5_cell(const mbt_table_row *row, char *out)
{
    with_deviation(row->top5, row->top5_deviation, "-", out);
}

static void seeds_cell(const mbt_table_row *row, char *out)
{
    (void)snprintf(out, CELL_BYTES, "%.0f of %.0f", row->runs, row->seeds);
}

#define NUMBER(name, format, unit) true, NULL, offsetof(mbt_table_row, name), format, unit

static const struct view {
    const char *head;
    bool number;                                /* right-aligned */
    void (*put)(const mbt_table_row *, char *); /* CELL_BYTES; NULL: the number at */
    size_t offset;                              /* in mbt_table_row, */
    const char *format;
    double unit; /* in which it is shown */
} views[] = {
    {"network", false, label_cell, 0, NULL, 1},
    {"data", false, data_cell, 0, NULL, 1},
    {"params printed, M", NUMBER(printed_parameters, "%.3g", 1)},
    {"params, M", NUMBER(parameters, "%.2f", 1e6)},
    {"MACs, M", NUMBER(macs, "%.1f", 1e6)},
    {"epochs", NUMBER(epochs, "%.0f", 1)},
    {"top-1 printed, %", NUMBER(printed_top1, "%.2f", 1)},
    {"top-1, %", true, top1_cell, 0, NULL, 1},
    {"top-1 both views, %", true, flip_top1_cell, 0, NULL, 1},
    {"top-5 printed, %", NUMBER(printed_top5, "%.2f", 1)},
    {"top-5, %", true, top5_cell, 0, NULL, 1},
    {"seeds run", true, seeds_cell, 0, NULL, 1},
    {"hours a run", NUMBER(hours, "%.2f", 1)},
};
enum { N_VIEWS = sizeof views / sizeof *views };

/* The cell of a row, or of r < 0 the head. */
static void put_cell(const mbt_table *table, const struct view *v, int r, char *cell)
{
    if (r < 0) {
        (void)snprintf(cell, CELL_BYTES, "%s", v->head);
    } else if (v->put != NULL) {
        v->put(&table->rows[r], cell);
    } else {
        put_number(cell, v->format, number_at(&table->rows[r], v->offset) / v->unit, "-");
    }
}

/* A column that says nothing in any row is left out. */
static bool is_shown(const mbt_table *table, const struct view *v)
{
    for (int r = 0; r < table->n_rows; r++) {
        char cell[CELL_BYTES];
        put_cell(table, v, r, cell);
        if (strcmp(cell, "-") != 0) {
            return true;
        }
    }
    return false;
}

/* ---- tables for people ---- */

/* Writes a cell of row r, or for r < 0 of the heads. */
typedef void cell_writer(const mbt_table *table, const struct view *v, int r, const char *cell,
                         FILE *out);

static void write_line(const mbt_table *table, int r, cell_writer *write, const char *end,
                       FILE *out)
{
    for (int i = 0; i < N_VIEWS; i++) {
        char cell[CELL_BYTES];
        if (is_shown(table, &views[i])) {
            put_cell(table, &views[i], r, cell);
            write(table, &views[i], r, cell, out);
        }
    }
    (void)fputs(end, out);
}

static void text_cell(const mbt_table *table, const struct view *v, int r, const char *cell,
                      FILE *out)
{
    size_t width = 0;
    (void)r;
    for (int k = -1; k < table->n_rows; k++) {
        char other[CELL_BYTES];
        put_cell(table, v, k, other);
        width = strlen(other) > width ? strlen(other) : width;
    }
    (void)fprintf(out, "%s%*s", v == views ? "" : "  ", v->number ? (int)width : -(int)width, cell);
}

void mbt_table_print(const mbt_table *table, FILE *out)
{
    (void)fprintf(out, "%s\n\n", table->job->title);
    for (int r = -1; r < table->n_rows; r++) {
        write_line(table, r, text_cell, "\n", out);
    }
    if (table->job->note[0] != '\0') {
        (void)fprintf(out, "\n%s\n", table->job->note);
    }
}

/* As it stands: a bar would end the cell, stars and underlines would change the letters, an angle
 * bracket would begin an element. */
static void markdown_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        (void)fprintf(out, strchr("\\|<>*_`[]&", *text) != NULL ? "\\%c" : "%c", *text);
    }
}

static void markdown_cell(const mbt_table *table, const struct view *v, int r, const char *cell,
                          FILE *out)
{
    (void)table;
    (void)v;
    (void)r;
    (void)fputs("| ", out);
    markdown_text(out, cell);
    (void)fputc(' ', out);
}

static void markdown_rule(const mbt_table *table, const struct view *v, int r, const char *cell,
                          FILE *out)
{
    (void)table;
    (void)r;
    (void)cell;
    (void)fprintf(out, "|%s", v->number ? "---:" : "---");
}

void mbt_table_print_markdown(const mbt_table *table, FILE *out)
{
    (void)fputs("**", out);
    markdown_text(out, table->job->title);
    (void)fputs("**\n\n", out);
    write_line(table, -1, markdown_cell, "|\n", out);
    write_line(table, -1, markdown_rule, "|\n", out);
    for (int r = 0; r < table->n_rows; r++) {
        write_line(table, r, markdown_cell, "|\n", out);
    }
    if (table->job->note[0] != '\0') {
        (void)fputc('\n', out);
        markdown_text(out, table->job->note);
        (void)fputc('\n', out);
    }
}

static void html_cell(const mbt_table *table, const struct view *v, int r, const char *cell,
                      FILE *out)
{
    (void)table;
    (void)fprintf(out, "<%s%s>", r < 0 ? "th scope=\"col\"" : "td",
                  v->number ? " class=\"number\"" : "");
    html_text(out, cell);
    (void)fprintf(out, "</%s>", r < 0 ? "th" : "td");
}

void mbt_table_print_html(const mbt_table *table, FILE *out)
{
    (void)fputs("<div class=\"scroll\"><table class=\"results\">\n<caption>", out);
    html_text(out, table->job->title);
    (void)fputs("</caption>\n", out);
    for (int r = -1; r < table->n_rows; r++) {
        const bool ran = r >= 0 && table->rows[r].runs > 0;
        (void)fprintf(out, "<tr%s>", r < 0 || ran ? "" : " class=\"pending\"");
        write_line(table, r, html_cell, "</tr>\n", out);
    }
    (void)fputs("</table></div>\n", out);
    if (table->job->note[0] != '\0') {
        (void)fputs("<p class=\"note\">", out);
        html_text(out, table->job->note);
        (void)fputs("</p>\n", out);
    }
}

/* ---- for programs ---- */

static void csv_text(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        (void)fprintf(out, *text == '"' ? "\"\"" : "%c", *text);
    }
    (void)fputc('"', out);
}

void mbt_table_print_csv(const mbt_table *table, FILE *out)
{
    (void)fputs("label,data,configuration,source", out);
    for (int c = 0; c < N_COLUMNS; c++) {
        (void)fprintf(out, ",%s", columns[c].name);
    }
    (void)fputc('\n', out);
    for (int r = 0; r < table->n_rows; r++) {
        const mbt_job_row *row = table->rows[r].row;
        csv_text(out, row->label);
        (void)fprintf(out, ",%s,", row->data);
        csv_text(out, row->configuration);
        (void)fputc(',', out);
        csv_text(out, row->source);
        for (int c = 0; c < N_COLUMNS; c++) {
            const double value = number_at(&table->rows[r], columns[c].offset);
            char cell[CELL_BYTES];
            put_number(cell, "%.15g", value, "");
            (void)fprintf(out, ",%s", cell);
        }
        (void)fputc('\n', out);
    }
}

static mbt_status store_column(const mbt_table *table, mbt_store *store, const struct column *c,
                               double *values, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    const mbt_store_shape shape = {
        .type = MBT_STORE_F64, .rank = 1, .dims = {(uint64_t)table->n_rows}};
    for (int r = 0; r < table->n_rows; r++) {
        values[r] = number_at(&table->rows[r], c->offset);
    }
    mbt_status status = mbt_text_path("/table", c->name, path, err);
    if (status == MBT_OK) {
        status = mbt_store_write(store, path, &shape, values, 0, 0, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_set_text(store, path, "unit", c->unit, err);
    }
    return status == MBT_OK ? mbt_store_set_text(store, path, "description", c->description, err)
                            : status;
}

static mbt_status store_texts(const mbt_table *table, mbt_store *store, const char **texts,
                              mbt_error *err)
{
    static const char *const names[] = {"label", "data", "configuration", "source"};
    mbt_status status = MBT_OK;
    for (int i = 0; i < 4 && status == MBT_OK; i++) {
        for (int r = 0; r < table->n_rows; r++) {
            const mbt_job_row *row = table->rows[r].row;
            const char *const of_row[] = {row->label, row->data, row->configuration, row->source};
            texts[r] = of_row[i];
        }
        status = mbt_store_set_texts(store, "/table", names[i], table->n_rows, texts, err);
    }
    return status;
}

mbt_status mbt_table_write_hdf5(const mbt_table *table, const char *path, mbt_error *err)
{
    mbt_store *store = NULL;
    double *values = malloc((size_t)table->n_rows * sizeof *values);
    const char **texts = malloc((size_t)table->n_rows * sizeof *texts);
    mbt_status status = values != NULL && texts != NULL
                            ? mbt_store_create(&store, err)
                            : mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    for (int c = 0; c < N_COLUMNS && status == MBT_OK; c++) {
        status = store_column(table, store, &columns[c], values, err);
    }
    if (status == MBT_OK) {
        status = store_texts(table, store, texts, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_set_text(store, "/table", "title", table->job->title, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_commit(store, path, NULL, err);
    }
    mbt_store_close(store);
    free(values);
    free(texts);
    return status;
}
