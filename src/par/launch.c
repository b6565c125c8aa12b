/* Reading the launcher's environment variables. */
#include "launch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/text.h"

/* A variable's number, or -1. */
static int64_t number_of(const char *name)
{
    int64_t value = -1;
    const char *text = getenv(name);
    return text && mbt_text_to_i64(text, &value) && value >= 0 ? value : -1;
}

/* In a batch script or an interactive shell of Slurm SLURM_NTASKS is the size of the allocation and
 * one single process is legitimate. There SLURM_STEP_ID is unset or one of the reserved ids at the
 * top of 32 bits (batch, extern, interactive); steps of srun count from 0. */
static bool in_srun_step(void)
{
    static const int64_t reserved_from = 0xfffffff0;
    int64_t step = number_of("SLURM_STEP_ID");
    return step >= 0 && step < reserved_from;
}

static int64_t srun_tasks(void)
{
    if (!in_srun_step()) {
        return -1;
    }
    int64_t tasks = number_of("SLURM_STEP_NUM_TASKS");
    return tasks > 0 ? tasks : number_of("SLURM_NTASKS");
}

bool launch_without_pmi(void)
{
    static const char *const ways[] = {"PMIX_NAMESPACE", "PMIX_RANK", "PMI_FD",
                                       "PMI_RANK",       "PMI_PORT",  "OMPI_COMM_WORLD_SIZE"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (getenv(ways[i])) {
            return false;
        }
    }
    return srun_tasks() > 1;
}

mbt_status launch_check_alone(const char *library, mbt_error *err)
{
    const char *allowed = getenv("MBTRAIN_ALLOW_SINGLETON");
    if (allowed && strcmp(allowed, "1") == 0) {
        return MBT_OK;
    }
    /* mpirun before srun: a daemon of mpirun runs as a step of srun itself. */
    const struct {
        const char *launcher;
        const char *rank;
        int64_t tasks;
    } launchers[] = {
        {"mpirun", "OMPI_COMM_WORLD_RANK", number_of("OMPI_COMM_WORLD_SIZE")},
        {"srun", "SLURM_PROCID", srun_tasks()},
        {"the launcher", "PMI_RANK", number_of("PMI_SIZE")},
    };
    for (size_t i = 0; i < sizeof launchers / sizeof launchers[0]; i++) {
        if (launchers[i].tasks <= 1) {
            continue;
        }
        mbt_status status = mbt_fail(
            err, MBT_USAGE,
            "%s started %lld copies that do not know each other, wanted one job of %lld ranks: use "
            "`srun --mpi=pmix`, or the mpirun of the MPI this program was built with (%s); "
            "MBTRAIN_ALLOW_SINGLETON=1 runs a single copy all the same",
            launchers[i].launcher, (long long)launchers[i].tasks, (long long)launchers[i].tasks,
            library);
        if (err && number_of(launchers[i].rank) > 0) {
            err->message[0] = '\0';
        }
        return status;
    }
    return MBT_OK;
}
