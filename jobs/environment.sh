# shellcheck shell=sh
# Settings for Open MPI on one machine, sourced by scripts that start ranks on it. What the caller
# has set already stays. They matter in containers and small virtual machines, and cost nothing
# elsewhere.

# One thread a rank: ranks are the parallelism.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

# mpirun refuses root unless it is told twice; containers know no other user.
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# Containers forbid process_vm_readv, and Open MPI then prints "Read -1, expected N" without end.
export OMPI_MCA_btl_vader_single_copy_mechanism="${OMPI_MCA_btl_vader_single_copy_mechanism:-none}"

# Nothing but shared memory is needed here: no search for network cards.
export OMPI_MCA_btl="${OMPI_MCA_btl:-self,vader}"

# A node that is gone, or beyond a cut link, is noticed after some ten seconds; by default never.
export OMPI_MCA_oob_tcp_keepalive_time="${OMPI_MCA_oob_tcp_keepalive_time:-5}"
export OMPI_MCA_oob_tcp_keepalive_intvl="${OMPI_MCA_oob_tcp_keepalive_intvl:-2}"
export OMPI_MCA_oob_tcp_keepalive_probes="${OMPI_MCA_oob_tcp_keepalive_probes:-3}"

# hwloc warns about the half-hidden hardware of virtual machines; nothing here depends on it.
export HWLOC_HIDE_ERRORS="${HWLOC_HIDE_ERRORS:-2}"
