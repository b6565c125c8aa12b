/* See small_setup.h. */
#include "train/small_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/init.h"
#include "mbt/rng.h"

enum { CHANNELS = 3, VALUES = SMALL_SIDE * SMALL_SIDE * CHANNELS };

static void must(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "small_setup: %s\n", what);
        abort();
    }
}

int small_setup_beats;

mbt_status __wrap_mbt_run_beat(mbt_run *run, mbt_error *err);
mbt_status __wrap_mbt_run_beat(mbt_run *run, mbt_error *err)
{
    (void)err;
    must(run != NULL, "a sign of life without a run");
    small_setup_beats++;
    return MBT_OK;
}

static void write_data(small_setup *s)
{
    static const char *const names[SMALL_CLASSES] = {"one", "two", "three"};
    const int n = SMALL_TRAIN + SMALL_TEST;
    mbt_error err = {0};
    s->images = malloc((size_t)n * VALUES);
    must(s->images != NULL, "out of memory");
    mbt_rng rng = mbt_rng_at(7, MBT_PURPOSE_SYNTH, 0, 0);
    for (int i = 0; i < n; i++) {
        const uint32_t shade = mbt_rng_below(&rng, 128); /* images differ as wholes too */
        s->labels[i] = i % SMALL_CLASSES;
        for (int j = 0; j < VALUES; j++) {
            s->images[(size_t)i * VALUES + (size_t)j] = (uint8_t)(shade + mbt_rng_below(&rng, 128));
        }
    }
    const mbt_dataset_source source = {
        .name = "small",
        .source = "drawn",
        .height = SMALL_SIDE,
        .width = SMALL_SIDE,
        .channels = CHANNELS,
        .n_classes = SMALL_CLASSES,
        .class_names = names,
        .split = {{SMALL_TRAIN, s->images, s->labels, NULL},
                  {SMALL_TEST, s->images + (size_t)SMALL_TRAIN * VALUES, s->labels + SMALL_TRAIN,
                   NULL}},
    };
    (void)snprintf(s->folder, sizeof s->folder, "/tmp/mbt_small_XXXXXX");
    must(mkdtemp(s->folder) != NULL, "no folder");
    (void)snprintf(s->path, sizeof s->path, "%s/small.h5", s->folder);
    must(mbt_dataset_write(&source, s->path, &err) == MBT_OK, err.message);
}

void small_setup_make(small_setup *s, const mbt_config *config)
{
    mbt_config used;
    mbt_error err = {0};
    int argc = 0;
    char **argv = NULL;
    *s = (small_setup){0};
    write_data(s);
    if (config != NULL) {
        used = *config;
    } else {
        mbt_config_defaults(&used);
    }
    (void)snprintf(used.data.path, sizeof used.data.path, "%s", s->path);
    used.network.width = 0.25;
    used.train.batch = 16;
    used.train.bn_group = 8;
    must(mbt_comm_create(&argc, &argv, &s->comm, &err) == MBT_OK, err.message);
    mbt_log_init(&s->log, MBT_LOG_ERROR, 0, 1);
    must(mbt_setup_create(s->comm, &s->log, &used, NULL, true, &s->setup, &err) == MBT_OK,
         err.message);
    must(mbt_init_weights(&s->setup.plan->params, &s->setup.graph, &s->setup.config,
                          s->setup.plan->weights, &err) == MBT_OK,
         err.message);
}

void small_setup_clear(small_setup *s)
{
    mbt_setup_clear(&s->setup);
    mbt_comm_destroy(s->comm);
    free(s->images);
    (void)unlink(s->path);
    (void)rmdir(s->folder);
    *s = (small_setup){0};
}

double small_setup_pixel(const small_setup *s, int id, int c, int y, int x)
{
    const mbt_dataset *d = &s->setup.dataset;
    const uint8_t value = s->images[(size_t)id * VALUES +
                                    ((size_t)y * SMALL_SIDE + (size_t)x) * CHANNELS + (size_t)c];
    return (value - d->mean[c]) / d->deviation[c];
}
