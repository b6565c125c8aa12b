/* Counts of samples as integers. */
#include "tally.h"

void tally_group(int n, const mbt_loss_sums *sums, int64_t *tally)
{
    const bool fits = mbt_counts_loss_fits(sums->loss);
    tally[TALLY_SAMPLES] += n;
    tally[TALLY_TOP1] += sums->top1;
    tally[TALLY_TOP5] += sums->top5;
    tally[TALLY_LOSS] += fits ? mbt_counts_loss(sums->loss) : 0;
    tally[TALLY_BAD] += !fits;
}

void tally_workers(int n_workers, int n, int64_t *rows)
{
    for (int i = n; i < n_workers * n; i++) {
        rows[i % n] += rows[i];
    }
}

void tally_to_counts(const int64_t *tally, mbt_counts *counts)
{
    counts->samples += tally[TALLY_SAMPLES];
    counts->top1 += tally[TALLY_TOP1];
    counts->top5 += tally[TALLY_TOP5];
    counts->loss += tally[TALLY_LOSS];
}
