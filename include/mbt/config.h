/* The configuration: one table of keys, and the plain structure it fills.
 *
 * A configuration is a JSON file; keys are paths such as "train.batch". One constant row per key
 * (src/config/schema.c) gives path, type, default, range, unit and help; the parser, --set, the
 * validator, --help-config and the echo in run directories and checkpoints all read that table.
 * Depends on status, text. */
#ifndef MBT_CONFIG_H
#define MBT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mbt/status.h"
#include "mbt/text.h"

enum { MBT_NAME_BYTES = 64, MBT_LIST_MAX = 16, MBT_GROUP_MAX = 1024 };

typedef enum mbt_reduce { MBT_REDUCE_EXACT, MBT_REDUCE_FP32, MBT_REDUCE_BF16 } mbt_reduce;
typedef enum mbt_arithmetic {
    MBT_ARITHMETIC_FP32,
    MBT_ARITHMETIC_BF16,
    MBT_ARITHMETIC_AUTO /* bf16 when every rank's processor multiplies in it */
} mbt_arithmetic;

typedef enum mbt_schedule_kind {
    MBT_SCHEDULE_CONSTANT,
    MBT_SCHEDULE_STEP,        /* lr * gamma^(milestones passed) */
    MBT_SCHEDULE_EXPONENTIAL, /* lr * gamma^epoch, by whole epochs */
    MBT_SCHEDULE_COSINE,      /* from lr to final_lr after the warm-up */
    MBT_SCHEDULE_LINEAR,      /* from lr to final_lr after the warm-up */
} mbt_schedule_kind;

typedef enum mbt_pad_mode { MBT_PAD_ZERO, MBT_PAD_REFLECT, MBT_PAD_MEAN } mbt_pad_mode;

/* How the network's input is cut from an image. */
typedef enum mbt_crop_kind {
    MBT_CROP_PAD,     /* the image as it is stored, padded and shifted by augment.pad */
    MBT_CROP_RESIZED, /* torchvision's RandomResizedCrop: area and aspect ratio at random */
    MBT_CROP_SCALED,  /* MXNet's: the whole image at a random scale, then a window of it */
    MBT_CROP_CENTRE,  /* for evaluation: the whole image resized, then its centre; not configured */
} mbt_crop_kind;

typedef enum mbt_flip_mode { MBT_FLIP_RANDOM, MBT_FLIP_ALTERNATING } mbt_flip_mode;

typedef enum mbt_init_kind {
    MBT_INIT_HE_FAN_OUT, /* N(0, 2 / (k*k*out/groups)) */
    MBT_INIT_HE_FAN_IN,  /* N(0, 2 / (k*k*in/groups)) */
    MBT_INIT_SEED,       /* N(0, 2 / (k*k*out)), groups ignored (networks: the seed project) */
} mbt_init_kind;

typedef enum mbt_optimizer_kind {
    MBT_OPTIMIZER_SGD,
    MBT_OPTIMIZER_LARS,
    MBT_OPTIMIZER_RMSPROP,
    MBT_OPTIMIZER_MUON,
} mbt_optimizer_kind;

/* Kinds of parameters that weight decay may leave out; bits of no_decay. */
typedef enum mbt_decay_group {
    MBT_NO_DECAY_BN = 1,
    MBT_NO_DECAY_BIAS = 2,
    MBT_NO_DECAY_DEPTHWISE = 4,
} mbt_decay_group;

/* What the plan leaves out although it would be faster; bits of plan.without. */
typedef enum mbt_without {
    MBT_WITHOUT_FUSED = 1,
    MBT_WITHOUT_OWN = 2,
} mbt_without;

typedef struct mbt_config_list {
    int count;
    double value[MBT_LIST_MAX];
} mbt_config_list;

typedef struct mbt_config {
    struct {
        char folder[MBT_PATH_BYTES]; /* run.folder: run directory; "" = runs/<configuration's file
                                        name> */
        double log_interval_s;       /* run.log_interval: s between plain progress lines */
        double watchdog_s;           /* run.watchdog: s of silence that end the job; 0: never */
    } run;
    struct {
        char path[MBT_PATH_BYTES]; /* data.path: HDF5 data set, relative to the working directory */
        int64_t validation; /* data.validation: samples of the training split held out to choose the
                               best; 0: the test split */
        int64_t train_limit; /* data.train_limit: only the first so many training samples; 0: all */
        int64_t image_size;  /* data.image_size: side of the network's input; 0: as stored */
        int64_t memory_mib;  /* data.memory: for encoded samples, on a node; 0: by what is there */
        bool prefetch;       /* data.prefetch: a thread makes groups of decoded or resized images */
    } data;
    struct {
        char name[MBT_NAME_BYTES];  /* network.name: a row of the arch tables */
        int64_t downsampling;       /* network.downsampling: 4, 8 or 32 */
        double width;               /* network.width: multiplier */
        char depth[MBT_NAME_BYTES]; /* network.depth: "1.0", "0.5": a row of blocks per stage; of
                                       some networks layers, "20" */
        double dropout;             /* network.dropout: probability, before the classifier */
    } network;
    struct {
        mbt_init_kind kind; /* init.kind */
        bool zero_gamma;    /* init.zero_gamma: last BN of residual blocks starts at gamma 0 */
        char pretrained[MBT_PATH_BYTES]; /* init.pretrained: weight file, or empty (pretrained.h) */
    } init;
    struct {
        int64_t epochs;         /* train.epochs */
        int64_t batch;          /* train.batch: global, samples */
        int64_t bn_group;       /* train.bn_group: samples */
        int64_t seed;           /* train.seed */
        int64_t small_size;     /* train.small_size: side of images, pixels; 0: as ever */
        double small_until;     /* train.small_until: fraction of the epochs */
        int64_t max_steps;      /* train.max_steps: end after so many steps; 0: no limit */
        mbt_reduce reduce;      /* train.reduce */
        double label_smoothing; /* train.label_smoothing */
        double bn_momentum;     /* train.bn_momentum: of running statistics, per step */
        double bn_eps;          /* train.bn_eps */
    } train;
    struct {
        mbt_optimizer_kind kind; /* optimizer.kind */
        double momentum;         /* optimizer.momentum */
        bool nesterov;           /* optimizer.nesterov */
        double weight_decay;     /* optimizer.weight_decay */
        unsigned no_decay;       /* optimizer.no_decay: array of "bn", "bias", "depthwise";
                                    mbt_decay_group bits */
        double bn_decay, bias_decay, depthwise_decay; /* optimizer.bn_decay ...: multiples of
                                                         weight_decay for these kinds */
        double clip_norm;          /* optimizer.clip_norm: largest norm of the gradient; 0: any */
        double trust;              /* optimizer.trust: LARS */
        double muon_rate;          /* optimizer.muon_rate: Muon */
        double rms_decay, rms_eps; /* optimizer.rms_decay, rms_eps: RMSprop */
    } optimizer;
    struct {
        double decay;       /* ema.decay: of the averaged weights, per step; 0: no average */
        double start;       /* ema.start: fraction of all steps before it begins */
        int64_t bn_samples; /* ema.bn_samples: training images that its statistics come from */
    } ema;
    struct {
        mbt_schedule_kind kind;     /* schedule.kind */
        double lr;                  /* schedule.lr: peak */
        double final_lr;            /* schedule.final_lr */
        double warmup;              /* schedule.warmup: fraction of all steps */
        double warmup_start;        /* schedule.warmup_start: fraction of the peak at step 0 */
        double gamma;               /* schedule.gamma */
        mbt_config_list milestones; /* schedule.milestones: epochs, ascending */
    } schedule;
    struct {
        int64_t pad;             /* augment.pad: pixels of pad-and-crop, 0 = off */
        mbt_pad_mode pad_mode;   /* augment.pad_mode */
        bool flip;               /* augment.flip: horizontal */
        mbt_flip_mode flip_mode; /* augment.flip_mode */
        double brightness;       /* augment.brightness: colour jitter amount, 0 = off */
        double contrast;         /* augment.contrast */
        double saturation;       /* augment.saturation */
        int64_t cutout;          /* augment.cutout: side of the square cut out, pixels, 0 = off */
        double mixup;            /* augment.mixup: alpha, 0 = off */
        mbt_crop_kind crop;      /* augment.crop */
        double scale_min, scale_max; /* augment.scale_min, .scale_max: of area (resized) or of
                                        short_side (scaled) */
        double ratio;                /* augment.ratio: largest aspect ratio, either way (resized) */
        int64_t short_side;          /* augment.short_side: pixels (scaled) */
        int64_t hsl_hue, hsl_saturation,
            hsl_lightness; /* augment.hsl_*: at most so far, each way */
        mbt_config_list mean,
            deviation; /* augment.mean, .deviation: 0..255; none: the data set's */
    } augment;
    struct {
        int64_t every_epochs; /* evaluate.every_epochs */
        int64_t short_side;   /* evaluate.short_side: pixels, before the centre is cut out */
        bool flip;            /* evaluate.flip: test top-1 of both mirror images' mean too */
    } evaluate;
    struct {
        int64_t every_epochs;    /* checkpoint.every_epochs */
        int64_t every_steps;     /* checkpoint.every_steps: also inside an epoch; 0 = off */
        int64_t keep;            /* checkpoint.keep: newest files kept beside the best */
        double keep_every_hours; /* checkpoint.keep_every_hours: of older ones; 0 = none */
    } checkpoint;
    struct {
        char kernels[MBT_NAME_BYTES]; /* plan.kernels: "auto", or a level of cpu.h */
        int64_t threads;              /* plan.threads: of a rank */
        int storage;                  /* plan.storage: 0 fp32, 1 bf16 (mbt_storage of tensor.h) */
        mbt_arithmetic arithmetic;    /* plan.arithmetic */
        int64_t tile;                 /* plan.tile: images a tile, 0 = chosen by the plan */
        unsigned without;             /* plan.without: array of "fused", "own"; none */
    } plan;
} mbt_config;

/* Every key at its default. */
void mbt_config_defaults(mbt_config *config);

/* Reads a JSON file over the values already in `config`. All faults of the file (unknown,
 * duplicate, mistyped, out of range) are in the one message, each with the file's name, the key,
 * what was got and what is wanted, and the nearest key of an unknown one; a syntax error with line
 * and column. MBT_CONFIG; MBT_CONFIG too when the file cannot be read. */
mbt_status mbt_config_read(const char *path, mbt_config *config, mbt_error *err) MBT_WARN_UNUSED;

/* The same from text; `name` stands for the file in messages. */
mbt_status mbt_config_parse(const char *text, const char *name, mbt_config *config,
                            mbt_error *err) MBT_WARN_UNUSED;

/* One override "key=value" as --set takes it; strings need no quotes. MBT_USAGE names the fault. */
mbt_status mbt_config_set(const char *assignment, mbt_config *config,
                          mbt_error *err) MBT_WARN_UNUSED;

/* What no single key shows: bn_group <= batch, warm-up with its schedule, milestones ascending ...
 */
mbt_status mbt_config_check(const mbt_config *config, mbt_error *err) MBT_WARN_UNUSED;

/* The complete configuration as JSON with all keys, numbers so that they read back bit for bit.
 * Caller frees *text. */
mbt_status mbt_config_echo(const mbt_config *config, char **text, mbt_error *err) MBT_WARN_UNUSED;

/* The key table for people: path, type, range, default, unit, help. */
void mbt_config_help(FILE *out);

/* The keys on which two configurations differ, comma separated, cut to `bytes`; "" when none.
 * A resume compares what it was given with what the checkpoint holds. */
void mbt_config_difference(const mbt_config *a, const mbt_config *b, char *out, size_t bytes);

/* The keys that are not at their defaults and that nothing reads as others stand, each with what
 * would: "optimizer.muon_rate (read with optimizer.kind muon)"; cut to `bytes`; "" when none. */
void mbt_config_idle(const mbt_config *config, char *out, size_t bytes);

#endif
