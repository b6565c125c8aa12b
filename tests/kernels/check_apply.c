/* apply against the naive one, and what it does with values that are not finite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "kernels/apply_trial.h"
#include "kernels/checks.h"

static bool begin(subject *s, const apply_trial *t, const char *more)
{
    const apply_shape *w = &t->where;
    return subject_begin(
        s, &t->desc,
        "%d channels, sections %d to %d, %s, map %dx%d, %d images%s, %s, y in %s, z in %s%s%s",
        w->shape.c, w->sections_from, w->sections_to, channel_map_name(w->map), w->shape.h,
        w->shape.w, w->shape.n, w->wide ? " of more" : "", apply_activation(t),
        storage_name(t->storage), storage_name(t->kept_z), more,
        t->kept_r == MBT_STORAGE_BF16 ? " in bf16" : "");
}

/* In which storage maps are. */
enum variant { Y_BF16 = 1, Z_BF16 = 2, R_BF16 = 4 };

static mbt_storage storage_of(int variants, enum variant bf16)
{
    return (variants & (int)bf16) != 0 ? MBT_STORAGE_BF16 : MBT_STORAGE_FP32;
}

static void describe(subject *s, const apply_shape *where, bool clips, int variants, apply_trial *t)
{
    apply_describe(s, where, clips, storage_of(variants, Y_BF16), t);
    t->kept_z = storage_of(variants, Z_BF16);
    t->kept_r = storage_of(variants, R_BF16);
}

static void against_reference(subject *s, const apply_shape *where, bool clips, bool residual,
                              int variants)
{
    apply_trial t;
    describe(s, where, clips, variants, &t);
    if (begin(s, &t, residual ? ", residual" : "")) {
        apply_values(s, &t, residual);
        subject_compare_kept(s, "z", apply_run(s, &t, t.b, t.residual), t.z, t.count, 1e-5,
                             t.kept_z);
        subject_end(s);
    }
    apply_release(&t);
}

/* A NaN must reach the loss: it becomes neither 0 nor 6. Infinities are clamped like any number. */
static void not_finite(subject *s, const apply_shape *where, bool clips, int variants)
{
    apply_trial t;
    describe(s, where, clips, variants, &t);
    if (begin(s, &t, ", NaN and infinities")) {
        apply_values(s, &t, false);
        const double bad[] = {NAN, INFINITY, -INFINITY};
        for (size_t i = 0; i < t.count; i += 7) {
            t.y[i] = bad[i / 7 % 3];
        }
        ref_apply(&where->shape, t.from, t.y, t.a, t.b, NULL, t.high, t.z);
        const double *z = apply_run(s, &t, t.b, NULL);
        for (size_t i = 0; i < t.count; i++) {
            if (isnan(t.z[i]) != isnan(z[i]) || (isinf(t.z[i]) && z[i] != t.z[i])) {
                fail_msg("%s: element %zu: got %g, wanted %g", s->label, i, z[i], t.z[i]);
            }
            if (isfinite(t.z[i])) {
                subject_near(s, "a finite neighbour", z[i], t.z[i],
                             t.kept_z == MBT_STORAGE_BF16 ? 1e-4 + 0x1p-8 * fabs(t.z[i]) : 1e-4);
            }
        }
        subject_end(s);
    }
    apply_release(&t);
}

/* Storages of z and residual by turns. */
static void each_flag(subject *s, const apply_shape *where)
{
    for (int k = 0; k < 2; k++) {
        for (int flags = 0; flags < 4; flags++) {
            const int turn = (where->turn + where->turn / 4 + flags) % 4;
            const bool residual = (flags & 2) != 0;
            against_reference(s, where, (flags & 1) != 0, residual,
                              k | (residual ? 2 * turn : Z_BF16 * (turn % 2)));
        }
        not_finite(s, where, true, k | Z_BF16 * (where->turn % 2));
        not_finite(s, where, false, k | Z_BF16 * (1 - where->turn % 2));
    }
}

static void cases(subject *s)
{
    apply_each_shape(s, each_flag);
}

void check_apply(subject *s)
{
    subject_each_block(s, cases);
}
