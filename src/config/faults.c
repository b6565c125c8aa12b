/* Collects the faults of one source into one bounded message, and makes user text fit to print. */
#include "schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 512, TAIL_BYTES = 32 /* "\nand N more" */ };

void mbt_faults_init(mbt_faults *faults, const char *name)
{
    memset(faults, 0, sizeof *faults);
    size_t length = strlen(name);
    if (length < sizeof faults->name) {
        memcpy(faults->name, name, length + 1);
        return;
    }
    /* The end of a long path is the part that tells files apart. */
    size_t keep = sizeof faults->name - sizeof "...";
    snprintf(faults->name, sizeof faults->name, "...%s", name + length - keep);
}

void mbt_faults_add(mbt_faults *faults, const char *key, const char *format, ...)
{
    faults->count++;
    if (faults->n_shown < faults->count - 1) {
        return;
    }
    char line[LINE_BYTES];
    char key_shown[MBT_SHOWN_BYTES];
    int head = snprintf(line, sizeof line, "%s%s: %s%s", faults->count > 1 ? "\n" : "",
                        faults->name, mbt_shown(key, key_shown), *key != '\0' ? ": " : "");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + head, sizeof line - (size_t)head, format, arguments);
    va_end(arguments);
    size_t length = strlen(line);
    if (faults->used + length + TAIL_BYTES >= sizeof faults->text) {
        return;
    }
    memcpy(faults->text + faults->used, line, length + 1);
    faults->used += length;
    faults->n_shown++;
}

mbt_status mbt_faults_report(const mbt_faults *faults, mbt_status code, mbt_error *err)
{
    int n_more = faults->count - faults->n_shown;
    if (faults->count == 0) {
        return MBT_OK;
    }
    if (n_more > 0) {
        return mbt_fail(err, code, "%s\nand %d more", faults->text, n_more);
    }
    return mbt_fail(err, code, "%s", faults->text);
}

const char *mbt_shown(const char *text, char *out)
{
    static const char dots[] = "...";
    size_t length = strlen(text);
    bool cut = length >= MBT_SHOWN_BYTES;
    if (cut) {
        length = MBT_SHOWN_BYTES - sizeof dots;
        /* not through the middle of a UTF-8 sequence */
        while (length > 0 && ((unsigned char)text[length] & 0xC0U) == 0x80U) {
            length--;
        }
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        out[i] = (byte < 0x20 || byte == 0x7F) ? '?' : text[i];
    }
    memcpy(out + length, dots, cut ? sizeof dots : 0);
    out[length + (cut ? sizeof dots - 1 : 0)] = '\0';
    return out;
}
