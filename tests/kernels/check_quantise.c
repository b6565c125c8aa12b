/* Fixed point against integer arithmetic on the float's own bits: equal, not near. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/checks.h"

__extension__ typedef __int128 wide_int;

enum { POINT = 40, COUNT_MAX = 1003, GROUPS = 16 };
static const int64_t full = INT64_C(1) << 62;

/* round(x * 2^40), halves to even, for a finite x: mantissa and exponent taken apart. */
static wide_int exact(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int exponent = (int)(bits >> 23 & 0xff);
    const wide_int mantissa = (bits & 0x7fffff) | (exponent > 0 ? 0x800000 : 0);
    const int shift = (exponent > 0 ? exponent : 1) - 150 + POINT;
    wide_int q;
    if (shift >= 0) {
        q = shift < 100 ? mantissa << shift : (wide_int)1 << 120;
    } else if (shift < -25) {
        q = 0;
    } else {
        const wide_int half = (wide_int)1 << (-shift - 1), rest = mantissa & (2 * half - 1);
        q = mantissa >> -shift;
        q += rest > half || (rest == half && q % 2 == 1);
    }
    return bits >> 31 != 0 ? -q : q;
}

/* Ties and their neighbours, the smallest and the largest, and noise of all sizes. */
static float sample(subject *s, size_t i)
{
    const double sign = i % 2 == 0 ? 1 : -1;
    switch (i % 8) {
    case 0:
    case 1:
        return (float)(sign * ldexp(floor(1e4 * fabs(subject_random(s))) + 0.5, -POINT));
    case 2:
        return nextafterf((float)ldexp((double)(i / 8) + 0.5, -POINT), 1);
    case 3:
        return nextafterf((float)-ldexp((double)(i / 8) + 0.5, -POINT), 1);
    case 4:
        return (float)(sign * ldexp(subject_random(s), (int)(i / 8 % 48) - 30));
    case 5:
        return (float)(sign * ldexp(subject_random(s), -140)); /* denormal */
    case 6:
        return i / 8 % 2 == 0 ? 0.0f : -0.0f;
    default:
        return (float)(subject_random(s) * 0.1);
    }
}

static bool run(const subject *s, const float *x, size_t count, int64_t limit, int add,
                int64_t *sum)
{
    return s->row->run.quantise(x, count, limit, add, sum);
}

static void expect(const subject *s, size_t i, int64_t got, wide_int want)
{
    if (got != (int64_t)want) {
        fail_msg("%s: element %zu: got %" PRId64 ", wanted %" PRId64, s->label, i, got,
                 (int64_t)want);
    }
}

static void store_and_add(subject *s, size_t count)
{
    if (!subject_begin(s, NULL, "%zu values, stored and added", count)) {
        return;
    }
    float *x = subject_take(s, count * sizeof *x);
    int64_t *sum = subject_take(s, count * sizeof *sum);
    for (size_t i = 0; i < count; i++) {
        x[i] = sample(s, i);
    }
    assert_true(run(s, x, count, full, 0, sum)); /* over what was there: all bits set */
    for (size_t i = 0; i < count; i++) {
        expect(s, i, sum[i], exact(x[i]));
    }
    float *more = subject_take(s, count * sizeof *more);
    for (size_t i = 0; i < count; i++) {
        more[i] = sample(s, i + 3);
    }
    assert_true(run(s, more, count, full, 1, sum));
    for (size_t i = 0; i < count; i++) {
        expect(s, i, sum[i], exact(x[i]) + exact(more[i]));
    }
    subject_end(s);
}

/* Where one value among good ones is bad, at every place of a vector and behind the last whole one.
 */
static void refusals(subject *s, int64_t limit)
{
    enum { COUNT = 21 };
    const float at_limit = (float)ldexp((double)limit, -POINT);
    const struct {
        float value;
        bool good;
    } values[] = {
        {NAN, false},
        {-NAN, false},
        {INFINITY, false},
        {-INFINITY, false},
        {3e38f, false},
        {-3e38f, false},
        {at_limit, false},
        {-at_limit, false},
        {nextafterf(at_limit, 0), true},
        {-nextafterf(at_limit, 0), true},
        {1e-38f, true},
    };
    if (!subject_begin(s, NULL, "limit %" PRId64, limit)) {
        return;
    }
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        float *x = subject_take(s, COUNT * sizeof *x);
        int64_t *sum = subject_take(s, COUNT * sizeof *sum);
        for (size_t bad = 0; bad < COUNT; bad++) {
            for (size_t i = 0; i < COUNT; i++) {
                x[i] = 0.25f;
            }
            x[bad] = values[v].value;
            if (run(s, x, COUNT, limit, 0, sum) != values[v].good) {
                fail_msg("%s: %g at %zu was %s", s->label, (double)x[bad], bad,
                         values[v].good ? "refused" : "taken");
            }
            if (values[v].good) {
                expect(s, bad, sum[bad], exact(x[bad]));
            }
        }
    }
    subject_end(s);
}

/* What the exact reduction rests on: sums do not know in what order the groups came. */
static void any_order(subject *s)
{
    enum { COUNT = 100 };
    if (!subject_begin(s, NULL, "sums of %d groups in three orders", GROUPS)) {
        return;
    }
    float *x[GROUPS];
    for (int g = 0; g < GROUPS; g++) {
        x[g] = subject_take(s, COUNT * sizeof(float));
        for (size_t i = 0; i < COUNT; i++) {
            x[g][i] = (float)ldexp(subject_random(s), g - 8);
        }
    }
    int64_t *sums[3];
    for (int order = 0; order < 3; order++) {
        static const int steps[] = {1, 15, 7}; /* all prime to 16 */
        sums[order] = subject_take(s, COUNT * sizeof(int64_t));
        for (int g = 0; g < GROUPS; g++) {
            assert_true(run(s, x[(g * steps[order] + 3 * order) % GROUPS], COUNT, full / GROUPS,
                            g > 0, sums[order]));
        }
        assert_memory_equal(sums[order], sums[0], COUNT * sizeof(int64_t));
    }
    for (size_t i = 0; i < COUNT; i++) {
        wide_int want = 0;
        for (int g = 0; g < GROUPS; g++) {
            want += exact(x[g][i]);
        }
        expect(s, i, sums[0][i], want);
    }
    subject_end(s);
}

void check_quantise(subject *s)
{
    static const size_t counts[] = {0, 1, 7, 8, 9, 16, 64, COUNT_MAX};
    s->isa = mbt_cpu_isa();
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        store_and_add(s, counts[i]);
    }
    refusals(s, full);
    refusals(s, full / 2);
    refusals(s, full / 16);
    any_order(s);
}
