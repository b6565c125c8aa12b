#!/bin/sh
# mbt-data from the outside: every verb, its exit codes, and one line of error each.
# Arguments: mbt-data, h5dump.
set -eu
data=$1 h5dump=$2
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT

die() { echo "test_mbt_data: $*" >&2; exit 1; }
# expect CODE ARGUMENTS...: output goes to $top/out and $top/err; failures say one line
expect() {
    code=$1; shift
    got=0; "$data" "$@" >"$top/out" 2>"$top/err" || got=$?
    [ "$got" = "$code" ] || die "$*: exit code $got, wanted $code: $(cat "$top/err")"
    [ "$code" = 0 ] && wanted=0 || wanted=1
    [ "$(wc -l <"$top/err")" = "$wanted" ] || die "$*: on stderr: $(cat "$top/err")"
    [ "$code" = 0 ] || grep -q '^mbt-data: error: ' "$top/err" || die "$*: $(cat "$top/err")"
}
said() { grep -qF -- "$2" "$top/$1" || die "$1 lacks '$2': $(cat "$top/$1")"; }

# synth, info, verify
expect 0 synth -o "$top/synth.h5" --train 100 --test 50 --seed 3
said out "synth, 100 + 50 images 32x32x3, 10 classes, digest "
expect 0 info "$top/synth.h5"
said out "images: 32x32x3, 100 train, 50 test"
said out "source: drawn by mbt-data synth, version 1, seed 3"
grep -Eq '^ +0 disc +10 train +5 test$' "$top/out" || die "info: $(cat "$top/out")"
digest=$(sed -n 's/^file digest: //p' "$top/out")
[ "$(head -c 51 "$top/synth.h5" | tail -c 32)" = "$digest" ] || die "file digest: $digest"
expect 0 verify "$top/synth.h5"
said out "synth.h5: whole"
"$h5dump" -H "$top/synth.h5" | grep -q 'SIMPLE { ( 100, 32, 32, 3 )' || die "h5dump sees no images"

# import: a folder of the official layout with 20 records a file
mkdir "$top/cifar-10-batches-bin"
i=0
for name in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
    i=$((i + 1))
    # a record that begins with a zero byte twenty times: class 0
    { printf '\0'; head -c 3072 "$top/synth.h5"; } >"$top/record"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do cat "$top/record"; done \
        >"$top/cifar-10-batches-bin/$name.bin"
done
expect 0 import cifar10 "$top" -o "$top/cifar.h5" --subset
said out "cifar10, 100 + 20 images 32x32x3, 10 classes"
(cd "$top" && tar czf cifar.tar.gz cifar-10-batches-bin)
expect 0 import cifar10 "$top/cifar.tar.gz" --subset --output="$top/again.h5"
cmp "$top/cifar.h5" "$top/again.h5" || die "folder and archive differ"
expect 4 import cifar10 "$top" -o "$top/no.h5"
said err "wanted 30730000"
expect 4 import cifar100 "$top" -o "$top/no.h5"
expect 4 import cifar10 "$top/none" -o "$top/no.h5"
[ ! -e "$top/no.h5" ] || die "a failed import left a file"

# damage: both files are looked at, each has its line
cp "$top/synth.h5" "$top/bad.h5"
printf '\125' | dd of="$top/bad.h5" bs=1 seek=100000 conv=notrunc status=none
expect 4 verify "$top/bad.h5"
said err "bad.h5: damaged: got digest "
got=0; "$data" verify "$top/bad.h5" "$top/synth.h5" "$top/none" >"$top/out" 2>"$top/err" || got=$?
[ "$got" = 4 ] || die "verify of three: exit code $got"
[ "$(wc -l <"$top/err")" = 2 ] && [ "$(wc -l <"$top/out")" = 1 ] || die "verify of three"
: >"$top/empty.h5"
expect 4 info "$top/empty.h5"
said err "empty file"
expect 4 info "$top/record"
said err "not HDF5"

# an output that cannot be written
expect 1 synth -o "$top/no/folder/x.h5" --train 10 --test 10
said err "no/folder/x.h5"
if [ -e /dev/full ]; then
    got=0; "$data" info "$top/synth.h5" >/dev/full 2>"$top/err" || got=$?
    [ "$got" = 1 ] || die "a full standard output: exit code $got"
fi

# usage
expect 2
expect 2 sinth -o x
said err "nearest is synth"
expect 2 synth
said err "wanted -o FILE"
expect 2 synth -o "$top/x.h5" more
expect 2 synth -o "$top/x.h5" --train ten
expect 2 synth -o "$top/x.h5" --train -5
expect 2 synth -o "$top/x.h5" --train 3
expect 2 synth -o "$top/x.h5" --subset
expect 2 synth -o
expect 2 synth --bogus
expect 2 synth -q
expect 2 info
expect 2 info "$top/synth.h5" "$top/synth.h5"

# in the folder that training searches
expect 0 info "$top/synth.h5"
cp "$top/out" "$top/wanted"
export MBTRAIN_DATA="$top"
expect 0 info synth.h5
cmp -s "$top/out" "$top/wanted" || die "info finds another file by MBTRAIN_DATA: $(cat "$top/out")"
expect 0 verify synth.h5
expect 4 verify none.h5
unset MBTRAIN_DATA
expect 2 info --seed 3 "$top/synth.h5"
expect 2 verify
expect 2 import cifar10 -o "$top/x.h5"
expect 2 import mnist "$top" -o "$top/x.h5"
expect 2 import cifar10 "$top"
[ ! -e "$top/x.h5" ] || die "wrong usage left a file"

# stopped while it draws: nothing of it is left
"$data" synth --train 300000 --test 10 -o "$top/stopped.h5" >"$top/out" 2>"$top/err" &
until [ $((0x0$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$!/status") & 0x4000)) != 0 ]; do sleep 0.05; done
kill -TERM $!
code=0; wait $! || code=$?
[ "$code" = 1 ] || die "stopped: exit code $code: $(cat "$top/out" "$top/err")"
said err 'synth: stopped by signal 15 (Terminated), nothing is written'
for left in "$top"/stopped.h5 "$top"/.stopped.h5*; do [ ! -e "$left" ] || die "a stopped synth left $left"; done

expect 0 --help
said out "usage: mbt-data import"
expect 0 info -h
expect 0 --version
said out "mbt-data "
said out "files: HDF5 "
said out "compiler: "
said out "commit: "
