/* Makers of data sets: the official CIFAR binary files, and the synthetic set. Serial.
 * Depends on status, dataset, rng; libarchive. */
#ifndef MBT_IMPORT_H
#define MBT_IMPORT_H

#include <stdint.h>

#include "mbt/status.h"

typedef enum mbt_cifar_kind { MBT_CIFAR_10, MBT_CIFAR_100 } mbt_cifar_kind;

/* source: a folder that holds the official binary files (or holds the official folder), or the
 * official .tar.gz, read in memory; nothing is written but `out`. Sizes, record counts and label
 * ranges are checked: exactly 5 x 10,000 + 10,000 (CIFAR-10) or 50,000 + 10,000 records
 * (CIFAR-100); with `any_count`, any whole number of records a file (subsets of the official
 * layout). MBT_DATA names file, got and wanted. */
mbt_status mbt_import_cifar(mbt_cifar_kind kind, const char *source, const char *out, int any_count,
                            mbt_error *err) MBT_WARN_UNUSED;

/* Ten classes of procedurally drawn 32x32 colour images; n_test images drawn from other ids than
 * the training ones. The same seed gives the same file bytes on any machine. */
mbt_status mbt_import_synth(int64_t n_train, int64_t n_test, uint64_t seed, const char *out,
                            mbt_error *err) MBT_WARN_UNUSED;

#endif
