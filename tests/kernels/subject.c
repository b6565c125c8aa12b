/* Memory, maps and comparisons of the kernel checks. */
#include "subject.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/map_pack.h"

enum { GUARD_BYTES = 256, ALIGN = 64, GUARD = 0xa5, BLANK = 0xff };

void subject_each_block(subject *s, subject_cases *cases)
{
    int done = 0;
    for (int isa = (int)mbt_cpu_isa(); isa >= (int)s->row->isa; isa--) {
        s->isa = (mbt_isa)isa;
        s->block = mbt_isa_block(s->isa);
        if (s->block != done) {
            done = s->block;
            cases(s);
        }
    }
}

bool subject_begin(subject *s, const void *desc, const char *format, ...)
{
    va_list args;
    if (s->row->supports != NULL && !s->row->supports(s->isa, desc)) {
        if (mbt_kernel_find(s->row->op, s->isa, desc) == NULL) {
            fail_msg("%s: no row supports a case of %s", mbt_op_name(s->row->op), format);
        }
        return false;
    }
    if (s->n_cases++ % s->every != 0) {
        return false;
    }
    const int used =
        snprintf(s->label, sizeof s->label, "%s, row %s, blocks of %d: ", mbt_op_name(s->row->op),
                 s->row->name, s->block);
    va_start(args, format);
    (void)vsnprintf(s->label + used, sizeof s->label - (size_t)used, format, args);
    va_end(args);
    return true;
}

static size_t whole(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

void *subject_take(subject *s, size_t bytes)
{
    assert_true(s->n_taken < TAKEN_MAX);
    unsigned char *base = aligned_alloc(ALIGN, whole(bytes) + 2 * GUARD_BYTES);
    assert_non_null(base);
    memset(base, GUARD, whole(bytes) + 2 * GUARD_BYTES);
    memset(base + GUARD_BYTES, BLANK, bytes);
    s->taken[s->n_taken++] = (taken){base, bytes};
    return base + GUARD_BYTES;
}

void subject_end(subject *s)
{
    for (int i = 0; i < s->n_taken; i++) {
        const unsigned char *base = s->taken[i].base;
        const size_t end = whole(s->taken[i].bytes) + 2 * GUARD_BYTES;
        for (size_t at = 0; at < end; at++) {
            const bool inside = at >= GUARD_BYTES && at < GUARD_BYTES + s->taken[i].bytes;
            if (!inside && base[at] != GUARD) {
                fail_msg("%s: wrote %ld bytes off a buffer of %zu", s->label,
                         (long)at - (at < GUARD_BYTES ? GUARD_BYTES
                                                      : (long)(GUARD_BYTES + s->taken[i].bytes)),
                         s->taken[i].bytes);
            }
        }
        free(s->taken[i].base);
    }
    s->n_taken = 0;
}

const mbt_kernel *subject_kernel(const subject *s, mbt_op op, const void *desc)
{
    const mbt_kernel *row = op == s->row->op ? s->row : mbt_kernel_find(op, s->isa, desc);
    if (row == NULL) {
        fail_msg("%s: no row for %s", s->label, mbt_op_name(op));
    }
    return row;
}

double *subject_doubles(subject *s, size_t count)
{
    return subject_take(s, count * sizeof(double));
}

double subject_random(subject *s)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (double)((int64_t)(s->random >> 40) * 2 + 1 - (1 << 24)) * 0x1p-24;
}

double subject_kept(double v, mbt_storage storage)
{
    /* bf16 has 8 bits of a value, and quanta of 2^-133 below the normal numbers. */
    enum { BITS = 8, LEAST = -125, BEYOND = 128 };
    if (storage == MBT_STORAGE_FP32 || v == 0 || !isfinite(v)) {
        return v;
    }
    int exponent;
    (void)frexp(v, &exponent); /* 2^(exponent-1) <= |v| < 2^exponent */
    const int quantum = (exponent > LEAST ? exponent : LEAST) - BITS;
    const double size = ldexp(floor(ldexp(fabs(v), -quantum) + 0.5), quantum);
    return copysign(size < ldexp(1, BEYOND) ? size : INFINITY, v);
}

double *subject_values_as(subject *s, size_t count, mbt_storage storage)
{
    double *values = subject_doubles(s, count);
    for (size_t i = 0; i < count; i++) {
        values[i] = subject_kept((float)subject_random(s), storage);
    }
    return values;
}

double *subject_values(subject *s, size_t count)
{
    return subject_values_as(s, count, MBT_STORAGE_FP32);
}

const char *storage_name(mbt_storage storage)
{
    return storage == MBT_STORAGE_BF16 ? "bf16" : "fp32";
}

float *subject_floats(subject *s, const double *values, size_t count)
{
    float *floats = subject_take(s, count * sizeof *floats);
    for (size_t i = 0; i < count; i++) {
        floats[i] = (float)values[i];
    }
    return floats;
}

double *subject_widened(subject *s, const float *values, size_t count)
{
    double *wide = subject_doubles(s, count);
    for (size_t i = 0; i < count; i++) {
        wide[i] = (double)values[i];
    }
    return wide;
}

void subject_near(const subject *s, const char *what, double got, double want, double allowed)
{
    if (!(fabs(got - want) <= allowed)) { /* also for NaN */
        fail_msg("%s: %s: got %.9g, wanted %.9g within %.2g", s->label, what, got, want, allowed);
    }
}

void subject_compare_kept(const subject *s, const char *what, const double *got, const double *want,
                          size_t count, double tolerance, mbt_storage storage)
{
    const double rounding = storage == MBT_STORAGE_BF16 ? 0x1p-8 : 0;
    double scale = 0;
    for (size_t i = 0; i < count; i++) {
        scale = fmax(scale, fabs(want[i]));
    }
    for (size_t i = 0; i < count; i++) {
        const double allowed = tolerance * scale + rounding * fabs(want[i]);
        if (!(fabs(got[i] - want[i]) <= allowed)) {
            fail_msg("%s: %s: element %zu: got %.9g, wanted %.9g within %.2g", s->label, what, i,
                     got[i], want[i], allowed);
        }
    }
}

void subject_compare(const subject *s, const char *what, const double *got, const double *want,
                     size_t count, double tolerance)
{
    subject_compare_kept(s, what, got, want, count, tolerance, MBT_STORAGE_FP32);
}

/* ---- maps ---- */

static size_t plain_image(const mbt_layout *l)
{
    return (size_t)l->c * (size_t)l->h * (size_t)l->w;
}

static size_t map_elements(const test_map *map)
{
    return map->plain ? (size_t)map->capacity * plain_image(&map->layout)
                      : mbt_layout_floats(&map->layout, map->capacity);
}

static size_t map_bytes(const test_map *map)
{
    return map_elements(map) * mbt_storage_bytes(map->storage);
}

/* The tile in `data`, which is as large as the whole map. */
static mbt_map map_tile(const test_map *map, void *data, mbt_storage storage)
{
    return map->plain
               ? (mbt_map){.data = (float *)data + (size_t)map->first * plain_image(&map->layout)}
               : mbt_map_view(&map->layout, data, storage, map->capacity, map->first);
}

static test_map map_make(subject *s, test_map map, bool wide)
{
    map.first = wide ? 2 : 0;
    map.capacity = wide ? map.n + 3 : map.n;
    map.data = subject_take(s, map_bytes(&map));
    map.view = map_tile(&map, map.data, map.storage);
    return map;
}

test_map map_take(subject *s, const mbt_layout *layout, int n, bool wide, bool plain)
{
    return map_make(s, (test_map){.layout = *layout, .n = n, .plain = plain}, wide);
}

test_map map_take_as(subject *s, const mbt_layout *layout, int n, bool wide, mbt_storage storage)
{
    return map_make(s, (test_map){.layout = *layout, .n = n, .storage = storage}, wide);
}

/* The whole map as floats: itself or a copy, blank where it is. */
static float *map_floats(subject *s, const test_map *map)
{
    if (map->storage == MBT_STORAGE_FP32) {
        return map->data;
    }
    const uint16_t *halves = map->data, blank = BLANK << 8 | BLANK;
    float *floats = subject_take(s, map_elements(map) * sizeof *floats);
    for (size_t i = 0; i < map_elements(map); i++) {
        const uint32_t bits = (uint32_t)halves[i] << 16 | (halves[i] == blank ? blank : 0);
        memcpy(&floats[i], &bits, sizeof bits);
    }
    return floats;
}

static void pack(const test_map *map, const float *nchw, float *floats)
{
    const mbt_map to = map_tile(map, floats, MBT_STORAGE_FP32);
    if (map->plain) {
        memcpy(to.data, nchw, (size_t)map->n * plain_image(&map->layout) * sizeof *nchw);
    } else {
        map_pack(&map->layout, map->n, nchw, to);
    }
}

static float *unpack(subject *s, const test_map *map)
{
    const size_t count = (size_t)map->n * plain_image(&map->layout);
    const mbt_map from = map_tile(map, map_floats(s, map), MBT_STORAGE_FP32);
    float *nchw = subject_take(s, count * sizeof *nchw);
    if (map->plain) {
        memcpy(nchw, from.data, count * sizeof *nchw);
    } else {
        map_unpack(&map->layout, map->n, from, nchw);
    }
    return nchw;
}

void map_fill(subject *s, test_map *map, const double *nchw)
{
    const size_t count = (size_t)map->n * plain_image(&map->layout);
    float *floats = map_floats(s, map);
    for (size_t i = 0; i < count; i++) {
        const double kept = subject_kept(nchw[i], map->storage);
        assert_true(kept == nchw[i] || isnan(nchw[i]));
    }
    pack(map, subject_floats(s, nchw, count), floats);
    for (size_t i = 0; map->storage == MBT_STORAGE_BF16 && i < map_elements(map); i++) {
        uint32_t bits;
        memcpy(&bits, &floats[i], sizeof bits);
        ((uint16_t *)map->data)[i] = (uint16_t)(bits >> 16);
    }
    map->before = subject_take(s, map_bytes(map));
    memcpy(map->before, map->data, map_bytes(map));
}

double *map_read(subject *s, const test_map *map)
{
    return subject_widened(s, unpack(s, map), (size_t)map->n * plain_image(&map->layout));
}

void map_written(subject *s, const test_map *map, const char *what)
{
    /* Packed once more, what was unpacked must give the same map: zeros as padding, blank outside.
     */
    const size_t floats = map_elements(map);
    const float *got = map_floats(s, map);
    float *want = subject_take(s, floats * sizeof *want);
    pack(map, unpack(s, map), want);
    for (size_t i = 0; i < floats; i++) {
        if (got[i] != want[i] && memcmp(&got[i], &want[i], sizeof want[i]) != 0) {
            fail_msg("%s: %s: stored element %zu of %zu is %g, wanted %g: padding is zero, and "
                     "other images are not touched",
                     s->label, what, i, floats, (double)got[i], (double)want[i]);
        }
    }
}

void map_unchanged(const subject *s, const test_map *map, const char *what)
{
    if (memcmp(map->data, map->before, map_bytes(map)) != 0) {
        fail_msg("%s: %s: an input was written to", s->label, what);
    }
}

float *channels_pack(subject *s, const mbt_layout *l, const double *values)
{
    const size_t stored = (size_t)mbt_layout_stored(l);
    float *packed = subject_take(s, stored * sizeof *packed);
    memset(packed, 0, stored * sizeof *packed);
    for (int c = 0; c < l->c; c++) {
        packed[mbt_layout_position(l, c)] = (float)values[c];
    }
    return packed;
}

double *channels_read(subject *s, const mbt_layout *l, const double *stored)
{
    double *values = subject_doubles(s, (size_t)l->c);
    double *rest = subject_doubles(s, (size_t)mbt_layout_stored(l));
    memcpy(rest, stored, (size_t)mbt_layout_stored(l) * sizeof *rest);
    for (int c = 0; c < l->c; c++) {
        values[c] = rest[mbt_layout_position(l, c)];
        rest[mbt_layout_position(l, c)] = 0;
    }
    for (int i = 0; i < mbt_layout_stored(l); i++) {
        if (rest[i] != 0) {
            fail_msg("%s: padded channel at %d got %g, wanted 0", s->label, i, rest[i]);
        }
    }
    return values;
}
