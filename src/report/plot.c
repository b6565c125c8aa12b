/* Drawings as files. */
#include <stdlib.h>
#include <string.h>

#include "curves.h"
#include "mbt/file.h"
#include "mbt/report.h"
#include "picture.h"

static const double PNG_SCALE = 2; /* sharp on screens of today */

static mbt_status find_kind(const char *name, curve_kind *kind, mbt_error *err)
{
    for (int k = 0; k < CURVE_KINDS; k++) {
        if (strcmp(name, curve_name((curve_kind)k)) == 0) {
            *kind = (curve_kind)k;
            return MBT_OK;
        }
    }
    return mbt_fail(err, MBT_USAGE, "drawing: got \"%.80s\", wanted accuracy, loss or rate", name);
}

static mbt_status write_drawing(const char *svg, size_t bytes, bool png, const char *path,
                                mbt_error *err)
{
    unsigned char *picture = NULL;
    size_t picture_bytes = 0;
    if (!png) {
        return mbt_file_replace(path, svg, bytes, err);
    }
    mbt_status status = picture_of_svg(svg, bytes, PNG_SCALE, &picture, &picture_bytes, err);
    if (status == MBT_OK) {
        status = mbt_file_replace(path, picture, picture_bytes, err);
    }
    free(picture);
    return status;
}

mbt_status mbt_report_plot(const mbt_outcome *runs, int n_runs, const char *kind, const char *path,
                           mbt_error *err)
{
    const char *dot = strrchr(path, '.');
    const bool png = dot != NULL && strcmp(dot, ".png") == 0;
    curve_kind which = CURVE_ACCURACY;
    curve_set set = {0};
    char *svg = NULL;
    size_t bytes = 0;
    if (!png && (dot == NULL || strcmp(dot, ".svg") != 0)) {
        return mbt_fail(err, MBT_USAGE, "%s: wanted a name that ends in .svg or .png", path);
    }
    mbt_status status = find_kind(kind, &which, err);
    if (status == MBT_OK) {
        status = curve_make(which, runs, n_runs, &set, err);
    }
    FILE *out = status == MBT_OK ? open_memstream(&svg, &bytes) : NULL;
    if (status == MBT_OK && out == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    }
    if (status == MBT_OK) {
        chart_write(&set.chart, true, out);
        status = fclose(out) == 0 ? write_drawing(svg, bytes, png, path, err)
                                  : mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    }
    free(svg);
    curve_clear(&set);
    return status;
}
