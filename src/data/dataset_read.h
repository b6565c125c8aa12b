/* What the reading of a data set consists of: the description that rank 0 finds out, and the forms
 * that samples have, one for each version of the schema. Private to src/data. */
#ifndef MBT_DATASET_READ_H
#define MBT_DATASET_READ_H

#include "dataset_schema.h"
#include "mbt/text.h"

typedef char class_name[MBT_CLASS_NAME_BYTES];

/* Broadcast byte by byte. */
typedef struct dataset_description {
    char file[MBT_PATH_BYTES];
    char name[MBT_CLASS_NAME_BYTES];
    char digest[MBT_DIGEST_TEXT];
    int form;                    /* for dataset_form_at */
    int height, width, channels; /* 0, 0, 3 of encoded samples */
    int n_classes;
    int64_t n[2]; /* samples: train, test */
    double mean[MBT_CHANNELS_MAX], deviation[MBT_CHANNELS_MAX];
    class_name class_names[MBT_CLASSES_MAX];
} dataset_description;

/* Collects the parts of the block that ranks share; NULL where only the size is asked for. */
typedef struct dataset_block {
    uint8_t *data;
    size_t used;
} dataset_block;
void *dataset_part(dataset_block *block, uint64_t n, size_t element_bytes);

typedef struct dataset_form {
    int64_t schema;
    /* Number and shape of a split's samples. */
    mbt_status (*describe)(mbt_store *store, dataset_description *d, int s, mbt_error *err);
    /* Where a split's arrays lie in the block. */
    void (*lay_out)(const dataset_description *d, int s, dataset_block *block, mbt_split *split,
                    mbt_encoded *encoded);
    /* Fills them, on one rank a node. */
    mbt_status (*read)(mbt_store *store, const dataset_description *d, int s,
                       const mbt_split *split, mbt_error *err);
    mbt_status (*digest)(const dataset_description *d, const mbt_split split[2],
                         char digest[MBT_DIGEST_TEXT], mbt_error *err);
} dataset_form;

extern const dataset_form dataset_form_images, dataset_form_encoded;

const dataset_form *dataset_form_at(int form);

/* Everything rank 0 says about the file. */
mbt_status dataset_describe(const char *path, dataset_description *d,
                            mbt_error *err) MBT_WARN_UNUSED;

mbt_status dataset_read_labels(mbt_store *store, const dataset_description *d, int s,
                               const mbt_split *split, mbt_error *err) MBT_WARN_UNUSED;

/* All encoded samples into memory, if they fit, or the file opened for reading them one by one. In
 * a failure `dataset` is left to mbt_dataset_close. Collective. */
mbt_status dataset_hold_bytes(mbt_comm *comm, const dataset_description *d, size_t memory,
                              mbt_dataset *dataset, mbt_error *err) MBT_WARN_UNUSED;

/* Sums, sizes and pixels of all encoded samples. */
mbt_status dataset_verify_encoded(const mbt_dataset *dataset, mbt_error *err) MBT_WARN_UNUSED;

#endif
