/* The record of a run beside its metrics, for whoever analyses it: about.h5 and predictions.h5 in
 * the run folder, each replaced as a whole. src/report/README.md shows how to read them.
 *
 * about.h5: what the run is of, as attributes of "/". predictions.h5: the same attributes,
 * class_names (texts), epoch and step, and /test/label, predicted, probability, confusion of the
 * newest evaluation. Depends on dataset, predictions, store. */
#ifndef MBT_RECORD_H
#define MBT_RECORD_H

#include <stdint.h>

#include "mbt/dataset.h"
#include "mbt/predictions.h"
#include "mbt/status.h"

enum { MBT_RECORD_NAME_BYTES = 64, MBT_RECORD_PROCESSOR_BYTES = 128, MBT_RECORD_TEXT_BYTES = 4096 };

/* Attributes of the same names. */
typedef struct mbt_record_facts {
    char network[MBT_RECORD_NAME_BYTES], data_set[MBT_RECORD_NAME_BYTES];
    char data_digest[MBT_DIGEST_TEXT];
    char arithmetic[MBT_RECORD_NAME_BYTES]; /* of the convolutions: "fp32", "bf16"; "" in the files
                                               of older runs */
    /* Of the host of rank zero, and the level of the kernels, "AMD EPYC 7763 64-Core Processor,
     * avx2", in the process that wrote the file; "" in the files of older runs. */
    char processor[MBT_RECORD_PROCESSOR_BYTES];
    int64_t parameters, macs;               /* trained; multiply-accumulates of one image */
    int64_t ranks;                          /* of the process that wrote the file */
    char provenance[MBT_RECORD_TEXT_BYTES]; /* of that process */
    char commands[MBT_RECORD_TEXT_BYTES];   /* of the sittings, one a line, the newest */
} mbt_record_facts;

/* about.h5 of a run folder. Reading: MBT_DATA when missing or damaged. */
mbt_status mbt_record_write_facts(const char *folder, const mbt_record_facts *facts,
                                  mbt_error *err) MBT_WARN_UNUSED;
mbt_status mbt_record_read_facts(const char *folder, mbt_record_facts *facts,
                                 mbt_error *err) MBT_WARN_UNUSED;

/* What goes into a file of predictions; pointers are borrowed. */
typedef struct mbt_record {
    const mbt_record_facts *facts;
    const mbt_predictions *predictions;
    const char (*class_names)[MBT_CLASS_NAME_BYTES]; /* [n_classes] */
    int64_t epoch, step;
} mbt_record;

mbt_status mbt_record_write_predictions(const char *path, const mbt_record *record,
                                        mbt_error *err) MBT_WARN_UNUSED;

/* predictions.h5 of a run folder. class_names: fresh, [predictions->n_classes], freed by the
 * caller. MBT_DATA when missing or damaged. */
mbt_status mbt_record_read_predictions(const char *folder, mbt_predictions *predictions,
                                       char (**class_names)[MBT_CLASS_NAME_BYTES], int64_t *epoch,
                                       mbt_error *err) MBT_WARN_UNUSED;

#endif
