#!/bin/sh
# A run that goes on from any of its checkpoints, on any number of ranks, ends in the same bits as
# the one that was never disturbed: from each step, after kill -9, and after a signal.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
python=${PYTHON:-/usr/bin/python3}
prepare

# Six steps: three an epoch, of 64, 64 and 52 samples.
expect 0 ranks 1 small.json --set run.folder=whole --set checkpoint.every_steps=1 \
    --set checkpoint.keep=1000
wanted=$(digest whole)
metrics whole >wanted.csv
[ -e whole/checkpoints/step-0000000006.h5 ] || die "not six steps: $(ls whole/checkpoints)"

# The run as it was after step K: K is all that it knows of.
go_back() { # K RUN
    cp -R whole "$2"
    for file in "$2"/checkpoints/step-*.h5; do
        step=${file##*step-}
        [ "$(echo "${step%.h5}" | sed 's/^0*//')" -le "$1" ] || rm "$file"
    done
    ln -sfn "$(printf 'step-%010d.h5' "$1")" "$2/checkpoints/last.h5"
    [ -e "$2/checkpoints/best.h5" ] || rm -f "$2/checkpoints/best.h5"
    [ "$1" != 0 ] || rm "$2/checkpoints/last.h5"
}
ended_alike() { # RUN
    [ "$(digest "$1")" = "$wanted" ] || die "$1: other weights than in one go"
    metrics "$1" >got.csv
    same wanted.csv got.csv
}
for pair in 0:2 1:3 2:1 3:4 4:2 5:3 6:1; do
    k=${pair%:*}
    go_back "$k" "from-$k"
    expect 0 ranks "${pair#*:}" resume "from-$k"
    said out "state digest: $wanted"
    said err "from step $k of 6 on ${pair#*:} rank"
    ended_alike "from-$k"
done
said err 'the run was complete already'
said from-0/log.txt 'no checkpoint yet, the run begins at step 0'

# With an optimizer that has more of a state.
set -- --set optimizer.kind=rmsprop --set optimizer.nesterov=false --set schedule.lr=0.01
expect 0 ranks 2 small.json "$@" --set run.folder=squares
expect 0 ranks 3 small.json "$@" --set run.folder=parts --set train.max_steps=4
expect 0 ranks 1 resume parts --set train.max_steps=0
[ "$(digest parts)" = "$(digest squares)" ] || die "RMSprop: other weights than in one go"
# Whose update the ranks share out.
expect 0 ranks 2 small.json --set optimizer.kind=muon --set run.folder=shared
expect 0 ranks 3 small.json --set optimizer.kind=muon --set run.folder=shares --set train.max_steps=4
expect 0 ranks 1 resume shares --set train.max_steps=0
[ "$(digest shares)" = "$(digest shared)" ] || die "Muon: other weights than in one go"
# Small images in the first of two epochs, left before and after they end.
set -- --set train.small_size=24 --set train.small_until=0.5
expect 0 ranks 2 small.json "$@" --set run.folder=sizes
expect 0 ranks 1 small.json "$@" --set run.folder=cut --set train.max_steps=2
expect 0 ranks 3 resume cut --set train.max_steps=4
expect 0 ranks 2 resume cut --set train.max_steps=0
[ "$(digest cut)" = "$(digest sizes)" ] || die "small images: other weights than in one go"
[ "$(digest sizes)" != "$wanted" ] || die "small images change nothing"
unsaid err 'other kernels or cuts'
expect 3 ranks 1 small.json --set run.folder=large --set train.small_size=32
said err 'train.small_size: got 32'
expect 4 ranks 1 resume whole --set optimizer.kind=rmsprop --set optimizer.nesterov=false --set train.epochs=3
said err 'has no /optimizer/square'

# Stopped and resumed several times, by the step limit.
go_back 1 often
for limit in 2:3 4:1 5:2; do
    expect 0 ranks "${limit#*:}" resume often --set "train.max_steps=${limit%:*}"
    said often/log.txt "resumed with another configuration: train.max_steps=${limit%:*}"
    [ "$(digest often)" = "$(digest "whole/checkpoints/step-000000000${limit%:*}.h5")" ] ||
        die "other weights at step ${limit%:*}"
done
expect 0 ranks 1 resume often --set train.max_steps=0
ended_alike often

# The limit at the end of an epoch after which no checkpoint was due.
expect 0 ranks 2 small.json --set run.folder=due --set train.max_steps=3 --set evaluate.every_epochs=9 \
    --set checkpoint.every_epochs=9
said out "state digest: $(digest due)"
[ "$(readlink due/checkpoints/last.h5)" = step-0000000003.h5 ] || die "no checkpoint: $(ls due/checkpoints)"

# One line, never changed: it begins the run, goes on with it from the middle of an epoch on other
# ranks, and has nothing to do in the end.
for pair in 2:75 1:75 3:0 1:0; do
    stop_after=
    [ "${pair#*:}" = 0 ] || stop_after='--max-hours 1e-9'
    # shellcheck disable=SC2086 # words, or none
    expect "${pair#*:}" ranks "${pair%:*}" small.json --resume=auto --set run.folder=unchanged $stop_after
    unsaid err 'another configuration'
    [ ! -e unchanged/lock ] || die 'the lock is left'
done
said unchanged/log.txt 'no checkpoint yet, the run begins at step 0'
said unchanged/log.txt 'from step 1 of 6 on 1 rank'
said unchanged/log.txt 'from step 2 of 6 on 3 ranks'
said err 'the run was complete already'
ended_alike unchanged
expect 0 ranks 1 small.json --resume=auto --set run.folder=unchanged --set run.log_interval=7
said err 'warning: resumed with another configuration: run.log_interval'

# A stop within the evaluation, which is made up for: the epoch counts as over only then.
"$bin/mbt-data" synth --train 64 --test 3000 -o wide.h5 >/dev/null
evaluates() { echo small.json --set data.path=wide.h5 --set data.validation=0 --set checkpoint.every_epochs=9; }
# shellcheck disable=SC2046 # words
begin 2 $(evaluates) --set run.folder=held
wait_for 'the start of held' grep -q '^training' job.err
sleep 0.1
kill -USR1 "$job"
ends 75
said err 'stopped at step 1 ('
unsaid err 'epoch 1/2'
expect 0 "$ckpt" show held
said out 'epoch         0 done, 1 steps of the next'
for limit in 1 0; do
    expect 0 ranks 3 resume held --set "train.max_steps=$limit"
    said out "state digest: $(digest held)"
    # shellcheck disable=SC2046 # words
    expect 0 ranks 1 $(evaluates) --set "run.folder=one-$limit" --set "train.max_steps=$limit"
    [ "$(digest held)" = "$(digest "one-$limit")" ] || die "other weights after a stop in the evaluation"
    metrics held >got.csv
    metrics "one-$limit" >wanted.csv
    same wanted.csv got.csv
    PYTHONPATH=$here "$python" -c '
import sys, read_events
held, one = (read_events.read(f)["test/top1"] for f in sys.argv[1:])
assert held == one and one, (held, one)' held "one-$limit" || die "other events after a stop in the evaluation"
done
metrics whole >wanted.csv

# A newest checkpoint that is damaged is named, and the one before it used.
go_back 5 damaged
printf '\125\125' | dd of=damaged/checkpoints/step-0000000005.h5 bs=1 seek=9000 conv=notrunc status=none
expect 0 ranks 2 resume damaged
grep -q '^warning: .*trying an older one: .*step-0000000005.h5' err || die "no warning: $(cat err)"
said err 'from step 4 of 6'
ended_alike damaged
echo "$name: all as wanted"
