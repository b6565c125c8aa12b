#!/bin/sh
# Stopped and put back into the queue COUNT times, in every way by turns, a job ends in the bits of a
# run that was never disturbed; then once more on fewer nodes.
# Usage, by cluster.sh: requeue.sh FOLDER-OF-PROGRAMS [COUNT (4)]
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
count=${2:-4}
began=$(date +%s)
endless_steps

# disturb I: a warning to the batch script, two signals to the ranks, an administrator.
disturb() {
    case $(($1 % 4)) in
    0) scancel --batch --signal=USR1 "$id" ;;
    1) scancel --signal=USR2 "$id" ;;
    2) scancel --signal=TERM "$id" ;;
    3) scontrol requeue "$id" ;;
    esac
}

submit --nodes=2 --ntasks=3 slurm/train.sbatch small.json
run=runs/small-$id
for i in $(seq "$count"); do
    after 2 "$run"
    disturb "$((i - 1))"
    reaches Restarts "$i"
    [ "$i" != "$count" ] || last_leg "$run"
    requeued "$i"
done
ends_as COMPLETED 0:0
undisturbed --set "train.max_steps=$last_step"
ended_alike "$run"
said "mbtrain-$id.log" 'leg 1 on' # one file for all legs
said "mbtrain-$id.log" "leg $((count + 1)) on"
[ "$(grep -c 'stopped at step [0-9]* (signal' "$run/log.txt")" = "$count" ] ||
    die "not $count stops: $(cat "$run/log.txt")"
[ "$(grep -c 'from step 0 of' "$run/log.txt")" = 1 ] || die "began more than once: $(cat "$run/log.txt")"
[ "$count" = 4 ] || { # a longer campaign ends here, and is counted
    "$here/../campaign/count.sh" "$here/../campaign/counts.csv" requeues "$id" $(($(date +%s) - began)) \
        build/bin/mbtrain passed "requeues=$count other_bits=0"
    echo "$name: $count requeues, $(grep -c '' "$run/metrics.csv") lines of metrics, state digest $wanted"
    exit
}

# mpirun passes a warning of SLURM on, and reports the ranks' code.
MBTRAIN_LAUNCH=mpirun submit --nodes=2 --ntasks=3 slurm/train.sbatch small.json
run=runs/small-$id
after 2 "$run"
scancel --batch --signal=USR1 "$id"
requeued 1
ends_as COMPLETED 0:0
ended_alike "$run"

# A cancelled job stays cancelled, with a checkpoint; on one of the two nodes the same line goes on.
submit --nodes=2 --ntasks=4 slurm/train.sbatch small.json
MBTRAIN_RUN=runs/small-$id
export MBTRAIN_RUN
after 2 "$MBTRAIN_RUN"
scancel "$id"
wait_for "job $id is cancelled" has JobState CANCELLED
wait_for "the ranks of $id end" grep -q 'stopped at step' "$MBTRAIN_RUN/log.txt"
has Restarts 0 || die 'a cancelled job was requeued'
unsaid "mbtrain-$id.log" 'not requeued yet'
scontrol update NodeName=n2 State=DRAIN Reason=test
submit --nodes=1 --ntasks=2 slurm/train.sbatch small.json
ends_as COMPLETED 0:0
said "mbtrain-$id.log" 'on 2 ranks'
unsaid "mbtrain-$id.log" 'from step 0 of'
ended_alike "$MBTRAIN_RUN"
echo "$name: all as wanted"
