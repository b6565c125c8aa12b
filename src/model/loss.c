/* Softmax cross-entropy, sample by sample, in double. */
#include "mbt/loss.h"

#include <math.h>
#include <stddef.h>

static double log_of_sum(const float *row, int n_classes)
{
    double top = row[0], sum = 0;
    for (int k = 1; k < n_classes; k++) {
        top = row[k] > top ? row[k] : top;
    }
    for (int k = 0; k < n_classes; k++) {
        sum += exp(row[k] - top);
    }
    return top + log(sum);
}

/* Before smoothing. */
static double part_of(const mbt_targets *targets, int sample, int k)
{
    if (targets->share == NULL) {
        return k == targets->label[sample];
    }
    const double share = (double)targets->share[sample];
    return (k == targets->label[sample] ? share : 0) +
           (k == targets->other[sample] ? 1.0 - share : 0);
}

void mbt_loss_softmax_mixed(const float *logits, int n, int stride, int n_classes,
                            const mbt_targets *targets, double smoothing, double scale,
                            float *gradient, mbt_loss_sums *sums)
{
    const double off = smoothing / n_classes;
    *sums = (mbt_loss_sums){0};
    for (int i = 0; i < n; i++) {
        const float *row = logits + (ptrdiff_t)i * stride;
        const int label = targets->label[i];
        const double log_sum = log_of_sum(row, n_classes);
        double loss = 0;
        int above = 0;
        for (int k = 0; k < n_classes; k++) {
            loss -= (off + (1.0 - smoothing) * part_of(targets, i, k)) * (row[k] - log_sum);
            above += row[k] > row[label] || (row[k] == row[label] && k < label);
        }
        sums->loss += loss;
        /* A row with NaN compares as if nothing were above its label. */
        sums->top1 += above < 1 && isfinite(loss);
        sums->top5 += above < 5 && isfinite(loss);
        if (gradient != NULL) {
            float *to = gradient + (ptrdiff_t)i * stride;
            for (int k = 0; k < stride; k++) {
                const double target =
                    k < n_classes ? off + (1.0 - smoothing) * part_of(targets, i, k) : 0;
                to[k] = k < n_classes ? (float)((exp(row[k] - log_sum) - target) * scale) : 0.0f;
            }
        }
    }
}

void mbt_loss_softmax(const float *logits, int n, int stride, int n_classes, const int32_t *labels,
                      double smoothing, double scale, float *gradient, mbt_loss_sums *sums)
{
    const mbt_targets targets = {labels, NULL, NULL};
    mbt_loss_softmax_mixed(logits, n, stride, n_classes, &targets, smoothing, scale, gradient,
                           sums);
}
