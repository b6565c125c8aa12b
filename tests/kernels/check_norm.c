/* norm_backward alone, and with statistics, apply and its way back as the gradient of batch norm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "kernels/apply_trial.h"
#include "kernels/checks.h"
#include "ref/ref.h"

struct norm_case {
    mbt_layout layout; /* of y and dy */
    int n;
    bool wide, in_place;
    bool moved; /* u lies in another layout */
    int sections;
    channel_map map;
    mbt_storage u, y, dy;
};

static bool begin(subject *s, const struct norm_case *c)
{
    char where[LABEL_BYTES / 2] = "";
    const mbt_layout *l = &c->layout;
    if (c->moved) {
        (void)snprintf(where, sizeof where, ", of %d sections, %s", c->sections,
                       channel_map_name(c->map));
    }
    return subject_begin(
        s, l, "%d channels, %d sections, map %dx%d, %d images%s%s, u %s%s, y %s, dy %s", l->c,
        l->sections, l->h, l->w, c->n, c->wide ? " of more" : "", c->in_place ? ", dy is u" : "",
        storage_name(c->u), where, storage_name(c->y), storage_name(c->dy));
}

/* From u's layout to y's: from[k] is where channel k comes from. */
static mbt_layout move(const struct norm_case *c, int *from, mbt_shuffle *shuffle)
{
    mbt_layout l = c->layout;
    mbt_error err = {0};
    l.sections = c->moved ? c->sections : l.sections;
    for (int k = 0; k < l.c; k++) {
        from[k] = c->moved ? channel_map_source(c->map, k, l.c) : k;
    }
    assert_int_equal(mbt_shuffle_create(&l, &c->layout, from, shuffle, &err), MBT_OK);
    return l;
}

static void one_case(subject *s, const struct norm_case *c)
{
    const mbt_layout *l = &c->layout;
    const ref_shape shape = {c->n, l->c, l->h, l->w};
    const size_t count = ref_elements(&shape), channels = (size_t)l->c;
    const size_t pixels = (size_t)(l->h * l->w);
    if (!begin(s, c)) {
        return;
    }
    mbt_shuffle shuffle;
    int *from = subject_take(s, channels * sizeof *from);
    const mbt_layout u_layout = move(c, from, &shuffle);
    const double *u = subject_values_as(s, count, c->u), *y = subject_values_as(s, count, c->y);
    const double *mean = subject_values(s, channels), *c1 = subject_values(s, channels);
    const double *c2 = subject_values(s, channels), *c3 = subject_values(s, channels);
    double *u_there = subject_doubles(s, count);
    for (size_t i = 0; i < count; i++) {
        const size_t k = i / pixels % channels;
        u_there[i + ((size_t)from[k] - k) * pixels] = u[i];
    }
    test_map m_u = map_take_as(s, &u_layout, c->n, c->wide, c->u);
    test_map m_y = map_take_as(s, l, c->n, c->wide, c->y);
    map_fill(s, &m_u, u_there);
    map_fill(s, &m_y, y);
    test_map m_dy = c->in_place ? m_u : map_take_as(s, l, c->n, c->wide, c->dy);
    const mbt_norm_backward_args args = {
        .u = m_u.view,
        .y = m_y.view,
        .dy = m_dy.view,
        .u_layout = c->moved ? &u_layout : NULL,
        .u_shuffle = c->moved ? &shuffle : NULL,
        .mean = channels_pack(s, l, mean),
        .c1 = channels_pack(s, l, c1),
        .c2 = channels_pack(s, l, c2),
        .c3 = channels_pack(s, l, c3),
    };
    s->row->run.norm_backward(l, c->n, &args);
    map_unchanged(s, &m_y, "y");
    if (!c->in_place) {
        map_unchanged(s, &m_u, "u");
    }
    map_written(s, &m_dy, "dy");
    double *want = subject_doubles(s, count);
    ref_norm_backward(&shape, u, y, mean, c1, c2, c3, want);
    subject_compare_kept(s, "dy", map_read(s, &m_dy), want, count, 1e-5, c->dy);
    mbt_shuffle_clear(&shuffle);
    subject_end(s);
}

/* Every pair of storages, where u is and in every other layout. */
static void each_mixture(subject *s, struct norm_case c)
{
    static const mbt_storage storages[] = {MBT_STORAGE_FP32, MBT_STORAGE_BF16};
    for (int kind = 0; kind < 8; kind++) {
        c.u = storages[kind % 2];
        c.y = storages[kind / 2 % 2];
        c.dy = storages[kind / 4];
        c.moved = false;
        for (int in_place = 0; in_place <= (c.u == c.dy ? 1 : 0); in_place++) {
            c.in_place = in_place == 1;
            one_case(s, &c);
        }
        c.in_place = false;
        c.moved = true;
        for (int to = 0; to < 2 * MAP_KINDS; to++) {
            c.sections = 1 + to % 2;
            c.map = (channel_map)(to / 2);
            one_case(s, &c);
        }
    }
}

static void cases(subject *s)
{
    static const int widths[] = {16, 24, 32, 144}, images[] = {1, 2, 5};
    static const int sides[][2] = {{1, 1}, {4, 4}, {5, 7}, {8, 8}};
    for (int i = 0; i < 4 * 4 * 2; i++) {
        const int *side = sides[i / 4 % 4], turn = i + i / 4 + i / 16;
        each_mixture(s, (struct norm_case){
                            .layout = {widths[i % 4], side[0], side[1], 1 + i / 16, s->block},
                            .n = images[turn % 3],
                            .wide = turn % 2 == 1,
                        });
    }
}

void check_norm_backward(subject *s)
{
    subject_each_block(s, cases);
}

/* ---- the chain ---- */

struct chain {
    mbt_layout layout;
    ref_shape shape;
    double *gamma, *beta, *y, *g; /* g: the gradient that arrives */
    bool relu6;
};

static const double bn_eps = 1e-5;

static double loss(subject *s, const struct chain *c, const double *y, double *z)
{
    (void)s;
    ref_batch_norm(&c->shape, y, c->gamma, c->beta, bn_eps, z);
    double sum = 0;
    for (size_t i = 0; i < ref_elements(&c->shape); i++) {
        sum += c->g[i] * (c->relu6 ? fmin(fmax(z[i], 0), 6) : z[i]);
    }
    return sum;
}

/* dy, d_gamma and d_beta as exec makes them out of kernels (equations in kernel.h). */
struct gradients {
    double *dy, *d_gamma, *d_beta;
};

static struct gradients by_kernels(subject *s, const struct chain *c)
{
    const mbt_layout *l = &c->layout;
    const int n = c->shape.n;
    const size_t stored = (size_t)mbt_layout_stored(l);
    const double count = (double)n * l->h * l->w;
    mbt_shuffle straight;
    mbt_error err;
    if (mbt_shuffle_create(l, l, NULL, &straight, &err) != MBT_OK) {
        subject_near(s, err.message, 0, 1, 0);
    }
    const mbt_apply_desc d = {*l, *l, c->relu6 ? MBT_ACT_RELU6 : MBT_ACT_NONE, &straight,
                              &straight};
    const mbt_map none = {.data = NULL};
    test_map y = map_take(s, l, n, true, false), z = map_take(s, l, n, true, false);
    test_map u = map_take(s, l, n, true, false);
    map_fill(s, &y, c->y);
    map_fill(s, &u, c->g); /* dz, in whose place u comes */
    double *mean = subject_doubles(s, stored), *m2 = subject_doubles(s, stored);
    double *sum_u = subject_doubles(s, stored), *sum_uy = subject_doubles(s, stored);
    const float *gamma = channels_pack(s, l, c->gamma), *beta = channels_pack(s, l, c->beta);
    float *v[6];
    for (int i = 0; i < 6; i++) {
        v[i] = subject_take(s, stored * sizeof(float));
    }
    float *means = v[0], *a = v[1], *b = v[2], *c1 = v[3], *c2 = v[4], *c3 = v[5];

    const mbt_stats_args moments = {.y = y.view, .mean = mean, .m2 = m2};
    subject_kernel(s, MBT_OP_STATS, l)->run.stats(l, n, &moments);
    for (size_t i = 0; i < stored; i++) {
        const double rstd = 1 / sqrt(m2[i] / count + bn_eps);
        means[i] = (float)mean[i];
        a[i] = (float)(gamma[i] * rstd);
        b[i] = (float)(beta[i] - mean[i] * gamma[i] * rstd);
    }
    subject_kernel(s, MBT_OP_APPLY, &d)->run.apply(&d, n, y.view, a, b, none, z.view);
    const mbt_apply_backward_args args = {.dz = u.view,
                                          .e = none,
                                          .z = z.view,
                                          .y = y.view,
                                          .u = u.view,
                                          .du = none,
                                          .mean = means,
                                          .sum_u = sum_u,
                                          .sum_uy = sum_uy};
    subject_kernel(s, MBT_OP_APPLY_BACKWARD, &d)->run.apply_backward(&d, n, &args);
    double *d_gamma = subject_doubles(s, stored);
    for (size_t i = 0; i < stored; i++) {
        const double rstd = 1 / sqrt(m2[i] / count + bn_eps), c_1 = gamma[i] * rstd;
        d_gamma[i] = sum_uy[i] * rstd;
        c1[i] = (float)c_1;
        c2[i] = (float)(-c_1 * rstd * rstd * sum_uy[i] / count);
        c3[i] = (float)(-c_1 * sum_u[i] / count);
    }
    const mbt_norm_backward_args norm = {
        .u = u.view, .y = y.view, .dy = u.view, .mean = means, .c1 = c1, .c2 = c2, .c3 = c3};
    subject_kernel(s, MBT_OP_NORM_BACKWARD, l)->run.norm_backward(l, n, &norm);
    mbt_shuffle_clear(&straight);
    return (struct gradients){map_read(s, &u), channels_read(s, l, d_gamma),
                              channels_read(s, l, sum_u)};
}

static void difference(subject *s, struct chain *c, const char *what, double *parameter,
                       size_t count, const double *got)
{
    const double h = 1e-5;
    double *want = subject_doubles(s, count), *z = subject_doubles(s, ref_elements(&c->shape));
    for (size_t i = 0; i < count; i++) {
        const double middle = parameter[i];
        parameter[i] = middle + h;
        const double above = loss(s, c, c->y, z);
        parameter[i] = middle - h;
        want[i] = (above - loss(s, c, c->y, z)) / (2 * h);
        parameter[i] = middle;
    }
    subject_compare(s, what, got, want, count, 2e-5);
}

static void one_chain(subject *s, const mbt_layout *l, int n, bool relu6)
{
    struct chain c = {.layout = *l, .shape = {n, l->c, l->h, l->w}, .relu6 = relu6};
    const size_t count = ref_elements(&c.shape), channels = (size_t)l->c;
    const mbt_apply_desc d = {.source = *l, .destination = *l};
    const bool apply = s->row->op == MBT_OP_APPLY || s->row->op == MBT_OP_APPLY_BACKWARD;
    if (!subject_begin(
            s, apply ? (const void *)&d : l,
            "batch norm by differences, %d channels, %d sections, map %dx%d, %d images%s", l->c,
            l->sections, l->h, l->w, n, relu6 ? ", relu6" : "")) {
        return;
    }
    c.gamma = subject_values(s, channels);
    c.beta = subject_values(s, channels);
    c.g = subject_values(s, count);
    double *z = subject_doubles(s, count);
    bool kink = true;
    while (kink) { /* no value within a step of a kink */
        c.y = subject_values(s, count);
        for (size_t i = 0; i < channels; i++) {
            c.gamma[i] = (float)(1 + 0.5 * subject_random(s));
        }
        (void)loss(s, &c, c.y, z);
        kink = false;
        for (size_t i = 0; relu6 && i < count; i++) {
            kink = kink || fabs(z[i]) < 1e-4 || fabs(z[i] - 6) < 1e-4;
        }
    }
    const struct gradients got = by_kernels(s, &c);
    difference(s, &c, "dy", c.y, count, got.dy);
    difference(s, &c, "d_gamma", c.gamma, channels, got.d_gamma);
    difference(s, &c, "d_beta", c.beta, channels, got.d_beta);
    subject_end(s);
}

static void chains(subject *s)
{
    const mbt_layout layouts[] = {{16, 4, 4, 1, s->block},
                                  {24, 2, 3, 2, s->block},
                                  {24, 3, 2, 1, s->block},
                                  {6, 1, 1, 1, s->block}};
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        one_chain(s, &layouts[i], i == 3 ? 5 : 2, false);
        one_chain(s, &layouts[i], i == 3 ? 5 : 2, true);
    }
}

void check_batch_norm(subject *s)
{
    subject_each_block(s, chains);
}
