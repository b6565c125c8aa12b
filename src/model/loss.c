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

void mbt_loss_softmax(const float *logits, int n, int stride, int n_classes, const int32_t *labels,
                      double smoothing, double scale, float *gradient, mbt_loss_sums *sums)
{
    const double off = smoothing / n_classes, on = 1.0 - smoothing + off;
    *sums = (mbt_loss_sums){0};
    for (int i = 0; i < n; i++) {
        const float *row = logits + (ptrdiff_t)i * stride;
        const int label = labels[i];
        const double log_sum = log_of_sum(row, n_classes);
        double loss = 0;
        int above = 0;
        for (int k = 0; k < n_classes; k++) {
            loss -= (k == label ? on : off) * (row[k] - log_sum);
            above += row[k] > row[label] || (row[k] == row[label] && k < label);
        }
        sums->loss += loss;
        /* A row with NaN compares as if nothing were above its label. */
        sums->top1 += above < 1 && isfinite(loss);
        sums->top5 += above < 5 && isfinite(loss);
        if (gradient != NULL) {
            float *to = gradient + (ptrdiff_t)i * stride;
            for (int k = 0; k < stride; k++) {
                to[k] = k < n_classes
                            ? (float)((exp(row[k] - log_sum) - (k == label ? on : off)) * scale)
                            : 0.0f;
            }
        }
    }
}
