/* Reading JSON: every kind of fault with its message, several at once, and what a fault leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/config.h"
#include "mbt/file.h"
#include "mbt/text.h"

typedef struct fault_case {
    const char *text;
    const char *fragments[4]; /* each stands in the message; NULL: no more */
} fault_case;

/* Parsing fails with MBT_CONFIG, says all fragments behind the file's name, and changes nothing. */
static void expect_fault(const char *text, const char *const fragments[4])
{
    mbt_error err = {0};
    mbt_config before;
    mbt_config after;
    mbt_config_defaults(&before);
    after = before;
    assert_int_equal(mbt_config_parse(text, "a.json", &after, &err), MBT_CONFIG);
    assert_int_equal(err.code, MBT_CONFIG);
    assert_memory_equal(err.message, "a.json: ", strlen("a.json: "));
    for (int i = 0; i < 4 && fragments[i] != NULL; i++) {
        if (strstr(err.message, fragments[i]) == NULL) {
            fail_msg("%s\n  gave: %s\n  wanted in it: %s", text, err.message, fragments[i]);
        }
    }
    assert_memory_equal(&before, &after, sizeof before);
}

static void expect_faults(const fault_case *cases, size_t n_cases)
{
    for (size_t i = 0; i < n_cases; i++) {
        expect_fault(cases[i].text, cases[i].fragments);
    }
}

static void expect_reads(const char *text, mbt_config *config)
{
    mbt_error err = {0};
    mbt_config_defaults(config);
    if (mbt_config_parse(text, "a.json", config, &err) != MBT_OK) {
        fail_msg("%s\n  gave: %s", text, err.message);
    }
}

static void reads_every_type(void **state)
{
    (void)state;
    mbt_config c;
    expect_reads("{\"comment\": \"any text\",\r\n"
                 " \"data\": {\"path\": \"d\\u00e4ta\\\\\\\"x\\/\\ud83d\\ude00.h5\"},\n"
                 " \"network\": {\"width\": 2.5e-1},\n"
                 " \"init\": {\"kind\": \"seed\", \"zero_gamma\": true},\n"
                 "\t\"train\": {\"seed\": 9007199254740991, \"batch\": 1e2},\n"
                 " \"optimizer\": {\"no_decay\": [\"depthwise\", \"bn\"]},\n"
                 " \"schedule\": {\"kind\": \"step\", \"milestones\": [1, 2.5, 30]},\n"
                 " \"augment\": {}, \"plan\": {\"kernels\": \"x86-64\"}}\n",
                 &c);
    assert_string_equal(c.data.path, "d\xC3\xA4ta\\\"x/\xF0\x9F\x98\x80.h5");
    assert_true(c.network.width == 0.25);
    assert_int_equal(c.init.kind, MBT_INIT_SEED);
    assert_true(c.init.zero_gamma);
    assert_int_equal(c.train.seed, 9007199254740991);
    assert_int_equal(c.train.batch, 100);
    assert_int_equal(c.optimizer.no_decay, MBT_NO_DECAY_BN | MBT_NO_DECAY_DEPTHWISE);
    assert_int_equal(c.schedule.kind, MBT_SCHEDULE_STEP);
    assert_int_equal(c.schedule.milestones.count, 3);
    assert_true(c.schedule.milestones.value[1] == 2.5);
    assert_string_equal(c.plan.kernels, "x86-64");
    assert_true(c.schedule.lr == 0.4); /* untouched keys keep what was there */
}

static void keeps_values_that_are_not_named(void **state)
{
    (void)state;
    mbt_error err = {0};
    mbt_config c;
    mbt_config_defaults(&c);
    c.train.batch = 96;
    assert_int_equal(mbt_config_parse("{\"train\": {\"seed\": 7}}", "a", &c, &err), MBT_OK);
    assert_int_equal(c.train.batch, 96);
    assert_int_equal(c.train.seed, 7);
}

static void syntax_errors_have_line_and_column(void **state)
{
    (void)state;
    static const fault_case cases[] = {
        {"", {"syntax error in line 1, column 1: got the end, wanted a value"}},
        {"{\n  \"a\": 1\n  \"b\": 2}", {"line 3, column 3: got '\"', wanted ',' or '}'"}},
        {"{\"a\": 1,}", {"line 1, column 9: got '}', wanted a key in double quotes"}},
        {"{\n'a': 1}", {"line 2, column 1: got ''', wanted a key in double quotes"}},
        {"{// no\n}", {"line 1, column 2: got '/', wanted a key"}},
        {"{\"a\" 1}", {"line 1, column 6: got '1', wanted ':'"}},
        {"{\"a\": }", {"line 1, column 7: got '}', wanted a value"}},
        {"{\"a\": nul}", {"line 1, column 7: got 'n', wanted a value"}},
        {"{\"a\": [1 2]}", {"column 10: got '2', wanted ',' or ']'"}},
        {"{\"a\": [1,]}", {"column 10: got ']', wanted a value"}},
        {"{\"a\": \"b", {"line 1, column 9: got the end, wanted '\"'"}},
        {"{\"a\": \"b\nc\"}", {"line 1, column 9: got the end of the line, wanted '\"'"}},
        {"{\"a\": \"b\tc\"}", {"column 9: got the byte 0x09", "control characters are escaped"}},
        {"{\"a\": \"\\x\"}", {"column 9: got 'x', wanted one of \"\\/bfnrtu after a backslash"}},
        {"{\"a\": \"\\u12g4\"}", {"column 12: got 'g', wanted a hexadecimal digit"}},
        {"{\"a\": \"b\\u0000\"}", {"column 11: got an escape that is no character"}},
        {"{\"a\": \"\\ud800\"}", {"got an escape that is no character"}},
        {"{\"a\": \"\\ude00\"}", {"got an escape that is no character"}},
        {"{\"a\": \"\\ud83d\\u0041\"}", {"got an escape that is no character"}},
        {"{\"\xC3\xA4\": \"\xC3\"}", {"column 8: got the byte 0xC3, wanted UTF-8"}},
        {"{\"a\": \"\xC0\xAF\"}", {"got the byte 0xC0, wanted UTF-8"}},
        {"{\"a\": \"\xED\xA0\x80\"}", {"got the byte 0xED, wanted UTF-8"}},
        {"{\"a\": 01}", {"column 8: got '1', wanted a number without leading zeros"}},
        {"{\"a\": +1}", {"column 7: got '+', wanted a value"}},
        {"{\"a\": .5}", {"column 7: got '.', wanted a value"}},
        {"{\"a\": 1.}", {"column 9: got '}', wanted a digit"}},
        {"{\"a\": 1e}", {"column 9: got '}', wanted a digit"}},
        {"{\"a\": -}", {"column 8: got '}', wanted a digit"}},
        {"{\"a\": 0.1111111111111111111111111111111111111111111111111111111111111111111}",
         {"column 7: got a number of more than 60 characters"}},
        {"{\"a\":\x01 1}", {"column 6: got the byte 0x01, wanted a value"}},
        {"\xEF\xBB\xBF{}", {"line 1, column 1: got a byte order mark"}},
        {"{}\n{}", {"line 2, column 1: got '{', wanted the end after the closing bracket"}},
        {"{} x", {"line 1, column 4: got 'x', wanted the end"}},
        {"{\"a\": {", {"line 1, column 8: got the end, wanted a key"}},
        {"[[[[[[[[[[[[[[[[[", {"column 17: got a bracket inside 16 others, wanted less nesting"}},
    };
    expect_faults(cases, sizeof cases / sizeof *cases);
}

static void unknown_keys_name_the_nearest(void **state)
{
    (void)state;
    static const fault_case cases[] = {
        {"{\"train\": {\"bacth\": 1}}",
         {"a.json: train.bacth: got an unknown key", "nearest: train.batch"}},
        {"{\"train\": {\"Batch\": 1}}",
         {"train.Batch: got an unknown key", "nearest: train.batch"}},
        {"{\"Train\": {\"batch\": 1}}", {"Train: got an unknown key", "nearest: train"}},
        {"{\"trian\": {\"batch\": 1}}", {"trian: got an unknown key", "nearest: train"}},
        {"{\"momentum\": 0.9}", {"momentum: got an unknown key", "nearest: optimizer.momentum"}},
        {"{\"train\": {\"lr\": 0.1}}", {"train.lr: got an unknown key", "nearest: schedule.lr"}},
        {"{\"train.batch\": 1}",
         {"got the whole path as a key, wanted {\"train\": {\"batch\": ...}}"}},
        {"{\"train\": {\"train.batch\": 1}}", {"train.train.batch: got an unknown key"}},
        {"{\"\": 1}", {"got an unknown key, wanted one of --help-config"}},
        {"{\"hovercraft\": {}}", {"hovercraft: got an unknown key, wanted one of --help-config"}},
        {"{\"train\": {\"comment\": \"only at the top\"}}", {"train.comment: got an unknown key"}},
        {"{\"a\\nb\": 1}", {"a.json: a?b: got an unknown key"}},
        {"{\"a-key-that-is-longer-than-any-that-a-message-has-a-mind-to-repeat-in-full\": 1}",
         {"a-key-that-is-longer-than-any-that-a-message-has-a-mind-to-r...: got an unknown key"}},
    };
    expect_faults(cases, sizeof cases / sizeof *cases);
}

static void wrong_types(void **state)
{
    (void)state;
    static const fault_case cases[] = {
        {"[1]", {"a.json: got an array, wanted an object"}},
        /* side by side is not nesting */
        {"[[], [], [], [], [], [], [], [], [], [], [], [], [], [], [], [], []]",
         {"a.json: got an array, wanted an object"}},
        {"\"x\"", {"a.json: got the text \"x\", wanted an object"}},
        {"{\"comment\": 1}", {"comment: got the number 1, wanted a text"}},
        {"{\"train\": 5}", {"train: got the number 5, wanted an object of keys"}},
        {"{\"train\": {\"batch\": \"256\"}}",
         {"train.batch: got the text \"256\", wanted an integer 1 .. 65536"}},
        {"{\"train\": {\"batch\": 2.5}}", {"train.batch: got the number 2.5, wanted an integer"}},
        {"{\"train\": {\"batch\": null}}", {"train.batch: got null, wanted an integer"}},
        {"{\"train\": {\"batch\": {}}}", {"train.batch: got an object, wanted an integer"}},
        {"{\"schedule\": {\"lr\": true}}", {"schedule.lr: got true, wanted a number 0 .. 100"}},
        {"{\"init\": {\"zero_gamma\": 1}}",
         {"init.zero_gamma: got the number 1, wanted true or false"}},
        {"{\"data\": {\"path\": 1}}", {"data.path: got the number 1, wanted a text"}},
        {"{\"schedule\": {\"kind\": 1}}", {"schedule.kind: got the number 1, wanted one of"}},
        {"{\"optimizer\": {\"no_decay\": \"bn\"}}",
         {"optimizer.no_decay: got the text \"bn\", wanted a list of names out of bn, bias"}},
        {"{\"optimizer\": {\"no_decay\": [1]}}",
         {"optimizer.no_decay: got the number 1 in the array, wanted a list of names"}},
        {"{\"schedule\": {\"milestones\": 3}}",
         {"schedule.milestones: got the number 3, wanted a list of at most 16 numbers"}},
        {"{\"schedule\": {\"milestones\": [\"3\"]}}",
         {"schedule.milestones: got the text \"3\" in the array"}},
    };
    expect_faults(cases, sizeof cases / sizeof *cases);
}

static void values_out_of_range(void **state)
{
    (void)state;
    static const fault_case cases[] = {
        {"{\"train\": {\"batch\": 0}}", {"train.batch: got 0, wanted an integer 1 .. 65536"}},
        {"{\"train\": {\"batch\": 65537}}", {"train.batch: got 65537, wanted an integer"}},
        {"{\"train\": {\"seed\": -1}}", {"train.seed: got -1, wanted an integer 0 .."}},
        {"{\"schedule\": {\"warmup\": 1.5}}", {"schedule.warmup: got 1.5, wanted a number 0 .. 1"}},
        {"{\"schedule\": {\"lr\": 1e999}}", {"schedule.lr: got inf, wanted a number 0 .. 100"}},
        {"{\"schedule\": {\"milestones\": [1, -2]}}",
         {"schedule.milestones: got -2, wanted a list"}},
        {"{\"schedule\": {\"milestones\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}}",
         {"schedule.milestones: got 17 numbers, wanted a list of at most 16"}},
        {"{\"network\": {\"name\": \"\"}}", {"network.name: got \"\", wanted a text of 1 to 63"}},
        {"{\"network\": {\"name\": \"a-name-of-sixty-four-bytes-which-is-one-more-than-its-field-"
         "hold\"}}",
         {"network.name: got 64 bytes, wanted a text of 1 to 63 bytes"}},
        {"{\"data\": {\"path\": \"a\\nb\"}}", {"data.path: got a control character, wanted"}},
    };
    expect_faults(cases, sizeof cases / sizeof *cases);
}

static void duplicate_keys(void **state)
{
    (void)state;
    static const fault_case cases[] = {
        {"{\"train\": {\"batch\": 1, \"seed\": 1, \"batch\": 1}}",
         {"train.batch: got the key again, wanted it once"}},
        {"{\"train\": {\"batch\": 16}, \"run\": {}, \"train\": {\"seed\": 1}}",
         {"a.json: train: got the key again, wanted it once"}},
        {"{\"comment\": \"a\", \"comment\": \"b\"}", {"comment: got the key again"}},
        {"{\"train\": {\"batch\": 1, \"b\\u0061tch\": 1}}", {"train.batch: got the key again"}},
        {"{\"optimizer\": {\"no_decay\": [\"bn\", \"bn\"]}}",
         {"optimizer.no_decay: got \"bn\" twice, wanted it once"}},
    };
    expect_faults(cases, sizeof cases / sizeof *cases);
}

static void integers_beyond_a_double(void **state)
{
    (void)state;
    static const fault_case cases[] = {
        /* 2^53, which 2^53 + 1 reads as, too */
        {"{\"train\": {\"seed\": 9007199254740992}}", {"train.seed: got an integer beyond 2^53"}},
        {"{\"train\": {\"seed\": 9007199254740993}}", {"train.seed: got an integer beyond 2^53"}},
        {"{\"train\": {\"seed\": -9007199254740993}}", {"train.seed: got an integer beyond 2^53"}},
        {"{\"train\": {\"seed\": 18446744073709551617}}", {"train.seed: got an integer beyond"}},
        {"{\"train\": {\"seed\": 1e400}}", {"train.seed: got an integer beyond"}},
    };
    expect_faults(cases, sizeof cases / sizeof *cases);
}

static void wrong_names(void **state)
{
    (void)state;
    static const fault_case cases[] = {
        {"{\"schedule\": {\"kind\": \"liner\"}}",
         {"schedule.kind: got \"liner\", wanted one of constant, step, exponential, cosine, "
          "linear (nearest: linear)"}},
        {"{\"schedule\": {\"kind\": \"LINEAR\"}}", {"schedule.kind: got \"LINEAR\", wanted one"}},
        {"{\"augment\": {\"pad_mode\": \"\"}}", {"got \"\", wanted one of zero, reflect, mean"}},
        {"{\"plan\": {\"kernels\": \"avx51\"}}",
         {"plan.kernels: got \"avx51\", wanted one of auto, avx512_bf16, avx512, avx2, x86-64 ",
          "(nearest: avx512)"}},
        {"{\"optimizer\": {\"no_decay\": [\"bn\", \"bais\"]}}",
         {"optimizer.no_decay: got \"bais\"", "(nearest: bias)"}},
    };
    expect_faults(cases, sizeof cases / sizeof *cases);
}

static void all_faults_in_one_message(void **state)
{
    (void)state;
    static const char *const all[] = {
        "a.json: train.batch: got 0, wanted an integer 1 .. 65536\n",
        "a.json: train.epoch: got an unknown key, wanted a known one (nearest: train.epochs)\n",
        "a.json: train.batch: got the key again, wanted it once\n",
        "a.json: augment.flip: got the text \"yes\", wanted true or false"};
    expect_fault("{\"train\": {\"batch\": 0, \"epoch\": 5, \"batch\": 1},"
                 " \"augment\": {\"flip\": \"yes\"}}",
                 all);
}

/* Unknown key number i; every second one makes a line that is twice as long. */
static void numbered_key(int i, char key[64])
{
    snprintf(key, 64, "zzz%03d%s", i, i % 2 != 0 ? "-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz" : "");
}

enum { N_KEYS = 200 };

/* Whole lines in order, up to the first that does not fit, and the number of the others. */
static void expect_cut_message(const char *text, const char *name)
{
    char key[64];
    char wanted[200];
    mbt_error err = {0};
    mbt_config c;
    mbt_config_defaults(&c);
    assert_int_equal(mbt_config_parse(text, name, &c, &err), MBT_CONFIG);
    assert_true(strlen(err.message) < MBT_ERROR_MAX - 1);
    int n_lines = 0;
    const char *line = err.message;
    for (const char *next = NULL; (next = strchr(line, '\n')) != NULL; line = next + 1) {
        numbered_key(n_lines, key);
        snprintf(wanted, sizeof wanted, "%s: %s: got an unknown key, wanted one of --help-config",
                 name, key);
        assert_int_equal(next - line, strlen(wanted));
        assert_memory_equal(line, wanted, strlen(wanted));
        n_lines++;
    }
    snprintf(wanted, sizeof wanted, "and %d more", N_KEYS - n_lines);
    assert_string_equal(line, wanted);
    assert_in_range(n_lines, 6, 20);
}

/* 200 faults, for file names of many lengths, so that the cut falls everywhere in a line. */
static void a_long_message_is_cut_by_lines(void **state)
{
    (void)state;
    char key[64];
    char text[N_KEYS * 64] = "{";
    size_t used = 1;
    for (int i = 0; i < N_KEYS; i++) {
        numbered_key(i, key);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\": 1", i > 0 ? ", " : "",
                                 key);
    }
    snprintf(text + used, sizeof text - used, "}");
    char name[48] = "";
    for (size_t i = 0; i + 1 < sizeof name; i++) {
        name[i] = 'a';
        expect_cut_message(text, name);
    }
}

static void a_long_file_name_keeps_its_end(void **state)
{
    (void)state;
    char name[400];
    memset(name, 'd', sizeof name);
    memcpy(name + sizeof name - 8, "/a.json", 8);
    mbt_error err = {0};
    mbt_config c;
    mbt_config_defaults(&c);
    assert_int_equal(mbt_config_parse("{\"train\": 1}", name, &c, &err), MBT_CONFIG);
    assert_memory_equal(err.message, "...ddd", 6);
    assert_non_null(strstr(err.message, "dd/a.json: train: got the number 1"));
    assert_true(strlen(err.message) < 160);
}

static void reads_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/mbt_config_XXXXXX";
    char path[MBT_PATH_BYTES];
    static const char zero[] = "{\"train\": {\"seed\": 3}}\0x";
    mbt_error err = {0};
    mbt_config c;
    mbt_config_defaults(&c);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mbt_text_path(folder, "a.json", path, &err), MBT_OK);

    assert_int_equal(mbt_config_read(path, &c, &err), MBT_CONFIG);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "No such file"));
    assert_int_equal(mbt_config_read(folder, &c, &err), MBT_CONFIG);
    assert_non_null(strstr(err.message, folder));

    assert_int_equal(mbt_file_replace(path, zero, strlen(zero), &err), MBT_OK);
    assert_int_equal(mbt_config_read(path, &c, &err), MBT_OK);
    assert_int_equal(c.train.seed, 3);

    /* A zero byte must not hide what stands behind it. */
    assert_int_equal(mbt_file_replace(path, zero, sizeof zero - 1, &err), MBT_OK);
    assert_int_equal(mbt_config_read(path, &c, &err), MBT_CONFIG);
    assert_non_null(strstr(err.message, "line 1, column 23: got the byte 0x00, wanted the end"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(keeps_values_that_are_not_named),
        cmocka_unit_test(syntax_errors_have_line_and_column),
        cmocka_unit_test(unknown_keys_name_the_nearest),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(values_out_of_range),
        cmocka_unit_test(duplicate_keys),
        cmocka_unit_test(integers_beyond_a_double),
        cmocka_unit_test(wrong_names),
        cmocka_unit_test(all_faults_in_one_message),
        cmocka_unit_test(a_long_message_is_cut_by_lines),
        cmocka_unit_test(a_long_file_name_keeps_its_end),
        cmocka_unit_test(reads_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
