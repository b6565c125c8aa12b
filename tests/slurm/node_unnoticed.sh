#!/bin/sh
# A job loses a node by its cable, and SLURM takes minutes to miss it, as it does by default: mpirun or the
# watchdog is first, and the script requeues the job, to the bits of an undisturbed run.
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
endless_steps

sed -i 's/^SlurmdTimeout=.*/SlurmdTimeout=300/' "$SLURM_CONF"
scontrol reconfigure
for how in 'mpirun 300' 'srun 10'; do # launcher, run.watchdog
    echo 0 >limit
    rm -rf alone
    MBTRAIN_LAUNCH=${how% *} submit --nodes=2 --ntasks=5 slurm/train.sbatch small.json \
        --set "run.watchdog=${how#* }"
    run=runs/small-$id
    after 3 "$run"
    said "mbtrain-$id.log" "leg 1 on n[1-2]: ${how% *}"
    "$NODE" cut n2
    reaches Restarts 1
    grep 'a node does not answer: back into the queue' "mbtrain-$id.log" || die 'not requeued by the script'
    "$NODE" heal n2
    last_leg "$run"
    requeued 1
    ends_as COMPLETED 0:0
    undisturbed --set "train.max_steps=$last_step"
    ended_alike "$run"
done
echo "$name: all as wanted"
