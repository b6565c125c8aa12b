/* What the workers of a rank count of their samples, as integers that ranks then sum: of a step, of
 * an evaluation. Private to train/. */
#ifndef MBT_TRAIN_TALLY_H
#define MBT_TRAIN_TALLY_H

#include <stdint.h>

#include "mbt/loss.h"
#include "mbt/metrics.h"

/* TALLY_BAD: groups whose loss is not finite, or too large for mbt_counts. */
enum { TALLY_SAMPLES, TALLY_TOP1, TALLY_TOP5, TALLY_LOSS, TALLY_BAD, TALLY_COUNT };

/* Adds a group of n samples to tally [TALLY_COUNT]. */
void tally_group(int n, const mbt_loss_sums *sums, int64_t *tally);

/* Adds what the other workers have to the first one's of rows [n_workers][n]. */
void tally_workers(int n_workers, int n, int64_t *rows);

/* Adds a tally to counts. */
void tally_to_counts(const int64_t *tally, mbt_counts *counts);

#endif
