#!/bin/sh
# Binding by SLURM (task/affinity): both launchers of slurm/train.sbatch give each rank a core of its own, and
# nothing is said; ranks that srun binds to one core are warned about once, with a map of all nodes.
# Usage, by cluster.sh --bind: bind.sh FOLDER-OF-PROGRAMS
set -eu
[ "$(sinfo --noheader --format=%c | head -n 1)" -ge 2 ] || { echo 'bind: needs two processors' >&2; exit 77; }
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
unset OMPI_MCA_hwloc_base_binding_policy OMPI_MCA_rmaps_base_oversubscribe
prepare_steps 1

# What a rank may run on, as the kernel says: each rank writes it down before it becomes mbtrain.
cat >bound <<'END'
#!/bin/sh
echo "$(hostname) $(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)" >>places
exec build/bin/mbtrain "$@"
END
chmod +x bound

for launch in srun mpirun; do
    rm -f places
    MBTRAIN=./bound MBTRAIN_LAUNCH=$launch submit --nodes=2 --ntasks=4 --ntasks-per-node=2 slurm/train.sbatch small.json
    ends_as COMPLETED 0:0
    ended_alike "runs/small-$id"
    sort places >got
    printf '%s\n' 'n1 0' 'n1 1' 'n2 0' 'n2 1' >wanted
    same wanted got
    unsaid "mbtrain-$id.log" 'badly bound'
done

# Ranks of two threads have two cores.
for launch in srun mpirun; do
    rm -f places
    MBTRAIN=./bound MBTRAIN_LAUNCH=$launch submit --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=2 \
        slurm/train.sbatch small.json --set plan.threads=2
    ends_as COMPLETED 0:0
    ended_alike "runs/small-$id"
    sort places >got
    printf '%s\n' 'n1 0-1' 'n2 0-1' >wanted
    same wanted got
    unsaid "mbtrain-$id.log" 'badly bound'
done

submit --nodes=2 --ntasks=4 --ntasks-per-node=2 --wrap \
    'SLURM_PMIX_FENCE=ring exec srun --mpi=pmix --cpu-bind=map_cpu:1 build/bin/mbtrain small.json --set run.folder=shared' --output=shared.log
ends_as COMPLETED 0:0
grep -A 9 'badly bound' shared.log | sed 's/.*warning: //' | head -n 3 >got
cat >wanted <<'MAP'
badly bound: 2 threads share 1 core of n1: start fewer ranks there, or let each have its own (mpirun --map-by core --bind-to core, srun --cpu-bind=cores)
  ranks 0-1: n1, cores 1
  ranks 2-3: n2, cores 1
MAP
same wanted got
[ "$(grep -c 'badly bound' shared.log)" = 1 ] || die "said more than once: $(cat shared.log)"
ended_alike shared
echo "$name: all as wanted"
