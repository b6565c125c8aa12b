/* Rules between keys, and every file in configs/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/config.h"
#include "mbt/tensor.h"
#include "mbt/text.h"

/* Defaults, a data path and the overrides (space separated) must fail with the fragments. */
static void expect_refusal(const char *overrides, const char *const *fragments, int n_fragments)
{
    mbt_error err = {0};
    mbt_config c;
    mbt_config_defaults(&c);
    strcpy(c.data.path, "a.h5");
    char copy[256];
    char *rest = NULL;
    snprintf(copy, sizeof copy, "%s", overrides);
    for (char *one = strtok_r(copy, " ", &rest); one != NULL; one = strtok_r(NULL, " ", &rest)) {
        assert_int_equal(mbt_config_set(one, &c, &err), MBT_OK);
    }
    if (n_fragments == 0) {
        assert_int_equal(mbt_config_check(&c, &err), MBT_OK);
        return;
    }
    assert_int_equal(mbt_config_check(&c, &err), MBT_CONFIG);
    const char *at = err.message;
    int n_lines = 1;
    while ((at = strchr(at, '\n')) != NULL) {
        at++;
        n_lines++;
    }
    for (int i = 0; i < n_fragments; i++) {
        if (strstr(err.message, fragments[i]) == NULL) {
            fail_msg("%s\n  gave: %s\n  wanted in it: %s", overrides, err.message, fragments[i]);
        }
    }
    assert_int_equal(n_lines, n_fragments); /* and nothing else */
}

static void rules_between_keys(void **state)
{
    (void)state;
    static const struct {
        const char *overrides, *fragment; /* NULL: no fault */
    } cases[] = {
        {"", NULL},
        {"data.path=", "configuration: data.path: got \"\", wanted the path of an HDF5 data set"},
        {"train.batch=16 train.bn_group=17",
         "train.bn_group: got 17, wanted at most train.batch, 16"},
        {"train.batch=16 train.bn_group=16", NULL},
        {"network.downsampling=4", NULL},
        {"network.downsampling=32", NULL},
        {"network.downsampling=16", "network.downsampling: got 16, wanted 4, 8 or 32"},
        {"optimizer.momentum=0", "optimizer.nesterov: got true with optimizer.momentum 0"},
        {"optimizer.momentum=0 optimizer.nesterov=false", NULL},
        {"optimizer.kind=rmsprop", "optimizer.nesterov: got true with optimizer.kind rmsprop"},
        {"optimizer.kind=rmsprop optimizer.nesterov=false", NULL},
        {"optimizer.kind=lars", NULL},
        {"optimizer.kind=muon optimizer.muon_rate=0.1", NULL},
        {"schedule.warmup=1", "schedule.warmup: got 1, wanted less than 1"},
        {"schedule.warmup=0.99", NULL},
        {"schedule.final_lr=0.5", "schedule.final_lr: got 0.5, wanted at most schedule.lr, 0.4"},
        {"schedule.final_lr=0.4", NULL},
        {"schedule.kind=constant schedule.final_lr=0.1",
         "schedule.final_lr: got 0.1 with schedule.kind constant, wanted 0"},
        {"schedule.kind=cosine schedule.final_lr=0.1", NULL},
        {"optimizer.bn_decay=0.5",
         "optimizer.bn_decay: got 0.5 with \"bn\" in optimizer.no_decay, wanted 1"},
        {"optimizer.no_decay=bn optimizer.bias_decay=2 optimizer.depthwise_decay=0.5", NULL},
        {"schedule.kind=step", "schedule.milestones: got none, wanted at least one"},
        {"schedule.kind=step schedule.milestones=1,2", NULL},
        {"schedule.kind=step schedule.milestones=1,3,2",
         "schedule.milestones: got 2 after 3, wanted ascending"},
        {"schedule.kind=step schedule.milestones=1,1", "got 1 after 1, wanted ascending"},
        {"evaluate.short_side=256",
         "data.image_size: got 0, wanted the side of the network's input with evaluate"},
        {"data.image_size=224 evaluate.short_side=200",
         "evaluate.short_side: got 200, wanted at least data.image_size, 224"},
        {"data.image_size=224 evaluate.short_side=256", NULL},
        {"schedule.milestones=1",
         "schedule.milestones: got 1 with schedule.kind linear, wanted none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_refusal(cases[i].overrides, &cases[i].fragment, cases[i].fragment != NULL);
    }
}

static void all_rules_in_one_message(void **state)
{
    (void)state;
    static const char *const fragments[] = {
        "data.path: got \"\"", "train.bn_group: got 16, wanted at most train.batch, 8",
        "schedule.warmup: got 1", "schedule.milestones: got 2 after 3",
        "schedule.milestones: got 2 with schedule.kind linear"};
    expect_refusal("data.path= train.batch=8 schedule.warmup=1 schedule.milestones=3,2", fragments,
                   5);
}

/* What no parser let through: a structure filled by hand. */
static void ranges_hold_for_values_set_by_hand(void **state)
{
    (void)state;
    mbt_error err = {0};
    mbt_config c;
    mbt_config_defaults(&c);
    strcpy(c.data.path, "a.h5");
    c.train.epochs = 0;
    c.schedule.lr = 0.0 / 0.0;
    c.schedule.kind = (mbt_schedule_kind)9;
    c.optimizer.no_decay = 8;
    c.schedule.milestones.count = 1000;
    strcpy(c.plan.kernels, "none");
    assert_int_equal(mbt_config_check(&c, &err), MBT_CONFIG);
    assert_non_null(strstr(err.message, "train.epochs: got 0, wanted an integer 1 .. 100000"));
    assert_non_null(strstr(err.message, "schedule.lr: got nan") != NULL
                        ? strstr(err.message, "schedule.lr: got nan")
                        : strstr(err.message, "schedule.lr: got -nan"));
    assert_non_null(strstr(err.message, "schedule.kind: got the value 9, wanted one of constant"));
    assert_non_null(strstr(err.message, "optimizer.no_decay: got the value 8"));
    assert_non_null(strstr(err.message, "schedule.milestones: got the count 1000"));
    assert_non_null(strstr(err.message, "plan.kernels: got \"none\""));
}

/* What makes a recipe; quotes stand for JSON's double ones. */
static const char budget[] =
    "{'init': {'zero_gamma': true}, 'optimizer': {'no_decay': ['bn', 'bias']},"
    " 'augment': {'flip_mode': 'alternating'}, 'evaluate': {'flip': true},"
    " 'plan': {'storage': 'bf16'}}";
static const char muon[] =
    "{'train': {'batch': 64, 'bn_group': 32}, 'optimizer': {'kind': 'muon', 'muon_rate': 0.06},"
    " 'schedule': {'lr': 0.15}, 'ema': {'decay': 0}, 'augment': {'pad': 2, 'cutout': 0}}";
static const char sgd[] =
    "{'train': {'batch': 256, 'bn_group': 16}, 'optimizer': {'kind': 'sgd'},"
    " 'schedule': {'lr': 0.4}, 'ema': {'decay': 0.998, 'start': 0.3}, 'augment': {'pad': 4}}";

/* By a part of the file's name. */
static const struct recipe {
    const char *part, *text;
} recipes[] = {
    {"ep.", "{'network': {'dropout': 0}, 'init': {'kind': 'he_fan_out'},"
            " 'train': {'label_smoothing': 0.1},"
            " 'optimizer': {'momentum': 0.9, 'nesterov': true, 'weight_decay': 5e-4},"
            " 'schedule': {'kind': 'linear', 'final_lr': 0, 'warmup': 0.12, 'warmup_start': 0.1},"
            " 'augment': {'pad_mode': 'reflect', 'flip': true}}"},
    {"0ep.", budget},
    {"_24ep.", budget},
    {"_10ep.", muon},
    {"_20ep.", muon},
    {"_24ep.", muon},
    {"_40ep.", sgd},
    {"_80ep.", sgd},
    {"_40ep.", "{'augment': {'cutout': 8}}"},
    {"_80ep.", "{'augment': {'cutout': 12}}"},
    {"_paper.", "{'network': {'downsampling': 4, 'dropout': 0}, 'init': {'kind': 'he_fan_in'},"
                " 'train': {'epochs': 400, 'batch': 64, 'label_smoothing': 0},"
                " 'optimizer': {'kind': 'sgd', 'momentum': 0.9, 'weight_decay': 1e-4,"
                " 'no_decay': []},"
                " 'schedule': {'kind': 'step', 'lr': 0.1, 'warmup': 0, 'gamma': 0.1,"
                " 'milestones': [200, 300, 350]}, 'augment': {'pad': 4, 'flip': true,"
                " 'brightness': 0, 'cutout': 0, 'mixup': 0}}"},
    {"_igcv1_", "{'train': {'bn_eps': 2e-5}, 'optimizer': {'nesterov': true},"
                " 'augment': {'pad_mode': 'mean'}}"},
    {"_seed.", "{'network': {'downsampling': 8, 'dropout': 0.5}, 'init': {'kind': 'seed'},"
               " 'train': {'epochs': 800, 'batch': 156, 'label_smoothing': 0},"
               " 'optimizer': {'kind': 'sgd', 'momentum': 0.9, 'nesterov': false,"
               " 'weight_decay': 5e-4, 'no_decay': []},"
               " 'schedule': {'kind': 'exponential', 'lr': 0.1, 'warmup': 0, 'gamma': 0.98},"
               " 'augment': {'pad': 4, 'pad_mode': 'zero', 'flip': true}}"},
    {"imagenet_", "{'data': {'image_size': 224}, 'network': {'downsampling': 32, 'dropout': 0},"
                  " 'init': {'kind': 'he_fan_in'}, 'train': {'batch': 96, 'label_smoothing': 0},"
                  " 'optimizer': {'kind': 'sgd', 'momentum': 0.9, 'nesterov': false,"
                  " 'weight_decay': 4e-5, 'no_decay': []},"
                  " 'schedule': {'kind': 'exponential', 'warmup': 0, 'gamma': 0.98},"
                  " 'augment': {'crop': 'scaled', 'short_side': 480, 'scale_min': 0.533,"
                  " 'flip': true}, 'evaluate': {'short_side': 256}}"},
    {"_official.", "{'train': {'epochs': 480}, 'schedule': {'lr': 0.045},"
                   " 'init': {'pretrained': ''}, 'augment': {'scale_max': 1, 'hsl_hue': 36,"
                   " 'hsl_saturation': 50, 'hsl_lightness': 50}}"},
    {"_retrain.", "{'train': {'epochs': 177}, 'schedule': {'lr': 9.88e-5},"
                  " 'augment': {'scale_max': 0.534, 'hsl_hue': 0, 'hsl_saturation': 0,"
                  " 'hsl_lightness': 0}}"},
};

/* A configuration has its recipe already. */
static void expect_recipe(const char *name, const mbt_config *c, const struct recipe *recipe)
{
    char text[1024], difference[512];
    mbt_error err = {0};
    mbt_config same = *c;
    snprintf(text, sizeof text, "%s", recipe->text);
    for (char *at = strchr(text, '\''); at != NULL; at = strchr(at, '\'')) {
        *at = '"';
    }
    if (mbt_config_parse(text, recipe->part, &same, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    mbt_config_difference(c, &same, difference, sizeof difference);
    if (difference[0] != '\0') {
        fail_msg("%s: not as the recipe %s says: %s", name, recipe->part, difference);
    }
}

/* A file's name says what is in it. */
static void expect_name_fits(const char *name, const mbt_config *c)
{
    if (strncmp(name, "cifar100_", 9) == 0) {
        assert_string_equal(c->data.path, "data/cifar100.h5");
    } else if (strncmp(name, "cifar10_", 8) == 0) {
        assert_string_equal(c->data.path, "data/cifar10.h5");
    } else if (strncmp(name, "imagenet_", 9) == 0) {
        assert_string_equal(c->data.path, "data/imagenet.h5");
    }
    if (strstr(name, "_mobilenetv2_") != NULL) {
        assert_string_equal(c->network.name, "mobilenetv2");
    }
    if (strstr(name, "_igcv3d_") != NULL) {
        assert_string_equal(c->network.name,
                            strstr(name, "_seed.") != NULL ? "igcv3d_seed" : "igcv3d");
        const char *depth = strstr(name, "_0.");
        if (depth != NULL) {
            assert_memory_equal(c->network.depth, depth + 1, 3);
        } else {
            assert_string_equal(c->network.depth, "1.0");
        }
    }
    static const char *const rows[] = {
        "igcv2_matched", "igcv2_c416",   "igcv1_l24m2_ident",      "igcv1_l24m2",
        "igcv1_l32m26",  "igcv1_l450m2", "igcv1_regconv_w18_ident"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strstr(name, rows[i]) != NULL) {
            assert_string_equal(c->network.name, rows[i]);
            break;
        }
    }
    const char *part = strstr(name, "_ds");
    if (part != NULL) {
        assert_int_equal(c->network.downsampling, strtol(part + strlen("_ds"), NULL, 10));
    }
    if (strstr(name, "ep.json") != NULL) {
        assert_int_equal(c->train.epochs, strtol(strrchr(name, '_') + 1, NULL, 10));
    }
    /* The rows of jobs/cifar10_10ep.json may come from different processors. */
    const bool compared = strncmp(name, "cifar10_", 8) == 0 && strstr(name, "_ds8_10ep.") != NULL;
    if (compared || strstr(name, "0ep.") != NULL || strstr(name, "_24ep.") != NULL) {
        assert_int_equal(c->plan.arithmetic, compared ? MBT_ARITHMETIC_FP32 : MBT_ARITHMETIC_AUTO);
    }
    if (strstr(name, "_seed.") != NULL) {
        const double jitter = strncmp(name, "cifar100_", 9) == 0 ? 0.3 : 0;
        assert_true(c->augment.brightness == jitter && c->augment.contrast == jitter &&
                    c->augment.saturation == jitter);
    }
    if (strstr(name, "_retrain.") != NULL) {
        assert_non_null(strstr(c->init.pretrained, "_303.h5"));
    }
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        if (strstr(name, recipes[i].part) != NULL) {
            expect_recipe(name, c, &recipes[i]);
        }
    }
}

static void every_file_in_configs(void **state)
{
    (void)state;
    int n_files = 0;
    DIR *folder = opendir(MBT_CONFIGS);
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        const char *end = strrchr(entry->d_name, '.');
        if (end == NULL || strcmp(end, ".json") != 0) {
            continue;
        }
        char path[MBT_PATH_BYTES];
        mbt_error err = {0};
        mbt_config c;
        mbt_config_defaults(&c);
        assert_int_equal(mbt_text_path(MBT_CONFIGS, entry->d_name, path, &err), MBT_OK);
        if (mbt_config_read(path, &c, &err) != MBT_OK || mbt_config_check(&c, &err) != MBT_OK) {
            fail_msg("%s: %s", entry->d_name, err.message);
        }
        char idle[512];
        mbt_config_idle(&c, idle, sizeof idle);
        assert_string_equal(idle, "");
        expect_name_fits(entry->d_name, &c);
        n_files++;
    }
    closedir(folder);
    assert_true(n_files >= 76);
}

/* The recipe of five epochs is the default, but for the batch: a short run needs more steps. */
static void the_short_recipe_is_the_default(void **state)
{
    (void)state;
    char difference[256];
    mbt_error err = {0};
    mbt_config a;
    mbt_config b;
    mbt_config_defaults(&a);
    mbt_config_defaults(&b);
    assert_int_equal(mbt_config_read(MBT_CONFIGS "/cifar10_mobilenetv2_ds8_5ep.json", &a, &err),
                     MBT_OK);
    mbt_config_difference(&a, &b, difference, sizeof difference);
    assert_string_equal(difference, "data.path, train.batch, schedule.lr");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_between_keys),
        cmocka_unit_test(all_rules_in_one_message),
        cmocka_unit_test(ranges_hold_for_values_set_by_hand),
        cmocka_unit_test(every_file_in_configs),
        cmocka_unit_test(the_short_recipe_is_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
