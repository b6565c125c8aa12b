#!/bin/sh
# A run folder that cannot be written, is full, is taken, or holds a run: code 1, one line, and what
# is there stays as it was.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
disk=${2:?usage: $0 FOLDER-OF-PROGRAMS LIBRARY-MADE-OF-full_disk.c}
prepare
# LD_PRELOAD takes blanks for separators: a copy where there are none.
cp "$disk" full_disk.so
disk=$top/full_disk.so
set -- --set train.max_steps=2
step() { # N RUN [OPTIONS...]: a short run
    lib_ranks=$1 lib_run=$2
    shift 2
    expect 0 ranks "$lib_ranks" small.json --set "run.folder=$lib_run" --set train.max_steps=2 "$@"
}
one_error() { # TEXT
    grep '^error: ' err >line || die "no error: $(cat err)"
    [ "$(wc -l <line)" = 1 ] || die "more than one error: $(cat err)"
    said line "$1"
}
no_leftovers() { # RUN
    found=$(find "$1" ! -type d ! -name 'step-*.h5' ! -name last.h5 ! -name best.h5 ! -name config.json \
        ! -name log.txt ! -name metrics.h5 ! -name metrics.csv ! -name about.h5 ! -name predictions.h5 \
        ! -name 'events.out.tfevents.*')
    [ -z "$found" ] || die "leftovers: $found"
}

# Below a file, in a place that takes no folders, a file in its place.
for n in 1 3; do
    fails 1 "$n" 'small.json/run: mkdir small.json' small.json "$@" --set run.folder=small.json/run
    fails 1 "$n" '/proc/mbtrain/run: mkdir /proc/mbtrain' small.json "$@" --set run.folder=/proc/mbtrain/run
    fails 1 "$n" 'small.json: is a file, wanted a folder' small.json "$@" --set run.folder=small.json
    mkdir "odd-$n"
    : >"odd-$n/checkpoints"
    fails 1 "$n" "odd-$n/checkpoints" small.json "$@" --set "run.folder=odd-$n"
done

# A full disk: at the probe before anything is done, at the one checkpoint of a run, at all of a leg.
# The run goes on to its end and fails there; what was there stays, nothing half-written does, and with
# room again the run goes on.
full() { # RUN BYTES COMMAND...: that many can be written below the folder
    (
        export MBT_FULL_FOLDER="$top/$1" MBT_FULL_BYTES="$2" LD_PRELOAD="$disk"
        shift 2
        "$@"
    )
}
for n in 1 3; do
    run=full-$n
    expect 1 full "$run" 30000 ranks "$n" small.json "$@" --set "run.folder=$run"
    [ "$(wc -l <err)" = 1 ] || die "more than one line: $(cat err)"
    said err "run folder: cannot write into $run/checkpoints: No space left on device"
    [ -z "$(find "$run" ! -type d)" ] || die "leftovers: $(find "$run")"

    expect 1 full "$run" 1000000 ranks "$n" small.json "$@" --set "run.folder=$run"
    one_error "$run/checkpoints/step-0000000002.h5: cannot write: No space left on device"
    said "$run/log.txt" "$(cat line)"
    [ -z "$(ls -A "$run/checkpoints")" ] || die "leftovers: $(ls -A "$run/checkpoints")"
    no_leftovers "$run"

    expect 0 ranks "$n" resume "$run"
    before=$(digest "$run")
    expect 1 full "$run" 1000000 ranks "$n" resume "$run" --set train.max_steps=0
    one_error "step 6 was not saved: $run/checkpoints/step-0000000006.h5: cannot write: No space left on device"
    said line "; the last checkpoint is $run/checkpoints/step-0000000002.h5"
    said err "warning: step 3 was not saved, training goes on until the next save: $run/checkpoints/step-0000000003.h5: cannot write: No space left on device"
    [ "$(grep -c '^warning: step .* was not saved' err)" = 2 ] || die "not one warning a failed save: $(cat err)"
    no_leftovers "$run"
    expect 0 "$ckpt" verify "$run/checkpoints/last.h5"
    [ "$(digest "$run")" = "$before" ] || die "$run: the checkpoint is another one"
    expect 0 ranks "$n" resume "$run" --set train.max_steps=0
done
step 2 smooth --set train.max_steps=0
for n in 1 3; do
    [ "$(digest "full-$n")" = "$(digest smooth)" ] || die "other weights after a full disk on $n ranks"
done

last_step() { readlink "$1/checkpoints/last.h5" | sed 's/^step-0*\([0-9]*\).*/\1/'; } # RUN

# The disk is gone for a while: said once a save, and the next one after it is back has all.
begin 2 small.json --set run.folder=away --set train.epochs=1000 --set checkpoint.every_steps=1
wait_for 'checkpoints' has_step away 2
mv away gone
wait_for 'a word on it' grep -q '^warning: step .* was not saved, .*away/checkpoints/step-.*: No such file' job.err
[ ! -e away ] || die "the run wrote to where its folder had been"
last=$(last_step gone)
failed() { [ "$(grep -c '^warning: step .* was not saved' job.err)" -ge "$1" ]; } # TIMES
wait_for 'three epochs without it' failed 12
mv gone away
wait_for 'the next checkpoint' has_step away $((last + 1))
kill -USR1 "$job"
ends 75
[ "$(grep -c '^warning: .*away/.*predictions' err)" = 1 ] || die "not one word on the predictions: $(cat err)"
expect 0 "$ckpt" verify away/checkpoints/*.h5
[ "$(sort err | uniq -d | grep -c 'was not saved')" = 0 ] || die "a failure was said twice: $(cat err)"
# Gone for good: the run that is stopped ends with a failure, not with 75.
last=$(last_step away)
begin 2 resume away
wait_for 'the next checkpoint' has_step away $((last + 1))
mv away gone
kill -USR1 "$job"
ends 1
one_error 'was not saved: away/checkpoints/step-'
said line '; the last checkpoint is away/checkpoints/step-'
[ ! -e away ] || die "the run wrote to where its folder had been"
expect 0 "$ckpt" verify gone/checkpoints/*.h5

# A table that cannot be written is no reason to end either.
begin 1 small.json --set run.folder=table --set train.epochs=1000
wait_for 'the first table' test -e table/metrics.csv
until rm -f table/metrics.csv && mkdir table/metrics.csv 2>/dev/null; do :; done
wait_for 'a word on it' grep -q '^warning: the metrics of step .* were not saved, .*table/metrics.csv: is there and no regular file' job.err
rmdir table/metrics.csv
wait_for 'the next table' test -f table/metrics.csv
kill -USR1 "$job"
ends 75
unsaid err 'error'
expect 0 "$ckpt" verify table
no_leftovers table

# A finished run is not overwritten, but moved by --force.
for n in 1 3; do
    step 1 "old-$n"
    before=$(digest "old-$n")
    find "old-$n" -type f -exec cksum {} + >before.sums
    fails 1 "$n" "run folder old-$n: holds a run already" small.json --set "run.folder=old-$n"
    said err "mbtrain resume old-$n"
    said err '--force'
    find "old-$n" -type f -exec cksum {} + >after.sums
    same before.sums after.sums
    expect 0 ranks "$n" small.json --set "run.folder=old-$n" --set train.max_steps=1 --force
    said err "moved the old run to $top/old-$n.old-1"
    [ "$(digest "old-$n.old-1")" = "$before" ] || die "the old run is lost"
    [ "$(digest "old-$n")" != "$before" ] || die "the new run is the old one"
done

# A run stays where it is.
for n in 1 3; do
    fails 3 "$n" 'run.folder: got "elsewhere", the run that is resumed stays in its folder' resume old-1 --set run.folder=elsewhere
done
[ ! -e elsewhere ] || die "a second folder was made"

# A folder that another run works in.
begin 1 small.json --set run.folder=busy --set train.epochs=1000
wait_for 'the start' grep -q '^training' job.err
for n in 1 3; do
    fails 1 "$n" 'busy/lock: the folder is in use by host' resume busy
    said err "pid $(cat pid.0)"
    fails 1 "$n" 'busy: holds a run already' small.json --set run.folder=busy
    fails 1 "$n" 'busy/lock: the folder is in use by host' small.json --set run.folder=busy --force
done
kill -USR1 "$job"
ends 75
[ ! -e busy.old-1 ] || die "the run was moved under its owner"
expect 0 "$ckpt" verify busy/checkpoints/last.h5
no_leftovers busy

# The lock is another's all of a sudden: this run ends, all ranks of it, and writes nothing more.
begin 3 small.json --set run.folder=lost --set train.epochs=1000
wait_for 'the first table' test -e lost/metrics.csv
cp lost/lock other
mv other lost/lock
ends 1
one_error 'lost/lock: the lock is lost: got host '
cksum lost/lock >before
[ -n "$(cat lost/lock)" ] || die "the other's lock is emptied"
expect 0 "$ckpt" verify lost/checkpoints/*.h5
cksum lost/lock >after
same before after
echo "$name: all as wanted"
