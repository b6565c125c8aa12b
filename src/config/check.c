/* Rules between keys, and once more every key's own range: a configuration may also have been
 * filled by hand. What the network, the data set and the machine allow is checked by their owners.
 */
#include <inttypes.h>

#include "mbt/config.h"
#include "schema.h"

/* The name of the schedule as the table has it. */
static const char *schedule_name(const mbt_config *config)
{
    int n_rows = 0;
    const mbt_row *row = &mbt_rows(&n_rows)[mbt_row_find("schedule.kind")];
    for (int i = 0; row->names[i] != NULL; i++) {
        if (i == (int)config->schedule.kind) {
            return row->names[i];
        }
    }
    return "unknown"; /* filled by hand; its range check has reported it */
}

static void check_ranges(const mbt_config *config, mbt_faults *faults)
{
    int n_rows = 0;
    const mbt_row *rows = mbt_rows(&n_rows);
    for (int i = 0; i < n_rows; i++) {
        mbt_row_verify(&rows[i], config, faults);
    }
}

static void check_milestones(const mbt_config *config, mbt_faults *faults)
{
    static const char path[] = "schedule.milestones";
    const mbt_config_list *list = &config->schedule.milestones;
    bool step = config->schedule.kind == MBT_SCHEDULE_STEP;
    int count = list->count < MBT_LIST_MAX ? list->count : MBT_LIST_MAX;
    if (step && list->count == 0) {
        mbt_faults_add(faults, path, "got none, wanted at least one with schedule.kind step");
    }
    if (!step && list->count > 0) {
        mbt_faults_add(faults, path, "got %d with schedule.kind %s, wanted none: only step has any",
                       list->count, schedule_name(config));
    }
    for (int i = 1; i < count; i++) {
        char before[MBT_NUMBER_BYTES];
        char after[MBT_NUMBER_BYTES];
        if (list->value[i] <= list->value[i - 1]) {
            mbt_faults_add(faults, path, "got %s after %s, wanted ascending epochs",
                           mbt_text_number(list->value[i], after),
                           mbt_text_number(list->value[i - 1], before));
        }
    }
}

static void check_schedule(const mbt_config *config, mbt_faults *faults)
{
    char got[MBT_NUMBER_BYTES];
    char limit[MBT_NUMBER_BYTES];
    double final_lr = config->schedule.final_lr;
    bool ends = config->schedule.kind == MBT_SCHEDULE_COSINE ||
                config->schedule.kind == MBT_SCHEDULE_LINEAR;
    if (config->schedule.warmup == 1) {
        mbt_faults_add(faults, "schedule.warmup", "got %s, wanted less than 1, the whole run",
                       mbt_text_number(config->schedule.warmup, got));
    }
    if (!ends && final_lr != 0) {
        mbt_faults_add(faults, "schedule.final_lr",
                       "got %s with schedule.kind %s, wanted 0: only cosine and linear end there",
                       mbt_text_number(final_lr, got), schedule_name(config));
    } else if (final_lr > config->schedule.lr) {
        mbt_faults_add(faults, "schedule.final_lr", "got %s, wanted at most schedule.lr, %s",
                       mbt_text_number(final_lr, got), mbt_text_number(config->schedule.lr, limit));
    }
    check_milestones(config, faults);
}

/* A multiple of a decay that is left out would do nothing. */
static void check_decay(const mbt_config *config, mbt_faults *faults)
{
    const struct {
        const char *path, *kind;
        unsigned without;
        double multiple;
    } kinds[] = {
        {"optimizer.bn_decay", "bn", MBT_NO_DECAY_BN, config->optimizer.bn_decay},
        {"optimizer.bias_decay", "bias", MBT_NO_DECAY_BIAS, config->optimizer.bias_decay},
        {"optimizer.depthwise_decay", "depthwise", MBT_NO_DECAY_DEPTHWISE,
         config->optimizer.depthwise_decay},
    };
    char got[MBT_NUMBER_BYTES];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if ((config->optimizer.no_decay & kinds[i].without) != 0 &&
            (kinds[i].multiple < 1 || kinds[i].multiple > 1)) {
            mbt_faults_add(
                faults, kinds[i].path,
                "got %s with \"%s\" in optimizer.no_decay, wanted 1, or no_decay without "
                "it",
                mbt_text_number(kinds[i].multiple, got), kinds[i].kind);
        }
    }
}

/* What a crop needs; how it fits the data set is checked where that is known. */
static void check_crop(const mbt_config *config, mbt_faults *faults)
{
    char got[MBT_NUMBER_BYTES], wanted[MBT_NUMBER_BYTES];
    const double low = config->augment.scale_min, high = config->augment.scale_max;
    if (low > high) {
        mbt_faults_add(faults, "augment.scale_min", "got %s, wanted at most augment.scale_max, %s",
                       mbt_text_number(low, got), mbt_text_number(high, wanted));
    }
    if (config->augment.crop != MBT_CROP_PAD && config->data.image_size == 0) {
        mbt_faults_add(faults, "data.image_size",
                       "got 0, wanted the side of the network's input with augment.crop %s",
                       config->augment.crop == MBT_CROP_RESIZED ? "resized" : "scaled");
    }
    if (config->augment.crop == MBT_CROP_SCALED &&
        high * (double)config->augment.short_side < (double)config->data.image_size) {
        mbt_faults_add(faults, "augment.short_side",
                       "got %" PRId64 " and augment.scale_max %s, wanted at least data.image_size, "
                       "%" PRId64,
                       config->augment.short_side, mbt_text_number(high, wanted),
                       config->data.image_size);
    }
    if (config->evaluate.short_side > 0 && config->data.image_size == 0) {
        mbt_faults_add(faults, "data.image_size",
                       "got 0, wanted the side of the network's input with evaluate.short_side");
    } else if (config->evaluate.short_side > 0 &&
               config->evaluate.short_side < config->data.image_size) {
        mbt_faults_add(faults, "evaluate.short_side",
                       "got %" PRId64 ", wanted at least data.image_size, %" PRId64,
                       config->evaluate.short_side, config->data.image_size);
    }
}

mbt_status mbt_config_check(const mbt_config *config, mbt_error *err)
{
    mbt_faults faults;
    mbt_faults_init(&faults, "configuration");
    check_ranges(config, &faults);
    if (config->data.path[0] == '\0') {
        mbt_faults_add(&faults, "data.path", "got \"\", wanted the path of an HDF5 data set");
    }
    int64_t downsampling = config->network.downsampling;
    if (downsampling > 4 && downsampling < 32 && downsampling != 8) { /* the ends: its range */
        mbt_faults_add(&faults, "network.downsampling", "got %" PRId64 ", wanted 4, 8 or 32",
                       downsampling);
    }
    if (config->train.bn_group > config->train.batch) {
        mbt_faults_add(&faults, "train.bn_group",
                       "got %" PRId64 ", wanted at most train.batch, %" PRId64,
                       config->train.bn_group, config->train.batch);
    }
    if (config->optimizer.nesterov && config->optimizer.momentum == 0) {
        mbt_faults_add(&faults, "optimizer.nesterov",
                       "got true with optimizer.momentum 0, wanted false or a momentum");
    }
    if (config->optimizer.nesterov && config->optimizer.kind == MBT_OPTIMIZER_RMSPROP) {
        mbt_faults_add(&faults, "optimizer.nesterov",
                       "got true with optimizer.kind rmsprop, wanted false: the others have it");
    }
    check_decay(config, &faults);
    check_schedule(config, &faults);
    check_crop(config, &faults);
    return mbt_faults_report(&faults, MBT_CONFIG, err);
}
