/* Overrides of every type with their faults, and the defaults, which are written the same way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "config/schema.h"
#include "mbt/config.h"

static void set(mbt_config *config, const char *assignment)
{
    mbt_error err = {0};
    if (mbt_config_set(assignment, config, &err) != MBT_OK) {
        fail_msg("%s\n  gave: %s", assignment, err.message);
    }
}

static void sets_every_type(void **state)
{
    (void)state;
    mbt_config c;
    mbt_config_defaults(&c);
    set(&c, "train.seed=9007199254740991");
    assert_int_equal(c.train.seed, 9007199254740991);
    set(&c, "schedule.lr=2.5e-1");
    assert_true(c.schedule.lr == 0.25);
    set(&c, "init.zero_gamma=true");
    assert_true(c.init.zero_gamma);
    set(&c, "init.zero_gamma=false");
    assert_false(c.init.zero_gamma);
    set(&c, "data.path=a=b \"c\".h5");
    assert_string_equal(c.data.path, "a=b \"c\".h5");
    set(&c, "data.path=");
    assert_string_equal(c.data.path, "");
    set(&c, "schedule.kind=step");
    assert_int_equal(c.schedule.kind, MBT_SCHEDULE_STEP);
    set(&c, "train.reduce=fp32");
    assert_int_equal(c.train.reduce, MBT_REDUCE_FP32);
    set(&c, "plan.kernels=avx512");
    assert_string_equal(c.plan.kernels, "avx512");
    set(&c, "optimizer.no_decay=depthwise,bn");
    assert_int_equal(c.optimizer.no_decay, MBT_NO_DECAY_BN | MBT_NO_DECAY_DEPTHWISE);
    set(&c, "optimizer.no_decay=");
    assert_int_equal(c.optimizer.no_decay, 0);
    set(&c, "schedule.milestones=10,20.5");
    assert_int_equal(c.schedule.milestones.count, 2);
    assert_true(c.schedule.milestones.value[1] == 20.5);
    set(&c, "schedule.milestones=");
    assert_int_equal(c.schedule.milestones.count, 0);
}

/* A shorter text or list over a longer one leaves nothing of it behind. */
static void replaces_whole_values(void **state)
{
    (void)state;
    mbt_config a;
    mbt_config b;
    mbt_config_defaults(&a);
    mbt_config_defaults(&b);
    set(&a, "data.path=a-long-path.h5");
    set(&a, "schedule.milestones=1,2,3");
    set(&a, "data.path=x");
    set(&a, "schedule.milestones=1");
    set(&b, "data.path=x");
    set(&b, "schedule.milestones=1");
    assert_memory_equal(&a, &b, sizeof a);
}

static void faults_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *assignment, *fragment;
    } cases[] = {
        {"train.batch", "--set: train.batch: got no '=', wanted key=value"},
        {"=3", "got an unknown key"},
        {"train.bacth=3", "train.bacth: got an unknown key, wanted a known one (nearest: train.b"},
        {"batch=3", "(nearest: train.batch)"},
        {"hovercraft=3", "got an unknown key, wanted one of --help-config"},
        {"a.path.that.is.far.longer.than.any.key.of.the.whole.table.could.ever.be=1", "unknown"},
        {"comment=x", "comment: got an unknown key"},
        {"train=x", "train: got an unknown key"},
        {"train.batch=", "train.batch: got \"\", wanted an integer 1 .. 65536"},
        {"train.batch=1x", "train.batch: got \"1x\", wanted an integer"},
        {"train.batch= 1", "train.batch: got \" 1\", wanted an integer"},
        {"train.batch=1.0", "train.batch: got \"1.0\", wanted an integer"},
        {"train.batch=0", "train.batch: got 0, wanted an integer 1 .. 65536"},
        {"train.seed=9007199254740992", "train.seed: got 9007199254740992, wanted an integer 0"},
        {"train.seed=9223372036854775808", "train.seed: got \"9223372036854775808\", wanted"},
        {"schedule.lr=fast", "schedule.lr: got \"fast\", wanted a number 0 .. 100"},
        {"schedule.lr=nan", "schedule.lr: got \"nan\", wanted a number"},
        {"schedule.lr=0x1p3", "schedule.lr: got \"0x1p3\", wanted a number"},
        {"schedule.lr=101", "schedule.lr: got 101, wanted a number 0 .. 100"},
        {"init.zero_gamma=1", "init.zero_gamma: got \"1\", wanted true or false"},
        {"init.zero_gamma=True", "init.zero_gamma: got \"True\", wanted true or false"},
        {"network.name=", "network.name: got \"\", wanted a text of 1 to 63 bytes"},
        {"data.path=a\tb", "data.path: got a control character"},
        {"data.path=\xFF", "data.path: got bytes that are not UTF-8"},
        {"schedule.kind=sine", "schedule.kind: got \"sine\", wanted one of constant, step"},
        {"schedule.kind=cosin", "(nearest: cosine)"},
        {"plan.kernels=fast",
         "plan.kernels: got \"fast\", wanted one of auto, avx512_bf16, avx512, avx2, x86-64"},
        {"optimizer.no_decay=bn,bais", "optimizer.no_decay: got \"bais\", wanted a list of names"},
        {"optimizer.no_decay=bn,", "optimizer.no_decay: got \"\", wanted a list of names"},
        {"optimizer.no_decay=bn,bn", "optimizer.no_decay: got \"bn\" twice, wanted it once"},
        {"optimizer.no_decay=a-name-longer-than-any-that-there-is-or-ever-will-be-in-the-table",
         "optimizer.no_decay: got \"a-name-longer"},
        {"schedule.milestones=1,x", "schedule.milestones: got \"1,x\", wanted a list of at most"},
        {"schedule.milestones=1,", "schedule.milestones: got \"1,\", wanted a list"},
        {"schedule.milestones=1,-2", "schedule.milestones: got -2, wanted a list"},
        {"schedule.milestones=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "at most 16 numbers"},
        /* 64 characters, the first 63 of which are a number in range */
        {"schedule.milestones=1.00000000000000000000000000000000000000000000000000000000000000",
         "schedule.milestones: got \"1.000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mbt_error err = {0};
        mbt_config before;
        mbt_config after;
        mbt_config_defaults(&before);
        after = before;
        assert_int_equal(mbt_config_set(cases[i].assignment, &after, &err), MBT_USAGE);
        if (strstr(err.message, cases[i].fragment) == NULL) {
            fail_msg("%s\n  gave: %s\n  wanted in it: %s", cases[i].assignment, err.message,
                     cases[i].fragment);
        }
        assert_null(strchr(err.message, '\n')); /* one fault, one line */
        assert_memory_equal(&before, &after, sizeof before);
    }
}

static void texts_fit_to_the_last_byte(void **state)
{
    (void)state;
    mbt_error err = {0};
    mbt_config c;
    mbt_config_defaults(&c);
    char assignment[16 + MBT_NAME_BYTES] = "network.name=";
    size_t head = strlen(assignment);
    memset(assignment + head, 'n', MBT_NAME_BYTES - 1);
    set(&c, assignment);
    assert_int_equal(strlen(c.network.name), MBT_NAME_BYTES - 1);
    assignment[head + MBT_NAME_BYTES - 1] = 'n';
    assert_int_equal(mbt_config_set(assignment, &c, &err), MBT_USAGE);
    assert_non_null(strstr(err.message, "network.name: got 64 bytes, wanted a text of 1 to 63"));
}

/* The short-budget recipe, value by value. */
static void defaults_are_the_recipe(void **state)
{
    (void)state;
    mbt_config c;
    memset(&c, 0x5A, sizeof c);
    mbt_config_defaults(&c);
    assert_string_equal(c.network.name, "mobilenetv2");
    assert_int_equal(c.network.downsampling, 8);
    assert_string_equal(c.network.depth, "1.0");
    assert_true(c.network.width == 1.0 && c.network.dropout == 0);
    assert_int_equal(c.init.kind, MBT_INIT_HE_FAN_OUT);
    assert_false(c.init.zero_gamma);
    assert_true(c.train.epochs == 5 && c.train.batch == 256 && c.train.bn_group == 16);
    assert_int_equal(c.train.reduce, MBT_REDUCE_EXACT);
    assert_true(c.train.label_smoothing == 0.1 && c.train.bn_momentum == 0.1);
    assert_true(c.train.bn_eps == 1e-5);
    assert_true(c.optimizer.momentum == 0.9 && c.optimizer.weight_decay == 5e-4);
    assert_true(c.optimizer.nesterov);
    assert_int_equal(c.optimizer.no_decay,
                     MBT_NO_DECAY_BN | MBT_NO_DECAY_BIAS | MBT_NO_DECAY_DEPTHWISE);
    assert_int_equal(c.schedule.kind, MBT_SCHEDULE_LINEAR);
    assert_true(c.schedule.lr == 0.4 && c.schedule.final_lr == 0);
    assert_true(c.schedule.warmup == 0.12 && c.schedule.warmup_start == 0.1);
    assert_int_equal(c.schedule.milestones.count, 0);
    assert_true(c.augment.pad == 4 && c.augment.flip);
    assert_int_equal(c.augment.pad_mode, MBT_PAD_REFLECT);
    assert_true(c.evaluate.every_epochs == 1);
    assert_true(c.checkpoint.every_epochs == 1 && c.checkpoint.keep == 3);
    assert_string_equal(c.data.path, "");
    assert_true(c.run.log_interval_s == 30);
    assert_string_equal(c.plan.kernels, "auto");
}

/* The table itself: defaults in their ranges, fields apart, two-part unique paths, whole groups. */
static void the_table_is_sound(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        [MBT_ROW_I64] = sizeof(int64_t),    [MBT_ROW_F64] = sizeof(double),
        [MBT_ROW_BOOL] = sizeof(bool),      [MBT_ROW_ENUM] = sizeof(int),
        [MBT_ROW_FLAGS] = sizeof(unsigned), [MBT_ROW_LIST] = sizeof(mbt_config_list)};
    int n_rows = 0;
    const mbt_row *rows = mbt_rows(&n_rows);
    mbt_config c;
    mbt_config_defaults(&c);
    mbt_faults faults;
    mbt_faults_init(&faults, "defaults");
    size_t covered = 0;
    for (int i = 0; i < n_rows; i++) {
        mbt_row_verify(&rows[i], &c, &faults);
        assert_true(rows[i].type == MBT_ROW_TEXT || rows[i].bytes == sizes[rows[i].type]);
        assert_true(rows[i].offset >= covered);    /* in the structure's order, none twice */
        assert_true(rows[i].offset - covered < 8); /* padding at most: no field without a row */
        covered = rows[i].offset + rows[i].bytes;
        assert_true(rows[i].max <= MBT_INTEGER_MAX && rows[i].min >= -MBT_INTEGER_MAX);
        assert_true(strlen(rows[i].help) > 0);
        size_t group = mbt_row_group_length(&rows[i]);
        assert_true(rows[i].path[group] == '.' && strchr(rows[i].path + group + 1, '.') == NULL);
        assert_int_equal(mbt_row_find(rows[i].path), i);
        assert_int_equal(mbt_row_find_in(rows[i].path, group, rows[i].path + group + 1), i);
    }
    assert_true(sizeof(mbt_config) - covered < 8);
    assert_int_equal(faults.count, 0);
}

static void what_nothing_reads_is_named(void **state)
{
    char idle[512];
    mbt_config c;
    (void)state;
    mbt_config_defaults(&c);
    mbt_config_idle(&c, idle, sizeof idle);
    assert_string_equal(idle, "");
    set(&c, "optimizer.muon_rate=0.3");
    set(&c, "schedule.kind=cosine");
    set(&c, "schedule.gamma=0.5");
    mbt_config_idle(&c, idle, sizeof idle);
    assert_string_equal(idle, "optimizer.muon_rate (read with optimizer.kind muon), "
                              "schedule.gamma (read with schedule.kind step or exponential)");
    mbt_config_idle(&c, idle, 20);
    assert_string_equal(idle, "optimizer.muon_rate");
    set(&c, "optimizer.kind=muon");
    set(&c, "schedule.kind=exponential");
    mbt_config_idle(&c, idle, sizeof idle);
    assert_string_equal(idle, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_every_type),
        cmocka_unit_test(replaces_whole_values),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(texts_fit_to_the_last_byte),
        cmocka_unit_test(defaults_are_the_recipe),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(what_nothing_reads_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
