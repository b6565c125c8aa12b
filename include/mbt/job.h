/* A job: what a paper's table consists of. jobs/README.md describes the file.
 * Depends on config, json, status. */
#ifndef MBT_JOB_H
#define MBT_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mbt/config.h"
#include "mbt/status.h"

enum { MBT_JOB_SEEDS_MAX = 16, MBT_JOB_ROWS_MAX = 256, MBT_JOB_TEXT_BYTES = 512 };

typedef struct mbt_job_row {
    char label[MBT_JOB_TEXT_BYTES];
    char configuration[MBT_PATH_BYTES];
    mbt_config config;           /* what that file says */
    const char *data, *data_key; /* "CIFAR-10", "cifar10"; static storage */
    int size, n_classes;         /* of the data set's images */
    int n_seeds;
    int64_t seeds[MBT_JOB_SEEDS_MAX];
    int n_runs; /* run folders that the row names; 0: those of mbt_job_run_folder */
    char (*runs)[MBT_PATH_BYTES];
    /* as printed by `source`; NaN: not printed */
    double printed_parameters; /* millions */
    double printed_top1, printed_top5;
    char source[MBT_JOB_TEXT_BYTES];
} mbt_job_row;

/* Side and classes of the data set of that key; false when a table cannot be of it. */
bool mbt_job_data_set(const char *key, int *size, int *n_classes);

/* Trained parameters and multiply-accumulates of an image by the configuration: at data.image_size,
 * or else at the data set's side. Errors are mbt_arch_count's. */
mbt_status mbt_job_count(const mbt_config *config, int side, int n_classes, int64_t *parameters,
                         int64_t *macs, mbt_error *err) MBT_WARN_UNUSED;

typedef struct mbt_job {
    char path[MBT_PATH_BYTES], title[MBT_JOB_TEXT_BYTES], note[MBT_JOB_TEXT_BYTES];
    mbt_job_row *rows;
    int n_rows;
} mbt_job;

/* Reads the file and every configuration that it names (relative to the working directory).
 * MBT_DATA or MBT_CONFIG with file, row and what was wanted; job is cleared then. */
mbt_status mbt_job_read(const char *path, mbt_job *job, mbt_error *err) MBT_WARN_UNUSED;
void mbt_job_clear(mbt_job *job); /* a zeroed one is allowed */

/* Where row `row` with its seed number `seed` is trained: runs/<configuration>-seed<seed>. */
mbt_status mbt_job_run_folder(const mbt_job *job, int row, int seed, char folder[MBT_PATH_BYTES],
                              mbt_error *err) MBT_WARN_UNUSED;

/* Whether a row above has the same configuration and seed: then it is the same run. */
bool mbt_job_listed_before(const mbt_job *job, int row, int64_t seed);

/* For scripts, a line for each row and seed, from 0: index, configuration, seed, run folder,
 * separated by tabs. Several rows may name the same run; it is listed once. */
mbt_status mbt_job_print_rows(const mbt_job *job, FILE *out, mbt_error *err) MBT_WARN_UNUSED;

#endif
