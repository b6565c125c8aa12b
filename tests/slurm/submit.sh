#!/bin/sh
# Submitting: both launchers on two nodes; what is wrong ends the job for good, with its own code.
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
prepare_steps 4

for launch in srun mpirun; do
    export MBTRAIN_LAUNCH="$launch"
    submit --nodes=2 --ntasks=3 slurm/train.sbatch small.json
    ends_as COMPLETED 0:0
    ended_alike "runs/small-$id"
    said "mbtrain-$id.log" "leg 1 on n[1-2]: $launch"
    said "mbtrain-$id.log" 'from step 0 of 12 on 3 ranks'
    said "mbtrain-$id.log" 'the job ends in 4.00 h'
    # What is finished already stays as it is.
    MBTRAIN_RUN="runs/small-$id" submit --ntasks=2 slurm/train.sbatch small.json
    ends_as COMPLETED 0:0
    said "mbtrain-$id.log" 'the run was complete already'
done

unset MBTRAIN_LAUNCH
submit --ntasks=2 slurm/train.sbatch small.json --set train.epoch=3
ends_as FAILED 2:0
said "mbtrain-$id.log" 'nearest'
has Restarts 0 || die 'requeued though it can only fail again'
MBTRAIN_LAUNCH=mprun submit --ntasks=2 slurm/train.sbatch small.json
ends_as FAILED 2:0
said "mbtrain-$id.log" 'got mprun, wanted srun or mpirun'

# Copies that do not know each other: refused, once, with the fix.
code=0
srun --nodes=2 --ntasks=3 --mpi=none build/bin/mbtrain small.json --set run.folder=copies \
    >out 2>err || code=$?
[ "$code" = 2 ] || die "three copies: exit code $code, wanted 2: $(cat err)"
[ "$(grep -c '^error: srun started 3 copies' err)" = 1 ] || die "not said once: $(cat err)"
said err 'srun --mpi=pmix'
[ ! -e copies ] || die 'a run folder was made'
echo "$name: all as wanted"
