/* The error object: filled once by whoever fails first, prefixed on the way up. */
#include "mbt/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mbt_status mbt_error_set(mbt_error *err, const char *file, int line, mbt_status code,
                         const char *format, ...)
{
    if (!err) {
        return code;
    }
    /* Formatted aside: an argument may be the old message itself. */
    char message[MBT_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof message, format, arguments) < 0) {
        message[0] = '\0';
    }
    va_end(arguments);
    err->code = code;
    memcpy(err->message, message, sizeof message);
    const char *slash = strrchr(file, '/');
    (void)snprintf(err->file, sizeof err->file, "%s", slash != NULL ? slash + 1 : file);
    err->line = line;
    return code;
}

mbt_status mbt_error_prefix(mbt_error *err, const char *format, ...)
{
    if (!err) {
        return MBT_FAILURE;
    }
    char message[MBT_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return err->code;
    }
    size_t at = (size_t)length < sizeof message ? (size_t)length : sizeof message - 1;
    const char *const rest[] = {": ", err->message};
    for (size_t i = 0; i < 2; i++) {
        size_t room = sizeof message - 1 - at;
        size_t bytes = strlen(rest[i]);
        bytes = bytes < room ? bytes : room;
        memcpy(message + at, rest[i], bytes);
        at += bytes;
    }
    message[at] = '\0';
    memcpy(err->message, message, at + 1);
    return err->code;
}

/* Causes before consequences, the specific before the general: a rank that lost its peer reports
 * less than the peer that knows why. */
static int precedence(mbt_status code)
{
    switch (code) {
    case MBT_OK:
        return 0;
    case MBT_STOPPED:
        return 1;
    case MBT_DIFFERS:
        return 2;
    case MBT_PEER:
        return 3;
    case MBT_FAILURE:
        return 4;
    case MBT_DIVERGED:
        return 5;
    case MBT_DATA:
        return 6;
    case MBT_CONFIG:
        return 7;
    case MBT_USAGE:
        return 8;
    }
    return 4;
}

mbt_status mbt_status_worse(mbt_status a, mbt_status b)
{
    return precedence(b) > precedence(a) ? b : a;
}
