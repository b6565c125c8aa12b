/* Dropout in a network that shows its mask: ones in, a classifier that is the identity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "mbt/rng.h"
#include "model/network.h"
#include "tensor/map_pack.h"

enum { CHANNELS = 40, GROUP = 7 };

static const double rate = 0.3;

static network *make(int tile, mbt_isa isa)
{
    mbt_graph graph = {0};
    const int in = mbt_graph_input(&graph, CHANNELS, 1, 1);
    (void)mbt_graph_linear(&graph, mbt_graph_dropout(&graph, in, rate), "fc", CHANNELS);
    const mbt_plan_options options = {.group = GROUP,
                                      .tile = tile,
                                      .isa = isa,
                                      .training = true,
                                      .bn_eps = 1e-5,
                                      .input_gradient = true};
    network *net = network_of(&graph, &options);
    const mbt_layout *l = &net->plan->values[net->plan->input].layout;
    float ones[GROUP * CHANNELS], identity[CHANNELS * CHANNELS] = {0}, zeros[CHANNELS] = {0};
    for (int i = 0; i < GROUP * CHANNELS; i++) {
        ones[i] = 1;
    }
    for (int i = 0; i < CHANNELS; i++) {
        identity[i * CHANNELS + i] = 1;
    }
    map_pack(l, GROUP, ones,
             mbt_map_view(l, mbt_exec_input(net->plan), MBT_STORAGE_FP32, GROUP, 0));
    network_set_weight(net, mbt_params_find(&net->plan->params, "fc.weight"), identity);
    network_set_weight(net, mbt_params_find(&net->plan->params, "fc.bias"), zeros);
    mbt_exec_prepare(net->plan);
    return net;
}

/* [GROUP][CHANNELS]; caller frees. */
static float *mask_of(network *net, int n, const mbt_exec_dropout *dropout)
{
    mbt_exec_forward(net->plan, n, dropout);
    return network_output(net, n);
}

/* Channel c of a sample is the c-th draw of the sample's stream, wherever the sample stands. */
static void the_mask_depends_on_the_sample_alone(void **state)
{
    static const uint32_t orders[][GROUP] = {
        {10, 11, 12, 13, 14, 15, 16}, {16, 10, 13, 11, 15, 14, 12}, {49999, 10, 16, 0, 13, 12, 11}};
    static const int tiles[] = {0, 1, 2, 3, GROUP};
    (void)state;
    for (size_t i = 0; i < 3 * 5 * 3; i++) {
        const int isa = (int)(i / 15) < (int)mbt_cpu_isa() ? (int)(i / 15) : (int)mbt_cpu_isa();
        const uint32_t *ids = orders[i % 3];
        const mbt_exec_dropout dropout = {.seed = 5, .epoch = 3, .sample_ids = ids};
        network *net = make(tiles[i / 3 % 5], (mbt_isa)isa);
        float *mask = mask_of(net, GROUP, &dropout);
        for (int s = 0; s < GROUP; s++) {
            mbt_rng rng = mbt_rng_at(5, MBT_PURPOSE_DROPOUT, 3, ids[s]);
            for (int c = 0; c < CHANNELS; c++) {
                const bool dropped = (double)mbt_rng_uniform(&rng) < rate;
                assert_true(mask[s * CHANNELS + c] == (dropped ? 0.0f : (float)(1 / (1 - rate))));
            }
        }
        free(mask);
        network_destroy(net);
    }
}

static int differences(const float *a, const float *b, int count)
{
    int n = 0;
    for (int i = 0; i < count; i++) {
        n += a[i] != b[i];
    }
    return n;
}

static void samples_epochs_and_seeds_differ(void **state)
{
    (void)state;
    const uint32_t ids[GROUP] = {1, 2, 3, 4, 5, 6, 7}, same[GROUP] = {1, 1, 3, 4, 5, 6, 7};
    const mbt_exec_dropout base = {.seed = 5, .epoch = 3, .sample_ids = ids};
    mbt_exec_dropout other = base;
    network *net = make(0, mbt_cpu_isa());
    float *mask = mask_of(net, GROUP, &base);
    assert_true(differences(mask, mask + CHANNELS, CHANNELS) > 5);
    other.epoch = 4;
    float *epoch = mask_of(net, GROUP, &other);
    assert_true(differences(mask, epoch, GROUP * CHANNELS) > 50);
    other = base;
    other.seed = 6;
    float *seed = mask_of(net, GROUP, &other);
    assert_true(differences(mask, seed, GROUP * CHANNELS) > 50);
    other = base;
    other.sample_ids = same;
    float *twice = mask_of(net, GROUP, &other);
    assert_int_equal(differences(twice, twice + CHANNELS, CHANNELS), 0);
    free(mask);
    free(epoch);
    free(seed);
    free(twice);
    network_destroy(net);
}

static void backward_has_the_same_mask(void **state)
{
    (void)state;
    for (int tile = 0; tile <= 3; tile++) {
        const uint32_t ids[GROUP] = {4, 9, 2, 7, 1, 8, 3};
        const mbt_exec_dropout dropout = {.seed = 1, .epoch = 0, .sample_ids = ids};
        network *net = make(tile, mbt_cpu_isa());
        const mbt_value *in = &net->plan->values[net->plan->input];
        const mbt_layout *out = &net->plan->values[net->plan->output].layout;
        float *mask = mask_of(net, 5, &dropout);
        float g[GROUP * CHANNELS], dx[GROUP * CHANNELS];
        for (int i = 0; i < GROUP * CHANNELS; i++) {
            g[i] = 1.0f + (float)i / 64;
        }
        map_pack(
            out, 5, g,
            mbt_map_view(out, mbt_exec_output_gradient(net->plan), MBT_STORAGE_FP32, GROUP, 0));
        mbt_exec_backward(net->plan, 5, 1, &dropout, NULL, NULL);
        map_unpack(&in->layout, 5,
                   mbt_map_view(&in->layout, in->gradient, MBT_STORAGE_FP32, GROUP, 0), dx);
        for (int i = 0; i < 5 * CHANNELS; i++) {
            assert_true(fabsf(dx[i] - g[i] * mask[i]) <= 1e-6f * fabsf(g[i]));
            assert_true((dx[i] == 0.0f) == (mask[i] == 0.0f));
        }
        free(mask);
        network_destroy(net);
    }
}

/* The share of zeros and the mean, within 4.5 standard errors of 280,000 draws. */
static void rate_and_mean_are_kept(void **state)
{
    enum { EPOCHS = 1000, DRAWS = EPOCHS * GROUP * CHANNELS };
    (void)state;
    const uint32_t ids[GROUP] = {0, 1, 2, 3, 4, 5, 6};
    network *net = make(0, mbt_cpu_isa());
    double sum = 0;
    int zeros = 0;
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        const mbt_exec_dropout dropout = {.seed = 2, .epoch = epoch, .sample_ids = ids};
        float *mask = mask_of(net, GROUP, &dropout);
        for (int i = 0; i < GROUP * CHANNELS; i++) {
            sum += (double)mask[i];
            zeros += mask[i] == 0.0f;
        }
        free(mask);
    }
    const double error = sqrt(rate * (1 - rate) / DRAWS);
    assert_true(fabs((double)zeros / DRAWS - rate) <= 4.5 * error);
    assert_true(fabs(sum / DRAWS - 1) <= 4.5 * error / (1 - rate));
    network_destroy(net);
}

static void off_and_in_evaluation_nothing_is_dropped(void **state)
{
    (void)state;
    network *net = make(0, mbt_cpu_isa());
    float *off = mask_of(net, GROUP, NULL);
    mbt_exec_evaluate(net->plan, GROUP);
    float *evaluated = network_output(net, GROUP);
    for (int i = 0; i < GROUP * CHANNELS; i++) {
        assert_true(off[i] == 1.0f && evaluated[i] == 1.0f);
    }
    free(off);
    free(evaluated);
    network_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mask_depends_on_the_sample_alone),
        cmocka_unit_test(samples_epochs_and_seeds_differ),
        cmocka_unit_test(backward_has_the_same_mask),
        cmocka_unit_test(rate_and_mean_are_kept),
        cmocka_unit_test(off_and_in_evaluation_nothing_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
