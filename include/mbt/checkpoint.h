/* Checkpoints: the whole state of a run in one HDF5 file.
 *
 * /model/<name> in PyTorch's order with named dimensions, /optimizer/momentum/<name>, with RMSprop
 * /optimizer/square/<name>, with averaged weights (ema.h) /ema/<name>, /metrics, attributes of "/":
 * schema, network, configuration (JSON), counters, partial sums of the epoch, best so far,
 * provenance, state_digest. The file's own digest stands in its user block (store.h). The state
 * digest covers weights, momentum, squares, average, running statistics, counters and the metric
 * columns that do not depend on timing: two runs are compared by it. File names: step-<10
 * digits>.h5; the relative links last.h5 and best.h5 point at them. Depends on param, config,
 * metrics, store. */
#ifndef MBT_CHECKPOINT_H
#define MBT_CHECKPOINT_H

#include <stdint.h>

#include "mbt/config.h"
#include "mbt/log.h"
#include "mbt/metrics.h"
#include "mbt/param.h"
#include "mbt/status.h"

enum { MBT_CHECKPOINT_SCHEMA = 1 };

/* What a run is at, apart from its weights. */
typedef struct mbt_progress_state {
    int64_t step;            /* steps done */
    int64_t epoch;           /* epochs completed */
    int64_t step_in_epoch;   /* steps done of the epoch that runs */
    mbt_counts epoch_counts; /* training sums of the epoch that runs */
    double epoch_s;          /* seconds spent in it so far */
    double best_top1;        /* held-out, percent; -1 before the first evaluation */
    int64_t best_epoch;
} mbt_progress_state;

/* All that a checkpoint holds; pointers are borrowed. */
typedef struct mbt_state {
    const mbt_params *params;
    float *weights, *momentum; /* flat blocks of params->n_floats */
    float *square;             /* mean squared gradients of RMSprop; NULL: none */
    float *ema;                /* averaged weights; NULL: none, or not begun */
    mbt_progress_state progress;
    mbt_metrics *metrics;
    const mbt_config *config;
    const char *data_digest; /* of the data set trained on */
    const char *plan_digest; /* of kernels and cuts: another one may give other bits */
    const char *provenance;  /* programs, libraries, host, ranks: text */
} mbt_state;

/* The state digest. */
mbt_status mbt_state_digest(const mbt_state *state, char out[MBT_DIGEST_TEXT],
                            mbt_error *err) MBT_WARN_UNUSED;

/* Which files stay beside those that last.h5 and best.h5 name. */
typedef struct mbt_retention {
    int keep;       /* so many newest ones */
    double every_s; /* of the others, by the times of the files, the first of every so many seconds;
                       0: none */
} mbt_retention;

/* Whether the folder is still ours to write to; a status other than MBT_OK ends the save. */
typedef struct mbt_guard {
    mbt_status (*ask)(void *context, mbt_error *err);
    void *context;
} mbt_guard;

/* Writes <folder>/step-<step>.h5 and moves last.h5 (and best.h5 when is_best). The folder must be
 * there: it is not made, for where a file system has gone a folder of that name would be on
 * another. guard: asked before the file is put there and again behind it, for that may have taken
 * long; NULL: nobody else can want the folder. digest: the state digest. Rank zero alone. */
mbt_status mbt_checkpoint_save(const mbt_state *state, const char *folder, bool is_best,
                               const mbt_guard *guard, char digest[MBT_DIGEST_TEXT],
                               mbt_error *err) MBT_WARN_UNUSED;

/* Removes what a save at `step` makes superfluous, and temporary files of killed runs. Those that
 * links name and those of later steps stay. Rank zero alone. */
mbt_status mbt_checkpoint_prune(const char *folder, int64_t step, const mbt_retention *keep,
                                mbt_error *err) MBT_WARN_UNUSED;

/* Reads one file into state: the blocks that are there, progress and metrics are overwritten,
 * params and config must be set (names and shapes must match: MBT_DATA names the first that does
 * not; extra and missing ones are counted). square must be in the file when the state has it; ema
 * becomes NULL when it is not in the file; neither is read without a place for it.
 * plan_digest_changed tells whether the file was made under another plan; data_digest must match
 * when the state has one. Recomputes and compares the state digest. */
mbt_status mbt_checkpoint_load(mbt_state *state, const char *path, bool *plan_digest_changed,
                               mbt_error *err) MBT_WARN_UNUSED;

/* Weights and running statistics alone (evaluation): the averaged ones where the file has them.
 * progress: of that file; NULL when it is not asked for. */
mbt_status mbt_checkpoint_load_weights(const mbt_params *params, float *weights, const char *path,
                                       mbt_progress_state *progress,
                                       mbt_error *err) MBT_WARN_UNUSED;

/* The newest file of the folder that verifies: last.h5 first, then by falling step. Each damaged
 * one is named in a warning. MBT_DATA when there is none. path: MBT_PATH_BYTES. */
mbt_status mbt_checkpoint_newest(const char *folder, mbt_log *log, char *path,
                                 mbt_error *err) MBT_WARN_UNUSED;

/* Checks a whole file without network or plan: its own digest, the state digest that it names
 * against its content, and that it says what mbt_checkpoint_read_info asks. digest: the state
 * digest. MBT_DATA when damaged. */
mbt_status mbt_checkpoint_verify(const char *path, char digest[MBT_DIGEST_TEXT],
                                 mbt_error *err) MBT_WARN_UNUSED;

/* ---- two of them ---- */

/* A tensor (weights, optimizer, whatever a file has) of two files. */
typedef struct mbt_tensor_difference {
    const char *path;                  /* within the files */
    const mbt_store_shape *a, *b;      /* NULL: the file has none of that path */
    uint64_t count, n_unlike;          /* elements; 0 and 0 when there are not two of one shape */
    double max_absolute, max_relative; /* relative to the larger of two values; NaN when one of a
                                          pair is not finite */
} mbt_tensor_difference;
typedef void mbt_tensor_visit(void *context, const mbt_tensor_difference *difference);

/* Calls visit for each tensor of both files, alike or not, by path. The files are verified first:
 * MBT_DATA when one is damaged. */
mbt_status mbt_checkpoint_diff(const char *path_a, const char *path_b, mbt_tensor_visit *visit,
                               void *context, mbt_error *err) MBT_WARN_UNUSED;

/* The i-th counter of a state; false beyond the last. */
bool mbt_checkpoint_counter(const mbt_progress_state *progress, int i, const char **name,
                            int64_t *value);

/* The files of a checkpoint folder, and what the links name. */
typedef struct mbt_checkpoint_list {
    int64_t *steps; /* [n_steps], ascending */
    int n_steps;
    int64_t last, best; /* steps that last.h5 and best.h5 name; -1: no such link */
} mbt_checkpoint_list;

/* MBT_DATA when the folder cannot be opened, MBT_FAILURE when it or a link cannot be read. list is
 * cleared then; otherwise by the caller. */
mbt_status mbt_checkpoint_list_read(const char *folder, mbt_checkpoint_list *list,
                                    mbt_error *err) MBT_WARN_UNUSED;
void mbt_checkpoint_list_clear(mbt_checkpoint_list *list); /* a cleared one is allowed */

/* "<folder>/step-<10 digits>.h5"; path: MBT_PATH_BYTES. MBT_FAILURE for a step out of range. */
mbt_status mbt_checkpoint_path(const char *folder, int64_t step, char *path,
                               mbt_error *err) MBT_WARN_UNUSED;

/* What a file says of itself, without network or plan. */
typedef struct mbt_checkpoint_info {
    mbt_progress_state progress;
    char network[MBT_NAME_BYTES];
    char state_digest[MBT_DIGEST_TEXT], data_digest[MBT_DIGEST_TEXT], plan_digest[MBT_DIGEST_TEXT];
    char *config, *provenance; /* JSON and text, owned: mbt_checkpoint_info_clear */
    mbt_metrics metrics;
    int64_t n_tensors, n_elements; /* below /model */
    size_t bytes;
} mbt_checkpoint_info;

/* MBT_DATA when the file is missing, damaged or not one of ours; the state digest is not compared.
 * info is cleared then; otherwise by the caller. */
mbt_status mbt_checkpoint_read_info(const char *path, mbt_checkpoint_info *info,
                                    mbt_error *err) MBT_WARN_UNUSED;
void mbt_checkpoint_info_clear(mbt_checkpoint_info *info); /* a zeroed one is allowed */

#endif
