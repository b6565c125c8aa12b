/* See checkpoint_state.h. */
#include "train/checkpoint_state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not an assertion of cmocka: the program that makes files for the script test uses this too. */
static void must(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "checkpoint_state: %s\n", what);
        abort();
    }
}

float fixture_value(const char *name, size_t i, bool momentum)
{
    size_t mixed = (i * 37 + strlen(name) * 11) % 1009;
    return (float)mixed / 64.0f - 3.0f + (momentum ? 0.5f : 0.0f);
}

static void add(mbt_slice *slices, int *n, const char *name, mbt_param_kind kind,
                mbt_param_form form, int rank, const int *dims, mbt_layout in, mbt_layout out,
                bool trained)
{
    must(*n < FIXTURE_MAX, "too many slices");
    mbt_slice *slice = &slices[(*n)++];
    *slice = (mbt_slice){
        .kind = kind, .form = form, .rank = rank, .in = in, .out = out, .trained = trained};
    (void)snprintf(slice->name, sizeof slice->name, "%s", name);
    for (int i = 0; i < rank; i++)
        slice->dims[i] = dims[i];
}

static int list_slices(fixture_variant variant, int block, mbt_slice *slices)
{
    int n = 0, classes = variant == FIXTURE_RESHAPED ? 7 : 10;
    const mbt_layout image = {.c = 3, .h = 4, .w = 4, .sections = 1, .block = 1};
    const mbt_layout stem = {.c = 24, .h = 4, .w = 4, .sections = 1, .block = block};
    const mbt_layout narrow = {.c = 24, .h = 4, .w = 4, .sections = 2, .block = block};
    const mbt_layout wide = {.c = 56, .h = 4, .w = 4, .sections = 2, .block = block};
    const mbt_layout pooled = {.c = 24, .h = 1, .w = 1, .sections = 1, .block = block};
    const mbt_layout scores = {.c = classes, .h = 1, .w = 1, .sections = 1, .block = block};
    const mbt_layout none = {0};
    const bool missing = variant == FIXTURE_MISSING;

    add(slices, &n, "head.weight", MBT_PARAM_LINEAR, MBT_FORM_DENSE, 2, (int[]){classes, 24},
        pooled, scores, true);
    if (!missing)
        add(slices, &n, "head.bias", MBT_PARAM_BIAS, MBT_FORM_CHANNELS, 1, (int[]){classes}, none,
            scores, variant != FIXTURE_UNTRAINED);
    add(slices, &n, "blocks.0.project.weight", MBT_PARAM_CONV, MBT_FORM_DENSE, 4,
        (int[]){24, 28, 1, 1}, wide, narrow, true);
    add(slices, &n, "blocks.0.bn.running_mean", MBT_PARAM_MEAN, MBT_FORM_CHANNELS, 1, (int[]){56},
        none, wide, false);
    add(slices, &n, "blocks.0.bn.running_var", MBT_PARAM_VAR, MBT_FORM_CHANNELS, 1, (int[]){56},
        none, wide, false);
    add(slices, &n, "blocks.0.bn.weight", MBT_PARAM_GAMMA, MBT_FORM_CHANNELS, 1, (int[]){56}, none,
        wide, true);
    add(slices, &n, "blocks.0.bn.bias", MBT_PARAM_BETA, MBT_FORM_CHANNELS, 1, (int[]){56}, none,
        wide, true);
    if (!missing)
        add(slices, &n, "blocks.0.dw.weight", MBT_PARAM_DEPTHWISE, MBT_FORM_DEPTHWISE, 4,
            (int[]){56, 1, 3, 3}, wide, wide, true);
    add(slices, &n, "blocks.0.expand.weight", MBT_PARAM_CONV, MBT_FORM_DENSE, 4,
        (int[]){56, 12, 1, 1}, narrow, wide, true);
    add(slices, &n, "stem.weight", MBT_PARAM_CONV, MBT_FORM_IMAGE, 4, (int[]){24, 3, 3, 3}, image,
        stem, true);
    if (variant == FIXTURE_EXTRA)
        add(slices, &n, "extra.bias", MBT_PARAM_BIAS, MBT_FORM_CHANNELS, 1, (int[]){24}, none, stem,
            true);
    return n;
}

static void fill_block(const fixture *f, float *block, bool momentum, float more)
{
    float values[1024 * 2];
    for (int i = 0; i < f->params.n_slices; i++) {
        const mbt_slice *slice = &f->params.slices[i];
        must(slice->count <= sizeof values / sizeof values[0], "slice too large");
        for (size_t k = 0; k < slice->count; k++)
            values[k] = fixture_value(slice->name, k, momentum) + more;
        mbt_slice_pack(slice, values, block);
    }
}

static void fill_metrics(fixture *f)
{
    mbt_error err = {0};
    for (int epoch = 1; epoch <= 2; epoch++) {
        mbt_metrics_row row = {.epoch = epoch,
                               .step = 100 * epoch,
                               .lr = 0.1 / epoch,
                               .train_loss = 2.0 / epoch,
                               .train_top1 = 30.0 * epoch,
                               .valid_loss = NAN,
                               .valid_top1 = NAN,
                               .valid_top5 = NAN,
                               .test_loss = 1.75 / epoch,
                               .test_top1 = 35.25 * epoch,
                               .test_top5 = 45.5 * epoch,
                               .test_flip_top1 = NAN,
                               .train_s = 12.5,
                               .evaluate_s = 1.5,
                               .images_per_s = 1000.0};
        must(mbt_metrics_append(&f->metrics, &row, &err) == MBT_OK, err.message);
    }
}

void fixture_at_step(fixture *f, int64_t step)
{
    f->state.progress = (mbt_progress_state){
        .step = step,
        .epoch = 2,
        .step_in_epoch = step % 100,
        .epoch_counts = {.samples = 3328, .top1 = 2001, .top5 = 3000, .loss = INT64_C(1) << 50},
        .epoch_s = 3.25,
        .best_top1 = 70.5,
        .best_epoch = 2,
    };
}

void fixture_make(fixture *f, fixture_variant variant, int block, bool filled)
{
    mbt_slice slices[FIXTURE_MAX];
    mbt_error err = {0};
    *f = (fixture){0};
    int n = list_slices(variant, block, slices);
    for (int i = 0; i < n; i++) {
        const mbt_slice *slice = &slices[variant == FIXTURE_REORDERED ? n - 1 - i : i];
        must(mbt_params_add(&f->params, slice, &err) == MBT_OK, err.message);
    }
    f->weights = malloc(f->params.n_floats * sizeof(float));
    f->momentum = malloc(f->params.n_floats * sizeof(float));
    must(f->weights && f->momentum, "out of memory");
    for (size_t i = 0; i < f->params.n_floats; i++)
        f->weights[i] = f->momentum[i] = -7.0f;
    mbt_config_defaults(&f->config);
    (void)snprintf(f->config.network.name, sizeof f->config.network.name, "fixture");
    f->state = (mbt_state){.params = &f->params,
                           .weights = f->weights,
                           .momentum = f->momentum,
                           .metrics = &f->metrics,
                           .config = &f->config,
                           .data_digest = "00112233445566778899aabbccddeeff",
                           .plan_digest = "ffeeddccbbaa99887766554433221100",
                           .provenance = "mbtrain 0.0 (test)\n1 rank on nowhere"};
    if (!filled)
        return;
    fill_block(f, f->weights, false, 0);
    fill_block(f, f->momentum, true, 0);
    fill_metrics(f);
    fixture_at_step(f, 213);
}

void fixture_add_blocks(fixture *f, bool filled)
{
    f->state.square = f->square = calloc(f->params.n_floats, sizeof(float));
    f->state.ema = f->ema = calloc(f->params.n_floats, sizeof(float));
    must(f->square && f->ema, "out of memory");
    if (filled) {
        fill_block(f, f->square, true, 0.125f);
        fill_block(f, f->ema, false, 0.125f);
    }
}

void fixture_clear(fixture *f)
{
    free(f->square);
    free(f->ema);
    mbt_params_clear(&f->params);
    mbt_metrics_clear(&f->metrics);
    free(f->weights);
    free(f->momentum);
    *f = (fixture){0};
}
