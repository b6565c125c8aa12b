/* Smaller planes: against integrating the pixels as areas, and what must stay as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "mbt/rng.h"
#include "mbt/shrink.h"

enum { SIZE_MAX_HERE = 32, PLANES = 2, VALUES = PLANES * SIZE_MAX_HERE * SIZE_MAX_HERE };

static void draw(float *values, int n)
{
    mbt_rng rng = mbt_rng_at(1, MBT_PURPOSE_SYNTH, 0, (uint64_t)n);
    for (int i = 0; i < n; i++)
        values[i] = mbt_rng_normal(&rng);
}

/* Length that [a, a + 1) times in/to and the pixel [b, b + 1) have in common. */
static double common(int a, int b, double ratio)
{
    return fmax(0, fmin((a + 1) * ratio, b + 1) - fmax(a * ratio, b));
}

static void pixels_are_means_of_areas(void **state)
{
    (void)state;
    static const int sizes[][2] = {{32, 24}, {32, 16}, {32, 32}, {32, 1}, {32, 31},
                                   {7, 3},   {28, 20}, {1, 1},   {16, 12}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int in = sizes[s][0], out = sizes[s][1];
        const double ratio = (double)in / out;
        float from[VALUES], to[VALUES + 1];
        draw(from, PLANES * in * in);
        to[PLANES * out * out] = 77;
        mbt_shrink(from, PLANES, in, out, to);
        assert_true(to[PLANES * out * out] == 77);
        for (int i = 0; i < PLANES * out * out; i++) {
            const float *plane = from + i / (out * out) * in * in;
            double want = 0;
            for (int j = 0; j < in * in; j++)
                want += (double)plane[j] * common(i % (out * out) / out, j / in, ratio) *
                        common(i % out, j % in, ratio);
            assert_true(fabs((double)to[i] - want / (ratio * ratio)) < 1e-5);
        }
        if (in == out)
            for (int i = 0; i < PLANES * in * in; i++)
                assert_true(fabsf(to[i] - from[i]) <= 1e-6f * fabsf(from[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pixels_are_means_of_areas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
