/* Log lines: composed whole and handed over by one write, so that lines of several ranks on one
 * terminal do not mix inside a line. */
#include "mbt/log.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

/* Longest message in bytes; an error's message always fits. */
enum { LINE_MAX_BYTES = 4096, STAMP_BYTES = 32 };

static const char *level_prefix(mbt_log_level level)
{
    switch (level) {
    case MBT_LOG_ERROR:
        return "error: ";
    case MBT_LOG_WARN:
        return "warning: ";
    case MBT_LOG_INFO:
        return "";
    case MBT_LOG_DEBUG:
        return "debug: ";
    }
    return "";
}

void mbt_log_init(mbt_log *log, mbt_log_level level, int rank, int n_ranks)
{
    *log = (mbt_log){.level = level, .rank = rank, .n_ranks = n_ranks};
}

/* A log that cannot be written is no reason to stop a run and cannot be reported anywhere either:
 * results of the writes are dropped on purpose. */
static void put_line(FILE *file, const char *before, const char *line, size_t bytes)
{
    char whole[STAMP_BYTES + LINE_MAX_BYTES];
    size_t n_before = strlen(before);
    memcpy(whole, before, n_before);
    memcpy(whole + n_before, line, bytes);
    (void)fwrite(whole, 1, n_before + bytes, file);
    (void)fflush(file);
}

/* "2026-01-31T12:00:00Z " */
static void stamp(char out[STAMP_BYTES])
{
    time_t now = time(NULL);
    struct tm utc;
    if (!gmtime_r(&now, &utc) || strftime(out, STAMP_BYTES, "%Y-%m-%dT%H:%M:%SZ ", &utc) == 0) {
        out[0] = '\0';
    }
}

static void say(mbt_log *log, mbt_log_level level, int with_rank, const char *format,
                va_list arguments)
{
    char line[LINE_MAX_BYTES];
    const size_t room = sizeof line - 1; /* the last byte is the newline's */
    int at = 0;
    if (with_rank) {
        at = snprintf(line, room, "[rank %d/%d] ", log->rank, log->n_ranks);
    }
    at += snprintf(line + at, room - (size_t)at, "%s", level_prefix(level));
    int length = vsnprintf(line + at, room - (size_t)at, format, arguments);
    size_t bytes = (size_t)at + (size_t)(length > 0 ? length : 0);
    if (bytes >= room) {
        bytes = room - 1;
        memcpy(line + bytes - 3, "...", 3);
    }
    line[bytes++] = '\n';

    put_line(stderr, log->bar_open ? "\n" : "", line, bytes);
    log->bar_open = 0;
    if (log->file) {
        char time_text[STAMP_BYTES];
        stamp(time_text);
        put_line(log->file, time_text, line, bytes);
    }
}

void mbt_log_root(mbt_log *log, mbt_log_level level, const char *format, ...)
{
    if (level > log->level || log->rank != 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    say(log, level, 0, format, arguments);
    va_end(arguments);
}

void mbt_log_all(mbt_log *log, mbt_log_level level, const char *format, ...)
{
    if (level > log->level) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    say(log, level, log->n_ranks > 1, format, arguments);
    va_end(arguments);
}

void mbt_log_error(mbt_log *log, const mbt_error *err)
{
    if (err->message[0] == '\0') { /* another copy of the program says it, see mbt_comm_create */
        return;
    }
    if (log->level >= MBT_LOG_DEBUG && err->file[0] != '\0') {
        mbt_log_root(log, MBT_LOG_ERROR, "%s (%s:%d)", err->message, err->file, err->line);
    } else {
        mbt_log_root(log, MBT_LOG_ERROR, "%s", err->message);
    }
}
