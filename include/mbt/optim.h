/* The update of the flat block: from the summed gradient to new weights.
 *
 *   d = g + decay * w
 *   sgd      v = momentum * v + d;  w -= lr * (nesterov ? d + momentum * v : v)
 *            in PyTorch's form
 *   lars     the same with d times trust * |w| / (|g| + decay * |w|), norms over the tensor;
 *            tensors of one dimension and depthwise ones go by sgd (You, Gitman and Ginsburg,
 *            "Large batch training of convolutional networks", 2017)
 *   muon     sgd for all that is no matrix; the matrices by muon.h
 *   rmsprop  s += (1 - rms_decay) * (d^2 - s);  v = momentum * v + lr * d / sqrt(s + rms_eps);
 *            w -= v, in TensorFlow's form, in which MobileNetV2 was trained: s begins at 1
 *
 * Weight decay has a factor for some kinds of parameters, 0 for those that the configuration leaves
 * out. Running statistics are slices with a rule of their own:
 * r = (1 - bn_momentum) * r + bn_momentum * g. All arithmetic is float, elementwise, without
 * contraction, and roots are rounded right: the same on every machine. Norms are sums in double
 * over blocks of fixed size and order. Depends on config, param. */
#ifndef MBT_OPTIM_H
#define MBT_OPTIM_H

#include "mbt/config.h"
#include "mbt/param.h"

/* Flat blocks of params->n_floats. */
typedef struct mbt_optim_blocks {
    float *gradient; /* read; scaled by mbt_optim_clip */
    float *weights, *momentum;
    float *square; /* RMSprop's s, starts at 1; NULL with the others */
} mbt_optim_blocks;

/* Updates the whole block. */
void mbt_optim_step(const mbt_params *params, const mbt_config *config, double lr,
                    const mbt_optim_blocks *blocks);

/* Scales the gradient of all trained slices down to the norm optimizer.clip_norm when it is larger.
 * Returns the norm before; 0 when there is no limit, and nothing is done. */
double mbt_optim_clip(const mbt_params *params, const mbt_config *config, float *gradient);

/* The weight decay of a slice. */
double mbt_optim_decay(const mbt_slice *slice, const mbt_config *config);

/* Whether a slice is what muon takes for a matrix, or several: a convolution that is not
 * depthwise. */
bool mbt_optim_is_matrix(const mbt_slice *slice);

/* In double, in blocks of fixed size and order. */
double mbt_optim_sum_of_squares(const float *x, size_t n);

#endif
