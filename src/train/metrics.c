/* The metric table. What a column is stands in `columns` once: CSV, HDF5, print and digest walk it,
 * so one more column is a field of mbt_metrics_row and a row here. */
#include "mbt/metrics.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/file.h"
#include "mbt/text.h"

typedef enum column_kind { COUNT, REAL } column_kind;

typedef struct column {
    const char *name;
    size_t offset; /* in mbt_metrics_row */
    const char *unit, *description;
    const char *format; /* of a REAL, for people; NULL: not shown */
    column_kind kind;
    bool timing;   /* another one in every run: no part of a digest */
    bool optional; /* see metrics.h */
} column;

#define FIELD(name) #name, offsetof(mbt_metrics_row, name)

/* clang-format off */
static const column columns[] = {
    {FIELD(epoch), "epochs", "epochs completed", NULL, COUNT, false, false},
    {FIELD(step), "steps", "steps done at the end of the epoch", NULL, COUNT, false, false},
    {FIELD(lr), "1", "learning rate of the last step", "%.4g", REAL, false, false},
    {FIELD(train_loss), "nat", "mean loss of the training samples as they passed", "%.4f", REAL, false, false},
    {FIELD(train_top1), "%", "training samples whose class came first, as they passed", "%.2f", REAL, false, false},
    {FIELD(valid_loss), "nat", "mean loss of the held-out samples", "%.4f", REAL, false, false},
    {FIELD(valid_top1), "%", "held-out samples whose class came first", "%.2f", REAL, false, false},
    {FIELD(valid_top5), "%", "held-out samples whose class came among the first five", "%.2f", REAL, false, false},
    {FIELD(test_loss), "nat", "mean loss of the test samples", "%.4f", REAL, false, false},
    {FIELD(test_top1), "%", "test samples whose class came first", "%.2f", REAL, false, false},
    {FIELD(test_top5), "%", "test samples whose class came among the first five", "%.2f", REAL, false, false},
    {FIELD(test_flip_top1), "%", "test samples whose class came first in the mean over both mirror images", "%.2f", REAL, false, true},
    {FIELD(train_s), "s", "wall time of training", "%.1f", REAL, true, false},
    {FIELD(evaluate_s), "s", "wall time of evaluation", "%.1f", REAL, true, false},
    {FIELD(images_per_s), "1/s", "training samples a second of training", "%.0f", REAL, true, false},
    {FIELD(input_s), "s", "reading and augmenting samples, mean of the ranks, of the process that ended the epoch", NULL, REAL, true, false},
    {FIELD(forward_s), "s", "forward passes and loss, mean of the ranks, of the process that ended the epoch", NULL, REAL, true, false},
    {FIELD(backward_s), "s", "backward passes, mean of the ranks, of the process that ended the epoch", NULL, REAL, true, false},
    {FIELD(reduce_s), "s", "summing gradients and waiting for the sum, mean of the ranks, of the process that ended the epoch", NULL, REAL, true, false},
    {FIELD(update_s), "s", "optimizer and running statistics, mean of the ranks, of the process that ended the epoch", NULL, REAL, true, false},
    {FIELD(checkpoint_s), "s", "saving since the row before, mean of the ranks", NULL, REAL, true, false},
    {FIELD(other_s), "s", "everything else since the row before, mean of the ranks", NULL, REAL, true, false},
};
/* clang-format on */

/* ROWS_MAX bounds what a damaged or foreign file can make us allocate. */
enum { N_COLUMNS = sizeof columns / sizeof *columns, ROWS_MAX = 10000000, CELL_BYTES = 40 };

_Static_assert(sizeof(mbt_metrics_row) == (size_t)N_COLUMNS * 8,
               "every field is a column of eight bytes");

static const double LOSS_UNIT = 0x1p-24;

bool mbt_counts_loss_fits(double loss)
{
    return fabs(loss) < 0x1p20; /* false for NaN */
}

int64_t mbt_counts_loss(double loss)
{
    assert(mbt_counts_loss_fits(loss));
    return llrint(loss / LOSS_UNIT);
}

static double per_sample(const mbt_counts *counts, int64_t sum, double unit)
{
    return counts->samples > 0 ? (double)sum * unit / (double)counts->samples : (double)NAN;
}

double mbt_counts_mean_loss(const mbt_counts *counts)
{
    return per_sample(counts, counts->loss, LOSS_UNIT);
}

double mbt_counts_top1(const mbt_counts *counts)
{
    return per_sample(counts, counts->top1, 100.0);
}

double mbt_counts_top5(const mbt_counts *counts)
{
    return per_sample(counts, counts->top5, 100.0);
}

void mbt_metrics_clear(mbt_metrics *metrics)
{
    free(metrics->rows);
    *metrics = (mbt_metrics){0};
}

static mbt_status reserve(mbt_metrics *metrics, int n_rows, mbt_error *err)
{
    if (n_rows <= metrics->capacity) {
        return MBT_OK;
    }
    if (n_rows > ROWS_MAX) {
        return mbt_fail(err, MBT_FAILURE, "metrics: got %d rows, wanted at most %d", n_rows,
                        ROWS_MAX);
    }
    int capacity = n_rows < 16 ? 16 : n_rows + n_rows / 2;
    mbt_metrics_row *rows = realloc(metrics->rows, (size_t)capacity * sizeof *rows);
    if (!rows) {
        return mbt_fail(err, MBT_FAILURE, "metrics: no memory for %d rows", capacity);
    }
    metrics->rows = rows;
    metrics->capacity = capacity;
    return MBT_OK;
}

mbt_status mbt_metrics_append(mbt_metrics *metrics, const mbt_metrics_row *row, mbt_error *err)
{
    mbt_status status = reserve(metrics, metrics->n_rows + 1, err);
    if (status == MBT_OK) {
        metrics->rows[metrics->n_rows++] = *row;
    }
    return status;
}

/* ---- cells ---- */

/* Fields are int64_t or double, eight bytes each (see the assertion above). */
static const void *cell(const mbt_metrics *metrics, int row, const column *c)
{
    return (const char *)&metrics->rows[row] + c->offset;
}

static int64_t cell_count(const mbt_metrics *metrics, int row, const column *c)
{
    int64_t value;
    memcpy(&value, cell(metrics, row, c), sizeof value);
    return value;
}

static double cell_real(const mbt_metrics *metrics, int row, const column *c)
{
    double value;
    memcpy(&value, cell(metrics, row, c), sizeof value);
    return value;
}

static bool cell_is_empty(const mbt_metrics *metrics, int row, const column *c)
{
    return c->kind == REAL && isnan(cell_real(metrics, row, c));
}

int mbt_metrics_n_columns(void)
{
    return N_COLUMNS;
}

mbt_metrics_column mbt_metrics_column_at(int i)
{
    return (mbt_metrics_column){columns[i].name, columns[i].unit, columns[i].description};
}

int mbt_metrics_find_column(const char *name)
{
    int i = 0;
    while (i < N_COLUMNS && strcmp(columns[i].name, name) != 0) {
        i++;
    }
    return i < N_COLUMNS ? i : -1;
}

double mbt_metrics_value(const mbt_metrics *metrics, int row, int i)
{
    return columns[i].kind == COUNT ? (double)cell_count(metrics, row, &columns[i])
                                    : cell_real(metrics, row, &columns[i]);
}

/* ---- HDF5 ---- */

static mbt_status column_path(const char *group, const column *c, char *path, mbt_error *err)
{
    return mbt_text_path(group, c->name, path, err);
}

static mbt_store_shape column_shape(const column *c, uint64_t n_rows)
{
    return (mbt_store_shape){
        .type = c->kind == COUNT ? MBT_STORE_I64 : MBT_STORE_F64, .rank = 1, .dims = {n_rows}};
}

mbt_status mbt_metrics_store(const mbt_metrics *metrics, mbt_store *store, const char *group,
                             mbt_error *err)
{
    size_t n_rows = (size_t)metrics->n_rows;
    /* One column at a time, as the bytes they are; one more so that no rows are still memory. */
    unsigned char(*values)[8] = malloc((n_rows + 1) * sizeof *values);
    if (!values) {
        return mbt_fail(err, MBT_FAILURE, "metrics: no memory for a column of %zu rows", n_rows);
    }
    mbt_status status = MBT_OK;
    for (int i = 0; i < N_COLUMNS && status == MBT_OK; i++) {
        const column *c = &columns[i];
        char path[MBT_PATH_BYTES];
        mbt_store_shape shape = column_shape(c, n_rows);
        for (int row = 0; row < metrics->n_rows; row++) {
            memcpy(values[row], cell(metrics, row, c), sizeof *values);
        }
        status = column_path(group, c, path, err);
        if (status == MBT_OK) {
            status = mbt_store_write(store, path, &shape, values, 0, 0, err);
        }
        if (status == MBT_OK) {
            status = mbt_store_set_text(store, path, "unit", c->unit, err);
        }
        if (status == MBT_OK) {
            status = mbt_store_set_text(store, path, "description", c->description, err);
        }
    }
    free(values);
    return status;
}

static void fill_empty(unsigned char (*values)[8], uint64_t n_rows)
{
    const double none = NAN;
    for (uint64_t row = 0; row < n_rows; row++) {
        memcpy(values[row], &none, sizeof none);
    }
}

mbt_status mbt_metrics_load(mbt_metrics *metrics, mbt_store *store, const char *group,
                            mbt_error *err)
{
    mbt_metrics loaded = {0};
    unsigned char(*values)[8] = NULL;
    char path[MBT_PATH_BYTES];
    mbt_store_shape shape = {0};
    mbt_status status = column_path(group, &columns[0], path, err);
    if (status == MBT_OK) {
        status = mbt_store_shape_of(store, path, &shape, err);
    }
    if (status != MBT_OK) {
        return status;
    }
    uint64_t n_rows = shape.dims[0];
    if (shape.rank != 1 || n_rows > ROWS_MAX) {
        return mbt_fail(err, MBT_DATA,
                        "%s: got rank %d with %llu entries, wanted rank 1 and at most %d", path,
                        shape.rank, (unsigned long long)n_rows, ROWS_MAX);
    }
    status = reserve(&loaded, (int)n_rows, err);
    if (status != MBT_OK) {
        goto done;
    }
    values = malloc((size_t)(n_rows + 1) * sizeof *values);
    if (!values) {
        status = mbt_fail(err, MBT_FAILURE, "metrics: no memory for a column of %llu rows",
                          (unsigned long long)n_rows);
        goto done;
    }
    loaded.n_rows = (int)n_rows;
    for (int i = 0; i < N_COLUMNS; i++) {
        const column *c = &columns[i];
        shape = column_shape(c, n_rows);
        status = column_path(group, c, path, err);
        if (status == MBT_OK && (c->timing || c->optional) && !mbt_store_has(store, path)) {
            fill_empty(values, n_rows); /* a file from before there was this column */
        } else if (status == MBT_OK) {
            status = mbt_store_read(store, path, &shape, values, err);
        }
        if (status != MBT_OK) {
            goto done;
        }
        for (int row = 0; row < loaded.n_rows; row++) {
            assert(loaded.rows);
            memcpy((char *)&loaded.rows[row] + c->offset, values[row], sizeof *values);
        }
    }
    mbt_metrics_clear(metrics);
    *metrics = loaded;
    loaded = (mbt_metrics){0};
done:
    free(values);
    mbt_metrics_clear(&loaded);
    return status;
}

/* ---- text ---- */

static void put_csv(const mbt_metrics *metrics, FILE *out)
{
    for (int i = 0; i < N_COLUMNS; i++) {
        (void)fprintf(out, "%s%s", columns[i].name, i + 1 < N_COLUMNS ? "," : "\n");
    }
    for (int row = 0; row < metrics->n_rows; row++) {
        for (int i = 0; i < N_COLUMNS; i++) {
            const column *c = &columns[i];
            char text[CELL_BYTES] = "";
            if (c->kind == COUNT) {
                (void)snprintf(text, sizeof text, "%" PRId64, cell_count(metrics, row, c));
            } else if (!cell_is_empty(metrics, row, c)) {
                (void)mbt_text_number(cell_real(metrics, row, c), text);
            }
            (void)fprintf(out, "%s%s", text, i + 1 < N_COLUMNS ? "," : "\n");
        }
    }
}

mbt_status mbt_metrics_write_csv(const mbt_metrics *metrics, const char *path, mbt_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) {
        return mbt_fail(err, MBT_FAILURE, "%s: no memory for the text: %s", path, strerror(errno));
    }
    put_csv(metrics, out);
    bool whole = !ferror(out);
    mbt_status status = MBT_OK;
    if (fclose(out) != 0 || !whole) {
        status = mbt_fail(err, MBT_FAILURE, "%s: no memory for the text", path);
    } else {
        status = mbt_file_replace(path, text, bytes, err);
    }
    free(text);
    return status;
}

static void people_text(const mbt_metrics *metrics, int row, const column *c, char *out)
{
    if (c->kind == COUNT) {
        (void)snprintf(out, CELL_BYTES, "%" PRId64, cell_count(metrics, row, c));
    } else if (cell_is_empty(metrics, row, c)) {
        (void)snprintf(out, CELL_BYTES, "-");
    } else {
        double value = cell_real(metrics, row, c);
        /* Above that the fixed formats of a table give way. */
        (void)snprintf(out, CELL_BYTES, fabs(value) < 1e9 ? c->format : "%.3e", value);
    }
}

/* The widest text of the column in rows first .., 0 when it is not shown or all of them are empty:
 * such a column (no validation split, say) is left out. */
static int column_width(const mbt_metrics *metrics, int first, const column *c)
{
    size_t width = strlen(c->name) > strlen(c->unit) ? strlen(c->name) : strlen(c->unit);
    bool any = false;
    if (c->kind == REAL && c->format == NULL) {
        return 0;
    }
    for (int row = first; row < metrics->n_rows; row++) {
        char text[CELL_BYTES];
        people_text(metrics, row, c, text);
        width = strlen(text) > width ? strlen(text) : width;
        any = any || !cell_is_empty(metrics, row, c);
    }
    return any ? (int)width : 0;
}

static void put_cell(FILE *out, int width, int i, const char *text)
{
    if (width > 0) {
        (void)fprintf(out, "%s%*s", i > 0 ? "  " : "", width, text);
    }
}

/* Names, units, then the rows. The first column, a count, is never left out. */
void mbt_metrics_print(const mbt_metrics *metrics, FILE *out, int most)
{
    if (metrics->n_rows == 0) {
        (void)fputs("no epoch completed\n", out);
        return;
    }
    int first = most > 0 && metrics->n_rows > most ? metrics->n_rows - most : 0;
    int widths[N_COLUMNS];
    for (int i = 0; i < N_COLUMNS; i++) {
        widths[i] = column_width(metrics, first, &columns[i]);
        put_cell(out, widths[i], i, columns[i].name);
    }
    (void)fputc('\n', out);
    for (int i = 0; i < N_COLUMNS; i++) {
        put_cell(out, widths[i], i, columns[i].unit);
    }
    (void)fputc('\n', out);
    for (int row = first; row < metrics->n_rows; row++) {
        for (int i = 0; i < N_COLUMNS; i++) {
            char text[CELL_BYTES] = "";
            if (widths[i] > 0) {
                people_text(metrics, row, &columns[i], text);
            }
            put_cell(out, widths[i], i, text);
        }
        (void)fputc('\n', out);
    }
}

/* ---- the files of a run ---- */

mbt_status mbt_metrics_write_files(const mbt_metrics *metrics, const char *folder, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_store *store = NULL;
    mbt_status status = mbt_text_path(folder, "metrics.h5", path, err);
    if (status == MBT_OK) {
        status = mbt_store_create(&store, err);
    }
    if (status == MBT_OK) {
        status = mbt_metrics_store(metrics, store, "/metrics", err);
    }
    if (status == MBT_OK) {
        status = mbt_store_commit(store, path, NULL, err);
    }
    mbt_store_close(store);
    if (status == MBT_OK) {
        status = mbt_text_path(folder, "metrics.csv", path, err);
    }
    if (status == MBT_OK) {
        status = mbt_metrics_write_csv(metrics, path, err);
    }
    return status;
}

/* ---- digest ---- */

static bool takes_part(const mbt_metrics *metrics, const column *c)
{
    bool any = !c->optional;
    for (int row = 0; row < metrics->n_rows && !any; row++) {
        any = !cell_is_empty(metrics, row, c);
    }
    return any && !c->timing;
}

void mbt_metrics_digest(const mbt_metrics *metrics, mbt_digest *digest)
{
    int64_t n_rows = metrics->n_rows;
    bool parts[N_COLUMNS];
    for (int i = 0; i < N_COLUMNS; i++) {
        parts[i] = takes_part(metrics, &columns[i]);
    }
    mbt_digest_add(digest, &n_rows, sizeof n_rows);
    for (int row = 0; row < metrics->n_rows; row++) {
        for (int i = 0; i < N_COLUMNS; i++) {
            if (!parts[i]) {
                continue;
            }
            uint64_t bits;
            memcpy(&bits, cell(metrics, row, &columns[i]), sizeof bits);
            if (cell_is_empty(metrics, row, &columns[i])) {
                bits = UINT64_C(0x7ff8000000000000); /* one of the many NaNs stands for all */
            }
            mbt_digest_add(digest, &bits, sizeof bits);
        }
    }
}
