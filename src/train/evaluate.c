/* Held-out accuracy: every sample once, whatever the number of ranks. */
#include <string.h>

#include "mbt/exec.h"
#include "mbt/loss.h"
#include "mbt/stop.h"
#include "mbt/trainer.h"

/* What all ranks learn in one message of integers. */
enum { TAIL_SAMPLES, TAIL_TOP1, TAIL_TOP5, TAIL_LOSS, TAIL_BAD, TAIL_COUNT };

/* Samples `at` to `at + size` of ids, or of the split. */
static void count_chunk(mbt_setup *setup, int32_t *labels, const mbt_split *split,
                        const uint32_t *ids, int64_t at, int size, int64_t *tail)
{
    mbt_plan *plan = setup->evaluator;
    const mbt_layout *out = &plan->values[plan->output].layout;
    uint32_t all[MBT_GROUP_MAX];
    for (int i = 0; i < size; i++) {
        all[i] = ids != NULL ? ids[at + i] : (uint32_t)(at + i);
    }
    mbt_setup_load(setup, &setup->plain, split, 0, all, size, mbt_exec_input(plan), labels);
    mbt_exec_evaluate(plan, size);
    mbt_loss_sums sums;
    mbt_loss_softmax(mbt_exec_output(plan), size, mbt_layout_stored(out), out->c, labels, 0, 0,
                     NULL, &sums);
    if (setup->predictions != NULL) {
        mbt_predictions_put(setup->predictions, at, size, mbt_exec_output(plan),
                            mbt_layout_stored(out), labels);
    }
    const bool finite = mbt_counts_loss_fits(sums.loss);
    tail[TAIL_SAMPLES] += size;
    tail[TAIL_TOP1] += sums.top1;
    tail[TAIL_TOP5] += sums.top5;
    tail[TAIL_LOSS] += finite ? mbt_counts_loss(sums.loss) : 0;
    tail[TAIL_BAD] += !finite;
}

mbt_status mbt_evaluate(mbt_setup *setup, int32_t *labels, const mbt_split *split,
                        const uint32_t *ids, int64_t n, double reserve_s, mbt_counts *counts,
                        mbt_error *err)
{
    mbt_plan *plan = setup->evaluator;
    const int g = plan->options.group;
    const int n_chunks = (int)((n + g - 1) / g);
    /* Rounds of about a batch, shared like its groups: between them the ranks agree on a stop. */
    const int per_round = (int)((setup->config.train.batch + g - 1) / g);
    const int rank = mbt_comm_rank(setup->comm), size = mbt_comm_size(setup->comm);
    int64_t tail[TAIL_COUNT] = {0};
    if (setup->plan != NULL) {
        memcpy(plan->weights, setup->plan->weights, plan->params.n_floats * sizeof(float));
    }
    mbt_exec_prepare(plan);
    for (int round = 0; round < n_chunks; round += per_round) {
        const int here = n_chunks - round < per_round ? n_chunks - round : per_round;
        int first, last;
        mbt_sampler_share(here, rank, size, &first, &last);
        for (int chunk = round + first; chunk < round + last; chunk++) {
            const int64_t at = (int64_t)chunk * g;
            mbt_pulse_beat(mbt_watchdog_pulse(setup->watchdog));
            count_chunk(setup, labels, split, ids, at, (int)(n - at < g ? n - at : g), tail);
        }
        int64_t stop = mbt_stop_wanted(reserve_s);
        mbt_comm_sum(setup->comm, MBT_COMM_I64, &stop, 1);
        if (stop > 0) {
            return mbt_fail(err, MBT_STOPPED, "evaluation: a stop is wanted");
        }
    }
    mbt_comm_sum(setup->comm, MBT_COMM_I64, tail, TAIL_COUNT);
    *counts = (mbt_counts){tail[TAIL_SAMPLES], tail[TAIL_TOP1], tail[TAIL_TOP5], tail[TAIL_LOSS]};
    return tail[TAIL_BAD] == 0 ? MBT_OK
                               : mbt_fail(err, MBT_DIVERGED, "evaluation: the loss is not finite");
}
