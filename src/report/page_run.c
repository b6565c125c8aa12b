/* The page's part for one run: time, confusion, worst classes, how it was made. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "html.h"
#include "mbt/config.h"
#include "page.h"
#include "picture.h"

enum { TABLE_CLASSES_MAX = 20, WORST = 10, PAIRS = 10 };

/* ---- time ---- */

static const struct part {
    const char *name, *column;
} parts[] = {
    {"input", "input_s"},           {"forward", "forward_s"}, {"backward", "backward_s"},
    {"reduce", "reduce_s"},         {"update", "update_s"},   {"evaluate", "evaluate_s"},
    {"checkpoint", "checkpoint_s"}, {"other", "other_s"},
};
enum { N_PARTS = sizeof parts / sizeof *parts };
_Static_assert((int)N_PARTS <= (int)CHART_TONES, "a colour each");

static double seconds_of(const mbt_outcome *run, int part)
{
    const int column = mbt_metrics_find_column(parts[part].column);
    double sum = 0;
    for (int row = 0; row < run->metrics.n_rows; row++) {
        const double seconds = mbt_metrics_value(&run->metrics, row, column);
        sum += isnan(seconds) ? 0 : seconds; /* an older run */
    }
    return sum;
}

static void put_bar(const mbt_outcome *run, FILE *out)
{
    double seconds[N_PARTS], whole = 0;
    for (int p = 0; p < N_PARTS; p++) {
        seconds[p] = seconds_of(run, p);
        whole += seconds[p];
    }
    (void)fputs("<div>", out);
    html_text(out, mbt_outcome_name(run));
    (void)fputs("</div><div class=\"split\">", out);
    for (int p = 0; p < N_PARTS && whole > 0; p++) {
        if (seconds[p] > 0) {
            (void)fprintf(
                out, "<span class=\"fill-%d\" style=\"flex:%.5f\" title=\"%s %.1f %%\"></span>", p,
                seconds[p] / whole, parts[p].name, 100 * seconds[p] / whole);
        }
    }
    (void)fputs("</div>\n<div class=\"legend\">", out);
    for (int p = 0; p < N_PARTS; p++) {
        (void)fprintf(out, "<span><span class=\"chip fill-%d\"></span>%s %.1f %%</span>", p,
                      parts[p].name, whole > 0 ? 100 * seconds[p] / whole : 0);
    }
    (void)fputs("</div>\n", out);
}

void page_time(const mbt_outcome *runs, int n_runs, FILE *out)
{
    (void)fputs("<div class=\"card\"><h3>Where the time went</h3>\n", out);
    for (int i = 0; i < n_runs; i++) {
        put_bar(&runs[i], out);
    }
    (void)fputs("</div>\n", out);
}

/* ---- confusion ---- */

static int64_t count_at(const page_predictions *p, int is, int said)
{
    return p->confusion[(int64_t)is * p->all.n_classes + said];
}

static int64_t samples_of(const page_predictions *p, int is)
{
    int64_t sum = 0;
    for (int said = 0; said < p->all.n_classes; said++) {
        sum += count_at(p, is, said);
    }
    return sum;
}

/* Strength of a cell's colour: the share of its true class; mistakes against the largest mistake,
 * so that they are seen beside a full diagonal. */
struct shades {
    double most_wrong;
};

static struct shades find_shades(const page_predictions *p)
{
    struct shades s = {1};
    for (int is = 0; is < p->all.n_classes; is++) {
        for (int said = 0; said < p->all.n_classes; said++) {
            const double count = (double)count_at(p, is, said);
            s.most_wrong = is != said && count > s.most_wrong ? count : s.most_wrong;
        }
    }
    return s;
}

static double shade(const page_predictions *p, const struct shades *s, int is, int said)
{
    const int64_t n = samples_of(p, is);
    const double count = (double)count_at(p, is, said);
    return is == said ? (n > 0 ? count / (double)n : 0) : count / s->most_wrong;
}

static void put_cells(const page_predictions *p, FILE *out)
{
    const struct shades s = find_shades(p);
    (void)fputs("<div class=\"scroll\"><table class=\"confusion\"><thead><tr><th "
                "class=\"corner\">is \\ said</th>",
                out);
    for (int k = 0; k < p->all.n_classes; k++) {
        (void)fputs("<th scope=\"col\">", out);
        html_text(out, p->names[k]);
        (void)fputs("</th>", out);
    }
    (void)fputs("</tr></thead>\n", out);
    for (int is = 0; is < p->all.n_classes; is++) {
        (void)fputs("<tr><th scope=\"row\">", out);
        html_text(out, p->names[is]);
        (void)fputs("</th>", out);
        for (int said = 0; said < p->all.n_classes; said++) {
            const int64_t count = count_at(p, is, said);
            (void)fprintf(out, "<td%s style=\"background:rgba(var(--%s),%.2f)\">%" PRId64 "</td>",
                          count == 0 ? " class=\"zero\"" : "", is == said ? "good" : "bad",
                          0.65 * shade(p, &s, is, said), count);
        }
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</table></div>\n", out);
}

/* Too many classes for figures: a pixel a cell, blue where right and orange where wrong, on white.
 */
static mbt_status put_heat(const page_predictions *p, FILE *out, mbt_error *err)
{
    static const double colours[2][3] = {{217, 98, 43}, {42, 111, 208}};
    const int n = p->all.n_classes;
    const struct shades s = find_shades(p);
    uint8_t *pixels = malloc((size_t)n * (size_t)n * 3);
    if (pixels == NULL) {
        return mbt_fail(err, MBT_FAILURE, "confusion: no memory for %d classes", n);
    }
    for (int is = 0; is < n; is++) {
        for (int said = 0; said < n; said++) {
            const double strength = shade(p, &s, is, said);
            for (int c = 0; c < 3; c++) {
                const double colour = colours[is == said][c];
                pixels[((ptrdiff_t)is * n + said) * 3 + c] =
                    (uint8_t)(255 - strength * (255 - colour));
            }
        }
    }
    (void)fputs(
        "<img class=\"heat\" alt=\"confusion matrix: true classes downwards, predicted ones "
        "to the right\" src=\"",
        out);
    const mbt_status status = picture_put_data(pixels, n, n, 3, out, err);
    (void)fputs("\"><p class=\"note\">True classes downwards, predicted ones to the right, in the "
                "data set's order.</p>\n",
                out);
    free(pixels);
    return status;
}

/* ---- lists ---- */

struct pair {
    int is, said;
    int64_t n, of; /* samples taken so, of the true class */
};

/* Fewest right first; of equals the one with the lower number. */
static int by_share(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    const double of_x = x->of > 0 ? (double)x->n / (double)x->of : 1;
    const double of_y = y->of > 0 ? (double)y->n / (double)y->of : 1;
    return of_x < of_y ? -1 : of_x > of_y ? 1 : x->is - y->is;
}

/* Most frequent first. */
static int by_count(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return x->n > y->n ? -1 : x->n < y->n ? 1 : x->is != y->is ? x->is - y->is : x->said - y->said;
}

static void put_worst(const page_predictions *p, struct pair *room, FILE *out)
{
    const int n = p->all.n_classes;
    for (int is = 0; is < n; is++) {
        room[is] = (struct pair){is, is, count_at(p, is, is), samples_of(p, is)};
    }
    qsort(room, (size_t)n, sizeof *room, by_share);
    (void)fputs("<div class=\"card\"><h3>Worst classes, % right</h3><div class=\"bars\">\n", out);
    for (int i = 0; i < n && i < WORST; i++) {
        const double share = room[i].of > 0 ? 100.0 * (double)room[i].n / (double)room[i].of : 0;
        (void)fputs("<span>", out);
        html_text(out, p->names[room[i].is]);
        (void)fprintf(
            out,
            "</span><span><span class=\"bar\" style=\"display:block;width:%.1f%%\"></span>"
            "</span><span>%.1f</span>\n",
            share, share);
    }
    (void)fputs("</div></div>\n", out);
}

static void put_pairs(const page_predictions *p, struct pair *room, FILE *out)
{
    int n = 0;
    for (int is = 0; is < p->all.n_classes; is++) {
        for (int said = 0; said < p->all.n_classes; said++) {
            if (is != said && count_at(p, is, said) > 0) {
                room[n++] = (struct pair){is, said, count_at(p, is, said), samples_of(p, is)};
            }
        }
    }
    qsort(room, (size_t)n, sizeof *room, by_count);
    (void)fputs("<div class=\"card\"><h3>Most frequent mistakes</h3><ul class=\"pairs\">\n", out);
    for (int i = 0; i < n && i < PAIRS; i++) {
        (void)fputs("<li><span>", out);
        html_text(out, p->names[room[i].is]);
        (void)fputs(" taken for ", out);
        html_text(out, p->names[room[i].said]);
        (void)fprintf(out, "</span><span>%" PRId64 " of %" PRId64 "</span></li>\n", room[i].n,
                      room[i].of);
    }
    (void)fputs(n == 0 ? "<li>none</li>\n</ul></div>\n" : "</ul></div>\n", out);
}

/* ---- the whole ---- */

static mbt_status put_predictions(const mbt_outcome *run, const page_predictions *p, FILE *out,
                                  mbt_error *err)
{
    const int64_t n = p->all.n_classes;
    struct pair *room = malloc((size_t)(n * n + 1) * sizeof *room);
    int64_t right = 0;
    if (room == NULL) {
        return mbt_fail(err, MBT_FAILURE, "page: out of memory");
    }
    for (int k = 0; k < n; k++) {
        right += count_at(p, k, k);
    }
    (void)fprintf(out,
                  "<p>Test split after epoch %" PRId64 ": %" PRId64 " images, %" PRId64
                  " of them mistaken.</p>\n<div class=\"cards\">\n"
                  "<div class=\"card\"><h3>Confusion, images</h3>\n",
                  p->epoch, p->all.n, p->all.n - right);
    mbt_status status = MBT_OK;
    if (n <= TABLE_CLASSES_MAX) {
        put_cells(p, out);
    } else {
        status = put_heat(p, out, err);
    }
    (void)fputs("</div>\n<div class=\"stack\">\n", out);
    put_worst(p, room, out);
    put_pairs(p, room, out);
    (void)fputs("</div>\n", out);
    free(room);
    if (status == MBT_OK) {
        status = page_mistakes(run, p, out, err);
    }
    (void)fputs("</div>\n", out);
    return status;
}

static mbt_status put_making(const mbt_outcome *run, FILE *out, mbt_error *err)
{
    char *config = NULL;
    const mbt_status status = mbt_config_echo(&run->config, &config, err);
    if (status != MBT_OK) {
        return status;
    }
    (void)fputs("<details><summary>Commands, versions, configuration</summary>\n<pre>", out);
    /* Line breaks count here, which html_text makes blanks. */
    const char *const texts[] = {run->facts.commands, run->facts.provenance, config};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (const char *at = texts[i]; *at != '\0';) {
            const size_t length = strcspn(at, "\n");
            html_bytes(out, at, length);
            (void)fputc('\n', out);
            at += length + (at[length] == '\n');
        }
        (void)fputc('\n', out);
    }
    (void)fputs("</pre></details>\n", out);
    free(config);
    return MBT_OK;
}

static mbt_status read_predictions(const mbt_outcome *run, page_predictions *p, mbt_error *err)
{
    mbt_status status =
        mbt_record_read_predictions(run->folder, &p->all, &p->names, &p->epoch, err);
    if (status == MBT_OK) {
        const size_t n = (size_t)p->all.n_classes;
        p->confusion = malloc(n * n * sizeof *p->confusion);
        if (p->confusion == NULL) {
            return mbt_fail(err, MBT_FAILURE, "page: out of memory");
        }
        mbt_predictions_confusion(&p->all, p->confusion);
    }
    return status;
}

mbt_status page_run(const mbt_outcome *run, int tone, FILE *out, mbt_error *err)
{
    page_predictions p = {0};
    (void)fprintf(out, "<section>\n<h2><span class=\"chip fill-%d\"></span>", tone);
    html_text(out, mbt_outcome_name(run));
    (void)fputs("</h2>\n", out);
    mbt_error why = {0};
    mbt_status status = read_predictions(run, &p, &why);
    if (status == MBT_OK) {
        status = put_predictions(run, &p, out, err);
    } else if (status == MBT_DATA) { /* a run before its first evaluation has none */
        (void)fputs("<p>No predictions: ", out);
        html_text(out, why.message);
        (void)fputs("</p>\n", out);
        status = MBT_OK;
    } else {
        *err = why;
    }
    if (status == MBT_OK) {
        status = put_making(run, out, err);
    }
    (void)fputs("</section>\n", out);
    free(p.confusion);
    free(p.names);
    mbt_predictions_clear(&p.all);
    return status;
}
