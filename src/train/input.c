/* A group of samples for the plan's input: made now, or ahead by the batch's thread. */
#include "mbt/setup.h"

void mbt_setup_load(mbt_setup *setup, const mbt_augment *augment, const mbt_split *split,
                    int64_t epoch, const uint32_t *ids, int n, float *x, int32_t *labels)
{
    mbt_error err = {0};
    bool taken = false;
    mbt_status status = MBT_OK;
    if (setup->batch != NULL && augment == &setup->augment) {
        status = mbt_batch_take(setup->batch, split, epoch, ids, n, x, labels, &taken, &err);
    }
    if (status == MBT_OK && !taken) {
        status = mbt_augment_group(augment, setup->loader, split, epoch, ids, n, x, labels, &err);
    }
    if (status != MBT_OK) {
        (void)mbt_error_prefix(&err, "%s: %s", setup->config.data.path,
                               split == &setup->dataset.train ? "train" : "test");
        mbt_comm_abort(setup->comm, err.code, err.message);
    }
}

void mbt_setup_load_ahead(mbt_setup *setup, int64_t epoch, int64_t step, int group)
{
    const int rank = mbt_comm_rank(setup->comm), size = mbt_comm_size(setup->comm);
    const uint32_t *ids;
    int first, last, next = group + 1;
    if (setup->batch == NULL) {
        return;
    }
    mbt_sampler_share(mbt_sampler_groups(setup->sampler, step), rank, size, &first, &last);
    if (next >= last && step + 1 < mbt_sampler_steps(setup->sampler)) {
        step++;
        mbt_sampler_share(mbt_sampler_groups(setup->sampler, step), rank, size, &first, &last);
        next = first;
    }
    if (next < last) {
        const int n = mbt_sampler_group(setup->sampler, step, next, &ids);
        mbt_batch_request(setup->batch, &setup->dataset.train, epoch, ids, n);
    }
}
