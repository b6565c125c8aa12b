/* The data set: its HDF5 schema, and its images in memory that the ranks of a node share.
 *
 * File, schema version 1: /train/images and /test/images uint8 [N][H][W][C], /train/labels and
 * /test/labels int32 [N] (0 .. classes-1), optionally /train/coarse_labels and /test/coarse_labels;
 * chunked, Fletcher32. Attributes of "/": schema (i64), name, source (text), class_names and, with
 * coarse labels, coarse_names (texts),
 * mean and deviation (f64 [C], of the training split, in 0..255), digest (text: XXH3-128 over
 * train images, train labels, test images, test labels as stored).
 * Depends on status, comm, store. */
#ifndef MBT_DATASET_H
#define MBT_DATASET_H

#include <stdint.h>

#include "mbt/comm.h"
#include "mbt/status.h"
#include "mbt/store.h"

enum {
    MBT_CHANNELS_MAX = 4,
    MBT_CLASSES_MAX = 1000,
    MBT_CLASS_NAME_BYTES = 64,
    MBT_DATASET_SCHEMA = 1
};

/* One split, in memory. */
typedef struct mbt_split {
    int64_t n;             /* samples */
    const uint8_t *images; /* [n][H][W][C] */
    const int32_t *labels; /* [n], checked to be 0 .. n_classes-1 */
} mbt_split;

/* Open to read; owned by mbt_dataset_open / _close. */
typedef struct mbt_dataset {
    char name[MBT_CLASS_NAME_BYTES];
    char digest[MBT_DIGEST_TEXT];
    int height, width, channels, n_classes;
    double mean[MBT_CHANNELS_MAX];             /* per channel, 0..255 */
    double deviation[MBT_CHANNELS_MAX];        /* per channel, 0..255, > 0 */
    char (*class_names)[MBT_CLASS_NAME_BYTES]; /* [n_classes] */
    mbt_split train, test;
    mbt_share share; /* holds both splits */
} mbt_dataset;

/* Finds `path` (relative to the working directory, then in the folder MBTRAIN_DATA), checks shapes,
 * labels and sizes (a file of another maker in a child process first, see limited.h), and reads
 * both splits into node-shared memory, one rank per node. Every rank returns the same status.
 * MBT_DATA names file, data set, got and wanted. Collective. */
mbt_status mbt_dataset_open(mbt_comm *comm, const char *path, mbt_dataset *dataset,
                            mbt_error *err) MBT_WARN_UNUSED;
void mbt_dataset_close(mbt_comm *comm,
                       mbt_dataset *dataset); /* Collective. A zeroed one is allowed. */

/* What a maker of data sets hands over; arrays are borrowed. coarse_* may be NULL. */
typedef struct mbt_dataset_source {
    const char *name, *source;
    int height, width, channels, n_classes;
    const char *const *class_names;  /* [n_classes] */
    int n_coarse;                    /* coarse classes; 0 without coarse labels */
    const char *const *coarse_names; /* [n_coarse] */
    struct {
        int64_t n;
        const uint8_t *images;                 /* [n][H][W][C] */
        const int32_t *labels, *coarse_labels; /* [n] */
    } split[2];                                /* train, test */
} mbt_dataset_source;

/* Computes mean, deviation and digest and writes the file in one replacement. */
mbt_status mbt_dataset_write(const mbt_dataset_source *source, const char *path,
                             mbt_error *err) MBT_WARN_UNUSED;

/* Recomputes digest, label ranges, mean and deviation of an open data set and compares.
 * MBT_DATA names the first difference. */
mbt_status mbt_dataset_verify(const mbt_dataset *dataset, mbt_error *err) MBT_WARN_UNUSED;

#endif
