#!/bin/sh
# A rank that is killed, crashes or is stopped: the job is gone in seconds with the rank's name in the log
# and a documented exit code, and the run goes on from its last checkpoint.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
export OMPI_MCA_odls_base_sigkill_timeout=1 # mpirun's own, so that the survivors can speak

signal_rank() { kill "-$1" "$(cat "pid.$2")"; }

dies 137 20 signal_rank KILL 1
named last "error: rank 1 on [^ ]* died at step [0-9]*, [a-z]*: the job ends"
named dead/log.txt "error: rank 1 on [^ ]* died at step"
dies 137 20 signal_rank KILL 0
named last "error: rank 0 on [^ ]* died at step [0-9]*, [a-z]*: the job ends"

if [ -z "${ASAN_OPTIONS-}" ]; then # whose own report of a crash is left alone
    dies 6 20 signal_rank SEGV 2
    named last "^rank 2 on [^ ]* crashed: signal 11 (segmentation fault) at step [0-9]*, [a-z]*"
    named dead/log.txt "error: rank 2 on [^ ]* died at step"
fi

for rank in 1 0; do
    dies 6 $((limit + 15)) signal_rank STOP $rank
    named last "error: watchdog: nothing has moved .*rank $rank (step [0-9]*, [a-z]*; its process stands still"
done

# The next leg takes the lock over.
steps=$(($(readlink dead/checkpoints/last.h5 | sed 's/^step-0*\([0-9]*\).*/\1/') + 2))
expect 0 ranks 2 resume dead --set "train.max_steps=$steps"
said err 'lock: taken over from host'

# A watchdog that is off waits.
expect 0 ranks 2 small.json --set run.folder=off --set run.watchdog=0
echo "$name: all as wanted"
