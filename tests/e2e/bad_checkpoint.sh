#!/bin/sh
# A checkpoint of another network, a damaged one, something else in its place: code 4, one line; the
# run folder stays as it was, so that the right command still goes on.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare

expect 0 ranks 1 small.json --set run.folder=run --set checkpoint.every_steps=1 --set train.max_steps=4
file=run/checkpoints/step-0000000004.h5
all() { find "$1" ! -type d ! -name log.txt -exec cksum {} +; }
all run >before
# refused_resume CODE N TEXT OPTIONS...: the log of a run may come before the error
refused_resume() {
    lib_code=$1 lib_ranks=$2 lib_text=$3
    shift 3
    expect "$lib_code" ranks "$lib_ranks" resume run "$@"
    grep '^error: ' err >line || die "no error: $(cat err)"
    [ "$(wc -l <line)" = 1 ] || die "more than one error: $(cat err)"
    said line "$lib_text"
    [ ! -s out ] || die "stdout: $(cat out)"
    all run >after
    same before after
}

for n in 1 3; do
    other='checkpoint of another network (mobilenetv2): tensor '
    fails 4 "$n" "$file: $other" eval "$file" --set network.name=igcv3d
    fails 4 "$n" "run/checkpoints/best.h5: $other" eval run --set network.width=0.5
    said err ': got ['
    said err ', wanted ['
    refused_resume 4 "$n" "$file: $other" --set network.name=igcv3d
    refused_resume 4 "$n" "$file: $other" --set network.width=0.5

    # A split or batch that the counters do not fit.
    refused_resume 3 "$n" "$file: step 4 after 1 epochs does not fit 6 steps an epoch: train.batch" \
        --set train.batch=32
    refused_resume 3 "$n" 'train.batch, data.validation and data.train_limit must stay' \
        --set data.validation=100
done

# Not a checkpoint, not there, damaged.
cp "$file" good.h5
: >empty.h5
head -c 5000 good.h5 >cut.h5
cp good.h5 flipped.h5
printf '\125\125\125' | dd of=flipped.h5 bs=1 seek=100000 conv=notrunc status=none
for n in 1 3; do
    fails 4 "$n" 'missing.h5: cannot be opened: No such file' eval missing.h5
    fails 4 "$n" 'synth.h5: is an HDF5 file, but no mbtrain checkpoint' eval synth.h5
    fails 4 "$n" 'small.json: not HDF5' eval small.json
    fails 4 "$n" 'empty.h5: empty file' eval empty.h5
    fails 4 "$n" 'cut.h5: cut short' eval cut.h5
    fails 4 "$n" 'flipped.h5: ' eval flipped.h5
    fails 3 "$n" "$top/config.json: cannot be opened" eval "$top"
    fails 4 "$n" 'run folder missing: No such file' resume missing
    fails 4 "$n" 'run folder small.json: is a file' resume small.json
    fails 4 "$n" 'good.h5: ' check small.json --set data.path=good.h5
done

# All of a run damaged: each is named, none is used, and none is removed.
cp -R run damaged
for step in damaged/checkpoints/step-*.h5; do
    printf '\125\125\125' | dd of="$step" bs=1 seek=100000 conv=notrunc status=none
done
all damaged >before
for n in 1 3; do
    expect 4 ranks "$n" resume damaged
    grep '^error: ' err >line
    grep -q 'damaged/checkpoints: has no checkpoint that can be used (3 damaged)' line || die "$(cat err)"
    [ "$(grep -c '^warning: checkpoint not usable' err)" = 3 ] || die "not all are named: $(cat err)"
    all damaged >after
    same before after
done

# After all that the run goes on.
expect 0 ranks 3 resume run --set train.max_steps=0
expect 0 ranks 1 small.json --set run.folder=whole
[ "$(digest run)" = "$(digest whole)" ] || die "other weights at the end"
echo "$name: all as wanted"
