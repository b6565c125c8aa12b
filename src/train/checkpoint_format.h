/* What the parts of the checkpoint module share: names within the file, limits, the reader.
 * Private to src/train. */
#ifndef MBT_CHECKPOINT_FORMAT_H
#define MBT_CHECKPOINT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mbt/checkpoint.h"
#include "mbt/store.h"

#define CKPT_FORMAT "mbtrain checkpoint"
#define CKPT_MODEL "/model"
#define CKPT_MOMENTUM "/optimizer/momentum"
#define CKPT_SQUARE "/optimizer/square"
#define CKPT_EMA "/ema"
#define CKPT_METRICS "/metrics"
#define CKPT_LAST "last.h5"
#define CKPT_BEST "best.h5"

/* Bounds on what is read, far above what any network here needs. */
#define CKPT_FILE_BYTES_MAX ((size_t)4 << 30)
enum {
    CKPT_TENSORS_MAX = 1 << 16,
    CKPT_TEXT_BYTES_MAX = 1 << 20,
    CKPT_RANK_MAX = 4,
    CKPT_PATH_IN_FILE = 128,   /* bytes of "/optimizer/momentum/<name>" at most */
    CKPT_FILE_NAME_BYTES = 32, /* bytes of "step-0000000040.h5" and more */
};
#define CKPT_STEP_MAX INT64_C(9999999999)

/* ---- what the state digest is made of (checkpoint_digest.c) ---- */

/* The counters of mbt_progress_state as attributes: the one list that writer, reader and digest
 * use. */
typedef struct ckpt_counter {
    const char *name;
    size_t offset; /* of an int64_t in mbt_progress_state */
} ckpt_counter;
enum { CKPT_COUNTERS = 8 };
extern const ckpt_counter ckpt_counters[CKPT_COUNTERS];
int64_t *ckpt_counter_of(mbt_progress_state *progress, int i);

/* The flat blocks of a state, each of them a group of the file: the one list that writer, reader,
 * digest, saver and the comparison of ranks use. */
typedef enum ckpt_block_id {
    CKPT_BLOCK_MODEL,
    CKPT_BLOCK_MOMENTUM,
    CKPT_BLOCK_SQUARE,
    CKPT_BLOCK_EMA,
    CKPT_BLOCKS
} ckpt_block_id;
typedef struct ckpt_block {
    const char *group, *what; /* what: in messages */
    size_t offset;            /* of a float * in mbt_state */
    bool trained;             /* has the trained tensors alone */
    bool always;              /* in every file */
} ckpt_block;
extern const ckpt_block ckpt_blocks[CKPT_BLOCKS];
/* The state's block, NULL when it has none. */
float *ckpt_block_of(const mbt_state *state, int block);
void ckpt_set_block(mbt_state *state, int block, float *floats);

/* One tensor, in canonical order: values[block], NULL where the block does not have it. To be
 * called in the order of the names (strcmp). */
void ckpt_digest_tensor(mbt_digest *digest, const char *name, const mbt_store_shape *shape,
                        size_t count, const float *const values[CKPT_BLOCKS]);
/* What follows the tensors. */
void ckpt_digest_rest(mbt_digest *digest, const mbt_progress_state *progress,
                      const mbt_metrics *metrics);

/* The slices in the order of their names; caller frees. */
mbt_status ckpt_sort_slices(const mbt_params *params, const mbt_slice ***sorted,
                            mbt_error *err) MBT_WARN_UNUSED;
size_t ckpt_largest_slice(const mbt_params *params); /* canonical elements */
mbt_store_shape ckpt_slice_shape(const mbt_slice *slice);

/* ---- the reader (checkpoint_read.c) ---- */

typedef struct ckpt_tensor {
    char name[MBT_PARAM_NAME_BYTES];
    mbt_store_shape shape; /* float32, rank 1 to 4 */
    size_t count;
    unsigned blocks; /* bit b: block b has a tensor of the same name and shape */
} ckpt_tensor;

/* An open checkpoint whose tensors have been listed and fit into the file's size. Zeroed before the
 * first use. */
typedef struct ckpt_file {
    mbt_store *store;
    char path[MBT_PATH_BYTES];
    size_t bytes;
    ckpt_tensor *tensors; /* by name */
    int n_tensors, capacity;
    size_t largest;      /* elements of the largest tensor */
    size_t tensor_bytes; /* of all blocks */
    unsigned blocks;     /* bit b: block b is there */
} ckpt_file;

mbt_status ckpt_file_open(ckpt_file *file, const char *path, mbt_error *err) MBT_WARN_UNUSED;
void ckpt_file_close(ckpt_file *file);

bool ckpt_has(unsigned blocks, int block);
/* Where evaluation and other programs find the weights: the average when there is one. */
int ckpt_file_weights(const ckpt_file *file);

/* values has room for the tensor's count. */
mbt_status ckpt_file_values(const ckpt_file *file, int block, const ckpt_tensor *tensor,
                            float *values, mbt_error *err) MBT_WARN_UNUSED;

/* Reads progress and metrics (a zeroed table, cleared by the caller) and checks the state digest
 * that the file names against its content. digest (may be NULL): the state digest. */
mbt_status ckpt_file_verify(const ckpt_file *file, mbt_progress_state *progress,
                            mbt_metrics *metrics, char digest[MBT_DIGEST_TEXT],
                            mbt_error *err) MBT_WARN_UNUSED;

/* ---- the folder (checkpoint_files.c) ---- */

/* Makes <folder>/<link> name the file of `step`, in one rename. */
mbt_status ckpt_move_link(const char *folder, const char *link, int64_t step,
                          mbt_error *err) MBT_WARN_UNUSED;

#endif
