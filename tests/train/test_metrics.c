/* The metric table: counts, CSV, HDF5 and back, the table for people, the digest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/file.h"
#include "mbt/metrics.h"

enum { N_COLUMNS = 22, ROOM = 1 << 20 };

static const char csv_head[] =
    "epoch,step,lr,train_loss,train_top1,valid_loss,valid_top1,valid_top5,"
    "test_loss,test_top1,test_top5,test_flip_top1,train_s,evaluate_s,images_per_s,"
    "input_s,forward_s,backward_s,reduce_s,update_s,checkpoint_s,other_s\n";

typedef struct fixture {
    char folder[64], path[128];
    mbt_metrics metrics;
} fixture;

static mbt_metrics_row row_at(int64_t epoch)
{
    double e = (double)epoch;
    return (mbt_metrics_row){.epoch = epoch,
                             .step = epoch * 196,
                             .lr = 0.4 / (e + 2.0),
                             .train_loss = 2.0 / e + 1e-9,
                             .train_top1 = 100.0 - 200.0 / (e + 3.0),
                             .valid_loss = NAN,
                             .valid_top1 = NAN,
                             .valid_top5 = NAN,
                             .test_loss = epoch % 2 ? 1.0 / 3.0 : (double)NAN,
                             .test_top1 = epoch % 2 ? 81.97 : (double)NAN,
                             .test_top5 = epoch % 2 ? 99.0 : (double)NAN,
                             .test_flip_top1 = NAN,
                             .train_s = 12.345,
                             .evaluate_s = 1.5,
                             .images_per_s = 4050.1234,
                             .input_s = 0.1,
                             .forward_s = 0.2,
                             .backward_s = 4,
                             .reduce_s = 0.25,
                             .update_s = 0.5,
                             .checkpoint_s = e / 2.0,
                             .other_s = 0};
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    strcpy(f->folder, "/tmp/mbt-metrics-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/table", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    mbt_metrics_clear(&f->metrics);
    unlink(f->path);
    int gone = rmdir(f->folder); /* fails when something was left behind */
    free(f);
    return gone;
}

static void fill(mbt_metrics *metrics, int n_rows)
{
    mbt_error err = {0};
    for (int i = 1; i <= n_rows; i++) {
        mbt_metrics_row row = row_at(i);
        assert_int_equal(mbt_metrics_append(metrics, &row, &err), MBT_OK);
    }
    assert_int_equal(metrics->n_rows, n_rows);
}

static void test_counts(void **state)
{
    (void)state;
    mbt_counts counts = {.samples = 3, .top1 = 1, .top5 = 2};
    const double losses[] = {0.1, 2.302585092994046, 1e-12};
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        int64_t units = mbt_counts_loss(losses[i]);
        assert_true(fabs((double)units - losses[i] * 16777216.0) <= 0.5);
        counts.loss += units;
        sum += losses[i];
    }
    assert_true(fabs(mbt_counts_mean_loss(&counts) - sum / 3) < 1e-7);
    assert_true(fabs(mbt_counts_top1(&counts) - 100.0 / 3) < 1e-12);
    assert_true(fabs(mbt_counts_top5(&counts) - 200.0 / 3) < 1e-12);
    assert_true(mbt_counts_loss(1.5 * 0x1p-24) == 2); /* ties to even, as llrint */
    assert_true(mbt_counts_loss(2.5 * 0x1p-24) == 2);
    assert_true(mbt_counts_loss(-1.0) == -(INT64_C(1) << 24));

    assert_true(mbt_counts_loss_fits(1048575.0) && mbt_counts_loss_fits(-1.0));
    assert_false(mbt_counts_loss_fits(1048576.0) || mbt_counts_loss_fits(NAN) ||
                 mbt_counts_loss_fits(INFINITY) || mbt_counts_loss_fits(-1e300));

    mbt_counts none = {0};
    assert_true(isnan(mbt_counts_mean_loss(&none)) && isnan(mbt_counts_top1(&none)) &&
                isnan(mbt_counts_top5(&none)));
}

static void read_text(const char *path, char **text)
{
    mbt_error err = {0};
    assert_int_equal(mbt_file_read(path, ROOM, text, NULL, &err), MBT_OK);
}

static void test_csv(void **state)
{
    fixture *f = *state;
    mbt_error err = {0};
    assert_int_equal(mbt_metrics_write_csv(&f->metrics, f->path, &err), MBT_OK);
    char *text = NULL;
    read_text(f->path, &text);
    assert_string_equal(text, csv_head);
    free(text);

    fill(&f->metrics, 2);
    f->metrics.rows[0].lr = 0.1;
    f->metrics.rows[0].train_loss = 1.25;
    assert_int_equal(mbt_metrics_write_csv(&f->metrics, f->path, &err), MBT_OK);
    read_text(f->path, &text);
    char *line = strchr(text, '\n') + 1;
    assert_memory_equal(text, csv_head, strlen(csv_head));
    const char *want_1 = "1,196,0.1,1.25,50,,,,0.333333333333333";
    const char *want_2 =
        "2,392,0.1,1.000000001,60,,,,,,,,12.345,1.5,4050.1234,0.1,0.2,4,0.25,0.5,1,0\n";
    assert_memory_equal(line, want_1, strlen(want_1));
    line = strchr(line, '\n') + 1;
    assert_string_equal(line, want_2);
    free(text);
}

/* Every number of the CSV reads back as the very number. */
static void test_csv_is_exact(void **state)
{
    fixture *f = *state;
    mbt_error err = {0};
    fill(&f->metrics, 200);
    assert_int_equal(mbt_metrics_write_csv(&f->metrics, f->path, &err), MBT_OK);
    char *text = NULL;
    read_text(f->path, &text);
    const char *at = strchr(text, '\n') + 1;
    for (int row = 0; row < 200; row++) {
        const mbt_metrics_row *want = &f->metrics.rows[row];
        const double reals[N_COLUMNS] = {0,
                                         0,
                                         want->lr,
                                         want->train_loss,
                                         want->train_top1,
                                         want->valid_loss,
                                         want->valid_top1,
                                         want->valid_top5,
                                         want->test_loss,
                                         want->test_top1,
                                         want->test_top5,
                                         want->test_flip_top1,
                                         want->train_s,
                                         want->evaluate_s,
                                         want->images_per_s,
                                         want->input_s,
                                         want->forward_s,
                                         want->backward_s,
                                         want->reduce_s,
                                         want->update_s,
                                         want->checkpoint_s,
                                         want->other_s};
        for (int i = 0; i < N_COLUMNS; i++) {
            char *end = NULL;
            double got = strtod(at, &end);
            if (i < 2)
                assert_true(got == (double)(i ? want->step : want->epoch));
            else if (isnan(reals[i]))
                assert_ptr_equal(end, at);
            else
                assert_true(got == reals[i]);
            assert_int_equal(*end, i + 1 < N_COLUMNS ? ',' : '\n');
            at = end + 1;
        }
    }
    assert_int_equal(*at, '\0');
    free(text);
}

static void test_csv_unwritable(void **state)
{
    fixture *f = *state;
    mbt_error err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/no/table.csv", f->folder);
    assert_int_equal(mbt_metrics_write_csv(&f->metrics, path, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "/no/table.csv"));
    assert_non_null(strstr(err.message, "No such file"));
}

static void save(const fixture *f, const mbt_metrics *metrics)
{
    mbt_error err = {0};
    mbt_store *store = NULL;
    assert_int_equal(mbt_store_create(&store, &err), MBT_OK);
    assert_int_equal(mbt_metrics_store(metrics, store, "/metrics", &err), MBT_OK);
    assert_int_equal(mbt_store_commit(store, f->path, NULL, &err), MBT_OK);
    mbt_store_close(store);
}

static void test_store_and_load(void **state)
{
    fixture *f = *state;
    static const int counts[] = {0, 1, 37};
    for (int i = 0; i < 3; i++) {
        mbt_error err = {0};
        mbt_store *store = NULL;
        mbt_metrics loaded = {0};
        mbt_metrics_clear(&f->metrics);
        fill(&f->metrics, counts[i]);
        fill(&loaded, 3); /* is replaced */
        save(f, &f->metrics);
        assert_int_equal(mbt_store_open(f->path, ROOM, &store, &err), MBT_OK);
        assert_int_equal(mbt_metrics_load(&loaded, store, "/metrics", &err), MBT_OK);
        assert_int_equal(loaded.n_rows, counts[i]);
        if (counts[i] > 0)
            assert_memory_equal(loaded.rows, f->metrics.rows,
                                (size_t)counts[i] * sizeof *loaded.rows);

        char unit[64], description[256];
        mbt_store_shape shape;
        assert_int_equal(
            mbt_store_get_text(store, "/metrics/train_loss", "unit", unit, sizeof unit, &err),
            MBT_OK);
        assert_string_equal(unit, "nat");
        assert_int_equal(mbt_store_get_text(store, "/metrics/test_top1", "description", description,
                                            sizeof description, &err),
                         MBT_OK);
        assert_non_null(strstr(description, "test samples"));
        assert_int_equal(mbt_store_shape_of(store, "/metrics/step", &shape, &err), MBT_OK);
        assert_int_equal(shape.type, MBT_STORE_I64);
        assert_int_equal(shape.rank, 1);
        assert_int_equal(shape.dims[0], counts[i]);
        mbt_store_close(store);
        mbt_metrics_clear(&loaded);
    }
}

/* A table from before there were columns of times and of mirror images: they are empty, the others
 * are read. */
static void test_load_without_times(void **state)
{
    fixture *f = *state;
    mbt_error err = {0};
    mbt_store *store = NULL;
    mbt_metrics loaded = {0};
    fill(&f->metrics, 3);
    assert_int_equal(mbt_store_create(&store, &err), MBT_OK);
    for (int c = 0; c < mbt_metrics_n_columns(); c++) {
        const char *name = mbt_metrics_column_at(c).name, *unit = mbt_metrics_column_at(c).unit;
        char path[64];
        double values[3];
        int64_t counts[3];
        const int is_count = c < 2;
        const mbt_store_shape shape = {
            .type = is_count ? MBT_STORE_I64 : MBT_STORE_F64, .rank = 1, .dims = {3}};
        if (strcmp(unit, "s") == 0 || strcmp(name, "test_flip_top1") == 0)
            continue;
        for (int row = 0; row < 3; row++) {
            values[row] = mbt_metrics_value(&f->metrics, row, c);
            counts[row] = (int64_t)values[row];
        }
        snprintf(path, sizeof path, "/metrics/%s", name);
        assert_int_equal(mbt_store_write(store, path, &shape,
                                         is_count ? (void *)counts : (void *)values, 0, 0, &err),
                         MBT_OK);
    }
    assert_int_equal(mbt_store_commit(store, f->path, NULL, &err), MBT_OK);
    assert_int_equal(mbt_metrics_load(&loaded, store, "/metrics", &err), MBT_OK);
    mbt_store_close(store);
    assert_int_equal(loaded.n_rows, 3);
    assert_true(isnan(loaded.rows[2].test_flip_top1));
    assert_true(isnan(loaded.rows[2].forward_s) && isnan(loaded.rows[0].train_s));
    assert_true(loaded.rows[2].train_loss == f->metrics.rows[2].train_loss);
    mbt_metrics_clear(&loaded);
}

static void test_load_refuses(void **state)
{
    fixture *f = *state;
    mbt_error err = {0};
    mbt_store *store = NULL;
    mbt_metrics loaded = {0};
    int64_t epochs[2] = {1, 2};
    mbt_store_shape shape = {.type = MBT_STORE_I64, .rank = 1, .dims = {2}};

    /* columns are missing: the table that was there stays */
    fill(&loaded, 3);
    assert_int_equal(mbt_store_create(&store, &err), MBT_OK);
    assert_int_equal(mbt_store_write(store, "/metrics/epoch", &shape, epochs, 0, 0, &err), MBT_OK);
    assert_int_equal(mbt_store_commit(store, f->path, NULL, &err), MBT_OK);
    mbt_store_close(store);
    assert_int_equal(mbt_store_open(f->path, ROOM, &store, &err), MBT_OK);
    assert_int_equal(mbt_metrics_load(&loaded, store, "/metrics", &err), MBT_DATA);
    assert_non_null(strstr(err.message, "/metrics/step"));
    assert_int_equal(mbt_metrics_load(&loaded, store, "/elsewhere", &err), MBT_DATA);
    mbt_store_close(store);
    assert_int_equal(loaded.n_rows, 3);

    /* a column of another length */
    fill(&f->metrics, 2);
    assert_int_equal(mbt_store_create(&store, &err), MBT_OK);
    assert_int_equal(mbt_store_write(store, "/metrics/epoch", &shape, epochs, 0, 0, &err), MBT_OK);
    shape.dims[0] = 1;
    assert_int_equal(mbt_store_write(store, "/metrics/step", &shape, epochs, 0, 0, &err), MBT_OK);
    assert_int_equal(mbt_store_commit(store, f->path, NULL, &err), MBT_OK);
    mbt_store_close(store);
    assert_int_equal(mbt_store_open(f->path, ROOM, &store, &err), MBT_OK);
    assert_int_equal(mbt_metrics_load(&loaded, store, "/metrics", &err), MBT_DATA);
    assert_non_null(strstr(err.message, "/metrics/step"));
    mbt_store_close(store);
    mbt_metrics_clear(&loaded);
}

static char *printed(const mbt_metrics *metrics, int most)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    mbt_metrics_print(metrics, out, most);
    fclose(out);
    return text;
}

static void test_print(void **state)
{
    fixture *f = *state;
    char *text = printed(&f->metrics, 0);
    assert_string_equal(text, "no epoch completed\n");
    free(text);

    fill(&f->metrics, 3);
    text = printed(&f->metrics, 2);
    assert_string_equal(
        text,
        " epoch   step    lr  train_loss  train_top1  test_loss  test_top1  test_top5  train_s  "
        "evaluate_s  images_per_s\n"
        "epochs  steps     1         nat           %        nat          %          %        s  "
        "         s           1/s\n"
        "     2    392   0.1      1.0000       60.00          -          -          -     12.3  "
        "       1.5          4050\n"
        "     3    588  0.08      0.6667       66.67     0.3333      81.97      99.00     12.3  "
        "       1.5          4050\n");
    free(text);

    f->metrics.rows[2].train_loss = INFINITY;
    f->metrics.rows[2].valid_loss = 1e30;
    text = printed(&f->metrics, 0);
    assert_non_null(strstr(text, "inf"));
    assert_non_null(strstr(text, "valid_loss"));
    assert_non_null(strstr(text, "1.000e+30"));
    assert_null(strstr(text, "valid_top1"));
    free(text);
}

static void digest_of(const mbt_metrics *metrics, char text[MBT_DIGEST_TEXT])
{
    mbt_error err = {0};
    mbt_digest *digest = NULL;
    assert_int_equal(mbt_digest_create(&digest, &err), MBT_OK);
    mbt_metrics_digest(metrics, digest);
    mbt_digest_text(digest, text);
    mbt_digest_destroy(digest);
}

static void test_digest(void **state)
{
    fixture *f = *state;
    char want[MBT_DIGEST_TEXT], got[MBT_DIGEST_TEXT];
    fill(&f->metrics, 4);
    digest_of(&f->metrics, want);

    /* timing takes no part, and all NaNs are one */
    for (int i = 0; i < 4; i++) {
        f->metrics.rows[i].train_s += i + 1;
        f->metrics.rows[i].evaluate_s = NAN;
        f->metrics.rows[i].images_per_s *= 2;
        uint64_t other_nan = UINT64_C(0xfff8000000001234);
        memcpy(&f->metrics.rows[i].valid_top1, &other_nan, sizeof other_nan);
    }
    digest_of(&f->metrics, got);
    assert_string_equal(got, want);

    /* every other field does */
    const size_t fields[] = {
        offsetof(mbt_metrics_row, epoch),      offsetof(mbt_metrics_row, step),
        offsetof(mbt_metrics_row, lr),         offsetof(mbt_metrics_row, train_loss),
        offsetof(mbt_metrics_row, train_top1), offsetof(mbt_metrics_row, valid_loss),
        offsetof(mbt_metrics_row, valid_top1), offsetof(mbt_metrics_row, valid_top5),
        offsetof(mbt_metrics_row, test_loss),  offsetof(mbt_metrics_row, test_top1),
        offsetof(mbt_metrics_row, test_top5),  offsetof(mbt_metrics_row, test_flip_top1)};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char *field = (char *)&f->metrics.rows[2] + fields[i];
        char before[8];
        uint64_t value = i < 2 ? 12345 : UINT64_C(0x3ff0000000000000);
        memcpy(before, field, 8);
        memcpy(field, &value, 8);
        digest_of(&f->metrics, got);
        assert_string_not_equal(got, want);
        memcpy(field, before, 8);
    }
    digest_of(&f->metrics, got);
    assert_string_equal(got, want);
    f->metrics.n_rows = 3;
    digest_of(&f->metrics, got);
    assert_string_not_equal(got, want);

    /* an optional column that is empty leaves no trace: number of rows, then the other columns */
    mbt_error err = {0};
    mbt_digest *digest = NULL;
    const int64_t n_rows = 3;
    assert_int_equal(mbt_digest_create(&digest, &err), MBT_OK);
    mbt_digest_add(digest, &n_rows, sizeof n_rows);
    for (int row = 0; row < 3; row++)
        for (size_t i = 0; i + 1 < sizeof fields / sizeof *fields; i++) {
            double value;
            memcpy(&value, (char *)&f->metrics.rows[row] + fields[i], sizeof value);
            uint64_t bits = UINT64_C(0x7ff8000000000000);
            if (!isnan(value))
                memcpy(&bits, &value, sizeof bits);
            mbt_digest_add(digest, &bits, sizeof bits);
        }
    mbt_digest_text(digest, want);
    mbt_digest_destroy(digest);
    assert_string_equal(got, want);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_counts),         TEST(test_csv),
        TEST(test_csv_is_exact),   TEST(test_csv_unwritable),
        TEST(test_store_and_load), TEST(test_load_without_times),
        TEST(test_load_refuses),   TEST(test_print),
        TEST(test_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
