/* Initial weights: He et al. 2015 by the fan-in, or the fan-out of a group or of all. */
#include "mbt/init.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/rng.h"

static double conv_deviation(const mbt_slice *slice, mbt_init_kind kind)
{
    const double area = (double)slice->dims[2] * slice->dims[3];
    const double fan_in = area * slice->dims[1]; /* canonical dims[1] is I/G */
    const double groups = (double)slice->in.c / slice->dims[1];
    const double fan_out = area * slice->dims[0];
    switch (kind) {
    case MBT_INIT_HE_FAN_IN:
        return sqrt(2.0 / fan_in);
    case MBT_INIT_HE_FAN_OUT:
        return sqrt(2.0 / (fan_out / groups));
    case MBT_INIT_SEED:
        return sqrt(2.0 / fan_out);
    }
    return 0;
}

static bool starts_at_zero(const mbt_graph *graph, const mbt_slice *slice)
{
    char name[MBT_PARAM_NAME_BYTES];
    for (int i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].zero_gamma) {
            (void)snprintf(name, sizeof name, "%s.weight", graph->nodes[i].name);
            if (strcmp(name, slice->name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Each parameter's stream is named by its name, so that another network's common layers, or another
 * order of slices, draw the same. */
static uint64_t stream_of(const char *name)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    }
    return hash & 0xffffffffffu; /* of an rng id's 56 bits; more would change every run */
}

static void fill(const mbt_slice *slice, const mbt_graph *graph, const mbt_config *config,
                 float *to)
{
    double deviation = 0;
    float value = 0;
    switch (slice->kind) {
    case MBT_PARAM_CONV:
    case MBT_PARAM_DEPTHWISE:
        deviation = conv_deviation(slice, config->init.kind);
        break;
    case MBT_PARAM_LINEAR: /* the authors of IGCV3 draw all weights alike */
        deviation = config->init.kind == MBT_INIT_HE_FAN_IN ? sqrt(2.0 / slice->dims[1]) : 0.01;
        break;
    case MBT_PARAM_GAMMA:
        value = config->init.zero_gamma && starts_at_zero(graph, slice) ? 0.0f : 1.0f;
        break;
    case MBT_PARAM_VAR:
        value = 1;
        break;
    case MBT_PARAM_BIAS:
    case MBT_PARAM_BETA:
    case MBT_PARAM_MEAN:
        break;
    }
    mbt_rng rng =
        mbt_rng_at((uint64_t)config->train.seed, MBT_PURPOSE_INIT, 0, stream_of(slice->name));
    for (size_t i = 0; i < slice->count; i++) {
        to[i] = deviation > 0 ? (float)(deviation * (double)mbt_rng_normal(&rng)) : value;
    }
}

mbt_status mbt_init_weights(const mbt_params *params, const mbt_graph *graph,
                            const mbt_config *config, float *weights, mbt_error *err)
{
    size_t largest = 1;
    for (int i = 0; i < params->n_slices; i++) {
        largest = params->slices[i].count > largest ? params->slices[i].count : largest;
    }
    float *canonical = malloc(largest * sizeof *canonical);
    if (canonical == NULL) {
        return mbt_fail(err, MBT_FAILURE, "initial weights: out of memory");
    }
    for (int i = 0; i < params->n_slices; i++) {
        fill(&params->slices[i], graph, config, canonical);
        mbt_slice_pack(&params->slices[i], canonical, weights);
    }
    free(canonical);
    return MBT_OK;
}
