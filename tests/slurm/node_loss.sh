#!/bin/sh
# A job loses a node by its cable, then the node of rank zero by its power: SLURM requeues it, the next
# leg takes the lock over and goes on from the last checkpoint, to the bits of an undisturbed run. The
# first node comes back meanwhile, with a rank of the first leg still on it.
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
endless_steps

# Five ranks of nodes with four processors: always on two of the three nodes.
idle() { sinfo --noheader --Node --nodes="$1" --format=%T | grep -qx 'idle\|mixed\|allocated'; }
submit --nodes=2 --ntasks=5 slurm/train.sbatch small.json
run=runs/small-$id
after 3 "$run"
said "mbtrain-$id.log" 'leg 1 on n[1-2]'
"$NODE" cut n2
requeued 1
after 3 "$run"
said "mbtrain-$id.log" 'leg 2 on n[1,3]'
said "$run/log.txt" 'taken over from host n1'
"$NODE" heal n2
wait_for 'n2 comes back' idle n2
wait_for 'the first leg ends on n2' ended_on n2
after 3 "$run" # that end is none of the second leg's
has Restarts 1 || die 'the node that came back ended the second leg'
"$NODE" kill n1
reaches Restarts 2
last_leg "$run"
requeued 2
ends_as COMPLETED 0:0
said "mbtrain-$id.log" 'leg 3 on n[2-3]'
[ "$(grep -c 'taken over from host n1' "$run/log.txt")" = 2 ] || die "the lock: $(cat "$run/log.txt")"
[ "$(grep -c 'from step 0 of' "$run/log.txt")" = 1 ] || die "began more than once: $(cat "$run/log.txt")"
undisturbed --set "train.max_steps=$last_step"
ended_alike "$run"
echo "$name: all as wanted"
