/* From graph to segments: what lies between two batch-norm barriers becomes one segment.
 *
 * Read backwards from a convolution's input, the nodes up to the last stored map must have the form
 *     [shuffle]* [activation] [shuffle]* [bn] stored map, or
 *     [activation] add a stored value [shuffle]* [bn] stored map,
 * which covers the blocks of all families. Of an addition of two branches the second is stored by a
 * segment of its own (a projection shortcut). Anything else is refused by name. */
#include <stdio.h>
#include <stdlib.h>

#include "plan_build.h"

struct build {
    const mbt_graph *graph;
    mbt_plan *plan;
    int *consumers;    /* [nodes] how many nodes read it */
    int *value_of;     /* [nodes] stored value of a node's output, or -1 */
    int *norm_of;      /* [nodes] norm of a BN node, or -1 */
    int *producer;     /* [values] segment whose `stored` it is, or -1 */
    int *readers;      /* [values] how many segments read it, without its producer */
    int *segment_node; /* [segments] CONV, LINEAR or POOL; -1 for a store */
    int *norm_node;    /* [norms] the BN node */
};

/* What a segment's source does, read off the graph. */
struct expression {
    int from, norm, residual;
    mbt_activation act;
    int *map; /* source channel of each channel, owned; NULL: identity */
};

static bool is_depthwise(const mbt_graph *graph, int node)
{
    const mbt_node *conv = &graph->nodes[node];
    return conv->kind == MBT_NODE_CONV && conv->groups > 1 && conv->groups == conv->c &&
           graph->nodes[conv->in[0]].c == conv->c;
}

static bool is_op(mbt_node_kind kind)
{
    return kind == MBT_NODE_CONV || kind == MBT_NODE_LINEAR || kind == MBT_NODE_POOL;
}

/* The first convolution, pool or classifier that reads `node`'s output through passes, or -1. */
static int next_op(const mbt_graph *graph, int node)
{
    for (int i = node + 1; i < graph->n_nodes; i++) {
        if (graph->nodes[i].in[0] == node || graph->nodes[i].in[1] == node) {
            if (is_op(graph->nodes[i].kind)) {
                return i;
            }
            node = i;
        }
    }
    return -1;
}

static bool by_channel(const mbt_graph *graph, int node)
{
    return is_depthwise(graph, node) || graph->nodes[node].kind == MBT_NODE_POOL;
}

/* A section a group; of groups that are narrower than a block on both sides as many share a section
 * as fit into one, so that no block is mostly padding. The input decides: what is read twice, by a
 * block's first convolution and by the addition behind, so mostly has the layout that both want. */
static int sections_of(const mbt_graph *graph, int node, int block)
{
    const int groups = graph->nodes[node].groups;
    const int out = graph->nodes[node].c / groups;
    const int in = graph->nodes[graph->nodes[node].in[0]].c / groups;
    int shared = in <= block && out <= block ? block / in : 1;
    while (groups % shared != 0) {
        shared--;
    }
    return groups / shared;
}

/* The addition that x is the result of, or -1. */
static int addition_before(const mbt_graph *graph, int x)
{
    while (graph->nodes[x].kind == MBT_NODE_RELU6 || graph->nodes[x].kind == MBT_NODE_RELU ||
           graph->nodes[x].kind == MBT_NODE_DROPOUT) {
        x = graph->nodes[x].in[0];
    }
    return graph->nodes[x].kind == MBT_NODE_ADD ? x : -1;
}

/* The side of an addition that is stored, the second of two; -1 when none is. */
static int stored_side(const struct build *b, int add)
{
    const mbt_node *node = &b->graph->nodes[add];
    return b->value_of[node->in[1]] >= 0 ? 1 : b->value_of[node->in[0]] >= 0 ? 0 : -1;
}

/* Sections of what is added to x and stored already; 0: nothing is. */
static int sections_added(const struct build *b, int x)
{
    const int add = addition_before(b->graph, x), side = add >= 0 ? stored_side(b, add) : -1;
    return side < 0 ? 0
                    : b->plan->values[b->value_of[b->graph->nodes[add].in[side]]].layout.sections;
}

/* Whether an op can read a map in so many sections: channel by channel in any, a convolution when
 * none of its groups is cut. */
static bool can_read(const mbt_graph *graph, int node, int sections)
{
    return by_channel(graph, node) ||
           (graph->nodes[node].kind == MBT_NODE_CONV && graph->nodes[node].groups % sections == 0);
}

/* Sections of the map that an op reads: of what is added to its input where it can, so that nothing
 * moves; a depthwise convolution and a pool, which go channel by channel, take those of whoever
 * reads them. */
static int sections_read(const struct build *b, int node)
{
    const mbt_graph *graph = b->graph;
    const int added = sections_added(b, graph->nodes[node].in[0]);
    if (added > 0 && can_read(graph, node, added)) {
        return added;
    }
    while (node >= 0 && by_channel(graph, node)) {
        node = next_op(graph, node);
    }
    return node >= 0 && graph->nodes[node].kind == MBT_NODE_CONV
               ? sections_of(graph, node, mbt_isa_block(b->plan->options.isa))
               : 1;
}

static int add_value(struct build *b, mbt_layout layout)
{
    b->plan->values[b->plan->n_values] = (mbt_value){.layout = layout};
    b->producer[b->plan->n_values] = -1;
    return b->plan->n_values++;
}

/* Puts a shuffle of G groups below what the map already does: out[j*G + g] = in[g*(C/G) + j]. */
static mbt_status compose_shuffle(int **map, int c, int groups, mbt_error *err)
{
    if (*map == NULL) {
        *map = malloc((size_t)c * sizeof **map);
        if (*map == NULL) {
            return mbt_fail(err, MBT_FAILURE, "plan: out of memory");
        }
        for (int i = 0; i < c; i++) {
            (*map)[i] = i;
        }
    }
    for (int i = 0; i < c; i++) {
        const int at = (*map)[i];
        (*map)[i] = (at % groups) * (c / groups) + at / groups;
    }
    return MBT_OK;
}

static mbt_status refuse(const struct build *b, int node, const char *why, mbt_error *err)
{
    return mbt_fail(err, MBT_CONFIG, "network %s: node %d (%s): %s", b->graph->name, node,
                    b->graph->nodes[node].name, why);
}

static mbt_status read_expression(struct build *b, int x, struct expression *e, mbt_error *err)
{
    const mbt_graph *graph = b->graph;
    *e = (struct expression){.norm = -1, .residual = -1, .act = MBT_ACT_NONE};
    for (int at = x;;) {
        const mbt_node *node = &graph->nodes[at];
        if (b->value_of[at] >= 0) {
            e->from = b->value_of[at];
            return MBT_OK;
        }
        if (at != x && b->consumers[at] > 1) {
            return refuse(b, at, "is read twice inside a segment", err);
        }
        switch (node->kind) {
        case MBT_NODE_RELU6:
        case MBT_NODE_RELU:
            if (e->act != MBT_ACT_NONE || e->residual >= 0) {
                return refuse(b, at, "an activation cannot stand here", err);
            }
            e->act = node->kind == MBT_NODE_RELU ? MBT_ACT_RELU : MBT_ACT_RELU6;
            at = node->in[0];
            break;
        case MBT_NODE_SHUFFLE: {
            const mbt_status status = compose_shuffle(&e->map, node->c, node->groups, err);
            if (status != MBT_OK) {
                return status;
            }
            at = node->in[0];
            break;
        }
        case MBT_NODE_ADD: {
            const int side = stored_side(b, at);
            if (e->residual >= 0 || e->map != NULL || side < 0) {
                return refuse(b, at, "an addition needs one stored side and no shuffle behind it",
                              err);
            }
            e->residual = b->value_of[node->in[side]];
            at = node->in[1 - side];
            break;
        }
        case MBT_NODE_BN:
            if (b->value_of[node->in[0]] < 0 || b->norm_of[at] < 0) {
                return refuse(b, at, "batch norm must follow a convolution directly", err);
            }
            e->from = b->value_of[node->in[0]];
            e->norm = b->norm_of[at];
            return MBT_OK;
        default:
            return refuse(b, at, "cannot stand between two convolutions", err);
        }
    }
}

/* The maps between `from` and z in both directions. */
static mbt_status make_shuffles(mbt_segment *s, const mbt_layout *from, const int *map,
                                mbt_error *err)
{
    int *inverse = NULL;
    if (map != NULL) {
        inverse = malloc((size_t)s->z.c * sizeof *inverse);
        if (inverse == NULL) {
            return mbt_fail(err, MBT_FAILURE, "plan: out of memory");
        }
        for (int c = 0; c < s->z.c; c++) {
            inverse[map[c]] = c;
        }
    }
    mbt_status status = mbt_shuffle_create(from, &s->z, map, &s->shuffle_forward, err);
    if (status == MBT_OK) {
        status = mbt_shuffle_create(&s->z, from, inverse, &s->shuffle_backward, err);
    }
    free(inverse);
    return status;
}

/* A segment reads a value, and writes its gradient: nobody else may. A value that a segment's
 * source made is read by that segment's op too, which adds the gradient that comes this other way.
 */
static mbt_status add_reader(struct build *b, int node, int value, mbt_error *err)
{
    const bool first = b->readers[value]++ == 0;
    if (b->producer[value] < 0) {
        return first ? MBT_OK : refuse(b, node, "reads a value that another reads already", err);
    }
    mbt_segment *producer = &b->plan->segments[b->producer[value]];
    producer->extra = producer->op == MBT_SEGMENT_STORE ? -1 : value;
    return first ? MBT_OK : refuse(b, node, "reads a value that two others read already", err);
}

/* Whether a segment did nothing but store the value. */
static bool is_branch(const struct build *b, int value)
{
    return b->producer[value] >= 0 && b->plan->segments[b->producer[value]].op == MBT_SEGMENT_STORE;
}

static mbt_status set_apply(struct build *b, mbt_segment *s, int x, mbt_error *err)
{
    struct expression e;
    mbt_status status = read_expression(b, x, &e, err);
    if (status != MBT_OK) {
        goto done;
    }
    const mbt_layout *from = &b->plan->values[e.from].layout;
    s->source = MBT_SOURCE_APPLY;
    s->from = e.from;
    s->from_norm = e.norm;
    s->residual = e.residual;
    s->apply.source = *from;
    s->apply.destination = s->z;
    s->apply.act = e.act;
    status = add_reader(b, x, e.from, err);
    if (status != MBT_OK) {
        goto done;
    }
    if (e.residual >= 0) {
        if (!mbt_plan_same_layout(&b->plan->values[e.residual].layout, &s->z)) {
            status = refuse(b, x, "adds maps of different layouts", err);
            goto done;
        }
        status = add_reader(b, x, e.residual, err);
        if (status != MBT_OK) {
            goto done;
        }
    }
    status = make_shuffles(s, from, e.map, err);
    if (status == MBT_OK && b->consumers[x] > 1) {
        s->stored = add_value(b, s->z);
        b->producer[s->stored] = b->plan->n_segments;
        b->value_of[x] = s->stored;
    }
    /* Blocks that stay where they are do not say that the maps are alike: sections may differ. */
    s->du = s->residual >= 0 && (!s->shuffle_backward.straight ||
                                 !mbt_plan_same_layout(from, &s->z) || is_branch(b, s->residual));
done:
    free(e.map);
    return status;
}

static void make_input(struct build *b, const mbt_segment *s, int x)
{
    const int value = add_value(b, s->z);
    b->plan->values[value].plain = s->op == MBT_SEGMENT_CONV && s->conv.image;
    b->plan->input = value;
    b->value_of[x] = value;
}

static mbt_status set_source(struct build *b, mbt_segment *s, int x, mbt_error *err)
{
    const mbt_graph *graph = b->graph;
    s->residual = s->stored = s->extra = s->from_norm = -1;
    s->source = MBT_SOURCE_DIRECT;
    while (graph->nodes[x].kind == MBT_NODE_DROPOUT) {
        if (graph->nodes[x].p > 0) {
            s->source = MBT_SOURCE_DROPOUT;
            s->dropout = graph->nodes[x].p;
        }
        x = graph->nodes[x].in[0];
    }
    if (graph->nodes[x].kind == MBT_NODE_INPUT && b->value_of[x] < 0) {
        make_input(b, s, x);
        if (b->consumers[x] > 1) {
            return set_apply(b, s, x, err);
        }
    }
    const int value = b->value_of[x];
    const bool as_it_is = value >= 0 && mbt_plan_same_layout(&b->plan->values[value].layout, &s->z);
    if (s->source == MBT_SOURCE_DROPOUT &&
        (!as_it_is || s->z.sections > 1 || s->z.h * s->z.w > 1)) {
        return refuse(b, x, "dropout must follow a pool", err);
    }
    if (as_it_is) {
        s->from = value;
        return add_reader(b, x, value, err);
    }
    return set_apply(b, s, x, err);
}

/* The batch norm that alone reads a convolution's output, as a norm of the plan; -1 when none. */
static int add_norm(struct build *b, int conv)
{
    if (b->consumers[conv] != 1) {
        return -1;
    }
    for (int i = conv + 1; i < b->graph->n_nodes; i++) {
        if (b->graph->nodes[i].in[0] == conv) {
            if (b->graph->nodes[i].kind != MBT_NODE_BN) {
                return -1;
            }
            b->norm_of[i] = b->plan->n_norms;
            b->norm_node[b->plan->n_norms] = i;
            return b->plan->n_norms++;
        }
    }
    return -1;
}

/* A value with nothing but a source: the end of a network that does not end in an op (a block on
 * its own), or one branch of an addition. */
static mbt_status add_store(struct build *b, int node, mbt_layout layout, const char *name,
                            mbt_error *err)
{
    mbt_segment *s = &b->plan->segments[b->plan->n_segments];
    s->z = layout;
    s->op = MBT_SEGMENT_STORE;
    s->weight = s->bias = s->norm = s->to = -1;
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    b->consumers[node] = 2; /* it is read: keep it */
    const mbt_status status = set_source(b, s, node, err);
    b->segment_node[b->plan->n_segments++] = -1;
    return status == MBT_OK && s->stored < 0 ? refuse(b, node, "cannot end a network", err)
                                             : status;
}

/* When x is the sum of two branches of which neither is stored: a segment for the second. */
static mbt_status add_branch(struct build *b, int x, mbt_layout layout, mbt_error *err)
{
    const int add = b->value_of[x] < 0 ? addition_before(b->graph, x) : -1;
    if (add < 0 || stored_side(b, add) >= 0) {
        return MBT_OK;
    }
    const int side = b->graph->nodes[add].in[1];
    return add_store(b, side, layout, b->graph->nodes[side].name, err);
}

/* Dropout draws over whole features: what a pool left in sections is laid out anew before it. */
static mbt_status add_features(struct build *b, int x, mbt_layout z, mbt_error *err)
{
    bool drops = false;
    while (b->graph->nodes[x].kind == MBT_NODE_DROPOUT) {
        drops = drops || b->graph->nodes[x].p > 0;
        x = b->graph->nodes[x].in[0];
    }
    const int value = b->value_of[x];
    return drops && value >= 0 && z.sections == 1 && z.h * z.w == 1 &&
                   !mbt_plan_same_layout(&b->plan->values[value].layout, &z)
               ? add_store(b, x, z, b->graph->nodes[x].name, err)
               : MBT_OK;
}

static mbt_status add_end(struct build *b, int node, mbt_error *err)
{
    const mbt_node *last = &b->graph->nodes[node];
    if (b->plan->n_values == 0) {
        return refuse(b, node, "there is no convolution before it", err);
    }
    const mbt_value *made = &b->plan->values[b->plan->n_values - 1];
    const int added = sections_added(b, node);
    const mbt_layout layout = {last->c, last->h, last->w, added > 0 ? added : made->layout.sections,
                               made->layout.block};
    const mbt_status status = add_branch(b, node, layout, err);
    return status == MBT_OK ? add_store(b, node, layout, "output", err) : status;
}

static mbt_status add_op(struct build *b, int node, mbt_error *err)
{
    const mbt_node *op = &b->graph->nodes[node];
    const mbt_node *in = &b->graph->nodes[op->in[0]];
    const int block = mbt_isa_block(b->plan->options.isa);
    const int sections = sections_read(b, node);
    const mbt_layout out = {op->c, op->h, op->w, sections, block};
    const mbt_layout z = {in->c, in->h, in->w, sections, block};
    mbt_status status = add_branch(b, op->in[0], z, err);
    if (status == MBT_OK) {
        status = add_features(b, op->in[0], z, err);
    }
    if (status != MBT_OK) {
        return status;
    }
    mbt_segment *s = &b->plan->segments[b->plan->n_segments];
    s->z = z;
    s->op = op->kind == MBT_NODE_POOL ? MBT_SEGMENT_POOL : MBT_SEGMENT_CONV;
    (void)snprintf(s->name, sizeof s->name, "%s", op->name);
    if (s->op == MBT_SEGMENT_CONV) {
        s->conv = (mbt_conv_desc){
            .in = s->z,
            .out = out,
            .kernel = op->kind == MBT_NODE_LINEAR ? 1 : op->kernel,
            .stride = op->kind == MBT_NODE_LINEAR ? 1 : op->stride,
            .pad = op->pad,
            .depthwise = is_depthwise(b->graph, node),
            .image = in->kind == MBT_NODE_INPUT && in->c <= 4 && op->groups == 1 &&
                     b->consumers[op->in[0]] == 1 && !b->plan->options.input_gradient,
        };
    }
    s->weight = s->bias = s->norm = -1;
    s->macs = mbt_node_macs(b->graph, node);
    s->params = mbt_node_params(b->graph, node);
    status = set_source(b, s, op->in[0], err);
    if (status != MBT_OK) {
        return status;
    }
    s->to = add_value(b, out);
    b->value_of[node] = s->to;
    if (op->kind == MBT_NODE_CONV) {
        s->norm = add_norm(b, node);
    }
    b->segment_node[b->plan->n_segments++] = node;
    return MBT_OK;
}

/* ---- parameters ---- */

static mbt_status add_slice(struct build *b, const char *node, const char *suffix, mbt_slice slice,
                            int *index, mbt_error *err)
{
    (void)snprintf(slice.name, sizeof slice.name, "%s.%s", node, suffix);
    slice.trained = slice.kind != MBT_PARAM_MEAN && slice.kind != MBT_PARAM_VAR;
    *index = b->plan->params.n_slices;
    return mbt_params_add(&b->plan->params, &slice, err);
}

static mbt_status add_norm_slices(struct build *b, mbt_norm *norm, const mbt_node *bn,
                                  const mbt_layout *out, mbt_error *err)
{
    mbt_slice slice = {
        .form = MBT_FORM_CHANNELS, .rank = 1, .dims = {out->c}, .in = *out, .out = *out};
    const struct {
        mbt_param_kind kind;
        const char *suffix;
        int *index;
    } parts[] = {{MBT_PARAM_GAMMA, "weight", &norm->gamma},
                 {MBT_PARAM_BETA, "bias", &norm->beta},
                 {MBT_PARAM_MEAN, "running_mean", &norm->mean_slice},
                 {MBT_PARAM_VAR, "running_var", &norm->var_slice}};
    mbt_status status = MBT_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == MBT_OK; i++) {
        slice.kind = parts[i].kind;
        status = add_slice(b, bn->name, parts[i].suffix, slice, parts[i].index, err);
    }
    return status;
}

static mbt_status add_segment_slices(struct build *b, int index, mbt_error *err)
{
    mbt_segment *s = &b->plan->segments[index];
    const size_t first = b->plan->params.n_floats;
    mbt_status status = MBT_OK;
    if (s->op == MBT_SEGMENT_CONV) {
        const mbt_node *node = &b->graph->nodes[b->segment_node[index]];
        const bool linear = node->kind == MBT_NODE_LINEAR;
        if (linear) {
            const mbt_slice bias = {.kind = MBT_PARAM_BIAS,
                                    .form = MBT_FORM_CHANNELS,
                                    .rank = 1,
                                    .dims = {node->c},
                                    .in = s->conv.out,
                                    .out = s->conv.out};
            status = add_slice(b, node->name, "bias", bias, &s->bias, err);
        }
        if (status == MBT_OK && s->norm >= 0) {
            status = add_norm_slices(b, &b->plan->norms[s->norm],
                                     &b->graph->nodes[b->norm_node[s->norm]], &s->conv.out, err);
            s->params += 2 * s->conv.out.c;
        }
        if (status == MBT_OK) {
            const mbt_slice weight = {
                .kind = linear              ? MBT_PARAM_LINEAR
                        : s->conv.depthwise ? MBT_PARAM_DEPTHWISE
                                            : MBT_PARAM_CONV,
                .form = mbt_conv_form(&s->conv),
                .rank = linear ? 2 : 4,
                .dims = {node->c, linear ? s->z.c : s->z.c / node->groups, s->conv.kernel,
                         s->conv.kernel},
                .in = s->conv.in,
                .out = s->conv.out,
            };
            status = add_slice(b, node->name, "weight", weight, &s->weight, err);
        }
    }
    s->grad_first = first;
    s->grad_count = b->plan->params.n_floats - first;
    return status;
}

/* ---- all of it ---- */

static mbt_status build_all(struct build *b, mbt_error *err)
{
    const mbt_graph *graph = b->graph;
    mbt_status status = MBT_OK;
    for (int i = 0; i < graph->n_nodes; i++) {
        b->value_of[i] = b->norm_of[i] = -1;
        for (int side = 0; side < 2; side++) {
            if (graph->nodes[i].in[side] >= 0) {
                b->consumers[graph->nodes[i].in[side]]++;
            }
        }
    }
    const int last = graph->n_nodes - 1;
    for (int i = 0; i < last && status == MBT_OK; i++) {
        status = b->consumers[i] > 0 ? MBT_OK : refuse(b, i, "is read by nobody", err);
    }
    for (int i = 0; i < graph->n_nodes && status == MBT_OK; i++) {
        if (is_op(graph->nodes[i].kind)) {
            status = add_op(b, i, err);
        }
    }
    if (status == MBT_OK && !is_op(graph->nodes[last].kind)) {
        status = add_end(b, last, err);
    }
    for (int i = b->plan->n_segments - 1; i >= 0 && status == MBT_OK; i--) {
        status = add_segment_slices(b, i, err);
    }
    if (status == MBT_OK) {
        const mbt_segment *end = &b->plan->segments[b->plan->n_segments - 1];
        b->plan->output = end->op == MBT_SEGMENT_STORE ? end->stored : end->to;
        for (int i = 0; i < b->plan->n_segments; i++) {
            mbt_segment *s = &b->plan->segments[i];
            s->needs_dz = s->from != b->plan->input || b->plan->options.input_gradient;
        }
    }
    return status;
}

mbt_status mbt_plan_make_segments(mbt_plan *plan, const mbt_graph *graph, mbt_error *err)
{
    const size_t n = (size_t)graph->n_nodes + 1;
    struct build b = {.graph = graph, .plan = plan};
    int *work = calloc(9 * n, sizeof *work);
    plan->segments = calloc(n, sizeof *plan->segments);
    plan->values = calloc(2 * n, sizeof *plan->values);
    plan->norms = calloc(n, sizeof *plan->norms);
    mbt_status status = MBT_OK;
    if (work == NULL || plan->segments == NULL || plan->values == NULL || plan->norms == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "plan: out of memory");
    } else if (graph->n_nodes < 2) {
        status = mbt_fail(err, MBT_CONFIG, "network %s: nothing in it", graph->name);
    } else {
        b.consumers = work;
        b.value_of = work + n;
        b.norm_of = work + 2 * n;
        b.segment_node = work + 3 * n;
        b.norm_node = work + 4 * n;
        b.producer = work + 5 * n; /* [2n] */
        b.readers = work + 7 * n;  /* [2n] */
        status = build_all(&b, err);
    }
    free(work);
    return status;
}
