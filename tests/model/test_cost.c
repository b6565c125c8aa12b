/* What operations cost: arithmetic is the graph's, bytes are those of the maps that are stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mbt/arch.h"
#include "mbt/cost.h"

enum { GROUP = 4 };

struct plan {
    mbt_graph graph;
    mbt_plan *plan;
};

static struct plan make(const char *name, mbt_plan_options options)
{
    const mbt_arch_request request = {.name = name,
                                      .depth = "1.0",
                                      .downsampling = 8,
                                      .width = 1,
                                      .c = 3,
                                      .h = 32,
                                      .w = 32,
                                      .n_classes = 10};
    struct plan p = {0};
    mbt_error err = {0};
    options.group = GROUP;
    options.bn_eps = 1e-5;
    if (mbt_arch_build(&request, &p.graph, &err) != MBT_OK ||
        mbt_plan_create(&p.graph, &options, &p.plan, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    return p;
}

static void clear(struct plan *p)
{
    mbt_plan_destroy(p->plan);
    mbt_graph_clear(&p->graph);
}

static mbt_cost sum(const struct plan *p, mbt_op op, int n)
{
    mbt_cost all = {0};
    for (int s = 0; s < p->plan->n_segments; s++) {
        mbt_cost_add(&all, mbt_cost_of(p->plan, &p->plan->segments[s], op, n));
    }
    return all;
}

/* Two flops a multiply-accumulate, three passes; the first convolution has no gradient to pass on.
 */
static void convolutions_do_the_graphs_work(void **state)
{
    (void)state;
    static const char *const names[] = {"mobilenetv2", "igcv3d"};
    for (int i = 0; i < 2; i++) {
        struct plan p =
            make(names[i],
                 (mbt_plan_options){.isa = mbt_cpu_isa(), .training = true, .pass_by_pass = true});
        const double macs = (double)mbt_graph_macs(&p.graph), n = 3;
        const double first = (double)p.plan->segments[0].macs;
        assert_true(sum(&p, MBT_OP_CONV_FORWARD, 3).flops == 2 * n * macs);
        assert_true(sum(&p, MBT_OP_CONV_BACKWARD_WEIGHTS, 3).flops == 2 * n * macs);
        assert_true(sum(&p, MBT_OP_CONV_BACKWARD_DATA, 3).flops == 2 * n * (macs - first));
        assert_true(sum(&p, MBT_OP_DEPTHWISE_FORWARD, 3).flops == 0);
        clear(&p);
    }
}

/* One kernel or several: the same multiply-adds, and the fused ones read every map once. */
static void fused_segments_do_the_same(void **state)
{
    (void)state;
    struct plan p = make("mobilenetv2", (mbt_plan_options){.isa = mbt_cpu_isa(), .training = true});
    double macs = 0, in = 0, out = 0;
    for (int s = 0; s < p.plan->n_segments; s++) {
        const mbt_segment *segment = &p.plan->segments[s];
        if (segment->k_depthwise_forward != NULL) {
            macs += 2.0 * GROUP * (double)segment->macs;
            in += (double)GROUP * segment->z.c * segment->z.h * segment->z.w;
            out += (double)GROUP * segment->conv.out.c * segment->conv.out.h * segment->conv.out.w;
        }
    }
    const mbt_cost forward = sum(&p, MBT_OP_DEPTHWISE_FORWARD, GROUP);
    const mbt_cost backward = sum(&p, MBT_OP_DEPTHWISE_BACKWARD, GROUP);
    assert_true(sum(&p, MBT_OP_CONV_FORWARD, GROUP).flops + macs ==
                2.0 * GROUP * (double)mbt_graph_macs(&p.graph));
    assert_true(forward.flops == macs + 4 * in + 4 * out);
    assert_true(backward.flops == 2 * macs + 5 * out + 9 * in);
    if (macs > 0) {
        assert_true(forward.bytes >= 4 * (in + out) && forward.bytes < 4.5 * (in + out));
        assert_true(backward.bytes >= 8 * (in + out) && backward.bytes < 9 * (in + out));
    }
    clear(&p);
}

/* What is stored in half the bytes moves half the bytes; arithmetic stays. */
static void storage_halves_bytes(void **state)
{
    (void)state;
    mbt_plan_options options = {.isa = mbt_cpu_isa(), .training = true, .pass_by_pass = true};
    struct plan p = make("mobilenetv2", options);
    options.storage = MBT_STORAGE_BF16;
    struct plan q = make("mobilenetv2", options);
    const mbt_cost a = sum(&p, MBT_OP_STATS, GROUP), b = sum(&q, MBT_OP_STATS, GROUP);
    assert_true(a.bytes > 0 && a.bytes == 2 * b.bytes && a.flops == b.flops);
    const mbt_cost c = sum(&p, MBT_OP_NORM_BACKWARD, GROUP);
    const mbt_cost d = sum(&q, MBT_OP_NORM_BACKWARD, GROUP);
    assert_true(c.bytes > 0 && c.bytes == 2 * d.bytes && c.flops == d.flops);
    assert_true(sum(&p, MBT_OP_NORM_BACKWARD, 1).bytes == c.bytes / GROUP);
    clear(&p);
    clear(&q);
}

/* What is multiplied in bf16 is part of the flops, all but the first and the last convolution. */
static void products_of_bf16_are_counted(void **state)
{
    (void)state;
    mbt_plan_options options = {.isa = mbt_cpu_isa(), .training = true};
    struct plan p = make("mobilenetv2", options);
    options.bf16 = true;
    struct plan q = make("mobilenetv2", options);
    const mbt_cost a = sum(&p, MBT_OP_CONV_FORWARD, GROUP), b = sum(&q, MBT_OP_CONV_FORWARD, GROUP);
    const mbt_plan *plan = p.plan;
    const double ends =
        2.0 * GROUP * (double)(plan->segments[0].macs + plan->segments[plan->n_segments - 1].macs);
    assert_true(a.flops == b.flops && a.bf16_flops == 0);
    assert_true(b.bf16_flops == (mbt_cpu_isa() >= MBT_ISA_AVX512_BF16 ? b.flops - ends : 0));
    clear(&p);
    clear(&q);
}

/* Lanes take tiles in turn, and what is left of a group goes image by image. */
static void lanes_share_images(void **state)
{
    (void)state;
    const mbt_plan_options options = {
        .isa = mbt_cpu_isa(), .training = true, .tile = 2, .threads = 2};
    struct plan p = make("mobilenetv2", options);
    const mbt_segment *s = &p.plan->segments[0];
    assert_int_equal(mbt_cost_first_lane(p.plan, s, 4), 2);
    assert_int_equal(mbt_cost_first_lane(p.plan, s, 3), 2);
    assert_int_equal(mbt_cost_first_lane(p.plan, s, 1), 1);
    clear(&p);
}

/* Nothing goes backward where nothing trains. */
static void evaluation_has_no_backward_pass(void **state)
{
    (void)state;
    struct plan p = make("mobilenetv2", (mbt_plan_options){.isa = mbt_cpu_isa()});
    assert_true(sum(&p, MBT_OP_CONV_FORWARD, 1).flops == 2 * (double)mbt_graph_macs(&p.graph));
    static const mbt_op none[] = {MBT_OP_CONV_BACKWARD_DATA, MBT_OP_CONV_BACKWARD_WEIGHTS,
                                  MBT_OP_APPLY_BACKWARD, MBT_OP_NORM_BACKWARD, MBT_OP_STATS};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_true(sum(&p, none[i], 1).flops == 0 && sum(&p, none[i], 1).bytes == 0);
    }
    clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_do_the_graphs_work),
        cmocka_unit_test(fused_segments_do_the_same),
        cmocka_unit_test(storage_halves_bytes),
        cmocka_unit_test(products_of_bf16_are_counted),
        cmocka_unit_test(lanes_share_images),
        cmocka_unit_test(evaluation_has_no_backward_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
