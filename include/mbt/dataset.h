/* The data set: its HDF5 schema, and its samples in memory that the ranks of a node share.
 *
 * Attributes of "/": schema (i64), name, source (text), class_names and, with coarse labels,
 * coarse_names (texts), mean and deviation (f64 [C], of the training split, in 0..255), digest
 * (text, XXH3-128). /train/labels and /test/labels are int32 [N] (0 .. classes-1); the rest is
 *
 * schema 1, images of one size: /train/images and /test/images uint8 [N][H][W][C], optionally
 * /train/coarse_labels and /test/coarse_labels; chunked, Fletcher32. The digest is over train
 * images, train labels, test images, test labels as stored.
 *
 * schema 2, JPEG and PNG files as they are, of any size: /train/bytes/00000, 00001, ... uint8,
 * contiguous, the samples one behind the other, none of them in two; /train/offsets int64 [N+1] in
 * all of these bytes together; /train/sums int64 [N], XXH3-64 of each sample; /train/sizes int32
 * [N][2], height and width; and /test the same. The digest is over offsets, sums, sizes and labels,
 * train before test, so it stands for every byte without all of them being read at start.
 *
 * Depends on status, text, comm, stop, store, image. */
#ifndef MBT_DATASET_H
#define MBT_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "mbt/comm.h"
#include "mbt/image.h"
#include "mbt/status.h"
#include "mbt/store.h"
#include "mbt/text.h"

enum {
    MBT_CHANNELS_MAX = 4,
    MBT_CLASSES_MAX = 1000,
    MBT_CLASS_NAME_BYTES = 64,
    MBT_DATASET_SCHEMA = 1,         /* images of one size */
    MBT_DATASET_SCHEMA_ENCODED = 2, /* JPEG and PNG files */
    MBT_SAMPLE_BYTES_MAX = 1 << 26, /* of one encoded sample */
};

/* Encoded samples of a split. Plain data, owned by the data set. */
typedef struct mbt_encoded {
    const int64_t *offsets;   /* [n+1] in the split's bytes */
    const int64_t *sums;      /* [n] */
    const int32_t *sizes;     /* [n][2]: height, width */
    const int64_t *positions; /* [n]: of the sample in the file */
    const uint8_t *bytes;     /* all of them, checked; NULL: read one by one from the file */
    int fd;                   /* of that file */
} mbt_encoded;

/* One split, in memory. */
typedef struct mbt_split {
    int64_t n;                  /* samples */
    const uint8_t *images;      /* [n][H][W][C]; NULL when they are encoded */
    const int32_t *labels;      /* [n], checked to be 0 .. n_classes-1 */
    const mbt_encoded *encoded; /* NULL when images are of one size */
} mbt_split;

/* Open to read; owned by mbt_dataset_open / _close. */
typedef struct mbt_dataset {
    char name[MBT_CLASS_NAME_BYTES];
    char digest[MBT_DIGEST_TEXT];
    int height, width; /* of every image; 0 when they are encoded */
    int channels, n_classes;
    double mean[MBT_CHANNELS_MAX];             /* per channel, 0..255 */
    double deviation[MBT_CHANNELS_MAX];        /* per channel, 0..255, > 0 */
    char (*class_names)[MBT_CLASS_NAME_BYTES]; /* [n_classes] */
    mbt_split train, test;
    mbt_share share;               /* holds both splits; of encoded samples, their index */
    mbt_encoded encoded[2];        /* what train and test point to */
    mbt_share bytes;               /* the encoded samples, unless they are streamed */
    size_t sample_bytes;           /* all encoded samples */
    bool streamed, no_shared_room; /* the second: for want of room in /dev/shm */
} mbt_dataset;

/* Where the data set `path` is: relative to the working directory, else in the folder MBTRAIN_DATA.
 * MBT_DATA when it is in neither. */
mbt_status mbt_dataset_find(const char *path, char file[MBT_PATH_BYTES],
                            mbt_error *err) MBT_WARN_UNUSED;

/* For mbt_dataset_open: a byte of memory, so that encoded samples are always streamed. */
#define MBT_DATASET_STREAM ((size_t)1)

/* Finds `path` (mbt_dataset_find), checks shapes, labels and sizes (a file of another maker in a
 * child process first, see limited.h), and reads both splits into node-shared memory, one rank per
 * node. Encoded samples that take more than `memory` bytes of a node (0: half of what is available,
 * and no more than /dev/shm has) stay in the file. Every rank returns the same status. MBT_DATA
 * names file, data set, got and wanted. Collective. */
mbt_status mbt_dataset_open(mbt_comm *comm, const char *path, size_t memory, mbt_dataset *dataset,
                            mbt_error *err) MBT_WARN_UNUSED;
void mbt_dataset_close(mbt_comm *comm,
                       mbt_dataset *dataset); /* Collective. A zeroed one is allowed. */

/* The bytes of an encoded sample, borrowed; read into `buffer` (MBT_SAMPLE_BYTES_MAX at most, see
 * mbt_encoded_largest) and checked when samples are streamed. Threads may call it. */
mbt_status mbt_encoded_bytes(const mbt_encoded *encoded, int64_t id, uint8_t *buffer,
                             const uint8_t **bytes, size_t *n, mbt_error *err) MBT_WARN_UNUSED;

/* An encoded sample as pixels: mbt_encoded_bytes, and decoded when it has the size that the index
 * says. rgb: room for [height][width][3] of the index.
 * Threads may call it, each with a decoder of its own. */
mbt_status mbt_encoded_decode(const mbt_encoded *encoded, int64_t id, mbt_decoder *decoder,
                              uint8_t *buffer, uint8_t *rgb, mbt_error *err) MBT_WARN_UNUSED;

/* Tells the system that a streamed sample will be read soon; costs no waiting. */
void mbt_encoded_announce(const mbt_encoded *encoded, int64_t id);

/* What a reader of any sample of the split needs at most. */
typedef struct mbt_extent {
    size_t bytes, pixels;
    int height, width;
} mbt_extent;
void mbt_encoded_largest(const mbt_split *split, mbt_extent *largest); /* grows *largest */

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

/* Name, classes and source alone, for makers that have not looked at their samples yet. MBT_DATA
 * names the first that no file may have. */
mbt_status mbt_dataset_check_header(const mbt_dataset_source *source,
                                    mbt_error *err) MBT_WARN_UNUSED;

/* Computes mean, deviation and digest and writes the file in one replacement. MBT_FAILURE, and
 * nothing is written, when a stop is wanted before that (stop.h). */
mbt_status mbt_dataset_write(const mbt_dataset_source *source, const char *path,
                             mbt_error *err) MBT_WARN_UNUSED;

/* A data set of encoded samples, written sample by sample: training ones first. */
typedef struct mbt_dataset_writer mbt_dataset_writer;
/* header: name and classes, which are checked now, and source; borrowed to the end. Its splits are
 * not looked at. */
mbt_status mbt_dataset_writer_create(const mbt_dataset_source *header, const char *path,
                                     mbt_dataset_writer **writer, mbt_error *err) MBT_WARN_UNUSED;
/* bytes: n of a JPEG or PNG that decodes to rgb [info->height][info->width][3]. */
mbt_status mbt_dataset_writer_add(mbt_dataset_writer *writer, int split, const uint8_t *bytes,
                                  size_t n, const mbt_image_info *info, const uint8_t *rgb,
                                  int32_t label, mbt_error *err) MBT_WARN_UNUSED;
/* Puts the file in place; when a stop is wanted as mbt_dataset_write. */
mbt_status mbt_dataset_writer_finish(mbt_dataset_writer *writer, mbt_error *err) MBT_WARN_UNUSED;
void mbt_dataset_writer_destroy(mbt_dataset_writer *writer); /* NULL is allowed */

/* Recomputes digest, label ranges, mean and deviation of an open data set and compares.
 * MBT_DATA names the first difference. */
mbt_status mbt_dataset_verify(const mbt_dataset *dataset, mbt_error *err) MBT_WARN_UNUSED;

#endif
