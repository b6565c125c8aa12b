#!/bin/sh
# A rank that is killed, crashes, is stopped or has no memory: the job is gone in seconds with the
# rank's name in the log and a documented exit code, and the run goes on from its last checkpoint.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
export OMPI_MCA_odls_base_sigkill_timeout=1 # mpirun's own, so that the survivors can speak
limit=3

# dies SIGNAL RANK CODE SECONDS: of three ranks, in the run dead; SECONDS are allowed for the end.
dies() {
    rm -rf dead
    begin 3 small.json --set train.epochs=1000 --set run.folder=dead --set run.watchdog=$limit \
        --set checkpoint.every_steps=1 --set checkpoint.keep=4
    wait_for 'some steps' has_step dead 4
    from=$(date +%s)
    kill "-$1" "$(cat "pid.$2")"
    ends "$3"
    cp err last # what the job said
    took=$(($(date +%s) - from))
    [ "$took" -le "$4" ] || die "$1 of rank $2: took $took s, wanted $4"
    expect 0 "$ckpt" verify dead/checkpoints/*.h5
}
named() { # FILE PATTERN
    grep -q "$2" "$1" || die "$1 does not say '$2': $(cat "$1")"
}

dies KILL 1 137 10
named last "error: rank 1 on [^ ]* died at step [0-9]*, [a-z]*: the job ends"
named dead/log.txt "error: rank 1 on [^ ]* died at step"
dies KILL 0 137 10
named last "error: rank 0 on [^ ]* died at step [0-9]*, [a-z]*: the job ends"

dies SEGV 2 6 10
named last "^rank 2 on [^ ]* crashed: signal 11 (segmentation fault) at step [0-9]*, [a-z]*"
named dead/log.txt "error: rank 2 on [^ ]* died at step"

for rank in 1 0; do
    dies STOP $rank 6 $((limit + 10))
    named last "error: watchdog: nothing has moved .*rank $rank (step [0-9]*, [a-z]*; its process stands still"
done

# The next leg takes the lock over.
steps=$(($(readlink dead/checkpoints/last.h5 | sed 's/^step-0*\([0-9]*\).*/\1/') + 2))
expect 0 ranks 2 resume dead --set "train.max_steps=$steps"
said err 'lock: taken over from host'

# A watchdog that is off waits.
expect 0 ranks 2 small.json --set run.folder=off --set run.watchdog=0
echo "$name: all as wanted"
