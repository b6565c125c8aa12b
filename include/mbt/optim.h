/* SGD with momentum, Nesterov and weight decay, in PyTorch's form, over the flat block.
 *
 *   d = g + decay * w;  v = momentum * v + d;  w -= lr * (nesterov ? d + momentum * v : v)
 *
 * Weight decay leaves out the kinds that the configuration names. Running statistics are slices
 * with a rule of their own: r = (1 - bn_momentum) * r + bn_momentum * g.
 * All arithmetic is float, elementwise, without contraction: the same on every machine.
 * Depends on config, param. */
#ifndef MBT_OPTIM_H
#define MBT_OPTIM_H

#include "mbt/config.h"
#include "mbt/param.h"

/* Updates floats [first, first + count) of the block, a union of whole slices. weights, gradient,
 * momentum: flat blocks of params->n_floats. */
void mbt_optim_step(const mbt_params *params, const mbt_config *config, double lr, size_t first,
                    size_t count, const float *gradient, float *weights, float *momentum);

/* Whether weight decay applies to a slice. */
bool mbt_optim_decays(const mbt_slice *slice, const mbt_config *config);

#endif
