/* Keys that somebody set and nothing reads. */
#include <stdio.h>
#include <string.h>

#include "mbt/config.h"
#include "schema.h"

void mbt_config_idle(const mbt_config *config, char *out, size_t bytes)
{
    const bool falls = config->schedule.kind == MBT_SCHEDULE_STEP ||
                       config->schedule.kind == MBT_SCHEDULE_EXPONENTIAL;
    const mbt_crop_kind crop = config->augment.crop;
    const struct {
        const char *path;
        bool is_read;
        const char *where; /* it would be */
    } keys[] = {
        {"optimizer.trust", config->optimizer.kind == MBT_OPTIMIZER_LARS, "optimizer.kind lars"},
        {"optimizer.muon_rate", config->optimizer.kind == MBT_OPTIMIZER_MUON,
         "optimizer.kind muon"},
        {"optimizer.rms_decay", config->optimizer.kind == MBT_OPTIMIZER_RMSPROP,
         "optimizer.kind rmsprop"},
        {"optimizer.rms_eps", config->optimizer.kind == MBT_OPTIMIZER_RMSPROP,
         "optimizer.kind rmsprop"},
        {"schedule.gamma", falls, "schedule.kind step or exponential"},
        {"schedule.warmup_start", config->schedule.warmup > 0, "schedule.warmup above 0"},
        {"ema.start", config->ema.decay > 0, "ema.decay above 0"},
        {"ema.bn_samples", config->ema.decay > 0, "ema.decay above 0"},
        {"augment.pad", crop == MBT_CROP_PAD, "augment.crop pad"},
        {"augment.pad_mode", crop == MBT_CROP_PAD && config->augment.pad > 0,
         "augment.crop pad, augment.pad above 0"},
        {"augment.scale_min", crop != MBT_CROP_PAD, "augment.crop resized or scaled"},
        {"augment.scale_max", crop != MBT_CROP_PAD, "augment.crop resized or scaled"},
        {"augment.ratio", crop == MBT_CROP_RESIZED, "augment.crop resized"},
        {"augment.short_side", crop == MBT_CROP_SCALED, "augment.crop scaled"},
        {"augment.flip_mode", config->augment.flip, "augment.flip true"},
        {"train.small_until", config->train.small_size > 0, "train.small_size above 0"},
    };
    mbt_config defaults;
    int n_rows;
    const mbt_row *rows = mbt_rows(&n_rows);
    size_t used = 0;
    mbt_config_defaults(&defaults);
    out[0] = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && used < bytes; i++) {
        if (!keys[i].is_read &&
            !mbt_row_equal(&rows[mbt_row_find(keys[i].path)], config, &defaults)) {
            const int n = snprintf(out + used, bytes - used, "%s%s (read with %s)",
                                   used > 0 ? ", " : "", keys[i].path, keys[i].where);
            used += n > 0 ? (size_t)n : 0;
        }
    }
}
