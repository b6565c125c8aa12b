/* The passes around the convolutions, element by element. */
#include <math.h>

#include "ref/ref.h"

size_t ref_elements(const ref_shape *s)
{
    return (size_t)s->n * (size_t)s->c * (size_t)s->h * (size_t)s->w;
}

static size_t pixels_of(const ref_shape *s)
{
    return (size_t)s->h * (size_t)s->w;
}

/* The first element of a channel of an image. */
static size_t plane(const ref_shape *s, int n, int c)
{
    return ((size_t)n * (size_t)s->c + (size_t)c) * pixels_of(s);
}

void ref_stats(const ref_shape *s, const double *y, double *mean, double *m2)
{
    const double count = (double)s->n * (double)pixels_of(s);
    for (int c = 0; c < s->c; c++) {
        double sum = 0, squares = 0;
        for (int n = 0; n < s->n; n++) {
            for (size_t p = 0; p < pixels_of(s); p++) {
                sum += y[plane(s, n, c) + p];
            }
        }
        mean[c] = sum / count;
        for (int n = 0; n < s->n; n++) {
            for (size_t p = 0; p < pixels_of(s); p++) {
                const double d = y[plane(s, n, c) + p] - mean[c];
                squares += d * d;
            }
        }
        m2[c] = squares;
    }
}

static double activated(double v, double high)
{
    return isnan(v) || high == 0 ? v : fmin(fmax(v, 0), high);
}

void ref_apply(const ref_shape *s, const int *from, const double *y, const double *a,
               const double *b, const double *residual, double high, double *z)
{
    for (int n = 0; n < s->n; n++) {
        for (int c = 0; c < s->c; c++) {
            const int f = from != NULL ? from[c] : c;
            for (size_t p = 0; p < pixels_of(s); p++) {
                const size_t at = plane(s, n, c) + p;
                const double v =
                    a[f] * y[plane(s, n, f) + p] + b[f] + (residual != NULL ? residual[at] : 0);
                z[at] = activated(v, high);
            }
        }
    }
}

void ref_apply_backward(const ref_shape *s, const int *from, const double *dz, const double *e,
                        const double *z, double high, double *du, double *u)
{
    for (int n = 0; n < s->n; n++) {
        for (int c = 0; c < s->c; c++) {
            const int f = from != NULL ? from[c] : c;
            for (size_t p = 0; p < pixels_of(s); p++) {
                const size_t at = plane(s, n, c) + p;
                const double d = dz[at] + (e != NULL ? e[at] : 0);
                du[at] = high > 0 && !(z[at] > 0 && z[at] < high) ? 0 : d;
                u[plane(s, n, f) + p] = du[at];
            }
        }
    }
}

void ref_backward_sums(const ref_shape *s, const double *u, const double *y, const double *mean,
                       ref_sums *sums)
{
    for (int c = 0; c < s->c; c++) {
        sums[c] = (ref_sums){0};
        for (int n = 0; n < s->n; n++) {
            for (size_t p = 0; p < pixels_of(s); p++) {
                const size_t at = plane(s, n, c) + p;
                const double product = u[at] * (y[at] - mean[c]);
                sums[c].u += u[at];
                sums[c].uy += product;
                sums[c].u_size += fabs(u[at]);
                sums[c].uy_size += fabs(product);
            }
        }
    }
}

void ref_norm_backward(const ref_shape *s, const double *u, const double *y, const double *mean,
                       const double *c1, const double *c2, const double *c3, double *dy)
{
    for (int n = 0; n < s->n; n++) {
        for (int c = 0; c < s->c; c++) {
            for (size_t p = 0; p < pixels_of(s); p++) {
                const size_t at = plane(s, n, c) + p;
                dy[at] = c1[c] * u[at] + c2[c] * (y[at] - mean[c]) + c3[c];
            }
        }
    }
}

void ref_batch_norm(const ref_shape *s, const double *y, const double *gamma, const double *beta,
                    double eps, double *z)
{
    const double count = (double)s->n * (double)pixels_of(s);
    for (int c = 0; c < s->c; c++) {
        double mean = 0, var = 0;
        for (int n = 0; n < s->n; n++) {
            for (size_t p = 0; p < pixels_of(s); p++) {
                mean += y[plane(s, n, c) + p] / count;
            }
        }
        for (int n = 0; n < s->n; n++) {
            for (size_t p = 0; p < pixels_of(s); p++) {
                var += pow(y[plane(s, n, c) + p] - mean, 2) / count;
            }
        }
        for (int n = 0; n < s->n; n++) {
            for (size_t p = 0; p < pixels_of(s); p++) {
                const size_t at = plane(s, n, c) + p;
                z[at] = gamma[c] * (y[at] - mean) / sqrt(var + eps) + beta[c];
            }
        }
    }
}

void ref_pool(const ref_shape *s, const double *in, double *out)
{
    for (int n = 0; n < s->n; n++) {
        for (int c = 0; c < s->c; c++) {
            double sum = 0;
            for (size_t p = 0; p < pixels_of(s); p++) {
                sum += in[plane(s, n, c) + p];
            }
            out[n * s->c + c] = sum / (double)pixels_of(s);
        }
    }
}

void ref_pool_backward(const ref_shape *s, const double *dout, double *din)
{
    for (int n = 0; n < s->n; n++) {
        for (int c = 0; c < s->c; c++) {
            for (size_t p = 0; p < pixels_of(s); p++) {
                din[plane(s, n, c) + p] = dout[n * s->c + c] / (double)pixels_of(s);
            }
        }
    }
}

double ref_dot(const double *a, const double *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}
