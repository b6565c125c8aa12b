/* Weights by themselves: out of a checkpoint for other programs, and into a network from any HDF5
 * file that has tensors under PyTorch's names.
 *
 * A weight file has one float32 data set a tensor, in PyTorch's order and under the names of its
 * state dict, at the top or below /model. So a checkpoint is one too; of one with averaged weights
 * it is the average that counts, here and in the export. Depends on param, store, log. */
#ifndef MBT_PRETRAINED_H
#define MBT_PRETRAINED_H

#include "mbt/log.h"
#include "mbt/param.h"
#include "mbt/status.h"

/* What came of a file's tensors, counted. */
typedef struct mbt_pretrained_report {
    int matched;         /* taken: same name, same shape */
    int missing, unlike; /* the network's own values stay: no such tensor, or another shape */
    int extra;           /* in the file, unknown to the network */
} mbt_pretrained_report;

/* Overwrites in `weights` (flat block of params) every tensor that the file has in the same shape,
 * running statistics included. PyTorch's "module." before names and its num_batches_tracked are
 * passed over. Logs one line that counts, and one for each tensor that did not match (the first few
 * of each kind). MBT_DATA: the file is missing, damaged, no HDF5, holds refused links or values
 * that are not finite, or none of its tensors fits; weights are unchanged then. A file of another
 * maker is tried in a child process first (limited.h). */
mbt_status mbt_pretrained_load(const mbt_params *params, const char *path, float *weights,
                               mbt_log *log, mbt_pretrained_report *report,
                               mbt_error *err) MBT_WARN_UNUSED;

/* Writes the weights and running statistics of the checkpoint at `path` to a weight file at
 * `target`, which is replaced when the new one is complete. n_tensors: how many. */
mbt_status mbt_pretrained_export(const char *path, const char *target, int *n_tensors,
                                 mbt_error *err) MBT_WARN_UNUSED;

#endif
