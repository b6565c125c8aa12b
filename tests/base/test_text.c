/* text: numbers, bounded strings, nearest name, durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "mbt/text.h"

static void integers_are_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"42", 42},
        {"-17", -17},
        {"007", 7},
        {"9223372036854775807", INT64_MAX},
        {"9007199254740993", 9007199254740993},
        {"-9223372036854775808", INT64_MIN},
    };
    static const char *const bad[] = {"",
                                      "-",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "1.0",
                                      "1e3",
                                      "0x10",
                                      "1\n",
                                      "--1",
                                      "abc",
                                      "12a",
                                      "nan",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t value = 99;
        assert_true(mbt_text_to_i64(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t value = 99;
        assert_false(mbt_text_to_i64(bad[i], &value));
        assert_true(value == 99);
    }
}

static void decimals_are_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"-2.5", -2.5},
        {".5", 0.5},
        {"5.", 5},
        {"1e3", 1000},
        {"1E+3", 1000},
        {"4e-5", 4e-5},
        {"1e-400", 0},
        {"0.1", 0.1},
        {"1.7976931348623157e308", 1.7976931348623157e308},
    };
    static const char *const bad[] = {"",      ".",     "-",     "e5",     "1e",   "1e+",     " 1",
                                      "1 ",    "+1",    "inf",   "nan",    "-inf", "0x1p3",   "1,5",
                                      "1.2.3", "1e5.0", "1e309", "-1e999", "1d3",  "infinity"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        double value = 99;
        assert_true(mbt_text_to_f64(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double value = 99;
        assert_false(mbt_text_to_f64(bad[i], &value));
        assert_true(value == 99);
    }
}

static void format_reports_a_cut(void **state)
{
    (void)state;
    mbt_error err;
    char out[8];
    assert_int_equal(mbt_text_format(out, sizeof out, &err, "name", "%s-%d", "abc", 123), MBT_OK);
    assert_string_equal(out, "abc-123");
    assert_int_equal(mbt_text_format(out, sizeof out, &err, "name", "%s-%d", "abcd", 123),
                     MBT_FAILURE);
    assert_memory_equal(err.message, "name: ", 6);
    assert_non_null(strstr(err.message, "8 bytes do not fit into 8"));
}

static void paths_are_joined(void **state)
{
    (void)state;
    mbt_error err;
    char out[MBT_PATH_BYTES];
    char longest[MBT_PATH_BYTES + 1];
    assert_int_equal(mbt_text_path("a/b", "c", out, &err), MBT_OK);
    assert_string_equal(out, "a/b/c");
    assert_int_equal(mbt_text_path("a/", "c", out, &err), MBT_OK);
    assert_string_equal(out, "a/c");
    assert_int_equal(mbt_text_path("/", "c", out, &err), MBT_OK);
    assert_string_equal(out, "/c");
    assert_int_equal(mbt_text_path("", "c", out, &err), MBT_OK);
    assert_string_equal(out, "c");
    memset(longest, 'x', sizeof longest);
    longest[MBT_PATH_BYTES - 3] = '\0';
    assert_int_equal(mbt_text_path(longest, "c", out, &err), MBT_OK);
    assert_int_equal(mbt_text_path(longest, "cd", out, &err), MBT_FAILURE);
    assert_memory_equal(err.message, "path: ", 6);
}

static void nearest_name_is_found(void **state)
{
    (void)state;
    static const char *const names[] = {"train.epochs",       "train.batch", "optimizer.momentum",
                                        "optimizer.nesterov", "data.path",   "lr"};
    const int n = sizeof names / sizeof names[0];
    assert_int_equal(mbt_text_nearest("train.epoch", names, n), 0);
    assert_int_equal(mbt_text_nearest("train.bacth", names, n), 1);
    assert_int_equal(mbt_text_nearest("optimiser.momentun", names, n), 2);
    assert_int_equal(mbt_text_nearest("data.path", names, n), 4);
    assert_int_equal(mbt_text_nearest("dat.pth", names, n), 4);
    assert_int_equal(mbt_text_nearest("da.ph", names, n), -1);          /* 4 off, 2 allowed */
    assert_int_equal(mbt_text_nearest("optim.mom", names, n), -1);      /* 9 off, 3 allowed */
    assert_int_equal(mbt_text_nearest("optimzr.momntum", names, n), 2); /* 3 off, 5 allowed */
    assert_int_equal(mbt_text_nearest("trxxn.xatch", names, n), 1);     /* 3 off, 3 allowed */
    assert_int_equal(mbt_text_nearest("trxxn.xatxh", names, n), -1);    /* 4 off */
    assert_int_equal(mbt_text_nearest("ls", names, n), 5);
    assert_int_equal(mbt_text_nearest("bn", names, n), -1); /* nothing in common */
    assert_int_equal(mbt_text_nearest("", names, n), -1);
    assert_int_equal(mbt_text_nearest("lr", names, 0), -1);
    char word[400];
    memset(word, 'x', sizeof word);
    word[sizeof word - 1] = '\0';
    const char *const long_name = word;
    assert_int_equal(mbt_text_nearest(word, names, n), -1);
    assert_int_equal(mbt_text_nearest("xxxx", &long_name, 1), -1);
}

static void durations_read_well(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } rows[] = {
        {0, "0.0 s"},
        {4.1, "4.1 s"},
        {59.94, "59.9 s"},
        {59.96, "01:00"},
        {60, "01:00"},
        {723.4, "12:03"},
        {3599.6, "01:00:00"},
        {7384, "02:03:04"},
        {86400, "1 d 00:00:00"},
        {93784, "1 d 02:03:04"},
        {-5, "0.0 s"},
        {1e300, "over 100000 d"},
        {NAN, "over 100000 d"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[32];
        assert_ptr_equal(mbt_text_duration(rows[i].seconds, out), out);
        assert_string_equal(out, rows[i].text);
    }
}

static void cuts_no_letter(void **state)
{
    (void)state;
    assert_int_equal(mbt_text_fitting("", 5), 0);
    assert_int_equal(mbt_text_fitting("abc", 2), 2);
    assert_int_equal(mbt_text_fitting("abc", 3), 3);
    assert_int_equal(mbt_text_fitting("a\xc3\xa9z", 2), 1);
    assert_int_equal(mbt_text_fitting("a\xc3\xa9z", 3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_strict),   cmocka_unit_test(decimals_are_strict),
        cmocka_unit_test(format_reports_a_cut),  cmocka_unit_test(paths_are_joined),
        cmocka_unit_test(nearest_name_is_found), cmocka_unit_test(durations_read_well),
        cmocka_unit_test(cuts_no_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
