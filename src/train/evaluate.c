/* Held-out accuracy: every sample once, whatever the number of ranks. */
#include <stdlib.h>
#include <string.h>

#include "mbt/exec.h"
#include "mbt/loss.h"
#include "mbt/stop.h"
#include "mbt/trainer.h"

/* What all ranks add up. */
enum { SUM_SAMPLES, SUM_TOP1, SUM_TOP5, SUM_LOSS, SUM_BAD, SUM_COUNT };

struct chunk {
    const mbt_split *split;
    uint32_t ids[MBT_GROUP_MAX];
    int64_t at; /* of the first, in the list */
    int n;
    int32_t *labels;
};

static void take_chunk(struct chunk *c, const uint32_t *ids, int64_t at, int64_t n, int group)
{
    c->at = at;
    c->n = (int)(n - at < group ? n - at : group);
    for (int i = 0; i < c->n; i++) {
        c->ids[i] = ids != NULL ? ids[at + i] : (uint32_t)(at + i);
    }
}

static void mirror(float *rows, size_t n_rows, int width)
{
    for (size_t y = 0; y < n_rows; y++, rows += width) {
        for (int left = 0, right = width - 1; left < right; left++, right--) {
            const float kept = rows[left];
            rows[left] = rows[right];
            rows[right] = kept;
        }
    }
}

/* An evaluation leaves nothing of its input, so each view is loaded anew. */
static const float *run_chunk(mbt_setup *setup, const struct chunk *c, bool mirrored)
{
    const mbt_augment *plain = &setup->plain;
    float *input = mbt_exec_input(setup->evaluator);
    mbt_setup_load(setup, plain, c->split, 0, c->ids, c->n, input, c->labels);
    if (mirrored) {
        mirror(input, (size_t)c->n * (size_t)plain->channels * (size_t)plain->height, plain->width);
    }
    mbt_exec_evaluate(setup->evaluator, c->n);
    return mbt_exec_output(setup->evaluator);
}

static void count(const mbt_plan *plan, const struct chunk *c, const float *logits, int64_t *to)
{
    const mbt_layout *out = &plan->values[plan->output].layout;
    mbt_loss_sums sums;
    mbt_loss_softmax(logits, c->n, mbt_layout_stored(out), out->c, c->labels, 0, 0, NULL, &sums);
    const bool finite = mbt_counts_loss_fits(sums.loss);
    to[SUM_SAMPLES] += c->n;
    to[SUM_TOP1] += sums.top1;
    to[SUM_TOP5] += sums.top5;
    to[SUM_LOSS] += finite ? mbt_counts_loss(sums.loss) : 0;
    to[SUM_BAD] += !finite;
}

/* Counts the chunk's images, and with room for outputs in `mean` that of both views too. */
static void count_chunk(mbt_setup *setup, const struct chunk *c, float *mean, int64_t *sums)
{
    const mbt_plan *plan = setup->evaluator;
    const size_t floats =
        (size_t)c->n * (size_t)mbt_layout_stored(&plan->values[plan->output].layout);
    const float *logits = run_chunk(setup, c, false);
    count(plan, c, logits, sums);
    if (setup->predictions != NULL) {
        mbt_predictions_put(setup->predictions, c->at, c->n, logits,
                            mbt_layout_stored(&plan->values[plan->output].layout), c->labels);
    }
    if (mean != NULL) {
        memcpy(mean, logits, floats * sizeof *mean);
        logits = run_chunk(setup, c, true);
        for (size_t i = 0; i < floats; i++) {
            mean[i] = 0.5f * (mean[i] + logits[i]);
        }
        count(plan, c, mean, sums + SUM_COUNT);
    }
}

static mbt_counts counts_of(const int64_t *sums)
{
    return (mbt_counts){sums[SUM_SAMPLES], sums[SUM_TOP1], sums[SUM_TOP5], sums[SUM_LOSS]};
}

/* The chunks in rounds of about a batch, shared like its groups: between them the ranks agree on a
 * stop. */
static mbt_status count_all(mbt_setup *setup, struct chunk *c, const uint32_t *ids, int64_t n,
                            double reserve_s, float *mean, int64_t *sums, mbt_error *err)
{
    const int g = setup->evaluator->options.group;
    const int n_chunks = (int)((n + g - 1) / g);
    const int per_round = (int)((setup->config.train.batch + g - 1) / g);
    const int rank = mbt_comm_rank(setup->comm), size = mbt_comm_size(setup->comm);
    for (int round = 0; round < n_chunks; round += per_round) {
        const int here = n_chunks - round < per_round ? n_chunks - round : per_round;
        int first, last;
        mbt_sampler_share(here, rank, size, &first, &last);
        for (int i = round + first; i < round + last; i++) {
            mbt_pulse_beat(mbt_watchdog_pulse(setup->watchdog));
            take_chunk(c, ids, (int64_t)i * g, n, g);
            count_chunk(setup, c, mean, sums);
        }
        int64_t stop = mbt_stop_wanted(reserve_s);
        mbt_comm_sum(setup->comm, MBT_COMM_I64, &stop, 1);
        if (stop > 0) {
            return mbt_fail(err, MBT_STOPPED, "evaluation: a stop is wanted");
        }
    }
    return MBT_OK;
}

mbt_status mbt_evaluate(mbt_setup *setup, const float *weights, int32_t *labels,
                        const mbt_split *split, const uint32_t *ids, int64_t n, double reserve_s,
                        mbt_counts *counts, mbt_counts *mirrored, mbt_error *err)
{
    mbt_plan *plan = setup->evaluator;
    const size_t floats =
        (size_t)plan->options.group * (size_t)mbt_layout_stored(&plan->values[plan->output].layout);
    float *mean = mirrored != NULL ? malloc(floats * sizeof *mean) : NULL;
    mbt_status status = mirrored == NULL || mean != NULL
                            ? MBT_OK
                            : mbt_fail(err, MBT_FAILURE, "evaluation: out of memory");
    status = mbt_comm_agree(setup->comm, status, err);
    if (status != MBT_OK) {
        free(mean);
        return status;
    }
    int64_t sums[2 * SUM_COUNT] = {0};
    struct chunk chunk = {.split = split, .labels = labels};
    if (weights != NULL) {
        memcpy(plan->weights, weights, plan->params.n_floats * sizeof(float));
    }
    mbt_exec_prepare(plan);
    status = count_all(setup, &chunk, ids, n, reserve_s, mean, sums, err);
    free(mean);
    if (status != MBT_OK) {
        return status;
    }
    mbt_comm_sum(setup->comm, MBT_COMM_I64, sums, 2 * SUM_COUNT);
    *counts = counts_of(sums);
    if (mirrored != NULL) {
        *mirrored = counts_of(sums + SUM_COUNT);
    }
    return sums[SUM_BAD] + sums[SUM_COUNT + SUM_BAD] == 0
               ? MBT_OK
               : mbt_fail(err, MBT_DIVERGED, "evaluation: the loss is not finite");
}
