/* Gradients of a whole network by central differences of its loss. */
#include "model/gradient.h"
#include "tensor/map_pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double move = 2e-3;     /* change of the loss that is aimed at */
static const double reach = 2e-3;    /* longest step, of the size of what is stepped from */
static const double relative = 0.02; /* allowed beside the noise */

/* What is stepped: a slice, or the input. */
struct target {
    const char *name;
    const mbt_slice *slice; /* NULL: the input */
    float *at, *gradient;
    size_t count;
};

static const mbt_value *input_of(const network *net)
{
    return &net->plan->values[net->plan->input];
}

static void put(network *net, const struct target *t, const float *values)
{
    if (t->slice != NULL) {
        network_set_weight(net, t->slice, values);
        return;
    }
    const mbt_layout *l = &input_of(net)->layout;
    const int group = net->plan->options.group;
    map_pack(l, group, values,
             mbt_map_view(l, mbt_exec_input(net->plan), MBT_STORAGE_FP32, group, 0));
}

static double loss_at(gradient_check *c, const struct target *t, const double *direction, double h)
{
    float *moved = malloc(t->count * sizeof *moved);
    assert_non_null(moved);
    for (size_t i = 0; i < t->count; i++) {
        moved[i] = (float)((double)t->at[i] + h * direction[i]);
    }
    put(c->net, t, moved);
    free(moved);
    return c->loss(c->net, c->n);
}

static double slope(gradient_check *c, const struct target *t, const double *direction, double h)
{
    return (loss_at(c, t, direction, h) - loss_at(c, t, direction, -h)) / (2 * h);
}

/* size: of what the direction moves. True when the slope stood out of the noise. */
static bool check_direction(gradient_check *c, const struct target *t, const double *direction,
                            double size, const char *what)
{
    double want = 0;
    for (size_t i = 0; i < t->count; i++) {
        want += direction[i] * (double)t->gradient[i];
    }
    const double h = fmin(move / fmax(fabs(want), 1e-12), reach * fmax(size, 0.3));
    const double got = (4 * slope(c, t, direction, h / 2) - slope(c, t, direction, h)) / 3;
    const double noise = 3 * c->noise / h; /* of 4 times one difference and another, over 3 */
    put(c->net, t, t->at);
    if (!(fabs(got - want) <= relative * fabs(want) + noise)) {
        fail_msg("%s, %s: slope %g by differences of %g, %g by backward, noise %g", t->name, what,
                 got, h, want, noise);
    }
    return noise < 0.2 * fabs(want);
}

static bool check_target(gradient_check *c, const struct target *t, bool largest_too)
{
    double *direction = calloc(t->count, sizeof *direction);
    assert_non_null(direction);
    const double norm = norm_of(t->gradient, t->count);
    size_t largest = 0;
    for (size_t i = 0; i < t->count; i++) {
        direction[i] = norm > 0 ? (double)t->gradient[i] / norm : 0;
        largest = fabsf(t->gradient[i]) > fabsf(t->gradient[largest]) ? i : largest;
    }
    const double size = norm_of(t->at, t->count);
    const bool stood_out = check_direction(c, t, direction, size, "along its gradient");
    if (largest_too) {
        memset(direction, 0, t->count * sizeof *direction);
        direction[largest] = 1;
        (void)check_direction(c, t, direction, size / sqrt((double)t->count),
                              "its largest element");
    }
    free(direction);
    return stood_out;
}

void gradient_check_slice(gradient_check *c, const mbt_slice *slice)
{
    struct target t = {
        .name = slice->name,
        .slice = slice,
        .at = network_weight(c->net, slice),
        .gradient = network_gradient(c->net, slice),
        .count = slice->count,
    };
    c->n_checked[slice->kind] += check_target(c, &t, true);
    free(t.at);
    free(t.gradient);
}

bool gradient_check_input(gradient_check *c)
{
    const mbt_value *input = input_of(c->net);
    const mbt_layout *l = &input->layout;
    const int group = c->net->plan->options.group;
    const size_t image = (size_t)l->c * (size_t)l->h * (size_t)l->w;
    struct target t = {.name = "input", .count = (size_t)group * image};
    t.at = calloc(t.count, sizeof *t.at);
    t.gradient = calloc(t.count, sizeof *t.gradient); /* images behind n have none */
    assert_non_null(t.at);
    assert_non_null(t.gradient);
    map_unpack(l, group, mbt_map_view(l, input->data, MBT_STORAGE_FP32, group, 0), t.at);
    map_unpack(l, c->n, mbt_map_view(l, input->gradient, MBT_STORAGE_FP32, group, 0), t.gradient);
    const bool stood_out = check_target(c, &t, false);
    free(t.at);
    free(t.gradient);
    return stood_out;
}

/* How much of what an activation reads comes from the node: all, half when another is added, or 0.
 */
static float activated(const mbt_graph *graph, int node)
{
    float part = 0;
    for (int i = node + 1; i < graph->n_nodes && part == 0; i++) {
        if (graph->nodes[i].in[0] == node || graph->nodes[i].in[1] == node) {
            const mbt_node_kind kind = graph->nodes[i].kind;
            part = kind == MBT_NODE_RELU6 || kind == MBT_NODE_RELU ? 1
                   : kind == MBT_NODE_SHUFFLE                      ? activated(graph, i)
                   : kind == MBT_NODE_ADD                          ? activated(graph, i) / 2
                                                                   : 0;
        }
    }
    return part;
}

void network_away_from_kinks(network *net)
{
    for (int v = 0; v < net->plan->n_norms; v++) {
        const mbt_slice *gamma = &net->plan->params.slices[net->plan->norms[v].gamma];
        const mbt_slice *beta = &net->plan->params.slices[net->plan->norms[v].beta];
        float *a = network_weight(net, gamma), *b = network_weight(net, beta);
        for (int i = 0; i < net->graph.n_nodes; i++) {
            const mbt_node *node = &net->graph.nodes[i];
            const size_t bytes = strlen(node->name);
            const bool its = node->kind == MBT_NODE_BN &&
                             strncmp(gamma->name, node->name, bytes) == 0 &&
                             strcmp(gamma->name + bytes, ".weight") == 0;
            const float part = its ? activated(&net->graph, i) : 0;
            if (part > 0) {
                for (size_t c = 0; c < gamma->count; c++) {
                    a[c] = part * (0.5f + 0.05f * sinf((float)(c + (size_t)v)));
                    b[c] = part * (c % 4 == 1 ? -3.0f : 3.0f + 0.1f * cosf((float)c));
                }
            }
        }
        network_set_weight(net, gamma, a);
        network_set_weight(net, beta, b);
        free(a);
        free(b);
    }
}
