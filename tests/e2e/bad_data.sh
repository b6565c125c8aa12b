#!/bin/sh
# A data set that is missing, cut, flipped, empty, or no such thing: code 4, one line, no run folder.
set -eu
crash=$(realpath "$3")
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
python=${PYTHON:-/usr/bin/python3}

refused() { # FILE TEXT
    for n in 1 3; do
        fails 4 "$n" "$2" small.json --set "data.path=$1" --set run.folder=run
        said err "$1"
        [ ! -e run ] || die "$1: a run folder was made"
    done
}

refused missing.h5 'missing.h5: data set cannot be found: No such file or directory'
mkdir folder
refused folder 'got a folder'
: >empty.h5
refused empty.h5 'empty file, wanted HDF5'
refused small.json 'not HDF5'
for bytes in 100 1000 400000; do
    head -c "$bytes" synth.h5 >cut.h5
    refused cut.h5 "cut short: got $bytes bytes, wanted "
done

# One byte in another place each time: the mark, the metadata, samples of both splits.
size=$(wc -c <synth.h5)
for offset in 3 600 1555 100000 $((size / 2)) $((size - 30000)); do
    cp synth.h5 flipped.h5
    byte=$(od -An -tu1 -j "$offset" -N 1 synth.h5 | tr -d ' ')
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\$(printf %03o $((byte ^ 4)))" | dd of=flipped.h5 bs=1 seek="$offset" conv=notrunc status=none
    fails 4 1 'flipped.h5: ' small.json --set data.path=flipped.h5 --set run.folder=run
done
refused flipped.h5 'HDF5 says: data error detected by Fletcher32 checksum'
[ ! -e run ] || die "a flipped byte: a run folder was made"

spoilt() { # KIND TEXT
    cp synth.h5 "$1.h5"
    "$python" "$here/spoil_data.py" "$1.h5" "$1"
    fails 4 1 "$1.h5: $2" check small.json --set "data.path=$1.h5"
}
spoilt short-labels '/train/labels: got i32 [199], wanted i32 [200]'
spoilt flat-images '/train/images: got elements of 1 bytes in 2 dimensions, wanted u8 [N][H][W][C]'
spoilt float-images '/train/images: got elements of 4 bytes in 4 dimensions, wanted u8 [N][H][W][C]'
spoilt other-test-size '/test/images: got images of 16 x 32 x 3, wanted 32 x 32 x 3 as for training'
spoilt no-samples '/train/images: got [0][32][32][3], wanted 1 ..'
spoilt label-out-of-range '/train/labels: sample 7: got label 10, wanted 0 .. 9'
spoilt other-pixels 'samples: got digest'
spoilt two-channels-of-mean '/: attribute "mean": got 2 values, wanted 3'
spoilt no-test '/test/images: not in the file'
spoilt external '/test/images: got a link of kind "external", wanted hard links only'
refused label-out-of-range.h5 'sample 7: got label 10, wanted 0 .. 9'

# A file of another maker (our own block of 512 bytes off) that crashes HDF5 is a bad file, on any number
# of ranks.
tail -c +513 synth.h5 >foreign.h5
expect 0 ranks 1 check small.json --set data.path=foreign.h5
cp "$crash" crash.so # LD_PRELOAD takes blanks for separators
for n in 1 3; do
    expect 4 env LD_PRELOAD="$top/crash.so" timeout -k 5 "$patience" mpirun --oversubscribe --bind-to none -n "$n" \
        "$train" small.json --set data.path=foreign.h5 --set run.folder=run
    [ "$(wc -l <err)" = 1 ] || die "wanted one line: $(cat err)"
    said err 'foreign.h5: bad file: reading it crashes the library (signal 11)'
    [ ! -e run ] || die "foreign.h5: a run folder was made"
done

# More samples for validation than there are.
for n in 1 3; do
    fails 3 "$n" 'data.validation: got 200, the training split has 200 samples' small.json \
        --set data.validation=200 --set run.folder=run
done

# Resume and eval look at the data as well, and leave the run as it was.
expect 0 ranks 1 small.json --set run.folder=old --set train.max_steps=1
find old -type f -exec cksum {} + >before
for n in 1 3; do
    fails 4 "$n" 'empty file' resume old --set data.path=empty.h5
    fails 4 "$n" 'empty file' eval old/checkpoints/last.h5 --set data.path=empty.h5
done
"$bin/mbt-data" synth --train 200 --test 50 --seed 2 -o other.h5 >/dev/null
for n in 1 3; do
    expect 4 ranks "$n" resume old --set data.path=other.h5
    grep '^error: ' err >line
    said line 'trained on another data set'
    [ "$(wc -l <line)" = 1 ] || die "more than one error: $(cat err)"
done
find old -type f ! -name log.txt -exec cksum {} + >after
grep -v 'log\.txt$' before >before.files
same before.files after
echo "$name: all as wanted"
