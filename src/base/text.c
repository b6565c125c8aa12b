/* Strict numbers, bounded strings, the nearest name, durations. Files are in file.c. */
#include "mbt/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 128 }; /* longer words get no proposal */

static const char *skip_digits(const char *at)
{
    while (isdigit((unsigned char)*at)) {
        at++;
    }
    return at;
}

bool mbt_text_to_i64(const char *text, int64_t *value)
{
    const char *digits = text + (*text == '-');
    const char *end = skip_digits(digits);
    if (end == digits || *end != '\0') {
        return false;
    }
    errno = 0;
    long long parsed = strtoll(text, NULL, 10);
    if (errno == ERANGE || parsed < INT64_MIN || parsed > INT64_MAX) {
        return false;
    }
    *value = parsed;
    return true;
}

/* [-] digits [. digits] [e [+-] digits], with a digit before or after the point. Checked here and
 * not left to strtod, which takes blanks, hexadecimal, infinities and the locale's point. */
static bool is_decimal(const char *text)
{
    const char *at = text + (*text == '-');
    const char *end = skip_digits(at);
    bool any = end != at;
    if (*end == '.') {
        at = end + 1;
        end = skip_digits(at);
        any = any || end != at;
    }
    if (!any) {
        return false;
    }
    if (*end == 'e' || *end == 'E') {
        at = end + 1;
        at += *at == '+' || *at == '-';
        end = skip_digits(at);
        if (end == at) {
            return false;
        }
    }
    return *end == '\0';
}

bool mbt_text_to_f64(const char *text, double *value)
{
    if (!is_decimal(text)) {
        return false;
    }
    char *end = NULL;
    double parsed = strtod(text, &end);
    if (*end != '\0' || !isfinite(parsed)) {
        return false;
    }
    *value = parsed;
    return true;
}

mbt_status mbt_text_format(char *out, size_t bytes, mbt_error *err, const char *what,
                           const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(out, bytes, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= bytes) {
        return mbt_fail(err, MBT_FAILURE, "%s: %d bytes do not fit into %zu: \"%.200s...\"", what,
                        length, bytes, bytes ? out : "");
    }
    return MBT_OK;
}

mbt_status mbt_text_path(const char *folder, const char *name, char *out, mbt_error *err)
{
    size_t length = strlen(folder);
    const char *slash = length == 0 || folder[length - 1] == '/' ? "" : "/";
    return mbt_text_format(out, MBT_PATH_BYTES, err, "path", "%s%s%s", folder, slash, name);
}

/* Levenshtein distance with one row of the table; both words are shorter than WORD_MAX. */
static int edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    int row[WORD_MAX];
    for (size_t j = 0; j <= n_b; j++) {
        row[j] = (int)j;
    }
    for (size_t i = 1; i <= n_a; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= n_b; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n_b];
}

int mbt_text_nearest(const char *word, const char *const *names, int n_names)
{
    size_t n_word = strlen(word);
    if (n_word >= WORD_MAX) {
        return -1;
    }
    int limit = n_word / 3 > 2 ? (int)(n_word / 3) : 2;
    int nearest = -1;
    int best = limit + 1;
    for (int i = 0; i < n_names; i++) {
        size_t n_name = strlen(names[i]);
        if (n_name >= WORD_MAX) {
            continue;
        }
        int distance = edit_distance(word, n_word, names[i], n_name);
        /* A distance of the whole word means that the two have nothing in common. */
        size_t longer = n_word > n_name ? n_word : n_name;
        if (distance < best && (distance == 0 || (size_t)distance < longer)) {
            best = distance;
            nearest = i;
        }
    }
    return nearest;
}

char *mbt_text_duration(double seconds, char *out)
{
    enum { OUT_BYTES = 32, MINUTE = 60, HOUR = 3600, DAY = 86400, DAYS_MAX = 100000 };
    if (!(seconds < (double)DAY * DAYS_MAX)) { /* also when it is not a number */
        (void)snprintf(out, OUT_BYTES, "over %d d", DAYS_MAX);
        return out;
    }
    if (seconds < 0) {
        seconds = 0;
    }
    if (seconds < MINUTE - 0.05) { /* what would print as 60.0 goes on as minutes */
        (void)snprintf(out, OUT_BYTES, "%.1f s", seconds);
        return out;
    }
    long whole = lround(seconds);
    int s = (int)(whole % 60);
    int m = (int)(whole / MINUTE % 60);
    int h = (int)(whole / HOUR % 24);
    int d = (int)(whole / DAY);
    if (d > 0) {
        (void)snprintf(out, OUT_BYTES, "%d d %02d:%02d:%02d", d, h, m, s);
    } else if (h > 0) {
        (void)snprintf(out, OUT_BYTES, "%02d:%02d:%02d", h, m, s);
    } else {
        (void)snprintf(out, OUT_BYTES, "%02d:%02d", m, s);
    }
    return out;
}

const char *mbt_text_number(double value, char *out)
{
    /* %g drops trailing zeros, so 15 digits also stand for all fewer; 17 always suffice. */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, MBT_NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(out, NULL) == value) {
            break;
        }
    }
    return out;
}

int mbt_text_fitting(const char *text, int bytes)
{
    const size_t length = strlen(text);
    int n = length < (size_t)bytes ? (int)length : bytes;
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) {
        n--;
    }
    return n;
}

const char *mbt_text_measured(double value, int decimals, char *out)
{
    (void)snprintf(out, MBT_NUMBER_BYTES, isnan(value) ? "-" : "%.*f", decimals, value);
    return out;
}
