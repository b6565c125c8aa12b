/* Softmax cross-entropy with label smoothing, and what it counts. Depends on mixup. */
#ifndef MBT_LOSS_H
#define MBT_LOSS_H

#include <stdint.h>

#include "mbt/mixup.h"

/* Sums over the samples of a call. */
typedef struct mbt_loss_sums {
    double loss;
    int64_t top1, top5;
} mbt_loss_sums;

/* logits: [n][stride], the first n_classes of each row count. labels: [n].
 * Loss of a sample: -sum_k t_k log softmax_k, t = (1 - smoothing) * onehot + smoothing / K
 * (Szegedy et al. 2016, section 7; PyTorch's cross_entropy). A label is in the top m when fewer
 * than m classes have a larger logit, or an equal one with a lower index. A logit that is not
 * finite makes the loss not finite. gradient (may be NULL, may be logits itself): (softmax - t) *
 * scale; entries behind n_classes are set to zero. Arithmetic in double, stored as float. */
void mbt_loss_softmax(const float *logits, int n, int stride, int n_classes, const int32_t *labels,
                      double smoothing, double scale, float *gradient, mbt_loss_sums *sums);

/* The same with two classes a sample: onehot is share of the first and 1 - share of the other. top1
 * and top5 count the first. */
void mbt_loss_softmax_mixed(const float *logits, int n, int stride, int n_classes,
                            const mbt_targets *targets, double smoothing, double scale,
                            float *gradient, mbt_loss_sums *sums);

#endif
