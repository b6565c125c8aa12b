/* Line charts as SVG. Private to report/. */
#ifndef MBT_REPORT_CHART_H
#define MBT_REPORT_CHART_H

#include <stdbool.h>
#include <stdio.h>

enum { CHART_TONES = 8, CHART_SERIES_MAX = 2 * CHART_TONES };

typedef struct chart_series {
    char name[96];
    const double *x, *y; /* [n]; points that are not finite are passed over */
    int n;
    int tone;    /* 0 .. CHART_TONES-1: colour */
    bool dashed; /* a second kind of line in the same colour */
} chart_series;

typedef struct chart {
    const char *title; /* above the drawing of a file; a page says it itself */
    const char *x_label, *y_label;
    const char *format; /* of values, "%.2f" */
    chart_series series[CHART_SERIES_MAX];
    int n_series;
    bool from_zero; /* the y axis begins at zero */
} chart;

/* The next series of the chart; NULL when there are CHART_SERIES_MAX. */
chart_series *chart_add(chart *c, const double *x, const double *y, int n, int tone, bool dashed);

/* An <svg> element. standalone: a file of its own, with title, legend and colours; otherwise the
 * page has them (chart_legend, chart_style). Its width is 520 units. */
void chart_write(const chart *c, bool standalone, FILE *out);

/* The lines' names and last values, for a page. */
void chart_legend(const chart *c, FILE *out);

/* The rules for a page: colours by custom properties --tone-0 .., light and dark. */
void chart_style(FILE *out);

const char *chart_tone(int tone, bool dark); /* "#2a78d6", static storage */

#endif
