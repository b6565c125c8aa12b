/* Which columns of the metric table make which chart. */
#include "curves.h"

#include <stdlib.h>
#include <string.h>

#include "mbt/text.h"

static const struct kind {
    const char *name, *title, *y_label, *format;
    const char *solid, *dashed;           /* columns; dashed may be NULL */
    const char *solid_name, *dashed_name; /* of the lines */
    bool from_zero;
} kinds[CURVE_KINDS] = {
    [CURVE_ACCURACY] = {"accuracy", "Top-1 accuracy", "top-1, %", "%.2f", "test_top1", "train_top1",
                        "test", "training", false},
    [CURVE_LOSS] = {"loss", "Loss", "mean loss, nat", "%.4f", "test_loss", "train_loss", "test",
                    "training", false},
    [CURVE_RATE] = {"rate", "Learning rate", "learning rate", "%.4g", "lr", NULL, "learning rate",
                    NULL, true},
};

const char *curve_name(curve_kind kind)
{
    return kinds[kind].name;
}

enum { NAME_BYTES = 43 }; /* of a run: with what follows it a line of the legend */

_Static_assert((int)MBT_REPORT_RUNS_MAX <= (int)CHART_TONES, "a colour each");

static double *copy_column(const mbt_metrics *metrics, const char *name, double *to)
{
    const int column = mbt_metrics_find_column(name);
    for (int row = 0; row < metrics->n_rows; row++) {
        to[row] = mbt_metrics_value(metrics, row, column);
    }
    return to + metrics->n_rows;
}

mbt_status curve_make(curve_kind kind, const mbt_outcome *runs, int n_runs, curve_set *set,
                      mbt_error *err)
{
    const struct kind *k = &kinds[kind];
    size_t n_values = 1;
    *set = (curve_set){.chart = {.title = k->title,
                                 .x_label = "epoch",
                                 .y_label = k->y_label,
                                 .format = k->format,
                                 .from_zero = k->from_zero}};
    if (n_runs > MBT_REPORT_RUNS_MAX) {
        return mbt_fail(err, MBT_USAGE, "got %d runs, wanted at most %d in one drawing", n_runs,
                        MBT_REPORT_RUNS_MAX);
    }
    for (int r = 0; r < n_runs; r++) {
        n_values += 3 * (size_t)runs[r].metrics.n_rows;
    }
    set->values = malloc(n_values * sizeof *set->values);
    if (set->values == NULL) {
        return mbt_fail(err, MBT_FAILURE, "chart: out of memory");
    }
    double *to = set->values;
    for (int r = 0; r < n_runs; r++) {
        const mbt_metrics *metrics = &runs[r].metrics;
        const double *x = to;
        to = copy_column(metrics, "epoch", to);
        for (int dashed = 0; dashed < 2; dashed++) {
            const char *column = dashed ? k->dashed : k->solid;
            if (column == NULL) {
                continue;
            }
            chart_series *s = chart_add(&set->chart, x, to, metrics->n_rows, r, dashed);
            to = copy_column(metrics, column, to);
            const char *name = n_runs > 1 ? mbt_outcome_name(&runs[r]) : "";
            (void)snprintf(s->name, sizeof s->name, "%.*s%s%s", mbt_text_fitting(name, NAME_BYTES),
                           name, n_runs > 1 ? ", " : "", dashed ? k->dashed_name : k->solid_name);
        }
    }
    return MBT_OK;
}

void curve_clear(curve_set *set)
{
    free(set->values);
    *set = (curve_set){0};
}
