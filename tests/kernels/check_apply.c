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
        s, &t->desc, "%d channels, sections %d to %d, %s, map %dx%d, %d images%s, %s, y in %s%s",
        w->shape.c, w->sections_from, w->sections_to, channel_map_name(w->map), w->shape.h,
        w->shape.w, w->shape.n, w->wide ? " of more" : "", apply_activation(t),
        storage_name(t->storage), more);
}

static void against_reference(subject *s, const apply_shape *where, bool clips, bool residual,
                              mbt_storage storage)
{
    apply_trial t;
    apply_describe(s, where, clips, storage, &t);
    if (begin(s, &t, residual ? ", residual" : "")) {
        apply_values(s, &t, residual);
        subject_compare(s, "z", apply_run(s, &t, t.b, t.residual), t.z, t.count, 1e-5);
        subject_end(s);
    }
    apply_release(&t);
}

/* A NaN must reach the loss: it becomes neither 0 nor 6. Infinities are clamped like any number. */
static void not_finite(subject *s, const apply_shape *where, bool clips, mbt_storage storage)
{
    apply_trial t;
    apply_describe(s, where, clips, storage, &t);
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
                subject_near(s, "a finite neighbour", z[i], t.z[i], 1e-4);
            }
        }
        subject_end(s);
    }
    apply_release(&t);
}

static void each_flag(subject *s, const apply_shape *where)
{
    static const mbt_storage storages[] = {MBT_STORAGE_FP32, MBT_STORAGE_BF16};
    for (int k = 0; k < 2; k++) {
        for (int flags = 0; flags < 4; flags++) {
            against_reference(s, where, (flags & 1) != 0, (flags & 2) != 0, storages[k]);
        }
        not_finite(s, where, true, storages[k]);
        not_finite(s, where, false, storages[k]);
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
