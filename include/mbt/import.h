/* Makers of data sets: the official CIFAR binary files, class folders, and the synthetic set.
 * Serial. Depends on status, dataset, rng, stop; libarchive. */
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

/* How the images of a tree are stored; plain data. */
typedef struct mbt_folder_options {
    const char *name; /* of the data set */
    int resize;       /* shrink what has a longer short side than this, as JPEG; 0: as they are */
    int square;       /* one size: the centre, at this short side, without encoding; 0: encoded */
    int quality;      /* of JPEGs made here, 1 .. 100 */
    void (*left_out)(const char *message); /* files that are no whole image are reported and left
                                              out; NULL: the first one is an error */
} mbt_folder_options;

/* train, test: trees with one folder for each class, its name, that holds JPEG and PNG files.
 * MBT_DATA names the first file that is no whole image, the first class that one tree lacks. CMYK
 * becomes RGB. `out` is not touched before all is well. MBT_FAILURE between two files once a stop
 * is wanted (stop.h). */
mbt_status mbt_import_folder(const char *train, const char *test, const mbt_folder_options *options,
                             const char *out, mbt_error *err) MBT_WARN_UNUSED;

#endif
