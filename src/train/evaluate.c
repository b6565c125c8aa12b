/* Held-out accuracy: every sample once, whatever the number of ranks. */
#include <string.h>

#include "mbt/exec.h"
#include "mbt/loss.h"
#include "mbt/trainer.h"

mbt_status mbt_evaluate(mbt_setup *setup, int32_t *labels, const mbt_split *split,
                        const uint32_t *ids, int64_t n, mbt_counts *counts, mbt_error *err)
{
    mbt_plan *plan = setup->evaluator;
    const int g = plan->options.group;
    const mbt_layout *out = &plan->values[plan->output].layout;
    const int64_t n_chunks = (n + g - 1) / g;
    int64_t tail[5] = {0}; /* samples, top1, top5, loss, not finite */
    int first, last;
    mbt_sampler_share((int)n_chunks, mbt_comm_rank(setup->comm), mbt_comm_size(setup->comm), &first,
                      &last);
    if (setup->plan != NULL) {
        memcpy(plan->weights, setup->plan->weights, plan->params.n_floats * sizeof(float));
    }
    mbt_exec_prepare(plan);
    for (int64_t chunk = first; chunk < last; chunk++) {
        const int64_t at = chunk * g;
        const int size = (int)(n - at < g ? n - at : g);
        uint32_t all[MBT_GROUP_MAX];
        for (int i = 0; i < size; i++) {
            all[i] = ids != NULL ? ids[at + i] : (uint32_t)(at + i);
        }
        mbt_augment_group(&setup->plain, split, 0, all, size, mbt_exec_input(plan), labels);
        mbt_exec_evaluate(plan, size);
        mbt_loss_sums sums;
        mbt_loss_softmax(mbt_exec_output(plan), size, mbt_layout_stored(out), out->c, labels, 0, 0,
                         NULL, &sums);
        const bool finite = mbt_counts_loss_fits(sums.loss);
        tail[0] += size;
        tail[1] += sums.top1;
        tail[2] += sums.top5;
        tail[3] += finite ? mbt_counts_loss(sums.loss) : 0;
        tail[4] += !finite;
    }
    mbt_comm_sum(setup->comm, MBT_COMM_I64, tail, 5);
    *counts = (mbt_counts){tail[0], tail[1], tail[2], tail[3]};
    return tail[4] == 0 ? MBT_OK
                        : mbt_fail(err, MBT_DIVERGED, "evaluation: the loss is not finite");
}
