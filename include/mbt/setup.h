/* What training, evaluation and benchmarks start from: data set, network, plan, split, agreed on by
 * all ranks. Depends on config, dataset, sampler, augment, arch, plan, record. */
#ifndef MBT_SETUP_H
#define MBT_SETUP_H

#include <stdint.h>

#include "mbt/augment.h"
#include "mbt/batch.h"
#include "mbt/comm.h"
#include "mbt/config.h"
#include "mbt/dataset.h"
#include "mbt/loader.h"
#include "mbt/log.h"
#include "mbt/plan.h"
#include "mbt/predictions.h"
#include "mbt/record.h"
#include "mbt/run.h"
#include "mbt/sampler.h"
#include "mbt/watchdog.h"

/* What a thread needs to compute groups of its own (team.h). All workers have one set of weights.
 */
typedef struct mbt_worker {
    mbt_plan *plan;      /* for training; NULL when that was not asked for */
    mbt_plan *small;     /* the same for small images; NULL: none wanted */
    mbt_plan *evaluator; /* batch norm folded; weights of its own, see mbt_evaluate */
    mbt_loader *loader;  /* of training samples and of held-out ones; NULL without data */
    mbt_batch *batch;    /* training groups ahead; NULL where that is not worth it */
    int32_t *labels;     /* [group] of the group that is computed */
    int32_t *others;     /* [group] with mixup: the other class of each sample, and */
    float *shares;       /* the weight of its own; NULL without */
} mbt_worker;

typedef struct mbt_setup {
    mbt_comm *comm;         /* borrowed */
    mbt_log *log;           /* borrowed */
    mbt_watchdog *watchdog; /* borrowed, set by the caller; NULL: nobody watches */
    mbt_run
        *run; /* borrowed, of a training on rank zero, whose lock wants signs of life; or NULL */
    mbt_config config;
    mbt_dataset dataset; /* without data when it was not asked for */
    mbt_graph graph;
    mbt_worker *workers; /* as many as threads when each has groups; otherwise one, whose groups all
                            threads share */
    int n_workers;
    mbt_plan *plan, *small, *evaluator; /* the first worker's */
    mbt_sampler *sampler;               /* training */
    uint32_t *train_ids, *valid_ids;
    int64_t n_train, n_valid;
    mbt_augment augment, plain; /* of training samples, of held-out ones */
    int group;                  /* g */
    /* Where the next evaluation puts what is said of each sample, by its place; NULL: nowhere.
     * Borrowed; each rank puts its own share (mbt_setup_share_predictions). */
    mbt_predictions *predictions;
    size_t resident_before; /* bytes of the process when setting up began */
    size_t code_bytes;      /* by which plans and products then grew it, without arenas */
} mbt_setup;

/* The shape of the network's input and its classes. */
typedef struct mbt_shape {
    int c, h, w, n_classes;
} mbt_shape;

/* shape NULL: opens the data set that the configuration names. Otherwise no data is read (plan,
 * bench). The instruction set is plan.kernels, MBT_CONFIG where a rank's processor lacks it; auto:
 * the least of all ranks'. Plans must come out alike on all ranks (MBT_FAILURE otherwise). setup:
 * zeroed by the caller but for the watchdog, cleared by mbt_setup_clear also after a failure. Every
 * rank returns the same status. Collective.
 */
mbt_status mbt_setup_create(mbt_comm *comm, mbt_log *log, const mbt_config *config,
                            const mbt_shape *shape, bool training, mbt_setup *setup,
                            mbt_error *err) MBT_WARN_UNUSED;
/* The plan whose digest covers all that training computes with. */
const mbt_plan *mbt_setup_digested(const mbt_setup *setup);

void mbt_setup_clear(mbt_setup *setup); /* Collective. */

/* Within long work of many groups, by the first worker after each: a sign of life for the watchdog,
 * and for the run's lock. A lock that is lost is found by the next mbt_run_check. */
void mbt_setup_alive(mbt_setup *setup);

/* mbt_augment_group with the worker's loader and labels, or what its batch has ready. A sample that
 * cannot be had ends the job (mbt_comm_abort): the other ranks are in the middle of a step. */
void mbt_setup_load(mbt_setup *setup, int worker, const mbt_augment *augment,
                    const mbt_split *split, int64_t epoch, const uint32_t *ids, int n, float *x);

/* Begins with the training group that the worker computes after that one of that step, if there is
 * one in the epoch that the sampler has laid out. */
void mbt_setup_load_ahead(mbt_setup *setup, int worker, int64_t epoch, int64_t step, int group);

/* What the record says of network, data set and ranks. */
void mbt_setup_facts(const mbt_setup *setup, const char *provenance, mbt_record_facts *facts);

/* The evaluation of the test split that comes next puts its predictions there. predictions: zeroed;
 * mbt_predictions_clear by the caller, also after a failure. Every rank returns the same status.
 * Collective. */
mbt_status mbt_setup_expect_predictions(mbt_setup *setup, bool keep_logits,
                                        mbt_predictions *predictions,
                                        mbt_error *err) MBT_WARN_UNUSED;

/* After it: all samples on every rank; none are taken from here on. Collective. */
void mbt_setup_share_predictions(mbt_setup *setup);

#endif
