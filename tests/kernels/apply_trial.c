/* Cases of apply: every way in which channels may lie before and after. */
#include "apply_trial.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

/* A step across a kink would spoil finite differences, and rounding would flip a mask. */
static const double margin = 0.02;

const char *apply_activation(const apply_trial *t)
{
    return t->high == 0 ? "no activation" : isfinite(t->high) ? "relu6" : "relu";
}

const char *channel_map_name(channel_map map)
{
    static const char *const names[MAP_KINDS] = {"straight", "interleave", "deinterleave",
                                                 "scatter"};
    return names[map];
}

void apply_each_shape(subject *s, apply_visit *each)
{
    /* 144 channels: halves of 72 are no whole blocks of 16, and a block draws on four others,
     * or scattered on nine. */
    static const int widths[] = {16, 24, 32, 144}, images[] = {1, 2, 5};
    static const int sides[][2] = {{1, 1}, {4, 4}, {5, 7}, {8, 8}};
    int turn = 0;
    for (int i = 0; i < 4 * 4 * 2 * 2 * MAP_KINDS; i++, turn++) {
        const int c = widths[i % 4], *side = sides[i / 4 % 4];
        if (c == 144 && side[0] > 4) {
            continue;
        }
        const apply_shape where = {
            .shape = {images[(turn + turn / 4) % 3], c, side[0], side[1]},
            .sections_from = 1 + i / 16 % 2,
            .sections_to = 1 + i / 32 % 2,
            .map = (channel_map)(i / 64),
            .wide = (turn + turn / 4) % 2 == 1,
            .turn = turn,
        };
        each(s, &where);
    }
}

int channel_map_source(channel_map map, int c, int channels)
{
    const int half = channels / 2;
    const int many = channels % 16 == 0 ? 16 : 8;
    return map == MAP_INTERLEAVE     ? c % 2 * half + c / 2
           : map == MAP_SCATTER      ? c % many * (channels / many) + c / many
           : map == MAP_DEINTERLEAVE ? c % half * 2 + c / half
                                     : c;
}

void apply_describe(const subject *s, const apply_shape *where, bool clips, mbt_storage storage,
                    apply_trial *t)
{
    const ref_shape *shape = &where->shape;
    int back[sizeof t->from / sizeof t->from[0]];
    mbt_error err;
    memset(t, 0, sizeof *t);
    t->where = *where;
    const mbt_activation act = !clips                     ? MBT_ACT_NONE
                               : where->turn / 3 % 2 == 0 ? MBT_ACT_RELU6
                                                          : MBT_ACT_RELU;
    t->high = act == MBT_ACT_NONE ? 0 : act == MBT_ACT_RELU6 ? 6 : INFINITY;
    t->storage = storage;
    t->count = ref_elements(shape);
    assert_true((size_t)shape->c <= sizeof t->from / sizeof t->from[0]);
    for (int c = 0; c < shape->c; c++) {
        t->from[c] = channel_map_source(where->map, c, shape->c);
        back[t->from[c]] = c;
    }
    t->desc = (mbt_apply_desc){
        .source = {shape->c, shape->h, shape->w, where->sections_from, s->block},
        .destination = {shape->c, shape->h, shape->w, where->sections_to, s->block},
        .act = act,
        .forward = &t->forward,
        .backward = &t->backward,
    };
    const bool plain = where->map == MAP_NONE;
    assert_int_equal(mbt_shuffle_create(&t->desc.source, &t->desc.destination,
                                        plain ? NULL : t->from, &t->forward, &err),
                     MBT_OK);
    assert_int_equal(mbt_shuffle_create(&t->desc.destination, &t->desc.source, plain ? NULL : back,
                                        &t->backward, &err),
                     MBT_OK);
}

void apply_release(apply_trial *t)
{
    mbt_shuffle_clear(&t->forward);
    mbt_shuffle_clear(&t->backward);
}

static bool near_kink(double v)
{
    return fabs(v) < margin || fabs(v - 6) < margin;
}

void apply_values(subject *s, apply_trial *t, bool residual)
{
    const ref_shape *shape = &t->where.shape;
    const size_t channels = (size_t)shape->c, pixels = (size_t)shape->h * (size_t)shape->w;
    t->a = subject_doubles(s, channels);
    t->b = subject_doubles(s, channels);
    for (size_t c = 0; c < channels; c++) {
        const double r = subject_random(s);
        t->a[c] = (float)(r < 0 ? 4 * r - 1 : 4 * r + 1); /* large enough to leave the kinks */
        t->b[c] = (float)(3 + subject_random(s));
    }
    t->y = subject_doubles(s, t->count);
    t->residual = residual ? subject_doubles(s, t->count) : NULL;
    t->z = subject_doubles(s, t->count);
    for (size_t i = 0; i < t->count; i++) {
        const size_t image = i / (channels * pixels), c = i / pixels % channels;
        const size_t f = (size_t)t->from[c], at = (image * channels + f) * pixels + i % pixels;
        double r = 0;
        do {
            t->y[at] = subject_kept((float)subject_random(s), t->storage);
            r = residual ? subject_kept((float)subject_random(s), t->kept_r) : 0;
        } while (near_kink(t->a[f] * t->y[at] + t->b[f] + r));
        if (residual) {
            t->residual[i] = r;
        }
    }
    ref_apply(shape, t->from, t->y, t->a, t->b, t->residual, t->high, t->z);
}

double *apply_run(subject *s, const apply_trial *t, const double *b, const double *residual)
{
    const mbt_apply_desc *d = &t->desc;
    const int n = t->where.shape.n;
    const float *packed_a = channels_pack(s, &d->source, t->a);
    float *packed_b = channels_pack(s, &d->source, t->a);
    if (b != NULL) {
        packed_b = channels_pack(s, &d->source, b);
    } else {
        memset(packed_b, 0, (size_t)mbt_layout_stored(&d->source) * sizeof *packed_b);
    }
    test_map y = map_take_as(s, &d->source, n, t->where.wide, t->storage);
    test_map r = map_take_as(s, &d->destination, n, t->where.wide, t->kept_r);
    test_map z = map_take_as(s, &d->destination, n, t->where.wide, t->kept_z);
    map_fill(s, &y, t->y);
    if (residual != NULL) {
        map_fill(s, &r, residual);
    }
    subject_kernel(s, MBT_OP_APPLY, d)
        ->run.apply(d, n, y.view, packed_a, packed_b,
                    residual != NULL ? r.view : (mbt_map){.data = NULL}, z.view);
    map_unchanged(s, &y, "y");
    if (residual != NULL) {
        map_unchanged(s, &r, "residual");
    }
    map_written(s, &z, "z");
    return map_read(s, &z);
}
