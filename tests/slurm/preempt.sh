#!/bin/sh
# A job of a partition with a higher priority takes the nodes of a training: SLURM sends TERM twice within
# milliseconds, which is one wish to stop. The training writes its checkpoint, waits, and goes on to the
# bits of an undisturbed run.
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
endless_steps

for launch in srun mpirun; do
    echo 0 >limit
    MBTRAIN_LAUNCH=$launch submit --nodes=2 --ntasks=3 slurm/train.sbatch small.json
    run=runs/small-$id
    after 2 "$run"
    urgent=$(sbatch --parsable --partition=urgent --nodes=3 --exclusive --output=urgent.log --wrap 'sleep 1')
    reaches Restarts 1
    last_leg "$run"
    requeued 1
    ends_as COMPLETED 0:0
    said "mbtrain-$id.log" 'DUE TO PREEMPTION'
    [ "$launch" = mpirun ] || said "$run/log.txt" 'stopped at step' # mpirun kills its ranks within a second
    said "mbtrain-$id.log" 'leg 2 on'
    [ "$(grep -c 'from step 0 of' "$run/log.txt")" = 1 ] || die "began more than once: $(cat "$run/log.txt")"
    id=$urgent
    ends_as COMPLETED 0:0
    undisturbed --set "train.max_steps=$last_step"
    ended_alike "$run"
    rm -r alone
done
echo "$name: all as wanted"
