/* Statistics against two passes in double, also where a one-pass formula would lose everything, and
 * what is kept of the values: element by element as tensor.h defines it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

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

/* Where y is kept, and how it is written there. */
static const struct mode {
    const char *name;
    bool moves, stream;
    mbt_storage storage;
} modes[] = {
    {"where it is", false, false, MBT_STORAGE_FP32},   {"in fp32", true, false, MBT_STORAGE_FP32},
    {"in fp32, stream", true, true, MBT_STORAGE_FP32}, {"in bf16", true, false, MBT_STORAGE_BF16},
    {"in bf16, stream", true, true, MBT_STORAGE_BF16},
};
enum { N_MODES = sizeof modes / sizeof modes[0] };

/* y is kept element by element; returns what is kept. */
static const double *check_kept(subject *s, const test_map *kept, const double *y)
{
    const mbt_layout *l = &kept->layout;
    const ref_shape shape = {kept->n, l->c, l->h, l->w};
    const double *got = map_read(s, kept);
    map_written(s, kept, "kept");
    for (size_t i = 0; i < ref_elements(&shape); i++) {
        subject_near(s, "kept", got[i], subject_kept(y[i], kept->storage), 0);
    }
    return got;
}

/* Statistics of the values given, in two passes. */
static void check_moments(subject *s, const mbt_layout *l, int n, const double *y,
                          const double *mean, const double *m2, mbt_storage storage)
{
    const ref_shape shape = {n, l->c, l->h, l->w};
    const size_t pixels = (size_t)(l->h * l->w), count = (size_t)n * pixels;
    double *want_mean = subject_doubles(s, (size_t)l->c);
    double *want_m2 = subject_doubles(s, (size_t)l->c);
    ref_stats(&shape, y, want_mean, want_m2);
    for (int c = 0; c < l->c; c++) {
        const int kind = kind_of(c);
        /* Sums are taken about the first value before it is kept: squares of its way round. */
        const double first = y[(size_t)c * pixels];
        const double apart = storage == MBT_STORAGE_BF16 ? 0x1p-8 * first : 0;
        const double noise = 1e-6 * (double)count * apart * apart;
        if (kind == CONSTANT || kind == ZERO || count == 1) {
            subject_near(s, "mean of a constant", mean[c], first, 0);
            subject_near(s, "deviations of a constant", m2[c], 0, noise);
            continue;
        }
        subject_near(s, "mean", mean[c], want_mean[c], 1e-6);
        subject_near(s, "sum of squared deviations", m2[c], want_m2[c],
                     (kind == FAR ? 1e-4 : 1e-5) * want_m2[c] + noise);
    }
}

static void one_case(subject *s, const mbt_layout *l, int n, bool wide, const struct mode *mode)
{
    const ref_shape shape = {n, l->c, l->h, l->w};
    const size_t stored = (size_t)mbt_layout_stored(l);
    if (!subject_begin(s, l, "%d channels, %d sections, map %dx%d, %d images%s, kept %s", l->c,
                       l->sections, l->h, l->w, n, wide ? " of more" : "", mode->name)) {
        return;
    }
    const double *y = make_values(s, &shape);
    test_map map = map_take(s, l, n, wide != mode->moves, false);
    test_map kept = map_take_as(s, l, n, wide, mode->storage);
    map_fill(s, &map, y);
    const mbt_stats_args args = {
        .y = map.view,
        .kept = mode->moves ? kept.view : (mbt_map){.data = NULL},
        .stream = mode->stream,
        .mean = subject_doubles(s, stored),
        .m2 = subject_doubles(s, stored),
    };
    s->row->run.stats(l, n, &args);
    map_unchanged(s, &map, "y");
    check_moments(s, l, n, mode->moves ? check_kept(s, &kept, y) : y,
                  channels_read(s, l, args.mean), channels_read(s, l, args.m2), mode->storage);
    subject_end(s);
}

/* ---- the rounding, bit by bit ---- */

/* Every upper half of a float before lower halves on both sides of the tie. */
static double *every_half(subject *s, size_t *count)
{
    static const uint32_t lower[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    enum { HALVES = 1 << 16, LOWER = sizeof lower / sizeof lower[0] };
    double *values = subject_doubles(s, *count = (size_t)HALVES * LOWER);
    for (size_t i = 0; i < *count; i++) {
        const uint32_t bits = (uint32_t)(i / LOWER) << 16 | lower[i % LOWER];
        float v;
        memcpy(&v, &bits, sizeof v);
        values[i] = (double)v;
    }
    return values;
}

static void rounding(subject *s, bool stream)
{
    size_t count;
    const mbt_layout l = {16, 192, 128, 1, s->block};
    if (!subject_begin(s, &l, "every half%s", stream ? ", stream" : "")) {
        return;
    }
    const double *y = every_half(s, &count);
    test_map map = map_take(s, &l, 1, false, false);
    test_map kept = map_take_as(s, &l, 1, false, MBT_STORAGE_BF16);
    map_fill(s, &map, y);
    const mbt_stats_args args = {
        .y = map.view,
        .kept = kept.view,
        .stream = stream,
        .mean = subject_doubles(s, 16),
        .m2 = subject_doubles(s, 16),
    };
    s->row->run.stats(&l, 1, &args);
    const double *got = map_read(s, &kept);
    for (size_t i = 0; i < count; i++) {
        const double want = subject_kept(y[i], MBT_STORAGE_BF16);
        const bool same =
            isnan(want) ? isnan(got[i]) : got[i] == want && signbit(got[i]) == signbit(want);
        if (!same) {
            fail_msg("%s: kept %a of %a, wanted %a", s->label, got[i], y[i], want);
        }
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
        for (int m = 0; m < N_MODES; m++) {
            one_case(s, &l, images[i / 30], i % 2 == 1, &modes[m]);
        }
    }
    rounding(s, false);
    rounding(s, true);
}

void check_stats(subject *s)
{
    subject_each_block(s, cases);
}
