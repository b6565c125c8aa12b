/* Running a plan: results that may not depend on tiles, on kernels, on whether a segment is one of
 * them, and on how large the group could be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "model/gradient.h"

enum { GROUP = NETWORK_GROUP };

/* Far from kinks rounding moves a gradient by some 1e-5 of itself: no activation changes sides. */
static void compare(const network *a, const network *b, const char *what)
{
    const mbt_params *params = &a->plan->params;
    double largest = 0;
    int n_compared = 0;
    for (int i = 0; i < params->n_slices; i++) {
        float *g = network_gradient(a, &params->slices[i]);
        const double norm = norm_of(g, params->slices[i].count);
        largest = params->slices[i].trained ? fmax(largest, norm) : largest;
        free(g);
    }
    for (int i = 0; i < params->n_slices; i++) {
        const mbt_slice *slice = &params->slices[i];
        const mbt_slice *other = mbt_params_find(&b->plan->params, slice->name);
        assert_non_null(other);
        float *g = network_gradient(a, slice), *h = network_gradient(b, other);
        const double norm = norm_of(g, slice->count), its = norm_of(h, slice->count);
        for (size_t k = 0; k < slice->count; k++) {
            h[k] -= g[k];
        }
        const double apart = norm_of(h, slice->count);
        const double size = norm + 1e-4 * (slice->trained ? largest : 0.01);
        if (!(fabs(norm - its) <= 1e-4 * size) || !(apart <= 3e-4 * size)) {
            fail_msg("%s, %s: %s has a gradient of norm %g, %g apart from one of %g", a->graph.name,
                     what, slice->name, its, apart, norm);
        }
        n_compared += norm > 1e-4 * largest;
        free(g);
        free(h);
    }
    assert_true(n_compared > params->n_slices / 4); /* the others have no gradient to speak of */
}

static void tiles_and_kernels_agree(void **state)
{
    static const struct {
        int tile;
        mbt_isa isa;
        const char *name;
    } others[] = {
        {1, MBT_ISA_AVX512, "tile 1"},        {2, MBT_ISA_AVX512, "tile 2"},
        {3, MBT_ISA_AVX512, "tile 3"},        {GROUP, MBT_ISA_AVX512, "one tile"},
        {4, MBT_ISA_AVX512, "tile 4 of 6"},   {0, MBT_ISA_AVX2, "kernels up to avx2"},
        {0, MBT_ISA_X86_64, "any processor"}, {4, MBT_ISA_X86_64, "any processor, tile 4"},
    };
    (void)state;
    for (int w = 0; w < NETWORK_FAMILIES; w++) {
        network *net = network_ready(&network_families[w], GROUP, 0, mbt_cpu_isa());
        network_away_from_kinks(net);
        const double loss = network_step(net, GROUP);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            const mbt_isa isa = others[i].isa < mbt_cpu_isa() ? others[i].isa : mbt_cpu_isa();
            network *other = network_ready(&network_families[w], GROUP, others[i].tile, isa);
            network_away_from_kinks(other);
            const double its = network_step(other, GROUP);
            if (!(fabs(its - loss) <= 1e-5 * loss)) {
                fail_msg("%s, %s: loss %.9g, wanted %.9g", network_families[w].name, others[i].name,
                         its, loss);
            }
            compare(net, other, others[i].name);
            network_destroy(other);
        }
        network_destroy(net);
    }
}

static int n_fused(const network *net)
{
    int n = 0;
    for (int i = 0; i < net->plan->n_segments; i++) {
        n += net->plan->segments[i].k_depthwise_backward != NULL;
    }
    return n;
}

/* Segments as one kernel do what their passes do one by one. */
static void fused_and_pass_by_pass_agree(void **state)
{
    int n_segments = 0;
    (void)state;
    for (int w = 0; w < NETWORK_FAMILIES; w++) {
        network_wish wish = network_families[w];
        network *fused = network_ready(&wish, GROUP, 0, mbt_cpu_isa());
        wish.pass_by_pass = true;
        network *passes = network_ready(&wish, GROUP, 0, mbt_cpu_isa());
        assert_int_equal(n_fused(passes), 0);
        n_segments += n_fused(fused);
        network_away_from_kinks(fused);
        network_away_from_kinks(passes);
        const double loss = network_step(fused, GROUP), its = network_step(passes, GROUP);
        assert_true(fabs(its - loss) <= 1e-5 * loss);
        compare(fused, passes, "pass by pass");
        network_destroy(fused);
        network_destroy(passes);
    }
    assert_true(n_segments > 0 || mbt_cpu_isa() < MBT_ISA_AVX2);
}

/* How far b's gradient of a slice is from a's. */
static double distance(const network *a, const network *b, const mbt_slice *slice)
{
    float *g = network_gradient(a, slice);
    float *h = network_gradient(b, mbt_params_find(&b->plan->params, slice->name));
    for (size_t k = 0; k < slice->count; k++) {
        h[k] -= g[k];
    }
    const double apart = norm_of(h, slice->count);
    free(g);
    free(h);
    return apart;
}

/* Fails unless `other` is as far from `exact` as `usual` is: over all slices on average, and not
 * much further in any (those of few elements fluctuate). */
static void as_far(const network *exact, const network *usual, const network *other, int tile)
{
    const mbt_params *params = &exact->plan->params;
    double sum = 0;
    int n = 0;
    for (int i = 0; i < params->n_slices; i++) {
        const mbt_slice *slice = &params->slices[i];
        const double far = distance(exact, other, slice), wanted = distance(exact, usual, slice);
        if (!(far <= 20 * wanted + 1e-6)) {
            fail_msg("%s, bf16, tile %d: %s: %g from fp32, with another tile %g", exact->graph.name,
                     tile, slice->name, far, wanted);
        }
        if (far > 0 && wanted > 0) {
            sum += log(far / wanted);
            n++;
        }
    }
    assert_true(n > params->n_slices / 2);
    if (!(fabs(sum / n) <= log(1.25))) {
        fail_msg("%s, bf16, tile %d: %g times as far from fp32 as with another tile",
                 exact->graph.name, tile, exp(sum / n));
    }
}

/* Another cut moves a value by an ulp of fp32, and every layer that keeps it in bf16 turns that
 * into more of its own rounding, until after some layers nothing is left of what two cuts had in
 * common. What can be said is that no cut is further from fp32 than another; single blocks are
 * compared closely in test_blocks.c, for every tile. */
static void tiles_agree_in_bf16(void **state)
{
    static const int tiles[] = {1, 2, 4, GROUP};
    (void)state;
    for (int w = 0; w < 2 * NETWORK_FAMILIES; w++) {
        network_wish wish = network_families[w / 2];
        const mbt_isa isa = w % 2 == 0 ? mbt_cpu_isa() : MBT_ISA_X86_64;
        network *exact = network_ready(&wish, GROUP, 3, isa);
        wish.storage = MBT_STORAGE_BF16;
        network *usual = network_ready(&wish, GROUP, 3, isa);
        const double want = network_step(exact, GROUP);
        (void)network_step(usual, GROUP);
        for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++) {
            network *other = network_ready(&wish, GROUP, tiles[i], isa);
            assert_true(fabs(network_step(other, GROUP) - want) <= 0x1p-6 * want);
            as_far(exact, usual, other, tiles[i]);
            network_destroy(other);
        }
        network_destroy(usual);
        network_destroy(exact);
    }
}

/* A group that is not full, with tiles that do not fit, is what a smaller group is. */
static void a_part_of_the_group_agrees(void **state)
{
    (void)state;
    for (int w = 0; w < NETWORK_FAMILIES; w++) {
        network *exact = network_ready(&network_families[w], 5, 5, mbt_cpu_isa());
        network_away_from_kinks(exact);
        const double loss = network_step(exact, 5);
        for (int tile = 0; tile <= 4; tile++) {
            network *part = network_ready(&network_families[w], 8, tile, mbt_cpu_isa());
            network_away_from_kinks(part);
            const double its = network_step(part, 5);
            assert_true(fabs(its - loss) <= 1e-5 * loss);
            compare(exact, part, "5 images in a group of 8");
            network_destroy(part);
        }
        network_destroy(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_and_kernels_agree),
        cmocka_unit_test(fused_and_pass_by_pass_agree),
        cmocka_unit_test(tiles_agree_in_bf16),
        cmocka_unit_test(a_part_of_the_group_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
