#!/bin/sh
# A learning rate that tears the weights apart: code 5 and one line on any number of ranks, with the
# last good checkpoint; no checkpoint holds a value that is not finite, and the run can go on from it.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare

# diverges N TEXT VERB-AND-ARGUMENTS...
diverges() {
    lib_ranks=$1 lib_text=$2
    shift 2
    expect 5 ranks "$lib_ranks" "$@"
    [ "$(grep -c '^error: ' err)" = 1 ] || die "wanted one error: $(cat err)"
    grep '^error: ' err >line
    grep -q '^error: step [0-9]*: .*not finite' line || die "what and where: $(cat line)"
    said line 'learning rate 100'
    named line "of rank [0-9] on $(hostname) is not finite"
    said line "$lib_text"
    [ "$(tail -n 1 err)" = "$(cat line)" ] || die "the error is not the last line: $(cat err)"
    [ ! -s out ] || die "stdout: $(cat out)"
}
set -- --set schedule.lr=100 --set schedule.warmup=0 --set schedule.kind=constant --set train.epochs=40

for n in 1 3; do
    diverges "$n" 'no checkpoint had been written yet' small.json --set "run.folder=new-$n" "$@"
    said "new-$n/log.txt" "$(cat line)"
    [ -z "$(ls -A "new-$n/checkpoints")" ] || die "new-$n: $(ls -A "new-$n/checkpoints")"
    [ ! -e "new-$n/lock" ] || die "new-$n: the lock is left"
done

expect 0 ranks 1 small.json --set run.folder=run --set train.max_steps=4
good=$(digest run)
for n in 1 3; do
    cp -R run "run-$n"
    diverges "$n" "the last checkpoint is run-$n/checkpoints/step-0000000004.h5" resume "run-$n" \
        --set train.max_steps=0 "$@"
    [ "$(digest "run-$n")" = "$good" ] || die "run-$n: another state was saved"
done

# Saved after every step up to the last one that is whole.
diverges 2 'the last checkpoint is steps/checkpoints/step-' small.json --set run.folder=steps \
    --set checkpoint.every_steps=1 "$@"
expect 0 "$ckpt" verify steps/checkpoints/*.h5
for file in steps/checkpoints/step-*.h5; do
    h5dump -g /model -g /optimizer "$file" >values
    [ "$(wc -l <values)" -gt 1000 ] || die "$file: h5dump shows no values"
    ! grep -Eiw -- 'nan|inf' values || die "$file: values that are not finite"
done

# From the good state it goes on with a learning rate that is right again.
expect 0 ranks 2 resume run-3 --set train.max_steps=6 --set schedule.lr=0.1 --set schedule.kind=linear
said err 'from step 4 of 6'
echo "$name: all as wanted"
