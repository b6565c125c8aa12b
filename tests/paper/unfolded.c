/* Evaluates a checkpoint twice, with batch norm folded into the weights, as evaluation does, and
 * without, as training's plan would: the counts of right images on the whole test split. Ends with
 * 1 when they differ, as they may in bf16, to which weights are rounded after folding.
 *
 *   mpirun -n 2 unfolded CHECKPOINT DATASET.h5 fp32|bf16 */
#include <stdio.h>
#include <string.h>

#include "mbt/checkpoint.h"
#include "mbt/trainer.h"

/* The checkpoint's, but for where the data is and what this compares. */
static mbt_status configure(const char *checkpoint, const char *dataset, const char *arithmetic,
                            mbt_config *config, mbt_error *err)
{
    const bool bf16 = strcmp(arithmetic, "bf16") == 0;
    if (!bf16 && strcmp(arithmetic, "fp32") != 0) {
        return mbt_fail(err, MBT_USAGE, "arithmetic: got \"%s\", wanted fp32 or bf16", arithmetic);
    }
    mbt_checkpoint_info info = {0};
    mbt_config_defaults(config);
    mbt_status status = mbt_checkpoint_read_info(checkpoint, &info, err);
    if (status == MBT_OK) {
        status = mbt_config_parse(info.config, checkpoint, config, err);
    }
    if (status == MBT_OK) {
        status = mbt_text_format(config->data.path, sizeof config->data.path, err, "path", "%s",
                                 dataset);
    }
    config->plan.storage = MBT_STORAGE_FP32;
    config->plan.arithmetic = bf16 ? MBT_ARITHMETIC_BF16 : MBT_ARITHMETIC_FP32;
    config->train.small_size = 0;
    mbt_checkpoint_info_clear(&info);
    return status;
}

static mbt_status count(mbt_setup *setup, const char *checkpoint, mbt_counts *counts,
                        mbt_error *err)
{
    mbt_status status = mbt_checkpoint_load_weights(
        &setup->evaluator->params, setup->evaluator->weights, checkpoint, NULL, err);
    status = mbt_comm_agree(setup->comm, status, err);
    return status == MBT_OK ? mbt_evaluate(setup, NULL, &setup->dataset.test, NULL,
                                           setup->dataset.test.n, 0, counts, NULL, err)
                            : status;
}

/* Training's plans in the place of evaluation's, or back again. */
static void exchange_plans(mbt_setup *setup)
{
    for (int i = 0; i < setup->n_workers; i++) {
        mbt_worker *w = &setup->workers[i];
        mbt_plan *plan = w->plan;
        w->plan = w->evaluator;
        w->evaluator = plan;
    }
    setup->plan = setup->workers[0].plan;
    setup->evaluator = setup->workers[0].evaluator;
}

int main(int argc, char **argv)
{
    mbt_comm *comm = NULL;
    mbt_log log;
    mbt_error err = {0};
    mbt_config config;
    mbt_setup setup = {0};
    mbt_counts folded = {0}, plain = {0};
    if (argc != 4) {
        (void)fprintf(stderr, "usage: unfolded CHECKPOINT DATASET.h5 fp32|bf16\n");
        return MBT_USAGE;
    }
    mbt_status status = mbt_comm_create(&argc, &argv, &comm, &err);
    if (status != MBT_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return (int)status;
    }
    mbt_log_init(&log, MBT_LOG_WARN, mbt_comm_rank(comm), mbt_comm_size(comm));
    status = mbt_comm_agree(comm, configure(argv[1], argv[2], argv[3], &config, &err), &err);
    if (status == MBT_OK) {
        status = mbt_setup_create(comm, &log, &config, NULL, true, &setup, &err);
    }
    if (status == MBT_OK) {
        status = count(&setup, argv[1], &folded, &err);
        exchange_plans(&setup);
    }
    if (status == MBT_OK) {
        status = count(&setup, argv[1], &plain, &err);
        exchange_plans(&setup);
    }
    if (status != MBT_OK) {
        mbt_log_error(&log, &err);
    } else if (mbt_comm_rank(comm) == 0) {
        (void)printf("%s, %s: of %lld images %lld right with batch norm folded, %lld without\n",
                     argv[1], argv[3], (long long)folded.samples, (long long)folded.top1,
                     (long long)plain.top1);
    }
    mbt_setup_clear(&setup);
    mbt_comm_destroy(comm);
    if (status == MBT_OK && folded.top1 != plain.top1) {
        status = MBT_FAILURE;
    }
    return (int)status;
}
