/* Convolution and its two gradients, by the definition: one walk over all products. */
#include <string.h>

#include "ref/ref.h"

int ref_conv_side(const ref_conv *conv, int side_in)
{
    return (side_in + 2 * conv->pad - conv->kernel) / conv->stride + 1;
}

size_t ref_conv_in(const ref_conv *conv)
{
    return (size_t)conv->n * (size_t)conv->c_in * (size_t)conv->h * (size_t)conv->w;
}

size_t ref_conv_out(const ref_conv *conv)
{
    return (size_t)conv->n * (size_t)conv->c_out * (size_t)ref_conv_side(conv, conv->h) *
           (size_t)ref_conv_side(conv, conv->w);
}

size_t ref_conv_weights(const ref_conv *conv)
{
    return (size_t)conv->c_out * (size_t)(conv->c_in / conv->groups) * (size_t)conv->kernel *
           (size_t)conv->kernel;
}

/* Where the next product's factors lie. */
struct product {
    size_t x, y, weight;
};

/* The products that one output element is made of. */
typedef void visit(void *context, const struct product *product);

static void walk_element(const ref_conv *c, int n, int o, int row, int column, visit *call,
                         void *context)
{
    const int per_group = c->c_in / c->groups, group = o / (c->c_out / c->groups);
    const int h_out = ref_conv_side(c, c->h), w_out = ref_conv_side(c, c->w);
    struct product p = {
        .y = (((size_t)n * (size_t)c->c_out + (size_t)o) * (size_t)h_out + (size_t)row) *
                 (size_t)w_out +
             (size_t)column};
    for (int i = 0; i < per_group; i++) {
        for (int kh = 0; kh < c->kernel; kh++) {
            for (int kw = 0; kw < c->kernel; kw++) {
                const int y = row * c->stride + kh - c->pad, x = column * c->stride + kw - c->pad;
                if (y < 0 || y >= c->h || x < 0 || x >= c->w) {
                    continue;
                }
                const int channel = group * per_group + i;
                p.x = (((size_t)n * (size_t)c->c_in + (size_t)channel) * (size_t)c->h + (size_t)y) *
                          (size_t)c->w +
                      (size_t)x;
                p.weight =
                    (((size_t)o * (size_t)per_group + (size_t)i) * (size_t)c->kernel + (size_t)kh) *
                        (size_t)c->kernel +
                    (size_t)kw;
                call(context, &p);
            }
        }
    }
}

static void walk(const ref_conv *c, visit *call, void *context)
{
    for (int n = 0; n < c->n; n++) {
        for (int o = 0; o < c->c_out; o++) {
            for (int row = 0; row < ref_conv_side(c, c->h); row++) {
                for (int column = 0; column < ref_conv_side(c, c->w); column++) {
                    walk_element(c, n, o, row, column, call, context);
                }
            }
        }
    }
}

struct operands {
    const double *x, *weights, *dy;
    double *to;
};

static void add_forward(void *context, const struct product *p)
{
    const struct operands *o = context;
    o->to[p->y] += o->x[p->x] * o->weights[p->weight];
}

static void add_backward_data(void *context, const struct product *p)
{
    const struct operands *o = context;
    o->to[p->x] += o->dy[p->y] * o->weights[p->weight];
}

static void add_backward_weights(void *context, const struct product *p)
{
    const struct operands *o = context;
    o->to[p->weight] += o->dy[p->y] * o->x[p->x];
}

void ref_conv_forward(const ref_conv *conv, const double *x, const double *weights, double *y)
{
    struct operands o = {.x = x, .weights = weights, .to = y};
    memset(y, 0, ref_conv_out(conv) * sizeof *y);
    walk(conv, add_forward, &o);
}

void ref_conv_backward_data(const ref_conv *conv, const double *dy, const double *weights,
                            double *dx)
{
    struct operands o = {.dy = dy, .weights = weights, .to = dx};
    memset(dx, 0, ref_conv_in(conv) * sizeof *dx);
    walk(conv, add_backward_data, &o);
}

void ref_conv_backward_weights(const ref_conv *conv, const double *x, const double *dy,
                               double *dweights)
{
    struct operands o = {.x = x, .dy = dy, .to = dweights};
    memset(dweights, 0, ref_conv_weights(conv) * sizeof *dweights);
    walk(conv, add_backward_weights, &o);
}
