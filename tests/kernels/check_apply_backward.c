/* The way back through apply: against the naive one, central differences and the adjoint identity,
 * with every aliasing that kernel.h allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "kernels/apply_trial.h"
#include "kernels/checks.h"

enum flag { CLIPS = 1, WITH_E = 2, WITH_DU = 4, U_IS_DZ = 8, DU_IS_E = 16, FLAGS = 32 };
/* In which storage maps are, and whether u goes past the cache. */
enum variant { STREAM = 1, Y_BF16 = 2, U_BF16 = 4, E_BF16 = 8, DU_BF16 = 16, VARIANTS = 32 };
/* z: by turns, see one_case. */

static mbt_storage storage_of(int variants, enum variant bf16)
{
    return (variants & (int)bf16) != 0 ? MBT_STORAGE_BF16 : MBT_STORAGE_FP32;
}

struct result {
    double *u, *du; /* du NULL: not asked for */
    double *sum_u, *sum_uy;
};

static struct result run(subject *s, const apply_trial *t, int flags, int variants,
                         const double *dz, const double *e, const double *mean)
{
    const mbt_apply_desc *d = &t->desc;
    const int n = t->where.shape.n;
    const bool wide = t->where.wide;
    const size_t stored = (size_t)mbt_layout_stored(&d->source);
    test_map m_dz = map_take(s, &d->destination, n, wide, false);
    test_map m_e = map_take_as(s, &d->destination, n, wide, storage_of(variants, E_BF16));
    test_map m_z = map_take_as(s, &d->destination, n, wide, t->kept_z);
    test_map m_y = map_take_as(s, &d->source, n, wide, storage_of(variants, Y_BF16));
    double *z = subject_doubles(s, t->count);
    for (size_t i = 0; i < t->count; i++) {
        z[i] = subject_kept(t->z[i], t->kept_z); /* on the same side of the kinks */
    }
    map_fill(s, &m_dz, dz);
    map_fill(s, &m_e, e);
    map_fill(s, &m_z, z);
    map_fill(s, &m_y, t->y);
    test_map m_u = (flags & U_IS_DZ) != 0
                       ? m_dz
                       : map_take_as(s, &d->source, n, wide, storage_of(variants, U_BF16));
    test_map m_du = (flags & DU_IS_E) != 0
                        ? m_e
                        : map_take_as(s, &d->destination, n, wide, storage_of(variants, DU_BF16));
    const mbt_map none = {.data = NULL};
    const mbt_apply_backward_args args = {
        .dz = m_dz.view,
        .e = (flags & WITH_E) != 0 ? m_e.view : none,
        .z = m_z.view,
        .y = m_y.view,
        .u = m_u.view,
        .du = (flags & WITH_DU) != 0 ? m_du.view : none,
        .stream = (variants & STREAM) != 0,
        .mean = channels_pack(s, &d->source, mean),
        .sum_u = subject_doubles(s, stored),
        .sum_uy = subject_doubles(s, stored),
    };
    subject_kernel(s, MBT_OP_APPLY_BACKWARD, d)->run.apply_backward(d, n, &args);

    map_unchanged(s, &m_z, "z");
    map_unchanged(s, &m_y, "y");
    if ((flags & U_IS_DZ) == 0) {
        map_unchanged(s, &m_dz, "dz");
    }
    if ((flags & DU_IS_E) == 0) {
        map_unchanged(s, &m_e, "e");
    }
    map_written(s, &m_u, "u");
    struct result got = {.u = map_read(s, &m_u)};
    if ((flags & WITH_DU) != 0) {
        map_written(s, &m_du, "du");
        got.du = map_read(s, &m_du);
    }
    got.sum_u = channels_read(s, &d->source, args.sum_u);
    got.sum_uy = channels_read(s, &d->source, args.sum_uy);
    return got;
}

static void against_reference(subject *s, const apply_trial *t, int variants,
                              const struct result *got, const double *dz, const double *e,
                              const double *mean)
{
    const mbt_storage storage = storage_of(variants, U_BF16);
    const ref_shape *shape = &t->where.shape;
    double *du = subject_doubles(s, t->count), *u = subject_doubles(s, t->count);
    ref_sums *sums = subject_take(s, (size_t)shape->c * sizeof *sums);
    ref_apply_backward(shape, t->from, dz, e, t->z, t->high, du, u);
    /* Sums are those of u as it is kept. */
    ref_backward_sums(shape, storage == MBT_STORAGE_BF16 ? got->u : u, t->y, mean, sums);
    subject_compare_kept(s, "u", got->u, u, t->count, 1e-6, storage);
    if (got->du != NULL) {
        subject_compare_kept(s, "du", got->du, du, t->count, 1e-6, storage_of(variants, DU_BF16));
    }
    for (int c = 0; c < shape->c; c++) {
        subject_near(s, "sum of u", got->sum_u[c], sums[c].u, 1e-6 * sums[c].u_size);
        subject_near(s, "sum of u*(y-mean)", got->sum_uy[c], sums[c].uy, 1e-6 * sums[c].uy_size);
    }
}

/* apply works element by element: one central difference of the naive one shifts all of them. */
static double *slopes(subject *s, const apply_trial *t, const double *y_step, const double *r_step)
{
    const ref_shape *shape = &t->where.shape;
    double *sides[2];
    for (int side = 0; side < 2; side++) {
        const double sign = side == 0 ? -1 : 1;
        double *y = subject_doubles(s, t->count), *r = subject_doubles(s, t->count);
        for (size_t i = 0; i < t->count; i++) {
            y[i] = t->y[i] + sign * *y_step;
            r[i] = (t->residual != NULL ? t->residual[i] : 0) + sign * *r_step;
        }
        sides[side] = subject_doubles(s, t->count);
        ref_apply(shape, t->from, y, t->a, t->b, r, t->high, sides[side]);
    }
    for (size_t i = 0; i < t->count; i++) {
        sides[1][i] = (sides[1][i] - sides[0][i]) / (2 * (*y_step + *r_step));
    }
    return sides[1];
}

static void against_differences(subject *s, const apply_trial *t, int variants,
                                const struct result *got, const double *total)
{
    const ref_shape *shape = &t->where.shape;
    const size_t channels = (size_t)shape->c, pixels = (size_t)shape->h * (size_t)shape->w;
    const double step = 1e-4, none = 0;
    const double *by_y = slopes(s, t, &step, &none), *by_r = slopes(s, t, &none, &step);
    double *want_y = subject_doubles(s, t->count), *want_r = subject_doubles(s, t->count);
    double *got_y = subject_doubles(s, t->count);
    for (size_t i = 0; i < t->count; i++) {
        const size_t image = i / (channels * pixels), f = (size_t)t->from[i / pixels % channels];
        const size_t at = (image * channels + f) * pixels + i % pixels;
        want_y[at] = total[i] * by_y[i];
        want_r[i] = total[i] * by_r[i];
        got_y[at] = t->a[f] * got->u[at]; /* statistics held fast: norm_backward has the rest */
    }
    subject_compare_kept(s, "a*u by differences", got_y, want_y, t->count, 1e-5,
                         storage_of(variants, U_BF16));
    if (got->du != NULL) {
        subject_compare_kept(s, "du by differences", got->du, want_r, t->count, 1e-5,
                             storage_of(variants, DU_BF16));
    }
}

/* Without activation and offset apply is linear: <apply(y), g> = <y, a*u>. */
static void adjoint_identity(subject *s, const apply_trial *t, int variants,
                             const struct result *got, const double *total)
{
    const size_t channels = (size_t)t->where.shape.c;
    const size_t pixels = (size_t)t->where.shape.h * (size_t)t->where.shape.w;
    apply_trial exact = *t;
    exact.kept_z = MBT_STORAGE_FP32;
    const double *z = apply_run(s, &exact, NULL, NULL);
    double back = 0, scale = 0;
    for (size_t i = 0; i < t->count; i++) {
        back += t->y[i] * t->a[i / pixels % channels] * got->u[i];
        scale += fabs(z[i] * total[i]);
    }
    subject_near(s, "adjoint identity", back, ref_dot(z, total, t->count),
                 ((variants & U_BF16) != 0 ? 0x1p-8 : 1e-5) * scale);
}

/* What kernel.h allows, each mixture under one name. */
static bool allowed(const apply_trial *t, int flags, int variants)
{
    const bool straight = t->backward.straight && t->where.sections_from == t->where.sections_to;
    const bool e = (flags & WITH_E) != 0, du = (flags & WITH_DU) != 0;
    const bool u_is_dz = (flags & U_IS_DZ) != 0, du_is_e = (flags & DU_IS_E) != 0;
    const bool e_bf16 = (variants & E_BF16) != 0, du_bf16 = (variants & DU_BF16) != 0;
    return (!u_is_dz || (straight && !du && (variants & U_BF16) == 0)) &&
           (!du_is_e || (du && e && du_bf16 == e_bf16)) && (e || !e_bf16) && (du || !du_bf16);
}

static bool begin(subject *s, const apply_trial *t, int flags, int variants)
{
    const apply_shape *where = &t->where;
    return subject_begin(
        s, &t->desc,
        "%d channels, sections %d to %d, %s, map %dx%d, %d images%s, %s%s%s%s%s%s, y %s, u %s, "
        "e %s, du %s, z %s",
        where->shape.c, where->sections_from, where->sections_to, channel_map_name(where->map),
        where->shape.h, where->shape.w, where->shape.n, where->wide ? " of more" : "",
        apply_activation(t), flags & WITH_E ? ", e" : "", flags & WITH_DU ? ", du" : "",
        variants & STREAM ? ", stream" : "", flags & U_IS_DZ ? ", u is dz" : "",
        flags & DU_IS_E ? ", du is e" : "", storage_name(storage_of(variants, Y_BF16)),
        storage_name(storage_of(variants, U_BF16)), storage_name(storage_of(variants, E_BF16)),
        storage_name(storage_of(variants, DU_BF16)), storage_name(t->kept_z));
}

static void one_case(subject *s, const apply_shape *where, int flags, int variants)
{
    apply_trial t;
    apply_describe(s, where, (flags & CLIPS) != 0, storage_of(variants, Y_BF16), &t);
    if ((where->turn + where->turn / 4 + flags / 2 + variants) % 2 == 1) {
        t.kept_z = MBT_STORAGE_BF16;
    }
    if (allowed(&t, flags, variants) && begin(s, &t, flags, variants)) {
        apply_values(s, &t, (flags & WITH_DU) != 0);
        const double *dz = subject_values(s, t.count);
        const double *e = subject_values_as(s, t.count, storage_of(variants, E_BF16));
        const double *mean = subject_values(s, (size_t)where->shape.c);
        const struct result got = run(s, &t, flags, variants, dz, e, mean);
        double *total = subject_doubles(s, t.count);
        for (size_t i = 0; i < t.count; i++) {
            total[i] = dz[i] + (flags & WITH_E ? e[i] : 0);
        }
        against_reference(s, &t, variants, &got, dz, flags & WITH_E ? e : NULL, mean);
        against_differences(s, &t, variants, &got, total);
        if (t.high == 0) {
            adjoint_identity(s, &t, variants, &got, total);
        }
        subject_end(s);
    }
    apply_release(&t);
}

/* A gradient that is no number must reach the weights' sum, whatever it is kept in. */
static void not_finite(subject *s, const apply_shape *where, int variants)
{
    const int flags = WITH_DU;
    apply_trial t;
    apply_describe(s, where, false, storage_of(variants, Y_BF16), &t);
    if (begin(s, &t, flags, variants)) {
        const double bad[] = {NAN, INFINITY, -INFINITY};
        apply_values(s, &t, true);
        double *dz = subject_values(s, t.count);
        double *u = subject_doubles(s, t.count), *du = subject_doubles(s, t.count);
        for (size_t i = 0; i < t.count; i += 7) {
            dz[i] = bad[i / 7 % 3];
        }
        const double *none = subject_values_as(s, t.count, storage_of(variants, E_BF16));
        const double *mean = subject_values(s, (size_t)where->shape.c);
        const struct result got = run(s, &t, flags, variants, dz, none, mean);
        ref_apply_backward(&where->shape, t.from, dz, NULL, t.z, 0, du, u);
        for (size_t i = 0; i < t.count; i++) {
            const double kept = subject_kept(u[i], storage_of(variants, U_BF16));
            const double kept_du = subject_kept(du[i], storage_of(variants, DU_BF16));
            if (!(got.u[i] == kept || (isnan(got.u[i]) && isnan(kept))) ||
                !(got.du[i] == kept_du || (isnan(got.du[i]) && isnan(kept_du)))) {
                fail_msg("%s, NaN and infinities: element %zu: got %g and %g, wanted %g and %g",
                         s->label, i, got.u[i], got.du[i], kept, kept_du);
            }
        }
        subject_end(s);
    }
    apply_release(&t);
}

/* All variants of all flags, at an eighth of the shapes each. */
static void each_flag(subject *s, const apply_shape *where)
{
    const int turn = where->turn, share = turn + turn / 4 + turn / 16 + turn / 64;
    for (int flags = 0; flags < FLAGS; flags++) {
        for (int variants = (flags + share) % 8; variants < VARIANTS; variants += 8) {
            one_case(s, where, flags, variants);
        }
    }
    not_finite(s, where, turn % VARIANTS & ~E_BF16);
}

static void cases(subject *s)
{
    apply_each_shape(s, each_flag);
}

void check_apply_backward(subject *s)
{
    subject_each_block(s, cases);
}
