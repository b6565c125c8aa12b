/* Plans that do not train: batch norm becomes part of the convolutions. */
#include "plan_build.h"

bool mbt_plan_same_layout(const mbt_layout *a, const mbt_layout *b)
{
    return a->c == b->c && a->h == b->h && a->w == b->w && a->sections == b->sections &&
           a->block == b->block;
}

/* Without training, batch norm is scale and bias of the convolution before it, and the activation
 * behind it comes at once unless a residual is added first. What reads the output then has little
 * or nothing left to do. */
void mbt_plan_fold(mbt_plan *plan)
{
    for (int i = 0; i < plan->n_segments; i++) {
        mbt_segment *s = &plan->segments[i];
        if (s->source != MBT_SOURCE_APPLY || s->from_norm < 0) {
            continue;
        }
        mbt_segment *maker = s;
        while (maker->to != s->from) {
            maker--;
        }
        maker->conv.bias = true;
        if (s->residual < 0) {
            maker->conv.act = s->apply.act;
            s->apply.act = MBT_ACT_NONE;
        }
        s->from_norm = -1;
        if (s->residual < 0 && s->stored < 0 && s->shuffle_forward.straight &&
            mbt_plan_same_layout(&s->apply.source, &s->z)) {
            s->source = MBT_SOURCE_DIRECT;
        }
    }
}
