/* Status codes and the bounded error object.
 *
 * Every function that can fail returns an mbt_status and takes an mbt_error as its last parameter.
 * A status is also the exit code of the programs, so there is one list of both.
 * Depends on nothing. */
#ifndef MBT_STATUS_H
#define MBT_STATUS_H

#include <stddef.h>

/* Ordered by value only for reading; mbt_status_worse() says which of two takes precedence. */
typedef enum mbt_status {
    MBT_OK = 0,       /* done */
    MBT_FAILURE = 1,  /* memory, file system, library or internal failure */
    MBT_USAGE = 2,    /* command line */
    MBT_CONFIG = 3,   /* configuration */
    MBT_DATA = 4,     /* data or file format */
    MBT_DIVERGED = 5, /* training met a value that is not finite */
    MBT_PEER = 6,     /* a rank died or hung */
    MBT_DIFFERS = 7,  /* mbt-ckpt diff: the two are not in the same state */
    MBT_STOPPED = 75, /* stopped early with a valid checkpoint; job scripts requeue it */
} mbt_status;

enum { MBT_ERROR_MAX = 1024, MBT_ERROR_FILE = 48 };

/* Filled by the function that fails first; plain data, needs no release. */
typedef struct mbt_error {
    mbt_status code;
    char message[MBT_ERROR_MAX]; /* what, where, got, wanted; cut at the end if longer */
    char file[MBT_ERROR_FILE];   /* source, without folders; "" when there is none */
    int line;
} mbt_error;

#define MBT_WARN_UNUSED __attribute__((warn_unused_result))
#define MBT_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

/* Records a failure at the caller's line and evaluates to its code: `return mbt_fail(...)`.
 * err may be NULL. */
#define mbt_fail(err, code, ...) mbt_error_set((err), __FILE__, __LINE__, (code), __VA_ARGS__)

mbt_status mbt_error_set(mbt_error *err, const char *file, int line, mbt_status code,
                         const char *format, ...) MBT_PRINTF(5, 6);

/* Puts "<prefix>: " before the message that is already there and returns the error's code. */
mbt_status mbt_error_prefix(mbt_error *err, const char *format, ...) MBT_PRINTF(2, 3);

/* The one of two codes that a group of ranks reports: any failure before MBT_STOPPED before MBT_OK.
 */
mbt_status mbt_status_worse(mbt_status a, mbt_status b);

#endif
