/* A group of samples for the plan's input: made now, or ahead by the batch's thread. */
#include "mbt/setup.h"
#include "mbt/team.h"

void mbt_setup_load(mbt_setup *setup, int worker, const mbt_augment *augment,
                    const mbt_split *split, int64_t epoch, const uint32_t *ids, int n, float *x)
{
    const mbt_worker *w = &setup->workers[worker];
    mbt_error err = {0};
    bool taken = false;
    mbt_status status = MBT_OK;
    if (w->batch != NULL && augment == &setup->augment) {
        status = mbt_batch_take(w->batch, split, epoch, ids, n, x, w->labels, &taken, &err);
    }
    if (status == MBT_OK && !taken) {
        status = mbt_augment_group(augment, w->loader, split, epoch, ids, n, x, w->labels, &err);
    }
    if (status != MBT_OK) {
        (void)mbt_error_prefix(&err, "%s: %s", setup->config.data.path,
                               split == &setup->dataset.train ? "train" : "test");
        mbt_comm_abort(setup->comm, err.code, err.message);
    }
}

void mbt_setup_load_ahead(mbt_setup *setup, int worker, int64_t epoch, int64_t step, int group)
{
    const int rank = mbt_comm_rank(setup->comm), size = mbt_comm_size(setup->comm);
    mbt_batch *batch = setup->workers[worker].batch;
    const uint32_t *ids;
    int first, last;
    if (batch == NULL) {
        return;
    }
    mbt_sampler_share(mbt_sampler_groups(setup->sampler, step), rank, size, &first, &last);
    int next = mbt_team_next(setup->n_workers, first, last, worker, group);
    if (next >= last && step + 1 < mbt_sampler_steps(setup->sampler)) {
        step++;
        mbt_sampler_share(mbt_sampler_groups(setup->sampler, step), rank, size, &first, &last);
        next = mbt_team_first(setup->n_workers, first, last, worker);
    }
    if (next < last) {
        const int n = mbt_sampler_group(setup->sampler, step, next, &ids);
        mbt_batch_request(batch, &setup->dataset.train, epoch, ids, n);
    }
}
