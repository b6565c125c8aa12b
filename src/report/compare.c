/* Two runs side by side. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/report.h"
#include "mbt/text.h"

enum { KEYS_BYTES = 1024 };

static mbt_status check_alike(const mbt_outcome *a, const mbt_outcome *b, mbt_error *err)
{
    const struct {
        const char *what, *of_a, *of_b;
    } sames[] = {
        {"network", a->facts.network, b->facts.network},
        {"network's depth", a->config.network.depth, b->config.network.depth},
        {"data set", a->facts.data_set, b->facts.data_set},
        {"data set's content", a->facts.data_digest, b->facts.data_digest},
    };
    for (size_t i = 0; i < sizeof sames / sizeof *sames; i++) {
        if (strcmp(sames[i].of_a, sames[i].of_b) != 0) {
            return mbt_fail(err, MBT_DATA,
                            "runs %.300s and %.300s: another %s (%.64s and %.64s); \"table\" and "
                            "\"plot\" take runs that differ",
                            a->folder, b->folder, sames[i].what, sames[i].of_a, sames[i].of_b);
        }
    }
    if (a->facts.parameters != b->facts.parameters || a->facts.macs != b->facts.macs) {
        return mbt_fail(err, MBT_DATA,
                        "runs %.300s and %.300s: another network: %" PRId64 " and %" PRId64
                        " parameters, %" PRId64 " and %" PRId64 " multiply-accumulates",
                        a->folder, b->folder, a->facts.parameters, b->facts.parameters,
                        a->facts.macs, b->facts.macs);
    }
    return MBT_OK;
}

static void put_value(FILE *out, double value)
{
    char cell[MBT_NUMBER_BYTES];
    (void)fprintf(out, "  %9s", mbt_text_measured(value, 2, cell));
}

static void put_curves(const mbt_outcome *a, const mbt_outcome *b, FILE *out)
{
    const int n = a->metrics.n_rows > b->metrics.n_rows ? a->metrics.n_rows : b->metrics.n_rows;
    (void)fprintf(out, "\ntest top-1, %%\n%5s  %9s  %9s  %9s\n", "epoch", "A", "B", "B - A");
    for (int i = 0; i < n; i++) {
        const double of_a = i < a->metrics.n_rows ? a->metrics.rows[i].test_top1 : (double)NAN;
        const double of_b = i < b->metrics.n_rows ? b->metrics.rows[i].test_top1 : (double)NAN;
        if (isnan(of_a) && isnan(of_b)) {
            continue;
        }
        (void)fprintf(out, "%5d", i + 1);
        put_value(out, of_a);
        put_value(out, of_b);
        put_value(out, of_b - of_a);
        (void)fputc('\n', out);
    }
}

/* How often each was right where the other was not. chi-squared of McNemar (1947), with one degree
 * of freedom: above 3.84 the difference is unlikely (5 %) to be chance over test samples. */
static void put_agreement(const mbt_predictions *a, const mbt_predictions *b, FILE *out)
{
    int64_t counts[2][2] = {{0}};
    for (int64_t i = 0; i < a->n; i++) {
        counts[a->predicted[i] == a->labels[i]][b->predicted[i] == b->labels[i]]++;
    }
    const double only_a = (double)counts[1][0], only_b = (double)counts[0][1];
    (void)fprintf(out,
                  "test samples  %" PRId64 ": both right %" PRId64 ", only A %" PRId64
                  ", only B %" PRId64 ", neither %" PRId64 "\n",
                  a->n, counts[1][1], counts[1][0], counts[0][1], counts[0][0]);
    if (only_a + only_b > 0) {
        (void)fprintf(out, "McNemar       chi-squared %.2f (above 3.84: more than chance, 5 %%)\n",
                      (only_a - only_b) * (only_a - only_b) / (only_a + only_b));
    }
}

static mbt_status compare_predictions(const mbt_outcome *a, const mbt_outcome *b, FILE *out,
                                      mbt_error *err)
{
    mbt_predictions of_a = {0}, of_b = {0};
    char(*names_a)[MBT_CLASS_NAME_BYTES] = NULL;
    char(*names_b)[MBT_CLASS_NAME_BYTES] = NULL;
    int64_t epoch_a = 0, epoch_b = 0;
    mbt_error why = {0};
    mbt_status status = mbt_record_read_predictions(a->folder, &of_a, &names_a, &epoch_a, &why);
    if (status == MBT_OK) {
        status = mbt_record_read_predictions(b->folder, &of_b, &names_b, &epoch_b, &why);
    }
    const bool both = status == MBT_OK;
    if (status == MBT_DATA) { /* a run before its first evaluation has none */
        (void)fprintf(out, "\nno predictions to compare: %s\n", why.message);
        status = MBT_OK;
    } else if (status != MBT_OK) {
        *err = why;
    }
    if (both && (of_a.n != of_b.n || of_a.n_classes != of_b.n_classes)) {
        status = mbt_fail(err, MBT_DATA, "%.300s, %.300s: predictions of other test splits",
                          a->folder, b->folder);
    }
    if (both && status == MBT_OK) { /* not always of the epochs whose accuracy stands above */
        (void)fprintf(out, "\npredictions   after epoch %" PRId64 " of A, %" PRId64 " of B\n",
                      epoch_a, epoch_b);
        put_agreement(&of_a, &of_b, out);
    }
    free(names_a);
    free(names_b);
    mbt_predictions_clear(&of_a);
    mbt_predictions_clear(&of_b);
    return status;
}

mbt_status mbt_report_compare(const mbt_outcome *a, const mbt_outcome *b, FILE *out, mbt_error *err)
{
    char keys[KEYS_BYTES];
    const mbt_outcome *const both[] = {a, b};
    mbt_status status = check_alike(a, b, err);
    if (status != MBT_OK) {
        return status;
    }
    for (int i = 0; i < 2; i++) {
        const mbt_outcome *run = both[i];
        const mbt_metrics_row *row = &run->metrics.rows[run->row];
        char top1[MBT_NUMBER_BYTES], loss[MBT_NUMBER_BYTES];
        (void)fprintf(out,
                      "%c  %s: %s on %s, seed %" PRId64 ", epoch %" PRId64 " of %" PRId64
                      ", test top-1 %s %%, loss %s, %.2f h, %.0f images/s\n",
                      'A' + i, run->folder, run->facts.network, run->facts.data_set,
                      run->config.train.seed, row->epoch, run->config.train.epochs,
                      mbt_text_measured(row->test_top1, 2, top1),
                      mbt_text_measured(row->test_loss, 4, loss), run->hours, row->images_per_s);
    }
    mbt_config_difference(&a->config, &b->config, keys, sizeof keys);
    (void)fprintf(out, "configurations differ in: %s\n", keys[0] != '\0' ? keys : "nothing");
    put_curves(a, b, out);
    return compare_predictions(a, b, out, err);
}
