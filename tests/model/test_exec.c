/* Running a plan: bits that may not depend on what lies in memory, on threads or on images that are
 * not asked for, evaluation against training, and the order in which gradients complete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/arena.h"
#include "model/gradient.h"

enum { GROUP = NETWORK_GROUP };

/* ---- the same bits ---- */

/* The floats of a run that anybody looks at. */
struct outcome {
    double loss;
    float *output, *gradient;
    size_t n_output, n_gradient;
};

static struct outcome outcome_of(const network *net, int n, double loss)
{
    const mbt_params *params = &net->plan->params;
    const mbt_layout *l = &net->plan->values[net->plan->output].layout;
    struct outcome o = {.loss = loss, .output = network_output(net, n)};
    o.n_output = (size_t)(n * l->c);
    for (int i = 0; i < params->n_slices; i++) {
        o.n_gradient += params->slices[i].count;
    }
    o.gradient = malloc(o.n_gradient * sizeof *o.gradient);
    assert_non_null(o.gradient);
    float *at = o.gradient;
    for (int i = 0; i < params->n_slices; i++) {
        mbt_slice_unpack(&params->slices[i], net->plan->gradient, at);
        at += params->slices[i].count;
    }
    return o;
}

static void clear_outcome(struct outcome *o)
{
    free(o->output);
    free(o->gradient);
}

static void same_bits(struct outcome *a, struct outcome *b)
{
    assert_true(isfinite(a->loss) != 0);
    assert_memory_equal(&a->loss, &b->loss, sizeof a->loss);
    assert_memory_equal(a->output, b->output, a->n_output * sizeof(float));
    assert_memory_equal(a->gradient, b->gradient, a->n_gradient * sizeof(float));
}

/* Sets every byte of the plan's memory but the weights, and the constants that the plan made, to
 * 0xff: NaN. The weights are the first thing in the arena. */
static void litter(network *net)
{
    mbt_plan *plan = net->plan;
    const size_t channels =
        (size_t)(plan->zeros - plan->ones); /* rounded up, one after the other */
    const size_t bytes = plan->params.n_floats * sizeof(float);
    float *weights = malloc(bytes);
    assert_non_null(weights);
    assert_true(plan->zeros > plan->ones);
    memcpy(weights, plan->weights, bytes);
    memset(plan->weights, 0xff, mbt_arena_used(plan->arena));
    memcpy(plan->weights, weights, bytes);
    memset(plan->zeros, 0, channels * sizeof(float));
    for (size_t i = 0; i < channels; i++) {
        plan->ones[i] = 1;
    }
    free(weights);
}

/* Images first .. as network_images has them, NaN as those behind n. */
static void images_of(network *net, int n)
{
    const mbt_value *input = &net->plan->values[net->plan->input];
    const mbt_layout *l = &input->layout;
    const int group = net->plan->options.group;
    network_images(net, 0);
    const size_t image = input->plain ? (size_t)(l->c * l->h * l->w) : mbt_layout_image(l);
    const int sections = input->plain ? 1 : l->sections;
    for (int s = 0; s < sections; s++) {
        float *behind = (float *)input->data + ((size_t)s * (size_t)group + (size_t)n) * image;
        memset(behind, 0xff, (size_t)(group - n) * image * sizeof(float));
    }
}

static void a_run_repeats_whatever_memory_holds(void **state)
{
    (void)state;
    for (int w = 0; w < 4 * NETWORK_FAMILIES; w++) {
        network_wish wish = network_families[w / 4];
        const bool best = w % 2 == 0;
        wish.storage = w / 2 % 2 == 0 ? MBT_STORAGE_FP32 : MBT_STORAGE_BF16;
        wish.bf16 = wish.storage == MBT_STORAGE_BF16;
        network *net =
            network_ready(&wish, GROUP, best ? 0 : 4, best ? mbt_cpu_isa() : MBT_ISA_X86_64);
        for (int n = GROUP; n > 2; n -= 2) {
            struct outcome outcomes[3];
            network_images(net, 0);
            outcomes[0] = outcome_of(net, n, network_step(net, n));
            outcomes[1] = outcome_of(net, n, network_step(net, n));
            litter(net);
            images_of(net, n);
            outcomes[2] = outcome_of(net, n, network_step(net, n));
            same_bits(&outcomes[0], &outcomes[1]);
            same_bits(&outcomes[0], &outcomes[2]);
            for (int i = 0; i < 3; i++) {
                clear_outcome(&outcomes[i]);
            }
        }
        network_destroy(net);
    }
}

/* Forward, backward and evaluation, whole groups and parts of one, in either storage. */
static void threads_change_no_bit(void **state)
{
    (void)state;
    for (int w = 0; w < 4 * NETWORK_FAMILIES; w++) {
        network_wish wish = network_families[w / 4];
        wish.storage = w % 2 == 0 ? MBT_STORAGE_FP32 : MBT_STORAGE_BF16;
        wish.bf16 = wish.storage == MBT_STORAGE_BF16;
        const mbt_isa isa = w % 4 < 2 ? mbt_cpu_isa() : MBT_ISA_X86_64;
        struct outcome first[2];
        for (int threads = 1; threads <= 3; threads++) {
            wish.threads = threads;
            network *net = network_ready(&wish, GROUP, 1 + w % 2, isa);
            for (int part = 0; part < 2; part++) {
                const int n = part == 0 ? GROUP : GROUP - 1;
                network_images(net, 0);
                struct outcome now = outcome_of(net, n, network_step(net, n));
                if (threads == 1) {
                    first[part] = now;
                } else {
                    same_bits(&first[part], &now);
                    clear_outcome(&now);
                }
            }
            network_destroy(net);
        }
        clear_outcome(&first[0]);
        clear_outcome(&first[1]);
    }
}

/* Another plan of the same kind, and what other groups left behind, change nothing either. */
static void groups_leave_nothing_behind(void **state)
{
    (void)state;
    network *net = network_ready(&network_families[3], GROUP, 2, mbt_cpu_isa());
    network *fresh = network_ready(&network_families[3], GROUP, 2, mbt_cpu_isa());
    network_images(net, 100);
    (void)network_step(net, GROUP);
    network_images(net, 200);
    (void)network_step(net, 3);
    network_images(net, 0);
    mbt_exec_evaluate(net->plan, 4);
    network_fill(net, 0);
    struct outcome used = outcome_of(net, 5, network_step(net, 5));
    struct outcome first = outcome_of(fresh, 5, network_step(fresh, 5));
    same_bits(&first, &used);
    clear_outcome(&used);
    clear_outcome(&first);
    network_destroy(net);
    network_destroy(fresh);
}

/* ---- evaluation ---- */

/* Puts the statistics that backward left into the running ones, with the variance made biased. */
static void adopt_statistics(network *net, int n)
{
    const mbt_plan *plan = net->plan;
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *s = &plan->segments[i];
        if (s->norm < 0) {
            continue;
        }
        const mbt_norm *norm = &plan->norms[s->norm];
        const double count = (double)n * s->conv.out.h * s->conv.out.w;
        const mbt_slice *mean = &plan->params.slices[norm->mean_slice];
        const mbt_slice *var = &plan->params.slices[norm->var_slice];
        float *m = network_gradient(net, mean), *v = network_gradient(net, var);
        for (size_t c = 0; c < var->count; c++) {
            v[c] = (float)((double)v[c] * (count - 1) / count);
        }
        network_set_weight(net, mean, m);
        network_set_weight(net, var, v);
        free(m);
        free(v);
    }
}

static void evaluation_with_the_groups_statistics_is_forward(void **state)
{
    (void)state;
    for (int w = 0; w < NETWORK_FAMILIES; w++) {
        network *net = network_ready(&network_families[w], GROUP, 0, mbt_cpu_isa());
        (void)network_forward(net, 5, false);
        float *want = network_output(net, 5);
        mbt_exec_backward(net->plan, 5, 1, NULL, NULL, NULL);
        adopt_statistics(net, 5);
        mbt_exec_prepare(net->plan);
        for (int n = 5; n > 0; n -= 2) { /* a sample's result does not depend on the others now */
            litter(net);
            images_of(net, n);
            mbt_exec_prepare(net->plan);
            mbt_exec_evaluate(net->plan, n);
            float *got = network_output(net, n);
            double scale = 0;
            for (int i = 0; i < 5 * NETWORK_CLASSES; i++) {
                scale = fmax(scale, fabs((double)want[i]));
            }
            for (int i = 0; i < n * NETWORK_CLASSES; i++) {
                assert_true(fabs((double)(got[i] - want[i])) <= 1e-4 * scale);
            }
            free(got);
        }
        free(want);
        network_destroy(net);
    }
}

/* A plan without memory for training has batch norm folded into its weights: the same function, and
 * nearly so when it multiplies in bf16. */
static void a_plan_for_evaluation_alone(void **state)
{
    (void)state;
    for (int w = 0; w < 3 * NETWORK_FAMILIES; w++) {
        network *net = network_ready(&network_families[w / 3], GROUP, 0,
                                     w % 3 == 0 ? MBT_ISA_X86_64 : mbt_cpu_isa());
        mbt_plan_options options = net->plan->options;
        options.training = false;
        options.bf16 = w % 3 == 2 && options.isa >= MBT_ISA_AVX512_BF16;
        /* Random weights through 50 layers; what is read in the wrong storage is far beyond. */
        const double tolerance = options.bf16 ? 0.2 : 3e-5;
        const mbt_graph graph = net->graph;
        network *lean = network_of(&graph, &options);
        network_fill(lean, 0);
        assert_null(lean->plan->gradient);
        assert_true(mbt_arena_used(lean->plan->arena) < mbt_arena_used(net->plan->arena));
        mbt_exec_prepare(net->plan);
        mbt_exec_evaluate(net->plan, GROUP);
        mbt_exec_prepare(lean->plan);
        for (int n = GROUP; n > 0; n -= 3) { /* maps share memory: nothing must be left behind */
            mbt_exec_evaluate(lean->plan, n);
            float *a = network_output(net, n), *b = network_output(lean, n);
            double scale = 0;
            for (int i = 0; i < n * NETWORK_CLASSES; i++) {
                scale = fmax(scale, fabs((double)a[i]));
            }
            for (int i = 0; i < n * NETWORK_CLASSES; i++) {
                if (!(fabs((double)(a[i] - b[i])) <= tolerance * scale)) {
                    fail_msg("%s: got %g, wanted %g, of at most %g", network_families[w / 3].name,
                             (double)b[i], (double)a[i], scale);
                }
            }
            free(a);
            free(b);
        }
        lean->graph = (mbt_graph){0}; /* it is net's */
        network_destroy(lean);
        network_destroy(net);
    }
}

/* Statistics in the running slices: those of a sample that is its own group, times the scale. */
static void statistics_are_scaled(void **state)
{
    (void)state;
    network *net = network_ready(&network_families[1], GROUP, 0, mbt_cpu_isa());
    (void)network_forward(net, GROUP, false);
    mbt_exec_backward(net->plan, GROUP, 1, NULL, NULL, NULL);
    const mbt_params *params = &net->plan->params;
    float *whole = malloc(params->n_floats * sizeof *whole);
    assert_non_null(whole);
    memcpy(whole, net->plan->gradient, params->n_floats * sizeof *whole);
    (void)network_forward(net, GROUP, false);
    mbt_exec_backward(net->plan, GROUP, 0.25f, NULL, NULL, NULL);
    for (int i = 0; i < params->n_slices; i++) {
        const mbt_slice *slice = &params->slices[i];
        const float factor = slice->trained ? 1.0f : 0.25f;
        for (size_t k = slice->offset; k < slice->offset + slice->stored; k++) {
            assert_true(net->plan->gradient[k] == factor * whole[k]);
        }
    }
    free(whole);
    network_destroy(net);
}

/* ---- ranges of the gradient ---- */

struct ranges {
    network *net;
    size_t next;
    int calls;
    int polls;
    float *seen; /* the gradient as it was when its range was called complete */
};

static void take_range(void *context, size_t first, size_t count)
{
    struct ranges *r = context;
    if (count == 0) {
        r->polls++;
        return;
    }
    assert_int_equal(first, r->next);
    memcpy(r->seen + first, r->net->plan->gradient + first, count * sizeof *r->seen);
    memset(r->net->plan->gradient + first, 0xff, count * sizeof *r->seen); /* nobody needs it now */
    r->next = first + count;
    r->calls++;
}

static void ranges_come_in_order_and_complete(void **state)
{
    (void)state;
    for (int w = 0; w < NETWORK_FAMILIES; w++) {
        network *net = network_ready(&network_families[w], GROUP, 0, mbt_cpu_isa());
        const size_t floats = net->plan->params.n_floats;
        (void)network_step(net, GROUP);
        float *want = malloc(floats * sizeof *want);
        struct ranges r = {.net = net, .seen = calloc(floats, sizeof *r.seen)};
        assert_non_null(want);
        assert_non_null(r.seen);
        memcpy(want, net->plan->gradient, floats * sizeof *want);
        (void)network_forward(net, GROUP, true);
        mbt_exec_backward(net->plan, GROUP, 1, &net->dropout, take_range, &r);
        assert_int_equal(r.next, floats);
        assert_true(r.calls > 10);
        assert_true(r.polls > r.calls);
        assert_memory_equal(r.seen, want, floats * sizeof *want);
        free(want);
        free(r.seen);
        network_destroy(net);
    }
}

/* Nothing but canonical elements has a gradient: neither padding nor what lies between groups that
 * share a section, or an update would make weights of them. */
static void gradients_are_of_weights_alone(void **state)
{
    (void)state;
    for (int w = 0; w < 2 * NETWORK_FAMILIES; w++) {
        /* Blocks of 8 channels leave room behind a form; those of 16 never do. */
        const mbt_isa isa = w % 2 == 0 ? mbt_cpu_isa() : MBT_ISA_X86_64;
        network *net = network_ready(&network_families[w / 2], GROUP, 4, isa);
        const mbt_params *params = &net->plan->params;
        (void)network_step(net, GROUP);
        float *block = calloc(params->n_floats, sizeof *block);
        assert_non_null(block);
        for (int i = 0; i < params->n_slices; i++) {
            const mbt_slice *slice = &params->slices[i];
            float *gradient = network_gradient(net, slice);
            mbt_slice_pack(slice, gradient, block);
            free(gradient);
            for (size_t k = slice->offset; k < slice->offset + slice->stored; k++) {
                if (block[k] != net->plan->gradient[k] && slice->trained) {
                    fail_msg("%s: %s has a gradient of %g where there is no weight",
                             net->graph.name, slice->name, (double)net->plan->gradient[k]);
                }
            }
        }
        free(block);
        network_destroy(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_repeats_whatever_memory_holds),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(groups_leave_nothing_behind),
        cmocka_unit_test(evaluation_with_the_groups_statistics_is_forward),
        cmocka_unit_test(a_plan_for_evaluation_alone),
        cmocka_unit_test(statistics_are_scaled),
        cmocka_unit_test(ranges_come_in_order_and_complete),
        cmocka_unit_test(gradients_are_of_weights_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
