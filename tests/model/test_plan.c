/* The plan: its parameters are the graph's, its choices a pure function of what it was asked, its
 * table and digest say what they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/arch.h"
#include "mbt/plan.h"

struct plan {
    mbt_graph graph;
    mbt_plan *plan;
};

static struct plan make(const char *name, double width, const mbt_plan_options *options)
{
    const mbt_arch_request request = {.name = name,
                                      .depth = "1.0",
                                      .downsampling = 8,
                                      .width = width,
                                      .dropout = 0.2,
                                      .c = 3,
                                      .h = 32,
                                      .w = 32,
                                      .n_classes = 10};
    struct plan p = {0};
    mbt_error err = {0};
    if (mbt_arch_build(&request, &p.graph, &err) != MBT_OK ||
        mbt_plan_create(&p.graph, options, &p.plan, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    return p;
}

static void clear(struct plan *p)
{
    mbt_plan_destroy(p->plan);
    mbt_graph_clear(&p->graph);
}

static mbt_plan_options options_of(int group, int tile, mbt_isa isa, bool training)
{
    return (mbt_plan_options){
        .group = group, .tile = tile, .isa = isa, .training = training, .bn_eps = 1e-5};
}

static const char *const names[] = {"mobilenetv2", "mobilenetv2_torchvision", "igcv3d",
                                    "igcv3d_seesaw", "igcv3d_seed"};
enum { N_NAMES = sizeof names / sizeof names[0] };

/* Padding is no parameter, whatever the layout: the plan's slices count what the papers count. */
static void parameters_are_the_graphs(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_NAMES; i++) {
        const mbt_plan_options options =
            options_of(1, 0, i % 2 == 0 ? mbt_cpu_isa() : MBT_ISA_X86_64, false);
        struct plan p = make(names[i / 2], 1, &options);
        assert_int_equal(p.plan->params.n_trained, mbt_graph_params(&p.graph));
        int64_t params = 0, macs = 0;
        for (int s = 0; s < p.plan->n_segments; s++) {
            params += p.plan->segments[s].params;
            macs += p.plan->segments[s].macs;
        }
        assert_int_equal(params, mbt_graph_params(&p.graph));
        assert_int_equal(macs, mbt_graph_macs(&p.graph));
        clear(&p);
    }
}

/* Names as a PyTorch state dict has them; classifier first: the order in which gradients complete.
 */
static void slices_lie_in_backward_order(void **state)
{
    (void)state;
    const mbt_plan_options options = options_of(1, 0, mbt_cpu_isa(), false);
    struct plan p = make("igcv3d", 0.25, &options);
    const mbt_slice *slices = p.plan->params.slices;
    assert_string_equal(slices[0].name, "classifier.bias");
    assert_string_equal(slices[1].name, "classifier.weight");
    assert_string_equal(slices[2].name, "head.bn.weight");
    assert_string_equal(slices[3].name, "head.bn.bias");
    assert_string_equal(slices[4].name, "head.bn.running_mean");
    assert_string_equal(slices[5].name, "head.bn.running_var");
    assert_string_equal(slices[6].name, "head.conv.weight");
    assert_string_equal(slices[7].name, "blocks.31.project_bn.weight");
    assert_string_equal(slices[p.plan->params.n_slices - 1].name, "stem.conv.weight");
    assert_false(slices[4].trained);
    assert_false(slices[5].trained);
    clear(&p);
}

/* Whole tiles when the plan chooses; as told when it is told, but never more than a group. */
static void tiles(void **state)
{
    (void)state;
    for (int group = 1; group <= 16; group++) {
        const mbt_plan_options chosen = options_of(group, 0, mbt_cpu_isa(), true);
        const mbt_plan_options told = options_of(group, 6, mbt_cpu_isa(), true);
        struct plan p = make("mobilenetv2", 0.25, &chosen), q = make("mobilenetv2", 0.25, &told);
        int largest = 0;
        for (int s = 0; s < p.plan->n_segments; s++) {
            assert_int_equal(group % p.plan->segments[s].tile, 0);
            largest = p.plan->segments[s].tile > largest ? p.plan->segments[s].tile : largest;
            assert_int_equal(q.plan->segments[s].tile, group < 6 ? group : 6);
        }
        assert_int_equal(largest, group); /* some maps are small */
        clear(&p);
        clear(&q);
    }
}

/* Tiles, kernels, and the level that was asked for even where the same kernels serve two. */
static void digests_tell_choices_apart(void **state)
{
    (void)state;
    const mbt_plan_options options[] = {
        options_of(8, 0, mbt_cpu_isa(), true),  options_of(8, 0, mbt_cpu_isa(), true),
        options_of(8, 1, mbt_cpu_isa(), true),  options_of(8, 2, mbt_cpu_isa(), true),
        options_of(8, 0, MBT_ISA_X86_64, true), options_of(8, 0, MBT_ISA_AVX2, true)};
    enum { N = sizeof options / sizeof options[0] };
    const int n = mbt_cpu_isa() > MBT_ISA_AVX2 ? N : mbt_cpu_isa() == MBT_ISA_AVX2 ? N - 1 : N - 2;
    char digests[N][MBT_PLAN_DIGEST_BYTES];
    for (int i = 0; i < n; i++) {
        struct plan p = make("mobilenetv2", 0.25, &options[i]);
        assert_int_equal(strlen(p.plan->digest), MBT_PLAN_DIGEST_BYTES - 1);
        assert_int_equal(strspn(p.plan->digest, "0123456789abcdef"), MBT_PLAN_DIGEST_BYTES - 1);
        memcpy(digests[i], p.plan->digest, sizeof digests[i]);
        clear(&p);
    }
    assert_string_equal(digests[0], digests[1]);
    for (int i = 1; i < n; i++) {
        for (int k = i + 1; k < n; k++) {
            assert_string_not_equal(digests[i], digests[k]);
        }
    }
}

/* Stored maps are the group's; gradients of maps share memory over time. */
static void memory_grows_with_the_group_alone(void **state)
{
    (void)state;
    const mbt_plan_options small = options_of(4, 1, mbt_cpu_isa(), true);
    const mbt_plan_options large = options_of(8, 1, mbt_cpu_isa(), true);
    struct plan p = make("mobilenetv2", 1, &small), q = make("mobilenetv2", 1, &large);
    assert_true(q.plan->stored_bytes > 19 * p.plan->stored_bytes / 10);
    assert_true(q.plan->stored_bytes < 21 * p.plan->stored_bytes / 10);
    assert_int_equal(q.plan->params_bytes, p.plan->params_bytes);
    assert_true(q.plan->gradient_bytes < q.plan->stored_bytes / 4);
    clear(&p);
    clear(&q);
}

/* Activations are stored once, as raw outputs of convolutions: of MobileNetV2 with downsampling 8,
 * 7 MiB of an image in fp32, half of it in bf16 (the pooled features and logits stay fp32). */
static void activations_are_stored_once(void **state)
{
    static const double most_mib[] = {[MBT_STORAGE_FP32] = 6.8, [MBT_STORAGE_BF16] = 3.6};
    (void)state;
    for (int storage = 0; storage < 2; storage++) {
        mbt_plan_options options = options_of(16, 0, mbt_cpu_isa(), true);
        options.storage = (mbt_storage)storage;
        struct plan p = make("mobilenetv2", 1, &options);
        const double mib = (double)p.plan->activation_bytes_per_image / (1024.0 * 1024.0);
        if (mib > most_mib[storage] || mib < 0.9 * most_mib[storage]) {
            fail_msg("storage %d: %.3f MiB an image, wanted %g", storage, mib, most_mib[storage]);
        }
        clear(&p);
    }
}

/* What a convolution that multiplies in bf16 reads is kept so, and in evaluation what it writes
 * where nobody needs more; others read and write fp32. */
static void check_bf16_around(const mbt_plan *plan, const mbt_segment *s)
{
    const bool direct = s->source == MBT_SOURCE_DIRECT;
    assert_false(s->conv.bf16 && (s->conv.image || s->norm < 0));
    assert_false(s->conv.bf16 && plan->options.training && (s->conv.depthwise || direct));
    if (direct && s->op == MBT_SEGMENT_CONV) {
        assert_int_equal(plan->values[s->from].storage == MBT_STORAGE_BF16, s->conv.bf16);
    }
    if (direct && s->op == MBT_SEGMENT_POOL) {
        assert_int_equal(plan->values[s->from].storage, MBT_STORAGE_FP32);
    }
    if (s->conv.bf16 && s->stored >= 0) {
        assert_int_equal(plan->values[s->stored].storage, MBT_STORAGE_BF16);
    }
    if (s->to >= 0 && !plan->options.training) {
        assert_int_equal(plan->values[s->to].storage == MBT_STORAGE_BF16, s->conv.bf16_out);
    }
}

/* Where the level has kernels for it convolutions multiply in bf16; elsewhere none does. */
static void bf16_is_taken_where_it_can_be(void **state)
{
    (void)state;
    for (int isa = 0; isa <= (int)mbt_cpu_isa(); isa++) {
        for (int training = 0; training < 2; training++) {
            mbt_plan_options options = options_of(4, 0, (mbt_isa)isa, training == 1);
            struct plan fp32 = make("igcv3d", 1, &options);
            options.bf16 = true;
            struct plan p = make("igcv3d", 1, &options);
            int n = 0, n_out = 0;
            for (int i = 0; i < p.plan->n_segments; i++) {
                check_bf16_around(p.plan, &p.plan->segments[i]);
                n += p.plan->segments[i].conv.bf16;
                n_out += p.plan->segments[i].conv.bf16_out;
            }
            const bool can = isa >= MBT_ISA_AVX512_BF16;
            assert_true(can ? n > 50 : n == 0);
            assert_true(can && training == 0 ? n_out > 50 : n_out == 0);
            assert_true((strcmp(fp32.plan->digest, p.plan->digest) != 0) == can);
            clear(&p);
            clear(&fp32);
        }
    }
}

static void the_table_names_every_segment(void **state)
{
    (void)state;
    const mbt_plan_options options = options_of(4, 0, mbt_cpu_isa(), true);
    struct plan p = make("mobilenetv2", 1, &options);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    mbt_plan_print(p.plan, &p.graph, out);
    assert_int_equal(fclose(out), 0);
    for (int s = 0; s < p.plan->n_segments; s++) {
        assert_non_null(strstr(text, p.plan->segments[s].name));
    }
    assert_non_null(strstr(text, "total: 2237770 parameters, 89025024 MACs an image"));
    assert_non_null(strstr(text, "groups of 4 images"));
    assert_non_null(strstr(text, "oneDNN "));
    assert_non_null(strstr(text, "storage fp32, arithmetic fp32, 1 thread\n"));
    assert_true((strstr(text, "fused ") != NULL) ==
                (p.plan->segments[2].k_depthwise_forward != NULL));
    assert_non_null(strstr(text, p.plan->digest));
    free(text);
    clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_the_graphs),
        cmocka_unit_test(slices_lie_in_backward_order),
        cmocka_unit_test(tiles),
        cmocka_unit_test(digests_tell_choices_apart),
        cmocka_unit_test(memory_grows_with_the_group_alone),
        cmocka_unit_test(activations_are_stored_once),
        cmocka_unit_test(bf16_is_taken_where_it_can_be),
        cmocka_unit_test(the_table_names_every_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
