/* Held-out accuracy: every sample once, whatever the number of ranks. */
#include <stdlib.h>
#include <string.h>

#include "mbt/exec.h"
#include "mbt/loss.h"
#include "mbt/stop.h"
#include "mbt/team.h"
#include "mbt/trainer.h"

/* What all ranks add up. */
enum { SUM_SAMPLES, SUM_TOP1, SUM_TOP5, SUM_LOSS, SUM_BAD, SUM_COUNT };

/* Images that are evaluated together: n of the list, from its place `at` on. */
struct chunk {
    uint32_t ids[MBT_GROUP_MAX];
    int64_t at;
    int n;
};

/* An evaluation under way. */
struct count {
    mbt_setup *setup;
    const mbt_split *split;
    const uint32_t *ids; /* NULL: all of the split */
    int64_t n;
    size_t floats; /* of a chunk's outputs */
    float *means;  /* [workers][floats]: outputs for both views; NULL: one view */
    int64_t *sums; /* [workers][2 * SUM_COUNT] of one view, then of both */
};

static struct chunk chunk_at(const struct count *c, int index)
{
    const int group = c->setup->evaluator->options.group;
    struct chunk chunk = {.at = (int64_t)index * group};
    chunk.n = (int)(c->n - chunk.at < group ? c->n - chunk.at : group);
    for (int i = 0; i < chunk.n; i++) {
        chunk.ids[i] = c->ids != NULL ? c->ids[chunk.at + i] : (uint32_t)(chunk.at + i);
    }
    return chunk;
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
static const float *run_chunk(const struct count *c, int worker, const struct chunk *chunk,
                              bool mirrored)
{
    mbt_setup *setup = c->setup;
    const mbt_augment *plain = &setup->plain;
    mbt_plan *plan = setup->workers[worker].evaluator;
    float *input = mbt_exec_input(plan);
    mbt_setup_load(setup, worker, plain, c->split, 0, chunk->ids, chunk->n, input);
    if (mirrored) {
        mirror(input, (size_t)chunk->n * (size_t)plain->channels * (size_t)plain->height,
               plain->width);
    }
    mbt_exec_evaluate(plan, chunk->n);
    return mbt_exec_output(plan);
}

static void add_counts(const mbt_worker *worker, int n, const float *logits, int64_t *to)
{
    const mbt_layout *out = &worker->evaluator->values[worker->evaluator->output].layout;
    mbt_loss_sums sums;
    mbt_loss_softmax(logits, n, mbt_layout_stored(out), out->c, worker->labels, 0, 0, NULL, &sums);
    const bool finite = mbt_counts_loss_fits(sums.loss);
    to[SUM_SAMPLES] += n;
    to[SUM_TOP1] += sums.top1;
    to[SUM_TOP5] += sums.top5;
    to[SUM_LOSS] += finite ? mbt_counts_loss(sums.loss) : 0;
    to[SUM_BAD] += !finite;
}

static void count_chunk(void *context, int worker, int index)
{
    const struct count *c = context;
    mbt_setup *setup = c->setup;
    const mbt_worker *w = &setup->workers[worker];
    const struct chunk chunk = chunk_at(c, index);
    int64_t *sums = c->sums + (size_t)worker * 2 * SUM_COUNT;
    if (worker == 0) {
        mbt_setup_alive(setup);
    }
    const float *logits = run_chunk(c, worker, &chunk, false);
    add_counts(w, chunk.n, logits, sums);
    if (setup->predictions != NULL) {
        const mbt_layout *out = &w->evaluator->values[w->evaluator->output].layout;
        mbt_predictions_put(setup->predictions, chunk.at, chunk.n, logits, mbt_layout_stored(out),
                            w->labels);
    }
    if (c->means != NULL) {
        float *mean = c->means + (size_t)worker * c->floats;
        memcpy(mean, logits, c->floats * sizeof *mean);
        logits = run_chunk(c, worker, &chunk, true);
        for (size_t i = 0; i < c->floats; i++) {
            mean[i] = 0.5f * (mean[i] + logits[i]);
        }
        add_counts(w, chunk.n, mean, sums + SUM_COUNT);
    }
}

static void prepare(void *context, int worker, int group)
{
    const mbt_setup *setup = context;
    (void)group; /* one for each worker */
    mbt_exec_prepare(setup->workers[worker].evaluator);
}

static mbt_counts counts_of(const int64_t *sums)
{
    return (mbt_counts){sums[SUM_SAMPLES], sums[SUM_TOP1], sums[SUM_TOP5], sums[SUM_LOSS]};
}

/* The chunks in rounds of about a batch, shared like its groups: between them the ranks agree on a
 * stop. */
static mbt_status count_all(struct count *c, double reserve_s, mbt_error *err)
{
    mbt_setup *setup = c->setup;
    const int g = setup->evaluator->options.group;
    const int n_chunks = (int)((c->n + g - 1) / g);
    const int per_round = (int)((setup->config.train.batch + g - 1) / g);
    const int rank = mbt_comm_rank(setup->comm), size = mbt_comm_size(setup->comm);
    mbt_team_run(setup->n_workers, 0, setup->n_workers, prepare, setup);
    for (int round = 0; round < n_chunks; round += per_round) {
        const int here = n_chunks - round < per_round ? n_chunks - round : per_round;
        int first, last;
        mbt_sampler_share(here, rank, size, &first, &last);
        mbt_team_run(setup->n_workers, round + first, round + last, count_chunk, c);
        int64_t stop = mbt_stop_wanted(reserve_s);
        mbt_comm_sum(setup->comm, MBT_COMM_I64, &stop, 1);
        if (stop > 0) {
            return mbt_fail(err, MBT_STOPPED, "evaluation: a stop is wanted");
        }
    }
    for (int i = 2 * SUM_COUNT; i < setup->n_workers * 2 * SUM_COUNT; i++) {
        c->sums[i % (2 * SUM_COUNT)] += c->sums[i];
    }
    mbt_comm_sum(setup->comm, MBT_COMM_I64, c->sums, 2 * SUM_COUNT);
    return MBT_OK;
}

mbt_status mbt_evaluate(mbt_setup *setup, const float *weights, const mbt_split *split,
                        const uint32_t *ids, int64_t n, double reserve_s, mbt_counts *counts,
                        mbt_counts *mirrored, mbt_error *err)
{
    mbt_plan *plan = setup->evaluator;
    const size_t workers = (size_t)setup->n_workers;
    struct count c = {.setup = setup, .split = split, .ids = ids, .n = n};
    c.floats =
        (size_t)plan->options.group * (size_t)mbt_layout_stored(&plan->values[plan->output].layout);
    c.sums = calloc(workers * 2 * SUM_COUNT, sizeof *c.sums);
    c.means = mirrored != NULL ? malloc(workers * c.floats * sizeof *c.means) : NULL;
    mbt_status status = c.sums != NULL && (mirrored == NULL || c.means != NULL)
                            ? MBT_OK
                            : mbt_fail(err, MBT_FAILURE, "evaluation: out of memory");
    status = mbt_comm_agree(setup->comm, status, err);
    if (status == MBT_OK) {
        if (weights != NULL) {
            memcpy(plan->weights, weights, plan->params.n_floats * sizeof(float));
        }
        status = count_all(&c, reserve_s, err);
    }
    if (status == MBT_OK) {
        *counts = counts_of(c.sums);
        if (mirrored != NULL) {
            *mirrored = counts_of(c.sums + SUM_COUNT);
        }
        if (c.sums[SUM_BAD] + c.sums[SUM_COUNT + SUM_BAD] > 0) {
            status = mbt_fail(err, MBT_DIVERGED, "evaluation: the loss is not finite");
        }
    }
    free(c.sums);
    free(c.means);
    return status;
}
