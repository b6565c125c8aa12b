/* The grammar of JSON (RFC 8259), checked before cJSON builds the tree.
 *
 * cJSON reads more than JSON: a byte order mark, 01 and -.5, raw control characters, \u0000 (which
 * cuts the text there), any byte up to 32 as a blank; and its error position may lie a character
 * late. This pass refuses all that and knows line, column and what was wanted. */
#include "schema.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 16, NUMBER_MAX = 60 /* cJSON cuts numbers at 63 characters */ };

typedef struct scanner {
    const char *text, *at, *end;
    int depth;
    const char *got, *wanted; /* the fault; got NULL: the character at `at` */
} scanner;

static bool refuse(scanner *s, const char *got, const char *wanted)
{
    s->got = got;
    s->wanted = wanted;
    return false;
}

static bool is_at(const scanner *s, char c)
{
    return s->at < s->end && *s->at == c;
}

static bool is_digit(const scanner *s)
{
    return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static void skip_blanks(scanner *s)
{
    while (is_at(s, ' ') || is_at(s, '\n') || is_at(s, '\r') || is_at(s, '\t')) {
        s->at++;
    }
}

static bool scan_digits(scanner *s)
{
    if (!is_digit(s)) {
        return refuse(s, NULL, "a digit");
    }
    while (is_digit(s)) {
        s->at++;
    }
    return true;
}

static bool scan_number(scanner *s)
{
    const char *start = s->at;
    if (is_at(s, '-')) {
        s->at++;
    }
    if (is_at(s, '0')) {
        s->at++;
        if (is_digit(s)) {
            return refuse(s, NULL, "a number without leading zeros");
        }
    } else if (!scan_digits(s)) {
        return false;
    }
    if (is_at(s, '.')) {
        s->at++;
        if (!scan_digits(s)) {
            return false;
        }
    }
    if (is_at(s, 'e') || is_at(s, 'E')) {
        s->at++;
        if (is_at(s, '+') || is_at(s, '-')) {
            s->at++;
        }
        if (!scan_digits(s)) {
            return false;
        }
    }
    if (s->at - start > NUMBER_MAX) {
        s->at = start;
        return refuse(s, "a number of more than 60 characters", "a shorter one");
    }
    return true;
}

/* Four hexadecimal digits; -1 with the fault recorded otherwise. */
static int scan_hex(scanner *s)
{
    int value = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *digit = s->at < s->end && *s->at != '\0' ? strchr(digits, *s->at) : NULL;
        if (digit == NULL) {
            (void)refuse(s, NULL, "a hexadecimal digit");
            return -1;
        }
        value = value * 16 + (int)(digit - digits) % 16;
    }
    return value;
}

static bool scan_unicode(scanner *s)
{
    const char *start = s->at;
    int unit = scan_hex(s);
    if (unit < 0) {
        return false;
    }
    bool bad = unit == 0 || (unit >= 0xDC00 && unit <= 0xDFFF);
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        bad = s->end - s->at < 2 || memcmp(s->at, "\\u", 2) != 0;
        if (!bad) {
            s->at += 2;
            int low = scan_hex(s);
            if (low < 0) {
                return false;
            }
            bad = low < 0xDC00 || low > 0xDFFF;
        }
    }
    if (bad) {
        s->at = start;
        return refuse(s, "an escape that is no character", "\\u with another code");
    }
    return true;
}

static bool scan_string(scanner *s)
{
    s->at++;
    while (!is_at(s, '"')) {
        if (s->at == s->end) {
            return refuse(s, NULL, "'\"' at the end of a text");
        }
        if ((unsigned char)*s->at < 0x20) {
            return refuse(s, NULL, "'\"' at the end of a text (control characters are escaped)");
        }
        if (*s->at == '\\') {
            s->at++;
            if (s->at == s->end || *s->at == '\0' || strchr("\"\\/bfnrtu", *s->at) == NULL) {
                return refuse(s, NULL, "one of \"\\/bfnrtu after a backslash");
            }
            s->at++;
            if (s->at[-1] == 'u' && !scan_unicode(s)) {
                return false;
            }
            continue;
        }
        size_t step = mbt_utf8_step(s->at, s->end);
        if (step == 0) {
            return refuse(s, NULL, "UTF-8");
        }
        s->at += step;
    }
    s->at++;
    return true;
}

static bool scan_value(scanner *s);

/* Members or elements with their brackets; the recursion ends at DEPTH_MAX. */
/* NOLINTNEXTLINE(misc-no-recursion) */
static bool scan_container(scanner *s, bool object)
{
    char close = object ? '}' : ']';
    if (s->depth == DEPTH_MAX) {
        return refuse(s, "a bracket inside 16 others", "less nesting");
    }
    s->depth++;
    s->at++;
    skip_blanks(s);
    bool empty = is_at(s, close);
    while (!empty) {
        if (object) {
            skip_blanks(s);
            if (!is_at(s, '"')) {
                return refuse(s, NULL, "a key in double quotes");
            }
            if (!scan_string(s)) {
                return false;
            }
            skip_blanks(s);
            if (!is_at(s, ':')) {
                return refuse(s, NULL, "':'");
            }
            s->at++;
        }
        if (!scan_value(s)) {
            return false;
        }
        skip_blanks(s);
        if (is_at(s, close)) {
            break;
        }
        if (!is_at(s, ',')) {
            return refuse(s, NULL, object ? "',' or '}'" : "',' or ']'");
        }
        s->at++;
    }
    s->at++;
    s->depth--;
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static bool scan_value(scanner *s)
{
    static const char *const words[] = {"true", "false", "null"};
    skip_blanks(s);
    if (is_at(s, '{') || is_at(s, '[')) {
        return scan_container(s, is_at(s, '{'));
    }
    if (is_at(s, '"')) {
        return scan_string(s);
    }
    if (is_at(s, '-') || is_digit(s)) {
        return scan_number(s);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if ((size_t)(s->end - s->at) >= length && memcmp(s->at, words[i], length) == 0) {
            s->at += length;
            return true;
        }
    }
    return refuse(s, NULL, "a value");
}

static mbt_status report(const scanner *s, const char *name, mbt_error *err)
{
    char got[32];
    long line = 1;
    long column = 1;
    for (const char *c = s->text; c < s->at; c++) {
        if (*c == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*c & 0xC0U) != 0x80U) { /* count characters, not bytes */
            column++;
        }
    }
    unsigned char byte = s->at < s->end ? (unsigned char)*s->at : 0;
    if (s->at == s->end) {
        snprintf(got, sizeof got, "the end");
    } else if (byte == '\n' || byte == '\r') {
        snprintf(got, sizeof got, "the end of the line");
    } else if (byte > 0x20 && byte < 0x7F) {
        snprintf(got, sizeof got, "'%c'", byte);
    } else {
        snprintf(got, sizeof got, "the byte 0x%02X", byte);
    }
    mbt_faults faults;
    mbt_faults_init(&faults, name);
    mbt_faults_add(&faults, "", "syntax error in line %ld, column %ld: got %s, wanted %s", line,
                   column, s->got != NULL ? s->got : got, s->wanted);
    return mbt_faults_report(&faults, MBT_CONFIG, err);
}

mbt_status mbt_syntax_check(const char *text, size_t bytes, const char *name, mbt_error *err)
{
    scanner s = {.text = text, .at = text, .end = text + bytes};
    if (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        (void)refuse(&s, "a byte order mark", "UTF-8 without one");
        return report(&s, name, err);
    }
    if (!scan_value(&s)) {
        return report(&s, name, err);
    }
    skip_blanks(&s);
    if (s.at != s.end) {
        (void)refuse(&s, NULL, "the end after the closing bracket");
        return report(&s, name, err);
    }
    return MBT_OK;
}
