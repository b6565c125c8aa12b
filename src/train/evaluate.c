/* Held-out accuracy: every sample once, whatever the number of ranks. */
#include <stdlib.h>
#include <string.h>

#include "mbt/exec.h"
#include "mbt/loss.h"
#include "mbt/stop.h"
#include "mbt/team.h"
#include "mbt/trainer.h"
#include "tally.h"

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
    int64_t *sums; /* [workers][2 * TALLY_COUNT] of one view, then of both */
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

/* mirrored: of the images that the worker has evaluated as they are, whose input is still there. */
static const float *run_chunk(const struct count *c, int worker, const struct chunk *chunk,
                              bool mirrored)
{
    mbt_setup *setup = c->setup;
    const mbt_augment *plain = &setup->plain;
    mbt_plan *plan = setup->workers[worker].evaluator;
    float *input = mbt_exec_input(plan);
    if (mirrored) {
        mirror(input, (size_t)chunk->n * (size_t)plain->channels * (size_t)plain->height,
               plain->width);
    } else {
        mbt_setup_load(setup, worker, plain, c->split, 0, chunk->ids, chunk->n, input);
    }
    mbt_exec_evaluate(plan, chunk->n);
    return mbt_exec_output(plan);
}

static void add_counts(const mbt_worker *worker, int n, const float *logits, int64_t *to)
{
    const mbt_layout *out = &worker->evaluator->values[worker->evaluator->output].layout;
    mbt_loss_sums sums;
    mbt_loss_softmax(logits, n, mbt_layout_stored(out), out->c, worker->labels, 0, 0, NULL, &sums);
    tally_group(n, &sums, to);
}

static void count_chunk(void *context, int worker, int index)
{
    const struct count *c = context;
    mbt_setup *setup = c->setup;
    const mbt_worker *w = &setup->workers[worker];
    const struct chunk chunk = chunk_at(c, index);
    int64_t *sums = c->sums + (size_t)worker * 2 * TALLY_COUNT;
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
        add_counts(w, chunk.n, mean, sums + TALLY_COUNT);
    }
}

static void prepare(void *context, int worker, int group)
{
    const mbt_setup *setup = context;
    (void)group; /* one for each worker */
    mbt_exec_prepare(setup->workers[worker].evaluator);
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
    tally_workers(setup->n_workers, 2 * TALLY_COUNT, c->sums);
    mbt_comm_sum(setup->comm, MBT_COMM_I64, c->sums, 2 * TALLY_COUNT);
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
    c.sums = calloc(workers * 2 * TALLY_COUNT, sizeof *c.sums);
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
        *counts = (mbt_counts){0};
        tally_to_counts(c.sums, counts);
        if (mirrored != NULL) {
            *mirrored = (mbt_counts){0};
            tally_to_counts(c.sums + TALLY_COUNT, mirrored);
        }
        if (c.sums[TALLY_BAD] + c.sums[TALLY_COUNT + TALLY_BAD] > 0) {
            status = mbt_fail(err, MBT_DIVERGED,
                              "evaluation: the loss is not finite, or too large to be summed");
        }
    }
    free(c.sums);
    free(c.means);
    return status;
}
