/* The batch job that a process belongs to: when its time is over.
 *
 * SLURM is asked by its own commands, so that nothing is linked and nothing is needed where there
 * is no SLURM. Depends on status. */
#ifndef MBT_WALLTIME_H
#define MBT_WALLTIME_H

#include "mbt/status.h"

/* Seconds until the SLURM job of this process (SLURM_JOB_ID) is ended for its time limit: from
 * SLURM_JOB_END_TIME (seconds since 1970) or, without it, from squeue, which is given `patience_s`
 * to answer. INFINITY outside of a job and in one without a limit. MBT_FAILURE when it cannot be
 * learnt. Rank zero alone: a thousand ranks would be a flood of questions. */
mbt_status mbt_walltime_left(double patience_s, double *seconds, mbt_error *err) MBT_WARN_UNUSED;

#endif
