/* Small networks for the tests of plan and exec. */
#include "model/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/init.h"
#include "mbt/loss.h"
#include "mbt/rng.h"
#include "tensor/map_pack.h"

const network_wish network_families[NETWORK_FAMILIES] = {
    {.name = "mobilenetv2",
     .downsampling = 8,
     .width = 0.25,
     .dropout = 0.2,
     .group = NETWORK_GROUP},
    {.name = "igcv3d", .depth = "0.5", .downsampling = 4, .width = 0.25, .group = NETWORK_GROUP},
    {.name = "igcv3d_seesaw",
     .depth = "0.5",
     .downsampling = 8,
     .width = 0.25,
     .group = NETWORK_GROUP},
    {.name = "igcv3d_seed",
     .depth = "0.5",
     .downsampling = 4,
     .width = 0.25,
     .dropout = 0.5,
     .group = NETWORK_GROUP,
     .input_gradient = true},
    {.name = "igcv3_g2g4",
     .depth = "0.5",
     .downsampling = 8,
     .width = 0.25,
     .group = NETWORK_GROUP},
    {.name = "igcv3w", .downsampling = 4, .width = 0.25, .group = NETWORK_GROUP},
    {.name = "igcv2_matched",
     .depth = "0.5",
     .downsampling = 8,
     .width = 0.25,
     .group = NETWORK_GROUP},
    {.name = "igcv1_l24m2_ident",
     .depth = "8",
     .downsampling = 4,
     .dropout = 0.2,
     .group = NETWORK_GROUP},
    {.name = "igcv1_regconv_w18_ident", .depth = "14", .downsampling = 4, .group = NETWORK_GROUP},
    {.name = "igcv2_c416", .depth = "20", .downsampling = 4, .width = 0.1, .group = NETWORK_GROUP},
};

network *network_of(const mbt_graph *graph, const mbt_plan_options *options)
{
    network *net = calloc(1, sizeof *net);
    mbt_error err = {0};
    assert_non_null(net);
    net->graph = *graph;
    if (mbt_plan_create(&net->graph, options, &net->plan, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    return net;
}

network *network_make(const network_wish *wish)
{
    const int side = wish->side > 0 ? wish->side : 16;
    const mbt_arch_request request = {
        .name = wish->name,
        .depth = wish->depth != NULL ? wish->depth : "1.0",
        .downsampling = wish->downsampling,
        .width = wish->width > 0 ? wish->width : 1,
        .dropout = wish->dropout,
        .c = 3,
        .h = side,
        .w = side,
        .n_classes = NETWORK_CLASSES,
    };
    const mbt_plan_options options = {
        .group = wish->group > 0 ? wish->group : 6,
        .tile = wish->tile,
        .isa = wish->isa,
        .threads = wish->threads,
        .storage = wish->storage,
        .bf16 = wish->bf16,
        .pass_by_pass = wish->pass_by_pass,
        .training = true,
        .bn_eps = 1e-5,
        .input_gradient = wish->input_gradient,
    };
    mbt_graph graph = {0};
    mbt_error err = {0};
    if (mbt_arch_build(&request, &graph, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    return network_of(&graph, &options);
}

void network_destroy(network *net)
{
    mbt_plan_destroy(net->plan);
    mbt_graph_clear(&net->graph);
    free(net);
}

static float *canonical(const mbt_slice *slice, const float *block)
{
    float *values = malloc(slice->count * sizeof *values);
    assert_non_null(values);
    mbt_slice_unpack(slice, block, values);
    return values;
}

float *network_gradient(const network *net, const mbt_slice *slice)
{
    return canonical(slice, net->plan->gradient);
}

float *network_weight(const network *net, const mbt_slice *slice)
{
    return canonical(slice, net->plan->weights);
}

void network_set_weight(network *net, const mbt_slice *slice, const float *values)
{
    mbt_slice_pack(slice, values, net->plan->weights);
}

/* Gammas about 1, betas and biases about 0, all different. */
static void roughen(network *net)
{
    const mbt_params *params = &net->plan->params;
    for (int i = 0; i < params->n_slices; i++) {
        const mbt_slice *slice = &params->slices[i];
        const mbt_param_kind kind = slice->kind;
        if (kind == MBT_PARAM_GAMMA || kind == MBT_PARAM_BETA || kind == MBT_PARAM_BIAS) {
            float *values = network_weight(net, slice);
            mbt_rng rng = mbt_rng_at(7, MBT_PURPOSE_SYNTH, (uint32_t)i, 0);
            for (size_t c = 0; c < slice->count; c++) {
                values[c] += 0.3f * mbt_rng_normal(&rng);
            }
            network_set_weight(net, slice, values);
            free(values);
        }
    }
}

void network_images(network *net, int first)
{
    const mbt_plan *plan = net->plan;
    const mbt_value *input = &plan->values[plan->input];
    const mbt_layout *l = &input->layout;
    const int group = plan->options.group;
    const size_t image = (size_t)l->c * (size_t)l->h * (size_t)l->w;
    float *nchw = malloc((size_t)group * image * sizeof *nchw);
    assert_non_null(nchw);
    for (int i = 0; i < group; i++) {
        const uint32_t id = (uint32_t)(first + i);
        mbt_rng rng = mbt_rng_at(8, MBT_PURPOSE_SYNTH, 0, id);
        net->ids[i] = id;
        net->labels[i] = (int32_t)mbt_rng_below(&rng, NETWORK_CLASSES);
        for (size_t k = 0; k < image; k++) {
            nchw[(size_t)i * image + k] = mbt_rng_normal(&rng);
        }
    }
    if (input->plain) {
        memcpy(mbt_exec_input(net->plan), nchw, (size_t)group * image * sizeof *nchw);
    } else {
        map_pack(l, group, nchw,
                 mbt_map_view(l, mbt_exec_input(net->plan), MBT_STORAGE_FP32, group, 0));
    }
    free(nchw);
}

void network_fill(network *net, int first)
{
    mbt_config config;
    mbt_error err = {0};
    mbt_config_defaults(&config);
    config.train.seed = 6;
    config.init.zero_gamma = false;
    assert_int_equal(
        mbt_init_weights(&net->plan->params, &net->graph, &config, net->plan->weights, &err),
        MBT_OK);
    roughen(net);
    network_images(net, first);
    net->dropout = (mbt_exec_dropout){.seed = 9, .epoch = 2, .sample_ids = net->ids};
}

network *network_ready(const network_wish *wish, int group, int tile, mbt_isa isa)
{
    network_wish w = *wish;
    w.group = group;
    w.tile = tile;
    w.isa = isa;
    network *net = network_make(&w);
    network_fill(net, 0);
    return net;
}

double network_forward(network *net, int n, bool with_dropout)
{
    const mbt_layout *l = &net->plan->values[net->plan->output].layout;
    mbt_loss_sums sums;
    mbt_exec_prepare(net->plan);
    mbt_exec_forward(net->plan, n, with_dropout ? &net->dropout : NULL);
    mbt_loss_softmax(mbt_exec_output(net->plan), n, mbt_layout_stored(l), l->c, net->labels, 0.1,
                     1.0 / n, mbt_exec_output_gradient(net->plan), &sums);
    return sums.loss / n;
}

void network_backward(network *net, int n, bool with_dropout)
{
    mbt_exec_backward(net->plan, n, 1, with_dropout ? &net->dropout : NULL, NULL, NULL);
}

double network_step(network *net, int n)
{
    const double loss = network_forward(net, n, true);
    network_backward(net, n, true);
    return loss;
}

float *network_output(const network *net, int n)
{
    const mbt_value *output = &net->plan->values[net->plan->output];
    const mbt_layout *l = &output->layout;
    float *nchw = malloc((size_t)n * (size_t)l->c * (size_t)(l->h * l->w) * sizeof *nchw);
    assert_non_null(nchw);
    map_unpack(l, n, mbt_map_view(l, output->data, MBT_STORAGE_FP32, net->plan->options.group, 0),
               nchw);
    return nchw;
}

double norm_of(const float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    return sqrt(sum);
}
