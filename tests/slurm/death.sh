#!/bin/sh
# A rank on one of two nodes, alone there or not, is killed, crashes or is stopped: the job is gone in
# seconds and for good, the rank and its host are named, and the exit code is a documented one.
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
endless_steps

rank() { # NUMBER: its process
    for lib_pid in $(pgrep -x mbtrain); do
        ! grep -qz "^SLURM_PROCID=$1\$" "/proc/$lib_pid/environ" || echo "$lib_pid"
    done
}
no_ranks() { ! pgrep -x mbtrain >/dev/null; }

# dies SIGNAL RANK SECONDS CODES PATTERN [PATTERN OF log.txt]: of three ranks, two on n1 and one on n2.
dies() {
    submit --nodes=2 --ntasks=3 slurm/train.sbatch small.json --set "run.watchdog=$limit"
    run=runs/small-$id
    after 3 "$run"
    from=$(date +%s)
    kill "-$1" "$(rank "$2")"
    wait_for "job $id ends" is_over
    took=$(($(date +%s) - from))
    wait_for 'all ranks end' no_ranks
    echo "$name: $1 of rank $2: $took s, $(fact JobState) $(fact ExitCode)"
    [ "$took" -le "$3" ] || die "the end took $took s, wanted $3"
    expr "$(fact JobState) $(fact ExitCode)" : "FAILED \($4\):0$" >/dev/null || die "wanted FAILED $4"
    has Restarts 0 || die 'requeued though no node is lost'
    named "mbtrain-$id.log" "$5"
    named "$run/log.txt" "${6:-checkpoint}"
    expect 0 "$ckpt" verify "$run"/checkpoints/*.h5
}

# Up to 10 s of srun come after the ranks' end (--wait), and a second for asking whether a node is lost.
watchdog=$((limit + 20))
on_step='at step [0-9]*, [a-z]*'
elsewhere='error: watchdog: nothing has moved on n1 .* wait for other nodes'
dies KILL 1 20 '137\|6' "error: rank 1 on n1 died $on_step: the job ends" 'error: rank 1 on n1 died at step'
dies KILL 0 20 '137\|6' "error: rank 0 on n1 died $on_step: the job ends"
dies SEGV 1 20 '137\|6' "^rank 1 on n1 crashed: signal 11 (segmentation fault) $on_step" \
    'error: rank 1 on n1 died at step'
dies STOP 1 $watchdog 6 "error: watchdog: .* n1 .*rank 1 (step [0-9]*, [a-z]*; its process stands still" \
    'error: watchdog: .*rank 1 (step'
# Alone on its node: srun names the one that ends; of one that is stopped, it is the node that says nothing.
dies KILL 2 $watchdog '137\|6' '^srun: error: n2: task 2: Killed' "$elsewhere"
dies SEGV 2 $watchdog '137\|6' "^rank 2 on n2 crashed: signal 11 (segmentation fault) $on_step" "$elsewhere"
dies STOP 2 $watchdog 6 "$elsewhere" "$elsewhere"
unsaid "mbtrain-$id.log" 'nothing has moved on n2'

# The same line goes on.
last_leg "$run"
MBTRAIN_RUN=$run submit --nodes=2 --ntasks=3 slurm/train.sbatch small.json
ends_as COMPLETED 0:0
undisturbed --set "train.max_steps=$last_step"
ended_alike "$run"
echo "$name: all as wanted"
