#!/bin/sh
# Signals end a run with a checkpoint that is whole and that goes on to the same bits; a second one,
# and the death of a rank, end it at once and damage nothing.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare

# A run that would go on for long; step K of it depends on nothing but K.
long() { echo small.json --set train.epochs=1000 --set checkpoint.every_steps=1 --set "run.folder=$1"; }
long_begin() { # N RUN: has done some steps afterwards
    # shellcheck disable=SC2046 # words
    begin "$1" $(long "$2") --set checkpoint.keep=4
    wait_for "checkpoints of $2" has_step "$2" 4
}
# What every end leaves: whole files, nothing else, and a run that goes on.
left_whole() { # RUN
    expect 0 "$ckpt" verify "$1"/checkpoints/*.h5
    [ -z "$(find "$1/checkpoints" -name '.*')" ] || die "leftovers: $(find "$1" -name '.*')"
}
stopped_well() { # RUN REASON
    grep -q "^stopped at step [0-9]* ($2); resume goes on from there\$" err || die "no word on $2: $(cat err)"
    unsaid err 'error'
    said "$1/log.txt" "($2)"
    [ ! -e "$1/lock" ] || die "$1: the lock is left"
    step=$(sed -n 's/^stopped at step \([0-9]*\).*/\1/p' err)
    [ "$(readlink "$1/checkpoints/last.h5")" = "$(printf 'step-%010d.h5' "$step")" ] ||
        die "$1: stopped at $step, but last.h5 is $(readlink "$1/checkpoints/last.h5")"
    left_whole "$1"
}

# One process: each signal, with code 75, the result on stdout, and a checkpoint though none was due.
for pair in 'INT:signal 2 (Interrupt)' 'TERM:signal 15 (Terminated)' 'USR2:signal 12 (User defined signal 2)'; do
    signal=${pair%%:*}
    begin 1 small.json --set "run.folder=run-$signal" --set train.epochs=1000 \
        --set checkpoint.every_epochs=1000 --set evaluate.every_epochs=1000
    wait_for 'some epochs' grep -q '^epoch 2/' job.err
    unsaid job.err nan
    kill "-$signal" "$job"
    ends 75
    said out "checkpoint: run-$signal/checkpoints/last.h5"
    said out "state digest: $(digest "run-$signal")"
    stopped_well "run-$signal" "${pair#*:}"
done

# mpirun passes USR1 on. What was done on three ranks goes on on two, to where one rank comes alone.
long_begin 3 many
kill -USR1 "$job"
ends 75
stopped_well many 'signal 10 (User defined signal 1)'
limit=$((step + 4))
expect 0 ranks 2 resume many --set "train.max_steps=$limit"
# shellcheck disable=SC2046 # words
expect 0 ranks 1 $(long alone) --set "train.max_steps=$limit"
[ "$(digest many)" = "$(digest alone)" ] || die "other weights after a stop at step $step"

# INT and TERM to mpirun become TERM at the ranks after the timeout, KILL after another, and its own
# exit code: 1.
for signal in INT TERM; do
    export OMPI_MCA_odls_base_sigkill_timeout=$((6 * slow))
    long_begin 2 "mpirun-$signal"
    kill "-$signal" "$job"
    ends 1
    export OMPI_MCA_odls_base_sigkill_timeout=0
    stopped_well "mpirun-$signal" 'signal 15 (Terminated)'
done

# No time at all: killed in the middle of whatever they do.
long_begin 3 killed
kill -TERM "$job"
ends 1
left_in_peace() { # RUN: the next leg takes the lock over, removes what was half-written, ends alike
    limit=$(($(readlink "$1/checkpoints/last.h5" | sed 's/^step-0*\([0-9]*\).*/\1/') + 3))
    expect 0 ranks 2 resume "$1" --set "train.max_steps=$limit"
    grep -q '^warning: .*lock: taken over from host .* which is gone' err || die "no word on the lock: $(cat err)"
    left_whole "$1"
    # shellcheck disable=SC2046 # words
    expect 0 ranks 1 $(long "$1-alone") --set "train.max_steps=$limit"
    [ "$(digest "$1")" = "$(digest "$1-alone")" ] || die "$1: other weights after the kill"
}
left_in_peace killed

# A rank dies: mpirun ends the others and says which.
long_begin 3 lame
kill -KILL "$(cat pid.1)"
ends 137
said err 'exited on signal 9'
left_in_peace lame

# The second INT does not wait for the step to end.
begin 1 small.json --set run.folder=slow --set network.name=igcv3d --set network.width=2 \
    --set train.batch=180 --set train.epochs=1000
wait_for "the start of slow" grep -q '^training' job.err
sleep 0.2
kill -INT "$job"
sleep 0.2
! has_ended || die "the step was too short to be interrupted: $(cat job.out job.err)"
kill -INT "$job"
ends 130
[ ! -s out ] || die "stdout: $(cat out)"
echo "$name: all as wanted"
