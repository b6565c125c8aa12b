/* Global average pooling and its gradient, each against the naive one and against the other. */
#include <math.h>

#include "kernels/checks.h"
#include "ref/ref.h"

struct trial {
    mbt_layout large, small;
    ref_shape shape;
    bool wide;
};

static double *run_pool(subject *s, const struct trial *t, const double *x)
{
    test_map in = map_take(s, &t->large, t->shape.n, t->wide, false);
    test_map out = map_take(s, &t->small, t->shape.n, t->wide, false);
    map_fill(s, &in, x);
    subject_kernel(s, MBT_OP_POOL, &t->large)->run.pool(&t->large, t->shape.n, in.view, out.view);
    map_unchanged(s, &in, "in");
    map_written(s, &out, "out");
    return map_read(s, &out);
}

static double *run_backward(subject *s, const struct trial *t, const double *g)
{
    test_map din = map_take(s, &t->large, t->shape.n, t->wide, false);
    test_map dout = map_take(s, &t->small, t->shape.n, t->wide, false);
    map_fill(s, &dout, g);
    subject_kernel(s, MBT_OP_POOL_BACKWARD, &t->large)
        ->run.pool_backward(&t->large, t->shape.n, dout.view, din.view);
    map_unchanged(s, &dout, "dout");
    map_written(s, &din, "din");
    return map_read(s, &din);
}

static void one_case(subject *s, const struct trial *t)
{
    const mbt_layout *l = &t->large;
    const size_t n_in = ref_elements(&t->shape), n_out = (size_t)(t->shape.n * l->c);
    if (!subject_begin(s, l, "%d channels, %d sections, map %dx%d, %d images%s", l->c, l->sections,
                       l->h, l->w, t->shape.n, t->wide ? " of more" : "")) {
        return;
    }
    const double *x = subject_values(s, n_in), *g = subject_values(s, n_out);
    const double *out = run_pool(s, t, x), *din = run_backward(s, t, g);
    double *want_out = subject_doubles(s, n_out), *want_din = subject_doubles(s, n_in);
    ref_pool(&t->shape, x, want_out);
    ref_pool_backward(&t->shape, g, want_din);
    subject_compare(s, "average", out, want_out, n_out, 1e-5);
    subject_compare(s, "gradient", din, want_din, n_in, 1e-5);
    double scale = 0;
    for (size_t i = 0; i < n_out; i++) {
        scale += fabs(out[i] * g[i]);
    }
    subject_near(s, "adjoint identity", ref_dot(x, din, n_in), ref_dot(out, g, n_out),
                 1e-5 * scale);
    subject_end(s);
}

static void cases(subject *s)
{
    static const int widths[] = {16, 24, 32}, images[] = {1, 2, 5};
    static const int sides[][2] = {{1, 1}, {4, 4}, {5, 7}, {8, 8}};
    for (int i = 0; i < 3 * 4 * 2 * 3; i++) {
        const int c = widths[i % 3], *side = sides[i / 3 % 4], sections = 1 + i / 12 % 2;
        const struct trial t = {
            .large = {c, side[0], side[1], sections, s->block},
            .small = {c, 1, 1, sections, s->block},
            .shape = {images[i / 24], c, side[0], side[1]},
            .wide = i % 2 == 1,
        };
        one_case(s, &t);
    }
}

void check_pool(subject *s)
{
    subject_each_block(s, cases);
}
