/* One check per operation: runs every case that the row supports, counting them in the subject. */
#ifndef CHECKS_H
#define CHECKS_H

#include "kernels/subject.h"

void check_conv(subject *s); /* all three passes */
void check_stats(subject *s);
void check_apply(subject *s);
void check_apply_backward(subject *s);
void check_norm_backward(subject *s);
void check_depthwise(subject *s); /* both directions */
void check_pool(subject *s);      /* both directions */
void check_quantise(subject *s);

/* Statistics, apply and the way back together are the gradient of batch norm: for any of their
 * rows. */
void check_batch_norm(subject *s);

#endif
