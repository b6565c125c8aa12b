/* What a network said of every sample of a split, and how often it took which class for which.
 * Depends on status, store. */
#ifndef MBT_PREDICTIONS_H
#define MBT_PREDICTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "mbt/status.h"
#include "mbt/store.h"

/* In the order of the split. */
typedef struct mbt_predictions {
    int64_t n; /* samples */
    int n_classes;
    int64_t *labels, *predicted; /* [n]; predicted: the largest logit, the first of equals */
    float *probability;          /* [n] softmax of the predicted class */
    float *logits;               /* [n][n_classes], NULL when they are not kept */
} mbt_predictions;

/* All zero. predictions: mbt_predictions_clear by the caller, also after a failure. */
mbt_status mbt_predictions_create(int64_t n, int n_classes, bool keep_logits,
                                  mbt_predictions *predictions, mbt_error *err) MBT_WARN_UNUSED;
void mbt_predictions_clear(mbt_predictions *predictions); /* a zeroed one is allowed */

/* Takes count samples from `first` on. logits: [count][stride]; labels: [count]. */
void mbt_predictions_put(mbt_predictions *predictions, int64_t first, int count,
                         const float *logits, int stride, const int32_t *labels);

/* counts: [n_classes][n_classes], by true and predicted class. */
void mbt_predictions_confusion(const mbt_predictions *predictions, int64_t *counts);

/* <group>/label, predicted, probability, confusion and, when kept, logits, with attributes unit and
 * description. */
mbt_status mbt_predictions_store(const mbt_predictions *predictions, mbt_store *store,
                                 const char *group, mbt_error *err) MBT_WARN_UNUSED;

/* Without logits. MBT_DATA when classes or counts contradict each other. */
mbt_status mbt_predictions_load(mbt_predictions *predictions, mbt_store *store, const char *group,
                                mbt_error *err) MBT_WARN_UNUSED;

#endif
