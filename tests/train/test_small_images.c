/* Training on small images: the plan for them works on the weights and the gradient of the other
 * one, and computes what a plan of its own would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "mbt/arch.h"
#include "mbt/exec.h"
#include "mbt/loss.h"
#include "mbt/rng.h"
#include "mbt/trainer.h"
#include "train/small_setup.h"

enum { SIDE = 12, GROUP = 8 };

static mbt_config small_config(void)
{
    mbt_config config;
    mbt_config_defaults(&config);
    config.train.small_size = SIDE;
    config.train.small_until = 0.5;
    return config;
}

/* Forward and backward of a group of drawn images. */
static void run(mbt_plan *plan)
{
    const mbt_layout *out = &plan->values[plan->output].layout;
    const int32_t labels[GROUP] = {0, 1, 2, 0, 1, 2, 0, 1};
    mbt_loss_sums sums;
    mbt_rng rng = mbt_rng_at(4, MBT_PURPOSE_SYNTH, 0, 0);
    for (int i = 0; i < GROUP * 3 * SIDE * SIDE; i++) {
        mbt_exec_input(plan)[i] = mbt_rng_normal(&rng);
    }
    mbt_exec_prepare(plan);
    mbt_exec_forward(plan, GROUP, NULL);
    mbt_loss_softmax(mbt_exec_output(plan), GROUP, mbt_layout_stored(out), out->c, labels, 0.1, 0.1,
                     mbt_exec_output_gradient(plan), &sums);
    mbt_exec_backward(plan, GROUP, 1, NULL, NULL, NULL);
}

static void shares_weights_and_gradient(void **state)
{
    (void)state;
    small_setup s;
    mbt_graph graph = {0};
    mbt_plan *own = NULL;
    mbt_error err = {0};
    const mbt_config config = small_config();
    small_setup_make(&s, &config);
    mbt_plan *whole = s.setup.plan, *small = s.setup.small;
    assert_non_null(small);
    assert_ptr_equal(small->weights, whole->weights);
    assert_ptr_equal(small->gradient, whole->gradient);
    assert_int_equal(small->values[small->input].layout.h, SIDE);
    assert_string_not_equal(small->digest, whole->digest);
    assert_ptr_equal(mbt_setup_digested(&s.setup), small);

    const mbt_arch_request request = {.name = s.setup.config.network.name,
                                      .depth = s.setup.config.network.depth,
                                      .downsampling = 8,
                                      .width = s.setup.config.network.width,
                                      .c = 3,
                                      .h = SIDE,
                                      .w = SIDE,
                                      .n_classes = SMALL_CLASSES};
    mbt_plan_options options = whole->options;
    assert_int_equal(mbt_arch_build(&request, &graph, &err), MBT_OK);
    assert_int_equal(mbt_plan_create(&graph, &options, &own, &err), MBT_OK);
    const size_t bytes = whole->params.n_floats * sizeof(float);
    memcpy(own->weights, whole->weights, bytes);
    memset(own->gradient, 0, bytes); /* padding between slices is nobody's */
    memset(whole->gradient, 0, bytes);
    run(own);
    run(small);
    const size_t floats = (size_t)mbt_layout_stored(&own->values[own->output].layout) * GROUP;
    assert_memory_equal(mbt_exec_output(small), mbt_exec_output(own), floats * sizeof(float));
    assert_memory_equal(whole->gradient, own->gradient, bytes);
    float *gradient = malloc(bytes);
    assert_non_null(gradient);
    memset(gradient, 0, bytes);
    assert_memory_not_equal(whole->gradient, gradient, bytes);
    free(gradient);

    /* arenas: the sharing one has no room for what it shares */
    assert_true(small->params_bytes == 0 && whole->params_bytes >= 2 * bytes);
    mbt_plan_destroy(own);
    mbt_graph_clear(&graph);
    small_setup_clear(&s);
}

static void another_network_is_refused(void **state)
{
    (void)state;
    small_setup s;
    mbt_graph graph = {0};
    mbt_plan *plan = NULL;
    mbt_error err = {0};
    small_setup_make(&s, NULL);
    assert_null(s.setup.small);
    assert_ptr_equal(mbt_setup_digested(&s.setup), s.setup.plan);
    const mbt_arch_request request = {.name = "mobilenetv2",
                                      .depth = "1.0",
                                      .downsampling = 8,
                                      .width = 0.5,
                                      .c = 3,
                                      .h = SIDE,
                                      .w = SIDE,
                                      .n_classes = SMALL_CLASSES};
    mbt_plan_options options = s.setup.plan->options;
    options.shares = s.setup.plan;
    assert_int_equal(mbt_arch_build(&request, &graph, &err), MBT_OK);
    assert_int_equal(mbt_plan_create(&graph, &options, &plan, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "what it shares weights with has other parameters"));
    mbt_graph_clear(&graph);
    small_setup_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_weights_and_gradient),
        cmocka_unit_test(another_network_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
