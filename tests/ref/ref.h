/* Naive references for the kernels: the equations of kernel.h as plain loops in double.
 *
 * Maps are PyTorch's [N][C][H][W], weights its [O][I/G][kh][kw]; nothing here knows a stored
 * layout, a tile or a shuffle of lanes. For tests alone, never linked into a program. Depends on
 * nothing. */
#ifndef REF_H
#define REF_H

#include <stdbool.h>
#include <stddef.h>

/* ---- convolution ---- */

typedef struct ref_conv {
    int n, c_in, h, w, c_out;
    int kernel, stride, pad, groups;
} ref_conv;

int ref_conv_side(const ref_conv *conv, int side_in); /* rows or columns of the output */
size_t ref_conv_in(const ref_conv *conv);             /* elements of x */
size_t ref_conv_out(const ref_conv *conv);            /* elements of y */
size_t ref_conv_weights(const ref_conv *conv);        /* elements of the weights */

void ref_conv_forward(const ref_conv *conv, const double *x, const double *weights, double *y);
void ref_conv_backward_data(const ref_conv *conv, const double *dy, const double *weights,
                            double *dx);
void ref_conv_backward_weights(const ref_conv *conv, const double *x, const double *dy,
                               double *dweights);

/* ---- passes ---- */

typedef struct ref_shape {
    int n, c, h, w;
} ref_shape;

size_t ref_elements(const ref_shape *shape);

/* Mean and sum of squared deviations of each channel, in two passes. */
void ref_stats(const ref_shape *shape, const double *y, double *mean, double *m2);

/* z[c] = act(a[f]*y[f] + b[f] + r[c]) with f = from[c]; from NULL: c. residual NULL: none.
 * act cuts at 0 and high (infinity: ReLU) and keeps a NaN; high 0: no activation. */
void ref_apply(const ref_shape *shape, const int *from, const double *y, const double *a,
               const double *b, const double *residual, double high, double *z);

/* du[c] = (dz[c] + e[c]) * act'(z[c]), and u[from[c]] = du[c]. e NULL: none. */
void ref_apply_backward(const ref_shape *shape, const int *from, const double *dz, const double *e,
                        const double *z, double high, double *du, double *u);

/* Per channel: the sums of u and of u*(y - mean), and what their terms come to without signs. */
typedef struct ref_sums {
    double u, uy, u_size, uy_size;
} ref_sums;
void ref_backward_sums(const ref_shape *shape, const double *u, const double *y, const double *mean,
                       ref_sums *sums);

void ref_norm_backward(const ref_shape *shape, const double *u, const double *y, const double *mean,
                       const double *c1, const double *c2, const double *c3, double *dy);

/* Batch norm of the images given, written down from its definition (Ioffe and Szegedy 2015). */
void ref_batch_norm(const ref_shape *shape, const double *y, const double *gamma,
                    const double *beta, double eps, double *z);

/* Global average, and its gradient; shape is the large map's. */
void ref_pool(const ref_shape *shape, const double *in, double *out);
void ref_pool_backward(const ref_shape *shape, const double *dout, double *din);

double ref_dot(const double *a, const double *b, size_t count);

#endif
