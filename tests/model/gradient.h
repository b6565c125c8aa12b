/* Gradients of a whole network by central differences of its loss, in float.
 *
 * A float loss is noise below about 2e-6 of its size, and ReLU6 and batch norm bend it for large
 * steps. So a step is as long as moves the loss by `move`, at most a small part of the weights it
 * is taken from, the difference is extrapolated from two step lengths, and what is allowed is two
 * per cent and what the noise comes to. */
#ifndef GRADIENT_H
#define GRADIENT_H

#include "model/network.h"

/* Runs forward for n images, leaves the output's gradient, returns the loss. */
typedef double network_loss(network *net, int n);

typedef struct gradient_check {
    network *net;
    int n;
    network_loss *loss;
    double noise; /* of the loss, absolute */
    int n_checked[MBT_PARAM_VAR +
                  1]; /* by kind: directions where the slope stood out of the noise */
} gradient_check;

/* Both after backward. The slice along its gradient and along its largest element; fails with its
 * name. */
void gradient_check_slice(gradient_check *check, const mbt_slice *slice);
/* The network's input along its gradient; true when the slope stood out of the noise. */
bool gradient_check_input(gradient_check *check);

/* Puts what a ReLU6 reads mostly well inside of its bounds, in some channels well below, so that
 * few values are within a step of a kink: gammas about 0.5, betas 3 or -3, of every norm that an
 * activation follows. */
void network_away_from_kinks(network *net);

#endif
