/* Strict parsing of numbers, bounded strings, paths. Depends on status. */
#ifndef MBT_TEXT_H
#define MBT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mbt/status.h"

enum { MBT_PATH_BYTES = 4096, MBT_NUMBER_BYTES = 32 };

/* The whole string must be one number; false (and *value untouched) otherwise. No leading blanks,
 * no hexadecimal, no infinities, no range overflow. */
bool mbt_text_to_i64(const char *text, int64_t *value);
bool mbt_text_to_f64(const char *text, double *value);

/* snprintf that reports a cut: MBT_FAILURE with `what` in the message when the result does not fit.
 */
mbt_status mbt_text_format(char *out, size_t bytes, mbt_error *err, const char *what,
                           const char *format, ...) MBT_PRINTF(5, 6) MBT_WARN_UNUSED;

/* "<folder>/<name>"; out has MBT_PATH_BYTES. */
mbt_status mbt_text_path(const char *folder, const char *name, char *out,
                         mbt_error *err) MBT_WARN_UNUSED;

/* The index of the name nearest to `word` by edit distance, or -1 when none is near enough to be
 * worth proposing (distance above a third of the word's length, at least 2). */
int mbt_text_nearest(const char *word, const char *const *names, int n_names);

/* A decimal, as short as %g makes it, that reads back bit for bit; out has MBT_NUMBER_BYTES.
 * Returns out. */
const char *mbt_text_number(double value, char *out);

/* With so many decimals, or "-" for NaN: what was not measured. out has MBT_NUMBER_BYTES. Returns
 * out. */
const char *mbt_text_measured(double value, int decimals, char *out);

/* How many bytes of UTF-8 text go into `bytes` of them without cutting a letter. */
int mbt_text_fitting(const char *text, int bytes);

/* "1 d 02:03:04", "12:03", "4.1 s" for people; out has 32 bytes. Returns out. */
char *mbt_text_duration(double seconds, char *out);

#endif
