/* The verb eval: held-out accuracy of a checkpoint, and predictions of the test split. */
#include <string.h>
#include <sys/stat.h>

#include "mbt/checkpoint.h"
#include "mbt/trainer.h"
#include "mbtrain_session.h"

/* A checkpoint file, or the run folder whose figures are asked for. */
static mbt_status find_checkpoint(const mbtrain_session *s, char *path, mbt_error *err)
{
    struct stat info;
    return stat(s->options.target, &info) == 0 && S_ISDIR(info.st_mode)
               ? mbt_run_counted(s->options.target, path, err)
               : mbt_text_format(path, MBT_PATH_BYTES, err, "path", "%s", s->options.target);
}

static void print_counts(const char *what, const mbt_counts *counts)
{
    (void)printf("%-10s %8lld images  loss %.4f  top-1 %6.2f %%  top-5 %6.2f %%\n", what,
                 (long long)counts->samples, mbt_counts_mean_loss(counts), mbt_counts_top1(counts),
                 mbt_counts_top5(counts));
}

/* What the evaluation has kept goes into the file. `at`: what rank zero's weights are of.
 * Collective. */
static mbt_status write_predictions(mbtrain_session *s, mbt_setup *setup,
                                    const mbt_predictions *predictions,
                                    const mbt_progress_state *at, mbt_error *err)
{
    mbt_status status = MBT_OK;
    if (setup->predictions == NULL) {
        return MBT_OK;
    }
    mbt_setup_share_predictions(setup);
    if (mbtrain_is_root(s)) {
        mbt_record_facts facts;
        const mbt_record record = {
            .facts = &facts,
            .predictions = predictions,
            .class_names = (const char(*)[MBT_CLASS_NAME_BYTES])setup->dataset.class_names,
            .epoch = at->epoch,
            .step = at->step,
        };
        mbt_setup_facts(setup, s->provenance, &facts);
        (void)snprintf(facts.commands, sizeof facts.commands, "%s\n", s->command);
        status = mbt_record_write_predictions(s->options.predictions, &record, err);
    }
    return mbt_comm_agree(s->comm, status, err);
}

static mbt_status evaluate_splits(mbtrain_session *s, mbt_setup *setup,
                                  const mbt_progress_state *at, mbt_error *err)
{
    mbt_predictions predictions = {0};
    mbt_counts counts, mirrored;
    mbt_status status = MBT_OK;
    if (setup->n_valid > 0) {
        status = mbt_evaluate(setup, NULL, &setup->dataset.train, setup->valid_ids, setup->n_valid,
                              0, &counts, NULL, err);
        if (status == MBT_OK && mbtrain_is_root(s)) {
            print_counts("validation", &counts);
        }
    }
    if (status == MBT_OK && s->options.predictions != NULL) {
        status = mbt_setup_expect_predictions(setup, true, &predictions, err);
    }
    if (status == MBT_OK) {
        const bool flip = setup->config.evaluate.flip;
        status = mbt_evaluate(setup, NULL, &setup->dataset.test, NULL, setup->dataset.test.n, 0,
                              &counts, flip ? &mirrored : NULL, err);
        if (status == MBT_OK && mbtrain_is_root(s)) {
            print_counts("test", &counts);
            if (flip) {
                print_counts("both views", &mirrored);
            }
        }
    }
    if (status == MBT_OK) {
        status = write_predictions(s, setup, &predictions, at, err);
    }
    mbt_predictions_clear(&predictions);
    return status;
}

/* One rank reads: a run that goes on may replace what `path` names from one moment to the next. */
static mbt_status load(mbtrain_session *s, mbt_setup *setup, const char *path,
                       mbt_progress_state *at, mbt_error *err)
{
    mbt_plan *evaluator = setup->evaluator;
    mbt_status status = MBT_OK;
    if (mbtrain_is_root(s)) {
        status = mbt_checkpoint_load_weights(&evaluator->params, evaluator->weights, path, at, err);
    }
    status = mbt_comm_agree(s->comm, status, err);
    if (status == MBT_OK) {
        mbt_comm_broadcast(s->comm, evaluator->weights,
                           evaluator->params.n_floats * sizeof *evaluator->weights);
    }
    return status;
}

mbt_status mbtrain_eval(mbtrain_session *s, mbt_error *err)
{
    char path[MBT_PATH_BYTES] = "";
    mbt_setup setup = {.watchdog = s->watchdog};
    mbt_progress_state at = {0};
    mbt_status status = MBT_OK;
    if (mbtrain_is_root(s)) {
        mbt_checkpoint_info info = {0};
        status = find_checkpoint(s, path, err);
        if (status == MBT_OK) {
            status = mbt_checkpoint_read_info(path, &info, err);
        }
        if (status == MBT_OK) {
            mbt_config_defaults(&s->config);
            status = mbt_config_parse(info.config, path, &s->config, err);
        }
        if (status == MBT_OK) {
            status = mbtrain_apply_overrides(s, err);
        }
        if (status == MBT_OK) {
            status = mbt_config_check(&s->config, err);
        }
        mbt_checkpoint_info_clear(&info);
    }
    status = mbtrain_share_config(s, status, err);
    if (status == MBT_OK) {
        mbt_watchdog_limit(s->watchdog, s->config.run.watchdog_s);
        status = mbt_setup_create(s->comm, &s->log, &s->config, NULL, false, &setup, err);
    }
    if (status == MBT_OK) {
        status = load(s, &setup, path, &at, err);
    }
    if (status == MBT_OK) {
        if (mbtrain_is_root(s)) {
            (void)printf("%s, %s on %s, %lld epochs and %lld steps done\n", path, setup.graph.name,
                         setup.dataset.name, (long long)at.epoch, (long long)at.step_in_epoch);
        }
        status = evaluate_splits(s, &setup, &at, err);
    }
    mbt_setup_clear(&setup);
    return status;
}
