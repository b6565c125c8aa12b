#!/bin/sh
# The job's own end, learnt from SLURM: the run stops before it, with no signal at all.
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
small_steps 100000

# Most of the minute that is SLURM's shortest limit passes before the ranks begin.
printf '#!/bin/sh\nsleep 38\nexec build/bin/mbtrain "$@"\n' >late
chmod +x late
# CONT in the place of the warning: it means nothing to anybody.
MBTRAIN=./late submit --time=1 --signal=B:CONT@1 --nodes=2 --ntasks=3 slurm/train.sbatch small.json
run=runs/small-$id
reaches Restarts 1
reaches JobState PENDING
said "mbtrain-$id.log" 'the job ends in 0.0'
said "$run/log.txt" '(end of the job); resume goes on from there'
unsaid "mbtrain-$id.log" 'DUE TO TIME LIMIT'
scancel "$id"

limit=$(newest "$run")
[ "$limit" -gt 0 ] || die "no step was done"
expect 0 ranks 2 resume "$run" --set "train.max_steps=$((limit + 2))"
undisturbed --set "train.max_steps=$((limit + 2))"
ended_alike "$run"

# A limit that is no longer than the warning: not leg after leg.
submit --time=5 --nodes=1 --ntasks=2 slurm/train.sbatch small.json
run=runs/small-$id
after 1 "$run"
scancel --batch --signal=USR1 "$id" # SLURM does within half a minute
ends_as FAILED 75:0
has Restarts 0 || die 'requeued though each leg is warned at once'
said "mbtrain-$id.log" 'is no longer than its warning'
echo "$name: all as wanted"
