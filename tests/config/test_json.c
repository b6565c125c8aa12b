/* JSON written and read back: the same bits, paths, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/json.h"

static char path[] = "test_json.XXXXXX";

static int make_file(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_all(const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    static const double numbers[] = {0, -1, 0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, 1e22};
    enum { N = sizeof numbers / sizeof numbers[0] };
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    mbt_json json;
    mbt_json_begin(&json, out);
    mbt_json_object(&json, NULL);
    mbt_json_array(&json, "numbers");
    for (int i = 0; i < N; i++) {
        mbt_json_number(&json, NULL, numbers[i]);
    }
    mbt_json_number(&json, NULL, NAN);
    mbt_json_end(&json);
    mbt_json_object(&json, "inner");
    mbt_json_text(&json, "text", "a \"quoted\" \\ word");
    mbt_json_integer(&json, "integer", 9007199254740991);
    mbt_json_array(&json, "empty");
    mbt_json_end(&json);
    mbt_json_end(&json);
    mbt_json_end(&json);
    assert_int_equal(fclose(out), 0);

    mbt_error err = {0};
    mbt_json_file *file = NULL;
    if (mbt_json_read(path, &file, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(mbt_json_count(file, "numbers"), N + 1);
    for (int i = 0; i < N; i++) {
        char at[32];
        double value = -7;
        (void)snprintf(at, sizeof at, "numbers.%d", i);
        assert_int_equal(mbt_json_get(file, at, &value, &err), MBT_OK);
        assert_memory_equal(&value, &numbers[i], sizeof value);
    }
    double value = 0;
    const char *text = NULL;
    assert_int_equal(mbt_json_get(file, "inner.integer", &value, &err), MBT_OK);
    assert_true(value == 9007199254740991.0);
    assert_int_equal(mbt_json_get_text(file, "inner.text", &text, &err), MBT_OK);
    assert_string_equal(text, "a \"quoted\" \\ word");
    assert_int_equal(mbt_json_count(file, "inner.empty"), 0);
    assert_true(mbt_json_has(file, "inner.empty"));
    /* Not there, of another kind, beyond the end, not a number. */
    static const char *const none[] = {"inner",     "inner.text", "inner.none",    "numbers.8",
                                       "numbers.7", "numbers.x",  "Inner.integer", "inner.int"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(mbt_json_get(file, none[i], &value, &err), MBT_DATA);
        assert_non_null(strstr(err.message, none[i]));
        assert_non_null(strstr(err.message, path));
    }
    mbt_json_close(file);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "{\"a\": 01}", "{\"a\": 1} x", "nothing"};
    mbt_error err = {0};
    mbt_json_file *file = NULL;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_all(texts[i]);
        assert_int_equal(mbt_json_read(path, &file, &err), MBT_DATA);
        assert_null(file);
    }
    assert_int_equal(mbt_json_read("no/such.json", &file, &err), MBT_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(bad_files_are_refused),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
