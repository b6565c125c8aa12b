/* Time by layer and operation, and the pieces of a step one by one. The clock is read between
 * operations here, so these steps are not the ones that count. */
#include <stdlib.h>

#include "bench_parts.h"
#include "mbt/exec.h"
#include "mbt/loss.h"
#include "mbt/team.h"

enum { PROFILED = 3, PIECES = 7 };

/* A group that the first worker computes: n images, alone or in the first lane of a team. */
struct call {
    int n;
    bool alone;
};

/* Means over PROFILED runs, and what each operation had to do on the images of the first thread. */
static void fill_table(const mbt_plan *plan, const double *profile, const struct call *calls,
                       int n_calls, mbt_bench_table *table)
{
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *s = &plan->segments[i];
        mbt_bench_layer *layer = &table->layers[i];
        layer->name = s->name;
        for (int op = 0; op < MBT_OP_COUNT; op++) {
            layer->seconds[op] = profile[i * MBT_OP_COUNT + op] / PROFILED;
            for (int c = 0; c < n_calls; c++) {
                const int images =
                    calls[c].alone ? calls[c].n : mbt_cost_first_lane(plan, s, calls[c].n);
                const mbt_cost cost = mbt_cost_of(plan, s, (mbt_op)op, images);
                mbt_cost_add(&layer->cost[op], cost);
            }
        }
    }
    table->n_layers = plan->n_segments;
    table->whole_s /= PROFILED;
}

static mbt_status profile_training(mbt_bench_work *work, double *profile, mbt_bench_table *table,
                                   mbt_error *err)
{
    mbt_setup *setup = work->setup;
    const double *phases = work->step.timer.seconds;
    const double before = phases[MBT_PHASE_FORWARD] + phases[MBT_PHASE_BACKWARD];
    mbt_status status = mbt_bench_step(work, err);
    if (status == MBT_OK) { /* the evaluations have left the caches cold */
        const double warm = phases[MBT_PHASE_FORWARD] + phases[MBT_PHASE_BACKWARD] - before;
        mbt_exec_profile(setup->plan, profile);
        for (int i = 0; i < PROFILED && status == MBT_OK; i++) {
            status = mbt_bench_step(work, err);
        }
        mbt_exec_profile(setup->plan, NULL);
        table->whole_s = phases[MBT_PHASE_FORWARD] + phases[MBT_PHASE_BACKWARD] - before - warm;
    }
    return status;
}

static void profile_evaluation(mbt_bench_work *work, double *profile, mbt_bench_table *table)
{
    mbt_plan *plan = work->setup->evaluator;
    mbt_bench_evaluate(work);
    mbt_exec_profile(plan, profile);
    const double from = mbt_timer_clock();
    for (int i = 0; i < PROFILED; i++) {
        mbt_bench_evaluate(work);
    }
    table->whole_s = mbt_timer_clock() - from;
    mbt_exec_profile(plan, NULL);
}

/* The first worker's groups of rank zero in a step, or in an evaluation. */
static int calls_of(const mbt_bench_work *work, bool training, struct call **calls)
{
    const mbt_setup *setup = work->setup;
    const int workers = setup->n_workers;
    int first = 0, last = mbt_bench_evaluations(work), n = 0;
    if (training) {
        mbt_sampler_share(work->k, 0, mbt_comm_size(setup->comm), &first, &last);
    }
    const int together = mbt_team_groups(workers, last - first, 1) * workers;
    *calls = calloc((size_t)(last - first) + 1, sizeof **calls);
    for (int i = mbt_team_first(workers, first, last, 0); i < last && *calls != NULL;
         i = mbt_team_next(workers, first, last, 0, i)) {
        (*calls)[n++] = (struct call){
            training ? mbt_bench_group(work, i) : setup->evaluator->options.group,
            i - first < together,
        };
    }
    return n;
}

static mbt_status profile_plan(mbt_bench_work *work, bool training, mbt_bench_table *table,
                               mbt_error *err)
{
    const mbt_setup *setup = work->setup;
    const mbt_plan *plan = training ? setup->plan : setup->evaluator;
    const size_t n = (size_t)plan->n_segments;
    struct call *calls = NULL;
    const int n_calls = calls_of(work, training, &calls);
    double *profile = calloc(n * MBT_OP_COUNT, sizeof *profile);
    table->layers = calloc(n, sizeof *table->layers);
    mbt_status status = profile != NULL && calls != NULL && table->layers != NULL
                            ? MBT_OK
                            : mbt_fail(err, MBT_FAILURE, "profile: out of memory");
    status = mbt_comm_agree(setup->comm, status, err);
    if (status == MBT_OK && training) {
        status = profile_training(work, profile, table, err);
    } else if (status == MBT_OK) {
        profile_evaluation(work, profile, table);
    }
    if (status == MBT_OK) {
        fill_table(plan, profile, calls, n_calls, table);
    }
    free(profile);
    free(calls);
    return status;
}

mbt_status mbt_bench_profile(mbt_bench_work *work, mbt_bench *bench, mbt_error *err)
{
    const mbt_status status = profile_plan(work, true, &bench->layers, err);
    return status == MBT_OK ? profile_plan(work, false, &bench->evaluate_layers, err) : status;
}

/* ---- pieces ---- */

/* When each bucket's last range was there. */
struct watch {
    mbt_bucket *bucket;
    double at[MBT_BASIS_BUCKETS];
};

static void note_ready(void *context, size_t first, size_t count)
{
    struct watch *watch = context;
    mbt_bucket_add(mbt_bucket_part(watch->bucket, 0), first, count);
    const double now = mbt_timer_clock();
    for (int i = 0; i < mbt_bucket_count(watch->bucket) && i < MBT_BASIS_BUCKETS; i++) {
        size_t from, n;
        mbt_bucket_range(watch->bucket, i, &from, &n);
        if (count > 0 && from + n == first + count) {
            watch->at[i] = now;
        }
    }
}

struct pieces {
    mbt_bench_work *work;
    mbt_basis *basis;
};

/* Groups of every worker at once, the first one's measured; never the last of their step: no
 * message starts. */
static void time_worker(void *context, int worker, int group)
{
    const struct pieces *pieces = context;
    const mbt_bench_work *work = pieces->work;
    mbt_basis *basis = pieces->basis;
    const mbt_worker *w = &work->setup->workers[worker];
    mbt_plan *plan = w->plan;
    const mbt_layout *out = &plan->values[plan->output].layout;
    const mbt_exec_dropout dropout = {1, 0, work->ids};
    const mbt_exec_dropout *drop = work->setup->config.network.dropout > 0 ? &dropout : NULL;
    const int n = mbt_bench_group(work, 0);
    struct watch watch = {.bucket = work->step.bucket};
    void *part = mbt_bucket_part(work->step.bucket, worker);
    double whole[PIECES], backward[PIECES];
    mbt_loss_sums sums;
    (void)group;
    for (int i = -1; i < PIECES; i++) { /* the first warms up */
        const double from = mbt_timer_clock();
        mbt_exec_forward(plan, n, drop);
        mbt_loss_softmax(mbt_exec_output(plan), n, mbt_layout_stored(out), out->c, w->labels,
                         work->setup->config.train.label_smoothing, 1.0 / work->n_samples,
                         mbt_exec_output_gradient(plan), &sums);
        const double half = mbt_timer_clock();
        if (worker > 0) {
            mbt_exec_backward(plan, n, 1, drop, mbt_bucket_add, part);
            continue;
        }
        mbt_exec_backward(plan, n, 1, drop, note_ready, &watch);
        const double to = mbt_timer_clock();
        for (int b = 0; b < basis->n_buckets && i >= 0; b++) {
            basis->buckets[b].ready_s += (to - watch.at[b]) / PIECES;
        }
        if (i >= 0) {
            whole[i] = to - from;
            backward[i] = to - half;
        }
    }
    if (worker == 0) {
        basis->group_s = mbt_bench_median(whole, PIECES) / work->setup->n_workers;
        basis->backward_s = mbt_bench_median(backward, PIECES);
    }
}

static void time_groups(mbt_bench_work *work, mbt_basis *basis)
{
    const int workers = work->setup->n_workers, groups = (PIECES + 2) * workers;
    struct pieces pieces = {work, basis};
    mbt_bucket_begin(work->step.bucket, groups, groups);
    mbt_team_run(workers, 0, workers, time_worker, &pieces);
}

static void time_once(mbt_bench_work *work, mbt_basis *basis)
{
    double prepare[PIECES], convert[PIECES];
    for (int i = 0; i < PIECES; i++) {
        const double from = mbt_timer_clock();
        mbt_exec_prepare(work->setup->plan);
        const double half = mbt_timer_clock();
        (void)mbt_bucket_finish(work->step.bucket); /* the last step's sums again: no messages */
        convert[i] = mbt_timer_clock() - half;
        prepare[i] = half - from;
    }
    basis->prepare_s = mbt_bench_median(prepare, PIECES);
    basis->convert_s = mbt_bench_median(convert, PIECES);
}

mbt_status mbt_bench_pieces(mbt_bench_work *work, mbt_bench *bench, mbt_error *err)
{
    mbt_comm *comm = work->setup->comm;
    mbt_basis *basis = &bench->basis;
    const mbt_bucket *bucket = work->step.bucket;
    basis->n_buckets = mbt_bucket_count(bucket);
    if (basis->n_buckets > MBT_BASIS_BUCKETS) {
        return mbt_fail(err, MBT_FAILURE, "bench: %d buckets, more than %d", basis->n_buckets,
                        MBT_BASIS_BUCKETS);
    }
    for (int i = 0; i < basis->n_buckets; i++) {
        size_t first, count;
        mbt_bucket_range(bucket, i, &first, &count);
        basis->buckets[i].bytes =
            (double)count * mbt_scaling_element(work->setup->config.train.reduce);
        basis->buckets[i].ready_s = 0;
    }
    mbt_comm_barrier(comm);
    time_once(work, basis);
    mbt_comm_barrier(comm);
    time_groups(work, basis);
    basis->update_s = bench->phase_s[MBT_PHASE_UPDATE];
    mbt_comm_max(comm, MBT_COMM_F64, &basis->group_s, 1); /* the slowest rank decides */
    mbt_comm_max(comm, MBT_COMM_F64, &basis->backward_s, 1);
    return MBT_OK;
}
