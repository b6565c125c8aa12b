/* The key table of the configuration, one row a key, and finding rows in it.
 *
 * A new key is a field in config.h and a row here: parser, --set, ranges, help, echo and difference
 * follow. Rows of a group stand together, in the order in which the echo writes them. */
#include "schema.h"

#include <assert.h>
#include <string.h>

#include "mbt/text.h"

static const char *const reduce_names[] = {"exact", "fp32", "bf16", NULL};
static const char *const storage_names[] = {"fp32", "bf16", NULL};
static const char *const arithmetic_names[] = {"fp32", "bf16", "auto", NULL};
static const char *const schedule_names[] = {"constant", "step",   "exponential",
                                             "cosine",   "linear", NULL};
static const char *const pad_names[] = {"zero", "reflect", "mean", NULL};
static const char *const crop_names[] = {"pad", "resized", "scaled", NULL};
static const char *const flip_names[] = {"random", "alternating", NULL};
static const char *const init_names[] = {"he_fan_out", "he_fan_in", "seed", NULL};
static const char *const decay_names[] = {"bn", "bias", "depthwise", NULL};
static const char *const optimizer_names[] = {"sgd", "lars", "rmsprop", "muon", NULL};
static const char *const without_names[] = {"fused", "own", NULL};
static const char *const kernel_names[] = {"auto", "avx512_bf16", "avx512", "avx2", "x86-64", NULL};

/* fields.c copies enums as int. */
_Static_assert(sizeof(mbt_reduce) == sizeof(int) && sizeof(mbt_schedule_kind) == sizeof(int) &&
                   sizeof(mbt_optimizer_kind) == sizeof(int) &&
                   sizeof(mbt_pad_mode) == sizeof(int) && sizeof(mbt_flip_mode) == sizeof(int) &&
                   sizeof(mbt_init_kind) == sizeof(int) && sizeof(mbt_crop_kind) == sizeof(int) &&
                   sizeof(mbt_arithmetic) == sizeof(int),
               "enums are as wide as int");
_Static_assert(MBT_NO_DECAY_BN == 1 && MBT_NO_DECAY_BIAS == 2 && MBT_NO_DECAY_DEPTHWISE == 4,
               "decay_names is in the order of the bits");
_Static_assert(MBT_WITHOUT_FUSED == 1 && MBT_WITHOUT_OWN == 2, "as without_names");

#define FIELD(member) offsetof(mbt_config, member), sizeof(((mbt_config *)0)->member)

/* clang-format off */
static const mbt_row rows[] = {
    {"run.folder", MBT_ROW_TEXT, FIELD(run.folder), "", 0, 0, NULL, "",
     "run directory; empty: runs/ and the name of the configuration file"},
    {"run.log_interval", MBT_ROW_F64, FIELD(run.log_interval_s), "30", 0, 86400, NULL, "s",
     "time between two progress lines where there is no terminal"},
    {"run.watchdog", MBT_ROW_F64, FIELD(run.watchdog_s), "300", 0, 86400, NULL, "s",
     "silence of a rank that ends the job with code 6, tenfold in the first step; 0: never"},

    {"data.path", MBT_ROW_TEXT, FIELD(data.path), "", 0, 0, NULL, "",
     "HDF5 data set, relative to the working directory, then to the folder MBTRAIN_DATA; required"},
    {"data.validation", MBT_ROW_I64, FIELD(data.validation), "0", 0, 1e9, NULL, "samples",
     "held out of the training split to choose the best checkpoint; 0: the test split chooses"},
    {"data.train_limit", MBT_ROW_I64, FIELD(data.train_limit), "0", 0, 1e9, NULL, "samples",
     "train on the first so many only; 0: all"},
    {"data.image_size", MBT_ROW_I64, FIELD(data.image_size), "0", 0, 1024, NULL, "pixels",
     "side of the network's input; 0: as images are stored, which encoded ones have no size for"},
    {"data.memory", MBT_ROW_I64, FIELD(data.memory_mib), "0", 0, 1e9, NULL, "MiB",
     "of a node, for encoded images; more are read from the file as they are needed; 0: half of what "
     "is available"},
    {"data.prefetch", MBT_ROW_BOOL, FIELD(data.prefetch), "true", 0, 0, NULL, "",
     "where images are decoded or resized, a thread makes a group while the rank computes another"},

    {"network.name", MBT_ROW_TEXT, FIELD(network.name), "mobilenetv2", 1, 0, NULL, "",
     "one of the networks that mbtrain --help lists"},
    {"network.downsampling", MBT_ROW_I64, FIELD(network.downsampling), "8", 4, 32, NULL, "",
     "image size over size of the last map: 4 or 8 (CIFAR), 32 (ImageNet)"},
    {"network.width", MBT_ROW_F64, FIELD(network.width), "1", 0.05, 8, NULL, "",
     "multiplier of the channel counts"},
    {"network.depth", MBT_ROW_TEXT, FIELD(network.depth), "1.0", 1, 0, NULL, "",
     "blocks per stage: 1.0, of IGCV3-D also 0.7 and 0.5, of igcv2_matched 0.5; layers of IGCV1 and "
     "igcv2_c416: 20 ..."},
    {"network.dropout", MBT_ROW_F64, FIELD(network.dropout), "0", 0, 0.95, NULL, "",
     "probability of dropping an input of the classifier"},

    {"init.kind", MBT_ROW_ENUM, FIELD(init.kind), "he_fan_out", 0, 0, init_names, "",
     "normal weights of variance 2 over the fan (seed: fan-out without regard to groups), of the "
     "classifier of deviation 0.01, but with he_fan_in"},
    {"init.zero_gamma", MBT_ROW_BOOL, FIELD(init.zero_gamma), "false", 0, 0, NULL, "",
     "the last batch norm of residual blocks starts at 0"},
    {"init.pretrained", MBT_ROW_TEXT, FIELD(init.pretrained), "", 0, 0, NULL, "",
     "HDF5 file whose tensors of the same name and shape replace the drawn ones; empty: none"},

    {"train.epochs", MBT_ROW_I64, FIELD(train.epochs), "5", 1, 100000, NULL, "epochs",
     "passes over the training split"},
    {"train.batch", MBT_ROW_I64, FIELD(train.batch), "256", 1, 65536, NULL, "samples",
     "of all ranks together"},
    {"train.bn_group", MBT_ROW_I64, FIELD(train.bn_group), "16", 1, MBT_GROUP_MAX, NULL, "samples",
     "share of the batch with its own batch-norm statistics; ranks share out whole groups"},
    {"train.seed", MBT_ROW_I64, FIELD(train.seed), "1", 0, MBT_INTEGER_MAX, NULL, "",
     "of every random draw"},
    {"train.small_size", MBT_ROW_I64, FIELD(train.small_size), "0", 0, 4096, NULL, "pixels",
     "train on images of that side at first, which is faster; evaluation has them whole; 0: never"},
    {"train.small_until", MBT_ROW_F64, FIELD(train.small_until), "0.4", 0, 1, NULL, "",
     "fraction of the epochs on small images"},
    {"train.max_steps", MBT_ROW_I64, FIELD(train.max_steps), "0", 0, 1e12, NULL, "steps",
     "end after so many; 0: no limit"},
    {"train.reduce", MBT_ROW_ENUM, FIELD(train.reduce), "exact", 0, 0, reduce_names, "",
     "sum of gradients; exact: the same bits on any number of ranks"},
    {"train.label_smoothing", MBT_ROW_F64, FIELD(train.label_smoothing), "0.1", 0, 0.9, NULL, "",
     "part of the target that is spread over all classes"},
    {"train.bn_momentum", MBT_ROW_F64, FIELD(train.bn_momentum), "0.1", 0, 1, NULL, "",
     "weight of a new step in the running statistics"},
    {"train.bn_eps", MBT_ROW_F64, FIELD(train.bn_eps), "1e-5", 1e-12, 0.1, NULL, "",
     "added to the variance"},

    {"optimizer.kind", MBT_ROW_ENUM, FIELD(optimizer.kind), "sgd", 0, 0, optimizer_names, "",
     "how gradients become steps; lars: SGD at a rate of its own for each tensor; muon: SGD, and "
     "matrices by orthogonalised momentum"},
    {"optimizer.momentum", MBT_ROW_F64, FIELD(optimizer.momentum), "0.9", 0, 0.9999, NULL, "",
     "weight of the last step in the next one"},
    {"optimizer.nesterov", MBT_ROW_BOOL, FIELD(optimizer.nesterov), "true", 0, 0, NULL, "",
     "look-ahead form of the momentum"},
    {"optimizer.weight_decay", MBT_ROW_F64, FIELD(optimizer.weight_decay), "5e-4", 0, 1, NULL, "",
     "times the weight, added to its gradient; not for the matrices of muon, which keep their size"},
    {"optimizer.no_decay", MBT_ROW_FLAGS, FIELD(optimizer.no_decay), "bn,bias,depthwise", 0, 0,
     decay_names, "", "kinds of parameters without weight decay"},
    {"optimizer.bn_decay", MBT_ROW_F64, FIELD(optimizer.bn_decay), "1", 0, 1000, NULL, "",
     "weight decay of batch norm's scale and shift, as a multiple of optimizer.weight_decay"},
    {"optimizer.bias_decay", MBT_ROW_F64, FIELD(optimizer.bias_decay), "1", 0, 1000, NULL, "",
     "the same of the classifier's bias"},
    {"optimizer.depthwise_decay", MBT_ROW_F64, FIELD(optimizer.depthwise_decay), "1", 0, 1000, NULL,
     "", "the same of depthwise convolutions"},
    {"optimizer.clip_norm", MBT_ROW_F64, FIELD(optimizer.clip_norm), "0", 0, 1e9, NULL, "",
     "a gradient of a larger norm, over all parameters, is scaled down to it; 0: no limit"},
    {"optimizer.trust", MBT_ROW_F64, FIELD(optimizer.trust), "0.001", 1e-9, 1, NULL, "",
     "lars: size of a tensor's step at learning rate 1, as a fraction of its own size"},
    {"optimizer.muon_rate", MBT_ROW_F64, FIELD(optimizer.muon_rate), "0.15", 1e-9, 100, NULL, "",
     "muon: size of a matrix's step at learning rate 1, as a fraction of its own size"},
    {"optimizer.rms_decay", MBT_ROW_F64, FIELD(optimizer.rms_decay), "0.9", 0, 0.999999, NULL, "",
     "rmsprop: weight of earlier steps in the mean of squared gradients"},
    {"optimizer.rms_eps", MBT_ROW_F64, FIELD(optimizer.rms_eps), "0.001", 1e-12, 100, NULL, "",
     "rmsprop: added to the mean of squares, before the root"},

    {"ema.decay", MBT_ROW_F64, FIELD(ema.decay), "0", 0, 0.999999, NULL, "",
     "of the average of the weights, per step; evaluation uses the average; 0: none"},
    {"ema.start", MBT_ROW_F64, FIELD(ema.start), "0.3", 0, 1, NULL, "",
     "fraction of all steps before the average begins"},
    {"ema.bn_samples", MBT_ROW_I64, FIELD(ema.bn_samples), "5000", 1, 1e9, NULL, "samples",
     "training images that the average's batch-norm statistics come from, before each evaluation"},

    {"schedule.kind", MBT_ROW_ENUM, FIELD(schedule.kind), "linear", 0, 0, schedule_names, "",
     "course of the learning rate after the warm-up"},
    {"schedule.lr", MBT_ROW_F64, FIELD(schedule.lr), "0.4", 0, 100, NULL, "",
     "peak learning rate"},
    {"schedule.final_lr", MBT_ROW_F64, FIELD(schedule.final_lr), "0", 0, 100, NULL, "",
     "where cosine and linear end"},
    {"schedule.warmup", MBT_ROW_F64, FIELD(schedule.warmup), "0.12", 0, 1, NULL, "",
     "fraction of all steps with a linear rise to the peak; below 1"},
    {"schedule.warmup_start", MBT_ROW_F64, FIELD(schedule.warmup_start), "0.1", 0, 1, NULL, "",
     "fraction of the peak at which the rise begins"},
    {"schedule.gamma", MBT_ROW_F64, FIELD(schedule.gamma), "0.1", 1e-6, 1, NULL, "",
     "factor at each milestone (step) or after each epoch (exponential)"},
    {"schedule.milestones", MBT_ROW_LIST, FIELD(schedule.milestones), "", 0, 100000, NULL, "epochs",
     "where step multiplies by gamma, ascending"},

    {"augment.pad", MBT_ROW_I64, FIELD(augment.pad), "4", 0, 64, NULL, "pixels",
     "border added before the random crop of augment.crop pad; 0: no crop"},
    {"augment.pad_mode", MBT_ROW_ENUM, FIELD(augment.pad_mode), "reflect", 0, 0, pad_names, "",
     "what the border holds: black (zero), the image mirrored, or the mean colour"},
    {"augment.flip", MBT_ROW_BOOL, FIELD(augment.flip), "true", 0, 0, NULL, "",
     "mirror half of the images left to right"},
    {"augment.flip_mode", MBT_ROW_ENUM, FIELD(augment.flip_mode), "random", 0, 0, flip_names, "",
     "random: drawn in every epoch; alternating: drawn once, then each image turns every epoch"},
    {"augment.brightness", MBT_ROW_F64, FIELD(augment.brightness), "0", 0, 1, NULL, "",
     "amount of colour jitter; 0: off"},
    {"augment.contrast", MBT_ROW_F64, FIELD(augment.contrast), "0", 0, 1, NULL, "",
     "amount of colour jitter; 0: off"},
    {"augment.saturation", MBT_ROW_F64, FIELD(augment.saturation), "0", 0, 1, NULL, "",
     "amount of colour jitter; 0: off"},
    {"augment.cutout", MBT_ROW_I64, FIELD(augment.cutout), "0", 0, 4096, NULL, "pixels",
     "side of a square that is set to the mean; its centre is anywhere in the image; 0: none"},
    {"augment.mixup", MBT_ROW_F64, FIELD(augment.mixup), "0", 0, 1, NULL, "",
     "parameter of the beta distribution by which pairs of images are mixed; 0: none"},
    {"augment.crop", MBT_ROW_ENUM, FIELD(augment.crop), "pad", 0, 0, crop_names, "",
     "pad: images as stored; resized: a random part, resized; scaled: a window of the whole, resized"},
    {"augment.scale_min", MBT_ROW_F64, FIELD(augment.scale_min), "0.08", 1e-4, 1, NULL, "",
     "least part of the area (resized), or of augment.short_side (scaled)"},
    {"augment.scale_max", MBT_ROW_F64, FIELD(augment.scale_max), "1", 1e-4, 1, NULL, "",
     "largest part of it"},
    {"augment.ratio", MBT_ROW_F64, FIELD(augment.ratio), "1.3333333333333333", 1, 4, NULL, "",
     "largest aspect ratio of the part, lying or standing (resized)"},
    {"augment.short_side", MBT_ROW_I64, FIELD(augment.short_side), "480", 1, 4096, NULL, "pixels",
     "short side of an image at scale 1 (scaled)"},
    {"augment.hsl_hue", MBT_ROW_I64, FIELD(augment.hsl_hue), "0", 0, 180, NULL, "",
     "largest shift of hue, of 180; 0: off"},
    {"augment.hsl_saturation", MBT_ROW_I64, FIELD(augment.hsl_saturation), "0", 0, 255, NULL, "",
     "largest shift of saturation, of 255; 0: off"},
    {"augment.hsl_lightness", MBT_ROW_I64, FIELD(augment.hsl_lightness), "0", 0, 255, NULL, "",
     "largest shift of lightness, of 255; 0: off"},
    {"augment.mean", MBT_ROW_LIST, FIELD(augment.mean), "", 0, 255, NULL, "",
     "of each channel, taken off the image; none: that of the training images"},
    {"augment.deviation", MBT_ROW_LIST, FIELD(augment.deviation), "", 1e-3, 255, NULL, "",
     "of each channel, by which the image is divided; none: that of the training images"},

    {"evaluate.every_epochs", MBT_ROW_I64, FIELD(evaluate.every_epochs), "1", 1, 100000, NULL,
     "epochs", "between two evaluations"},
    {"evaluate.short_side", MBT_ROW_I64, FIELD(evaluate.short_side), "0", 0, 4096, NULL, "pixels",
     "of an image before its centre is cut out; 0: 8/7 of data.image_size"},
    {"evaluate.flip", MBT_ROW_BOOL, FIELD(evaluate.flip), "false", 0, 0, NULL, "",
     "also the test accuracy of the mean output for image and mirror image, in a column of its own"},

    {"checkpoint.every_epochs", MBT_ROW_I64, FIELD(checkpoint.every_epochs), "1", 1, 100000, NULL,
     "epochs", "between two checkpoints"},
    {"checkpoint.every_steps", MBT_ROW_I64, FIELD(checkpoint.every_steps), "0", 0, 1e12, NULL,
     "steps", "between two checkpoints inside an epoch; 0: none"},
    {"checkpoint.keep", MBT_ROW_I64, FIELD(checkpoint.keep), "3", 1, 10000, NULL, "files",
     "newest checkpoints kept beside the best"},
    {"checkpoint.keep_every_hours", MBT_ROW_F64, FIELD(checkpoint.keep_every_hours), "0", 0, 1e6, NULL,
     "h", "one of the older checkpoints of each so many hours stays too; 0: none"},

    {"plan.kernels", MBT_ROW_TEXT, FIELD(plan.kernels), "auto", 1, 0, kernel_names, "",
     "set of kernels; auto: the fastest this machine has"},
    {"plan.threads", MBT_ROW_I64, FIELD(plan.threads), "1", 1, 64, NULL, "",
     "threads of a rank, each with whole groups while there are enough; with train.reduce exact they change no bit"},
    {"plan.storage", MBT_ROW_ENUM, FIELD(plan.storage), "fp32", 0, 0, storage_names, "",
     "what convolution outputs and their gradients are kept in between passes"},
    {"plan.arithmetic", MBT_ROW_ENUM, FIELD(plan.arithmetic), "fp32", 0, 0, arithmetic_names, "",
     "what convolutions multiply in; sums and weights are fp32; auto: bf16 where all processors can"},
    {"plan.tile", MBT_ROW_I64, FIELD(plan.tile), "0", 0, 4096, NULL, "samples",
     "number that passes through a segment of the network at a time; 0: chosen by the plan"},
    {"plan.without", MBT_ROW_FLAGS, FIELD(plan.without), "", 0, 0, without_names, "",
     "for measuring: no segment as one kernel (fused), no convolutions but the library's (own)"},
};
/* clang-format on */

enum { N_ROWS = sizeof rows / sizeof *rows };
_Static_assert((int)N_ROWS <= (int)MBT_ROWS_MAX, "MBT_ROWS_MAX bounds the table");

const mbt_row *mbt_rows(int *n_rows)
{
    *n_rows = N_ROWS;
    return rows;
}

size_t mbt_row_group_length(const mbt_row *row)
{
    return strcspn(row->path, ".");
}

static bool in_group(const mbt_row *row, const char *group, size_t length)
{
    return mbt_row_group_length(row) == length && memcmp(row->path, group, length) == 0;
}

int mbt_row_find(const char *path)
{
    for (int i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i].path, path) == 0) {
            return i;
        }
    }
    return -1;
}

int mbt_row_find_in(const char *group, size_t group_length, const char *key)
{
    for (int i = 0; i < N_ROWS; i++) {
        if (in_group(&rows[i], group, group_length) &&
            strcmp(rows[i].path + group_length + 1, key) == 0) {
            return i;
        }
    }
    return -1;
}

int mbt_row_find_group(const char *group)
{
    size_t length = strlen(group);
    for (int i = 0; i < N_ROWS; i++) {
        if (in_group(&rows[i], group, length)) {
            return i;
        }
    }
    return -1;
}

static bool nearest_group(const char *group, char *near)
{
    char names[N_ROWS][MBT_SHOWN_BYTES];
    const char *pointers[N_ROWS];
    int n_names = 0;
    for (int i = 0; i < N_ROWS; i++) {
        size_t length = mbt_row_group_length(&rows[i]);
        if (i > 0 && in_group(&rows[i - 1], rows[i].path, length)) {
            continue;
        }
        assert(length < MBT_SHOWN_BYTES);
        memcpy(names[n_names], rows[i].path, length);
        names[n_names][length] = '\0';
        pointers[n_names] = names[n_names];
        n_names++;
    }
    int at = mbt_text_nearest(group, pointers, n_names);
    if (at >= 0) {
        memcpy(near, names[at], sizeof names[at]);
    }
    return at >= 0;
}

bool mbt_row_nearest(const char *path, bool groups, char *near)
{
    if (strlen(path) >= MBT_SHOWN_BYTES) {
        return false;
    }
    if (groups) {
        return nearest_group(path, near);
    }
    const char *paths[N_ROWS];
    const char *keys[N_ROWS];
    for (int i = 0; i < N_ROWS; i++) {
        paths[i] = rows[i].path;
        keys[i] = rows[i].path + mbt_row_group_length(&rows[i]) + 1;
    }
    int at = mbt_text_nearest(path, paths, N_ROWS);
    if (at < 0) {
        /* the right key in the wrong group, or without any */
        const char *dot = strrchr(path, '.');
        at = mbt_text_nearest(dot != NULL ? dot + 1 : path, keys, N_ROWS);
    }
    if (at < 0) {
        return false;
    }
    assert(strlen(rows[at].path) < MBT_SHOWN_BYTES);
    memcpy(near, rows[at].path, strlen(rows[at].path) + 1);
    return true;
}
