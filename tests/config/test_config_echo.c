/* What the configuration writes: JSON that reads back to the same bits, help, differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"
#include "mbt/config.h"

/* echo -> parse -> echo: the same structure and the same bytes. */
static void expect_round_trip(const mbt_config *config)
{
    mbt_error err = {0};
    char *first = NULL;
    char *second = NULL;
    mbt_config again;
    memset(&again, 0, sizeof again); /* every key must come from the echo */
    assert_int_equal(mbt_config_echo(config, &first, &err), MBT_OK);
    if (mbt_config_parse(first, "echo", &again, &err) != MBT_OK) {
        fail_msg("%s\n%s", err.message, first);
    }
    assert_memory_equal(config, &again, sizeof again);
    assert_int_equal(mbt_config_echo(&again, &second, &err), MBT_OK);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

static void defaults_round_trip(void **state)
{
    (void)state;
    mbt_config c;
    mbt_config_defaults(&c);
    expect_round_trip(&c);
}

/* Doubles with many digits, awkward texts, the largest integer, a full list, no flags. */
static void awkward_values_round_trip(void **state)
{
    (void)state;
    mbt_config c;
    mbt_config_defaults(&c);
    strcpy(c.data.path, "b\\s \"quoted\" \xC3\xA4/\xF0\x9F\x98\x80.h5");
    c.train.seed = 9007199254740991;
    c.train.max_steps = 999999999999;
    c.network.width = 1.0 / 3;
    c.schedule.lr = 0.1 + 0.2;         /* needs 17 digits */
    c.schedule.final_lr = DBL_MIN / 4; /* a subnormal */
    c.schedule.warmup = 1 - DBL_EPSILON / 2;
    c.optimizer.weight_decay = 1e-300;
    c.optimizer.no_decay = 0;
    c.schedule.kind = MBT_SCHEDULE_STEP;
    c.schedule.milestones.count = MBT_LIST_MAX;
    for (int i = 0; i < MBT_LIST_MAX; i++) {
        c.schedule.milestones.value[i] = (i + 1) * 1.1;
    }
    expect_round_trip(&c);
}

static void numbers_are_short_and_exact(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"}, {5e-4, "0.0005"}, {1e-5, "1e-05"},
                 {30, "30"},   {1e5, "100000"},  {0.1 + 0.2, "0.30000000000000004"},
                 {-0.0, "-0"}, {0.25, "0.25"},   {9007199254740991.0, "9007199254740991"}};
    char text[MBT_NUMBER_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(mbt_text_number(cases[i].value, text), cases[i].text);
    }
    /* Neighbours of numbers, up and down by single bits, over the whole range of exponents. */
    for (int exponent = 1; exponent < 0x7FF; exponent += 13) {
        for (int step = -2; step <= 2; step++) {
            int64_t bits = ((int64_t)exponent << 52) + step;
            double value = 0;
            memcpy(&value, &bits, sizeof value);
            double back = strtod(mbt_text_number(value, text), NULL);
            assert_memory_equal(&back, &value, sizeof value);
        }
    }
}

static void the_echo_reads_like_this(void **state)
{
    (void)state;
    mbt_error err = {0};
    char *text = NULL;
    mbt_config c;
    mbt_config_defaults(&c);
    assert_int_equal(mbt_config_echo(&c, &text, &err), MBT_OK);
    assert_memory_equal(text, "{\n  \"run\": {\n    \"folder\": \"\",\n    \"log_interval\": 30\n",
                        51);
    assert_non_null(strstr(text,
                           "  \"optimizer\": {\n    \"kind\": \"sgd\",\n    \"momentum\": 0.9,\n"
                           "    \"nesterov\": true,\n    \"weight_decay\": 0.0005,\n"
                           "    \"no_decay\": [\"bn\", \"bias\", \"depthwise\"],\n"
                           "    \"bn_decay\": 1,\n"));
    assert_non_null(strstr(text, "    \"bn_samples\": 5000\n  },\n  \"schedule\": {\n"));
    assert_non_null(strstr(text, "    \"kind\": \"linear\",\n"));
    assert_non_null(strstr(text, "    \"milestones\": []\n"));
    free(text);
}

static void help_has_every_key(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    mbt_config_help(out);
    assert_int_equal(fclose(out), 0);
    int n_rows = 0;
    const mbt_row *rows = mbt_rows(&n_rows);
    for (int i = 0; i < n_rows; i++) {
        char line[128];
        snprintf(line, sizeof line, "\n%s\n", rows[i].path);
        assert_non_null(strstr(text, line));
        assert_non_null(strstr(text, rows[i].help));
    }
    assert_non_null(strstr(text, "\"comment\""));
    assert_non_null(
        strstr(text, "\ntrain.batch\n    an integer 1 .. 65536, in samples, default 256\n"));
    assert_non_null(
        strstr(text, "one of constant, step, exponential, cosine, linear, default linear"));
    free(text);
}

static void differences_are_named(void **state)
{
    (void)state;
    char out[256];
    mbt_config a;
    mbt_config b;
    mbt_config_defaults(&a);
    mbt_config_defaults(&b);
    mbt_config_difference(&a, &b, out, sizeof out);
    assert_string_equal(out, "");
    /* Bytes behind a text's end and a list's count are no difference. */
    a.data.path[100] = 'x';
    a.schedule.milestones.value[3] = 5;
    mbt_config_difference(&a, &b, out, sizeof out);
    assert_string_equal(out, "");
    /* One of each type. */
    strcpy(a.data.path, "x");
    b.init.kind = MBT_INIT_SEED;
    b.init.zero_gamma = true;
    a.train.seed = 2;
    b.optimizer.no_decay = MBT_NO_DECAY_BN;
    a.schedule.lr = 0.3;
    a.schedule.milestones.count = 1;
    mbt_config_difference(&a, &b, out, sizeof out);
    assert_string_equal(out, "data.path, init.kind, init.zero_gamma, train.seed, "
                             "optimizer.no_decay, schedule.lr, schedule.milestones");
    b.schedule.milestones.count = 1; /* same count, other value */
    mbt_config_difference(&a, &b, out, sizeof out);
    assert_non_null(strstr(out, "schedule.lr"));
    assert_null(strstr(out, "milestones"));
    b.schedule.milestones.value[0] = 7;
    mbt_config_difference(&a, &b, out, sizeof out);
    assert_non_null(strstr(out, "schedule.milestones"));
}

static void differences_are_cut_to_their_room(void **state)
{
    (void)state;
    char out[16];
    mbt_config a;
    mbt_config b;
    mbt_config_defaults(&a);
    mbt_config_defaults(&b);
    a.train.batch = 1;
    a.train.seed = 2;
    memset(out, '#', sizeof out);
    mbt_config_difference(&a, &b, out, 15);
    assert_string_equal(out, "train.batch, t");
    assert_int_equal(out[15], '#');
    mbt_config_difference(&a, &b, out, 1);
    assert_string_equal(out, "");
    out[0] = '#';
    mbt_config_difference(&a, &b, out, 0);
    assert_int_equal(out[0], '#');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_round_trip),
        cmocka_unit_test(awkward_values_round_trip),
        cmocka_unit_test(numbers_are_short_and_exact),
        cmocka_unit_test(the_echo_reads_like_this),
        cmocka_unit_test(help_has_every_key),
        cmocka_unit_test(differences_are_named),
        cmocka_unit_test(differences_are_cut_to_their_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
