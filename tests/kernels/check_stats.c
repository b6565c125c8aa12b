/* Statistics against two passes in double, also where a one-pass formula would lose everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "kernels/checks.h"
#include "ref/ref.h"

/* Values of channel c: deviation 1 about a mean that says how hard the channel is. */
enum { EASY, FAR, CONSTANT, ZERO, KINDS };

static int kind_of(int c)
{
    return c % KINDS;
}

static double *make_values(subject *s, const ref_shape *shape)
{
    static const double means[KINDS] = {[EASY] = 0.25, [FAR] = 1000, [CONSTANT] = -3.3};
    static const double deviations[KINDS] = {[EASY] = 0.5, [FAR] = 1};
    const size_t pixels = (size_t)shape->h * (size_t)shape->w;
    double *y = subject_doubles(s, ref_elements(shape));
    for (size_t i = 0; i < ref_elements(shape); i++) {
        const int kind = kind_of((int)(i / pixels) % shape->c);
        const double even = sqrt(3.0) * subject_random(s); /* deviation 1 */
        y[i] = (float)(means[kind] + deviations[kind] * even);
    }
    return y;
}

static void one_case(subject *s, const mbt_layout *l, int n, bool wide)
{
    const ref_shape shape = {n, l->c, l->h, l->w};
    const size_t stored = (size_t)mbt_layout_stored(l), count = (size_t)n * (size_t)(l->h * l->w);
    if (!subject_begin(s, l, "%d channels, %d sections, map %dx%d, %d images%s", l->c, l->sections,
                       l->h, l->w, n, wide ? " of more" : "")) {
        return;
    }
    double *y = make_values(s, &shape);
    double *want_mean = subject_doubles(s, (size_t)l->c),
           *want_m2 = subject_doubles(s, (size_t)l->c);
    double *mean = subject_doubles(s, stored), *m2 = subject_doubles(s, stored);
    test_map map = map_take(s, l, n, wide, false);
    map_fill(s, &map, y);
    const mbt_stats_args args = {.y = map.view, .mean = mean, .m2 = m2};
    s->row->run.stats(l, n, &args);
    map_unchanged(s, &map, "y");
    ref_stats(&shape, y, want_mean, want_m2);
    const double *got_mean = channels_read(s, l, mean), *got_m2 = channels_read(s, l, m2);
    for (int c = 0; c < l->c; c++) {
        const int kind = kind_of(c);
        if (kind == CONSTANT || kind == ZERO || count == 1) {
            subject_near(s, "mean of a constant", got_mean[c], y[(size_t)c * (size_t)(l->h * l->w)],
                         0);
            subject_near(s, "deviations of a constant", got_m2[c], 0, 0);
            continue;
        }
        subject_near(s, "mean", got_mean[c], want_mean[c], 1e-6);
        subject_near(s, "sum of squared deviations", got_m2[c], want_m2[c],
                     (kind == FAR ? 1e-4 : 1e-5) * want_m2[c]);
    }
    subject_end(s);
}

static void cases(subject *s)
{
    static const int widths[] = {16, 24, 32}, images[] = {1, 2, 5};
    static const int sides[][2] = {{1, 1}, {4, 4}, {5, 7}, {8, 8}, {33, 31}};
    for (size_t i = 0; i < 3 * 5 * 2 * 3; i++) {
        const int *side = sides[i / 3 % 5];
        const mbt_layout l = {widths[i % 3], side[0], side[1], 1 + (int)(i / 15 % 2), s->block};
        one_case(s, &l, images[i / 30], i % 2 == 1);
    }
}

void check_stats(subject *s)
{
    subject_each_block(s, cases);
}
