/* The synthetic data set: ten classes of drawn figures, in turn, so that any number of first
 * samples is balanced. Test samples have the ids behind the training ones. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mbt/dataset.h"
#include "mbt/import.h"
#include "mbt/stop.h"
#include "synth_draw.h"

enum { IMAGE_BYTES = SYNTH_SIDE * SYNTH_SIDE * SYNTH_CHANNELS, SAMPLES_MAX = 10000000 };

static mbt_status draw_split(uint64_t seed, int64_t first, int64_t n, uint8_t **images,
                             int32_t **labels, mbt_error *err)
{
    *images = malloc((size_t)n * IMAGE_BYTES);
    *labels = malloc((size_t)n * sizeof **labels);
    if (*images == NULL || *labels == NULL) {
        return mbt_fail(err, MBT_FAILURE, "synth: no memory for %" PRId64 " images", n);
    }
    for (int64_t i = 0; i < n; i++) {
        const mbt_status status = mbt_stop_check("synth", err);
        if (status) {
            return status;
        }
        (*labels)[i] = (int32_t)(i % SYNTH_CLASSES);
        synth_draw(seed, (uint64_t)(first + i), (*labels)[i], *images + i * IMAGE_BYTES);
    }
    return MBT_OK;
}

mbt_status mbt_import_synth(int64_t n_train, int64_t n_test, uint64_t seed, const char *out,
                            mbt_error *err)
{
    const int64_t n[2] = {n_train, n_test};
    uint8_t *images[2] = {NULL, NULL};
    int32_t *labels[2] = {NULL, NULL};
    char source[128];
    mbt_status status = MBT_OK;
    for (int s = 0; s < 2; s++) {
        if (n[s] < SYNTH_CLASSES || n[s] > SAMPLES_MAX) {
            return mbt_fail(err, MBT_USAGE, "synth: got %" PRId64 " %s images, wanted %d .. %d",
                            n[s], s == 0 ? "training" : "test", SYNTH_CLASSES, SAMPLES_MAX);
        }
    }
    for (int s = 0; s < 2 && !status; s++) {
        status = draw_split(seed, s == 0 ? 0 : n_train, n[s], &images[s], &labels[s], err);
    }
    if (!status) {
        (void)snprintf(source, sizeof source, "drawn by mbt-data synth, version 1, seed %" PRIu64,
                       seed);
        mbt_dataset_source made = {.name = "synth",
                                   .source = source,
                                   .height = SYNTH_SIDE,
                                   .width = SYNTH_SIDE,
                                   .channels = SYNTH_CHANNELS,
                                   .n_classes = SYNTH_CLASSES,
                                   .class_names = synth_names};
        for (int s = 0; s < 2; s++) {
            made.split[s].n = n[s];
            made.split[s].images = images[s];
            made.split[s].labels = labels[s];
        }
        status = mbt_dataset_write(&made, out, err);
    }
    for (int s = 0; s < 2; s++) {
        free(images[s]);
        free(labels[s]);
    }
    return status;
}
