/* Weights of a convolution under test: between PyTorch's order and the stored form. */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "kernels/subject.h"
#include "ref/ref.h"

typedef struct test_weights {
    mbt_params params; /* one slice */
    size_t count;      /* in PyTorch's order */
    size_t form;       /* floats of the form itself: `stored` rounds them up, nobody writes those */
} test_weights;

test_weights weights_make(const mbt_conv_desc *desc, const ref_conv *ref);
void weights_release(test_weights *w);
float *weights_pack(subject *s, const test_weights *w, const double *values);
/* Values of a gradient; fails unless its padding is zero. */
double *weights_read(subject *s, const test_weights *w, const float *stored);

#endif
