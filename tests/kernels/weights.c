/* Weights of a convolution under test: between PyTorch's order and the stored form. */
#include "weights.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

static size_t form_floats(const mbt_conv_desc *desc, const ref_conv *ref)
{
    const size_t taps = (size_t)ref->kernel * (size_t)ref->kernel;
    const size_t inputs = desc->depthwise ? 1
                          : desc->image   ? (size_t)ref->c_in
                                          : (size_t)mbt_layout_section(&desc->in);
    return (size_t)mbt_layout_stored(&desc->out) * inputs * taps;
}

test_weights weights_make(const mbt_conv_desc *desc, const ref_conv *ref)
{
    test_weights w = {.count = ref_conv_weights(ref), .form = form_floats(desc, ref)};
    mbt_error err;
    const mbt_slice slice = {
        .name = "w",
        .kind = desc->depthwise ? MBT_PARAM_DEPTHWISE : MBT_PARAM_CONV,
        .form = mbt_conv_form(desc),
        .rank = 4,
        .dims = {ref->c_out, ref->c_in / ref->groups, ref->kernel, ref->kernel},
        .in = desc->in,
        .out = desc->out,
        .trained = true,
    };
    assert_int_equal(mbt_params_add(&w.params, &slice, &err), MBT_OK);
    return w;
}

void weights_release(test_weights *w)
{
    mbt_params_clear(&w->params);
}

float *weights_pack(subject *s, const test_weights *w, const double *values)
{
    float *stored = subject_take(s, w->params.n_floats * sizeof *stored);
    mbt_slice_pack(w->params.slices, subject_floats(s, values, w->count), stored);
    return stored;
}

double *weights_read(subject *s, const test_weights *w, const float *stored)
{
    float *all = subject_take(s, w->params.n_floats * sizeof *all);
    float *canonical = subject_take(s, w->count * sizeof *canonical);
    float *again = subject_take(s, w->params.n_floats * sizeof *again);
    memcpy(all, stored, w->form * sizeof *all);
    mbt_slice_unpack(w->params.slices, all, canonical);
    mbt_slice_pack(w->params.slices, canonical, again);
    for (size_t i = 0; i < w->form; i++) {
        if (again[i] != all[i]) {
            fail_msg("%s: stored weight %zu is %g, wanted %g: padding is zero", s->label, i,
                     (double)all[i], (double)again[i]);
        }
    }
    return subject_widened(s, canonical, w->count);
}
