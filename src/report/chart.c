/* Line charts: nice ticks, hairline grid, a legend that names each line and its last value. */
#include "chart.h"

#include <math.h>
#include <string.h>

#include "html.h"

enum {
    WIDTH = 520,
    PLOT_HEIGHT = 250,
    LEFT = 74,
    MARGIN = 14, /* of what may begin left of the axis */
    RIGHT = 14,
    TITLE_HEIGHT = 26,
    LEGEND_ROW = 20,
    BOTTOM = 44,
    LETTER = 7, /* mean width of a letter, for the legend's rows */
    TICKS_WANTED = 5,
};

/* Chosen to stay apart for colour-blind readers, on white and on near-black. */
static const char *const tones[CHART_TONES][2] = {
    {"#2a6fd0", "#6aa6f8"}, {"#d9622b", "#f2935f"}, {"#12876a", "#4cc3a2"}, {"#8453c6", "#b592ee"},
    {"#a87d00", "#dcb23c"}, {"#c43c74", "#ee82ad"}, {"#00838f", "#4fc0ca"}, {"#5f6b76", "#a3afba"},
};

const char *chart_tone(int tone, bool dark)
{
    return tones[tone % CHART_TONES][dark];
}

struct axis {
    double least, most, step;
};

struct drawing {
    const chart *c;
    struct axis x, y;
    double top, height; /* of the plot area */
    FILE *out;
};

chart_series *chart_add(chart *c, const double *x, const double *y, int n, int tone, bool dashed)
{
    if (c->n_series == CHART_SERIES_MAX) {
        return NULL;
    }
    chart_series *s = &c->series[c->n_series++];
    *s = (chart_series){.x = x, .y = y, .n = n, .tone = tone % CHART_TONES, .dashed = dashed};
    return s;
}

static bool is_point(const chart_series *s, int i)
{
    return isfinite(s->x[i]) && isfinite(s->y[i]);
}

/* The range widened to whole steps of 1, 2 or 5 times a power of ten. Values that hardly differ get
 * room around them: their digits would fill the margin, and the difference would look large. */
static struct axis make_axis(double least, double most)
{
    const double size = fmax(fabs(least), fabs(most));
    if (!(most - least > 0.02 * size)) {
        const double room = size > 0 ? size * 0.5 : 1;
        least -= room;
        most += room;
    }
    const double rough = (most - least) / TICKS_WANTED;
    const double power = pow(10, floor(log10(rough)));
    const double scaled = rough / power;
    const double step = power * (scaled <= 1 ? 1 : scaled <= 2 ? 2 : scaled <= 5 ? 5 : 10);
    return (struct axis){floor(least / step + 1e-9) * step, ceil(most / step - 1e-9) * step, step};
}

static void find_axes(struct drawing *d)
{
    double x[2] = {INFINITY, -INFINITY}, y[2] = {INFINITY, -INFINITY};
    for (int k = 0; k < d->c->n_series; k++) {
        const chart_series *s = &d->c->series[k];
        for (int i = 0; i < s->n; i++) {
            if (is_point(s, i)) {
                x[0] = fmin(x[0], s->x[i]);
                x[1] = fmax(x[1], s->x[i]);
                y[0] = fmin(y[0], s->y[i]);
                y[1] = fmax(y[1], s->y[i]);
            }
        }
    }
    if (!isfinite(x[0])) {
        x[0] = y[0] = 0;
        x[1] = y[1] = 1;
    }
    if (d->c->from_zero) {
        y[0] = fmin(0, y[0]);
    }
    d->y = make_axis(y[0], y[1]);
    d->x = make_axis(x[0], x[1]);
    d->x.step = d->x.step < 1 ? 1 : d->x.step; /* epochs are whole */
    d->x.least = x[0];
    d->x.most = x[1] > x[0] ? x[1] : x[0] + 1;
}

static double at_x(const struct drawing *d, double x)
{
    return LEFT + (x - d->x.least) / (d->x.most - d->x.least) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct drawing *d, double y)
{
    return d->top + d->height - (y - d->y.least) / (d->y.most - d->y.least) * d->height;
}

static void put_ticks(const struct drawing *d)
{
    for (double y = d->y.least; y <= d->y.most + 0.5 * d->y.step; y += d->y.step) {
        const double shown = fabs(y) < 1e-9 * d->y.step ? 0 : y;
        (void)fprintf(d->out,
                      "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"tick\" x=\"%d\" "
                      "y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n",
                      LEFT, at_y(d, y), WIDTH - RIGHT, LEFT - 8, at_y(d, y) + 4, shown);
    }
    const double first = ceil(d->x.least / d->x.step - 1e-9) * d->x.step;
    for (double x = first; x <= d->x.most + 1e-9 * d->x.step; x += d->x.step) {
        (void)fprintf(d->out,
                      "<path class=\"axis\" d=\"M%.1f %.1fv5\"/><text class=\"tick\" x=\"%.1f\" "
                      "y=\"%.1f\" text-anchor=\"middle\">%.6g</text>\n",
                      at_x(d, x), d->top + d->height, at_x(d, x), d->top + d->height + 19, x);
    }
    (void)fprintf(d->out, "<path class=\"axis\" d=\"M%d %.1fH%d\"/>\n", LEFT, d->top + d->height,
                  WIDTH - RIGHT);
}

static void put_labels(const struct drawing *d)
{
    const double middle = d->top + d->height / 2;
    (void)fprintf(d->out, "<text class=\"label\" x=\"%d\" y=\"%.1f\" text-anchor=\"middle\">",
                  (LEFT + WIDTH - RIGHT) / 2, d->top + d->height + 38);
    html_text(d->out, d->c->x_label);
    (void)fprintf(d->out,
                  "</text>\n<text class=\"label\" x=\"16\" y=\"%.1f\" text-anchor=\"middle\" "
                  "transform=\"rotate(-90 16 %.1f)\">",
                  middle, middle);
    html_text(d->out, d->c->y_label);
    (void)fputs("</text>\n", d->out);
}

static void put_line(const struct drawing *d, const chart_series *s)
{
    bool open = false;
    int n = 0;
    (void)fprintf(d->out, "<path class=\"line tone-%d%s\" d=\"", s->tone,
                  s->dashed ? " dashed" : "");
    for (int i = 0; i < s->n; i++) {
        if (is_point(s, i)) {
            (void)fprintf(d->out, "%s%.1f %.1f", open ? "L" : "M", at_x(d, s->x[i]),
                          at_y(d, s->y[i]));
            open = true;
            n++;
        }
    }
    (void)fputs("\"/>\n", d->out);
    /* What a reader may point at; a line of one point is seen by its dot alone. */
    for (int i = 0; i < s->n; i++) {
        if (is_point(s, i)) {
            (void)fprintf(
                d->out, "<circle class=\"dot%s tone-%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\">",
                n == 1 ? " seen" : "", s->tone, at_x(d, s->x[i]), at_y(d, s->y[i]), n == 1 ? 4 : 6);
            (void)fputs("<title>", d->out);
            html_text(d->out, s->name);
            (void)fprintf(d->out, ", %.6g: ", s->x[i]);
            (void)fprintf(d->out, d->c->format, s->y[i]);
            (void)fputs("</title></circle>\n", d->out);
        }
    }
}

/* "name 83.30": the last value is what most readers want. */
static void legend_text(const chart *c, const chart_series *s, char *out, size_t bytes)
{
    char value[32] = "";
    for (int i = s->n - 1; i >= 0; i--) {
        if (is_point(s, i)) {
            (void)snprintf(value, sizeof value, c->format, s->y[i]);
            break;
        }
    }
    (void)snprintf(out, bytes, "%s %s", s->name, value);
}

void chart_legend(const chart *c, FILE *out)
{
    (void)fputs("<div class=\"legend\">", out);
    for (int k = 0; k < c->n_series; k++) {
        const chart_series *s = &c->series[k];
        char text[144];
        legend_text(c, s, text, sizeof text);
        (void)fprintf(out, "<span><span class=\"key%s\" style=\"color:var(--tone-%d)\"></span>",
                      s->dashed ? " dashed" : "", s->tone);
        html_text(out, text);
        (void)fputs("</span>", out);
    }
    (void)fputs("</div>\n", out);
}

/* Places the legend's entries in rows; draws them when out is given. Returns the rows. */
static int legend(const chart *c, double top, FILE *out)
{
    int rows = 1, x = MARGIN;
    for (int k = 0; k < c->n_series; k++) {
        const chart_series *s = &c->series[k];
        char text[144];
        legend_text(c, s, text, sizeof text);
        const int width = 30 + LETTER * (int)strlen(text) + 14;
        if (x > MARGIN && x + width > WIDTH) {
            rows++;
            x = MARGIN;
        }
        if (out != NULL) {
            const double y = top + LEGEND_ROW * (rows - 1) + 12;
            (void)fprintf(out,
                          "<path class=\"line tone-%d%s\" d=\"M%d %.1fh22\"/><text "
                          "class=\"label\" x=\"%d\" y=\"%.1f\">",
                          s->tone, s->dashed ? " dashed" : "", x, y - 4, x + 28, y);
            html_text(out, text);
            (void)fputs("</text>\n", out);
        }
        x += width;
    }
    return rows;
}

static void put_style(FILE *out)
{
    (void)fputs("<style>text{font:12px \"DejaVu Sans\",sans-serif}.title{font-size:15px;"
                "font-weight:bold}.tick,.label{fill:#4a535c}.title{fill:#1b2127}"
                ".grid{stroke:#e3e7ea;fill:none}.axis{stroke:#8b949c;fill:none}"
                ".line{fill:none;stroke-width:2;stroke-linejoin:round}.dashed{stroke-dasharray:5 4}"
                ".dot{fill:none;stroke:none}",
                out);
    for (int t = 0; t < CHART_TONES; t++) {
        (void)fprintf(out, ".line.tone-%d{stroke:%s}.seen.tone-%d{fill:%s}", t, tones[t][0], t,
                      tones[t][0]);
    }
    (void)fprintf(out, "</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
}

void chart_style(FILE *out)
{
    (void)fputs("svg.chart{display:block;width:100%;height:auto}\n"
                "svg.chart text{font:12px var(--sans);fill:var(--soft)}\n"
                "svg.chart .grid{stroke:var(--rule);fill:none}\n"
                "svg.chart .axis{stroke:var(--faint);fill:none}\n"
                "svg.chart .line{fill:none;stroke-width:2;stroke-linejoin:round}\n"
                "svg.chart .dashed{stroke-dasharray:5 4;stroke-width:1.5}\n"
                "svg.chart .dot{fill:transparent;stroke:none}\n"
                ".key{display:inline-block;width:22px;border-top:2px solid;margin-right:7px;"
                "vertical-align:middle}\n"
                ".key.dashed{border-top-style:dashed}\n"
                "@media(max-width:560px){svg.chart text{font-size:15px}}\n",
                out);
    for (int t = 0; t < CHART_TONES; t++) {
        (void)fprintf(out,
                      "svg.chart .line.tone-%d{stroke:var(--tone-%d)}\n"
                      "svg.chart .seen.tone-%d,svg.chart .dot.tone-%d:hover{fill:var(--tone-%d)}\n",
                      t, t, t, t, t);
    }
}

void chart_write(const chart *c, bool standalone, FILE *out)
{
    const double above = standalone ? TITLE_HEIGHT + 8 : 4;
    const int rows = standalone ? legend(c, 0, NULL) : 0; /* a page has its own */
    struct drawing d = {.c = c, .out = out, .top = above + rows * LEGEND_ROW + 8};
    d.height = PLOT_HEIGHT;
    find_axes(&d);
    const int height = (int)(d.top + d.height + BOTTOM);
    (void)fprintf(out, "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 %d %d\"", WIDTH, height);
    if (standalone) {
        (void)fprintf(out, " xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\"",
                      WIDTH, height);
    }
    (void)fputs(" aria-label=\"", out);
    html_text(out, c->title);
    (void)fputs("\">\n", out);
    if (standalone) {
        put_style(out);
        (void)fprintf(out, "<text class=\"title\" x=\"%d\" y=\"22\">", MARGIN);
        html_text(out, c->title);
        (void)fputs("</text>\n", out);
    }
    put_ticks(&d);
    put_labels(&d);
    if (standalone) {
        (void)legend(c, above, out);
    }
    for (int k = 0; k < c->n_series; k++) {
        put_line(&d, &c->series[k]);
    }
    (void)fputs("</svg>\n", out);
}
