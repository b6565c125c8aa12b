#!/bin/sh
# mbt-ckpt on files of make_checkpoint: every verb, damage, usage; and the same files seen by
# h5dump and h5py. Arguments: mbt-ckpt, make_checkpoint, read_checkpoint.py, python3, library.
set -eu
ckpt=$1 make=$2 reader=$3 python=$4 crash=$5
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
cp "$crash" "$top/crash.so" # LD_PRELOAD takes blanks for separators
crash=$top/crash.so
run=$top/run
folder=$run/checkpoints

die() { echo "test_mbt_ckpt: $*" >&2; exit 1; }
# expect CODE COMMAND...: output goes to $top/out and $top/err
expect() {
    code=$1; shift
    got=0; "$@" >"$top/out" 2>"$top/err" || got=$?
    [ "$got" = "$code" ] || die "$*: exit code $got, wanted $code: $(cat "$top/err")"
}
said() { grep -qF -- "$2" "$top/$1" || die "$1 lacks '$2': $(cat "$top/$1")"; }
lines() { [ "$(wc -l <"$top/$1")" = "$2" ] || die "$1: wanted $2 lines: $(cat "$top/$1")"; }
flip() { # FILE OFFSET: another byte there
    printf '\125' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

"$make" "$folder" 113 213 >"$top/digests"
first=$(sed -n 1p "$top/digests") second=$(sed -n 2p "$top/digests")
[ ${#first} = 32 ] || die "digest: $first"
[ "$first" != "$second" ] || die "two states have one digest"
old=$folder/step-0000000113.h5 new=$folder/step-0000000213.h5

# list: of a run folder and of its checkpoints
for argument in "$run" "$folder"; do
    expect 0 "$ckpt" list "$argument"
    lines out 3; lines err 0
    grep -Eq "^ +113 +2 +70\.50 +$(stat -c %s "$old") +best +$first\$" "$top/out" || die "list: $(cat "$top/out")"
    grep -Eq "^ +213 +2 +70\.50 +$(stat -c %s "$new") +last +$second\$" "$top/out" || die "list: $(cat "$top/out")"
done

# show
for argument in "$new" "$run" "$folder" "$folder/last.h5"; do
    expect 0 "$ckpt" show "$argument" --digest
    [ "$(cat "$top/out")" = "$second" ] || die "show --digest: $(cat "$top/out")"
done
expect 0 "$ckpt" show --digest "$folder/best.h5"
[ "$(cat "$top/out")" = "$first" ] || die "show --digest of best: $(cat "$top/out")"
expect 0 "$ckpt" show "$run"
said out "network       fixture"; said out "step          213"; said out "$second"
said out "10 with 2970 elements"; said out "70.50 % in epoch 2"; said out "1 rank on nowhere"
expect 0 "$ckpt" show "$run" --config
"$python" -c 'import json, sys; assert json.load(sys.stdin)["network"]["name"] == "fixture"' <"$top/out"
expect 0 "$ckpt" show "$run" --tensors
lines out 10
grep -Eq '^blocks\.0\.dw\.weight +depthwise +\[56\]\[1\]\[3\]\[3\] +504$' "$top/out" || die "tensors: $(cat "$top/out")"

# other programs
expect 0 h5dump -a /step "$new"
said out "(0): 213"
expect 0 h5dump -H "$new"
said out '"blocks.0.expand.weight"'
[ "$("$python" "$reader" "$new")" = equal ] || die "h5py reads other values"

# diff: the second state differs from the first by its counters alone
expect 7 "$ckpt" diff "$old" "$run"
lines err 0; lines out 3
grep -Eq '^step +113, 213$' "$top/out" || die "diff: $(cat "$top/out")"
grep -Eq '^tensors +0 of 18 unlike$' "$top/out" || die "diff: $(cat "$top/out")"
grep -Eq '^state +differs$' "$top/out" || die "diff: $(cat "$top/out")"
expect 0 "$ckpt" diff "$new" "$run"
lines out 2; said out "the same"
expect 2 "$ckpt" diff "$new"; said err "wanted two"
expect 2 "$ckpt" diff "$new" "$old" "$run"; said err "unexpected argument"
expect 4 "$ckpt" diff "$new" "$top/missing.h5"; lines err 1; lines out 0

# verify
expect 0 "$ckpt" verify "$old" "$run"
lines out 3; said out "$old: whole, state digest $first"; said out "step-0000000213.h5: whole, state digest $second"
ln -s nowhere "$run/checkpoints/step-0000000214.h5" # a disk that is away, no file that a run removed
expect 4 "$ckpt" verify "$run"
rm "$run/checkpoints/step-0000000214.h5"
cp -RL "$run" "$top/copy" # has files for links
expect 0 "$ckpt" verify "$top/copy"
lines out 4; said out "$top/copy/checkpoints/best.h5: whole, state digest $first"
flip "$top/copy/checkpoints/best.h5" 7001
expect 4 "$ckpt" verify "$top/copy"; lines err 1; said err "$top/copy/checkpoints/best.h5"
ln -sf nothing "$top/copy/checkpoints/best.h5"
expect 4 "$ckpt" verify "$top/copy"; lines err 1; said err "$top/copy/checkpoints/best.h5"
rm "$top/copy/checkpoints/best.h5"
while read -r name code; do # what else a run folder has
    echo no such thing >"$top/copy/$name"
    expect "$code" "$ckpt" verify "$top/copy"; said err "$top/copy/$name"
    rm "$top/copy/$name"
done <<'END'
config.json 3
metrics.h5 4
about.h5 4
predictions.h5 4
END
expect 0 "$ckpt" verify "$top/copy"
cp "$new" "$top/bad.h5"; flip "$top/bad.h5" 7001
head -c 3000 "$new" >"$top/cut.h5"
: >"$top/empty.h5"
expect 4 "$ckpt" verify "$top/bad.h5" "$old" "$top/cut.h5" "$top/empty.h5" "$top/missing.h5"
lines out 1; lines err 4; said out "$old: whole"
for name in bad cut empty missing; do said err "mbt-ckpt: error: $top/$name.h5"; done
expect 4 "$ckpt" show "$top/bad.h5" --digest
lines out 0; lines err 1; said err "mbt-ckpt: error: $top/bad.h5"
flip "$old" 7001
expect 4 "$ckpt" list "$run"
lines out 3; lines err 1; said err "$old"; said out damaged; said out "$second"

# files that crash HDF5: bad files, whatever is asked of them
for verb in "list $run" "show $new" "show --tensors $new" "diff $new $new" "verify $new" "export $new -o $top/weights.h5"; do
    # shellcheck disable=SC2086 # a verb with its arguments
    expect 4 env LD_PRELOAD="$crash" "$ckpt" $verb
    said err "bad file: reading it crashes the library (signal 11)"
done
[ ! -e "$top/weights.h5" ] || die "export left a file"

# nothing there, usage
mkdir "$top/bare"
expect 4 "$ckpt" list "$top/bare"; said err "$top/bare: has no checkpoints"
expect 4 "$ckpt" list "$top/missing"; lines err 1
expect 4 "$ckpt" show "$top/bare"; lines err 1
expect 2 "$ckpt"; said err "no verb"
expect 2 "$ckpt" lst "$run"; said err "nearest is list"
expect 2 "$ckpt" list; expect 2 "$ckpt" show; expect 2 "$ckpt" verify
expect 2 "$ckpt" list "$run" --digest; said err "list takes no such option"
expect 2 "$ckpt" show "$run" "$old"; said err "unexpected argument"
expect 2 "$ckpt" show "$run" --digest --config; lines err 1
expect 2 "$ckpt" show "$run" --digset; said err "'--digset'"
expect 2 "$ckpt" show "$run" -x; said err "'-x'"; lines err 1
expect 0 "$ckpt" --help; said out "usage: mbt-ckpt list FOLDER"
expect 0 "$ckpt" --version; said out mbt-ckpt
"$ckpt" show "$run" 2>"$top/err" >/dev/full && die "a full stdout is no failure"
said err "stdout: cannot be written"
# no MPI in a serial tool
ldd "$ckpt" >"$top/libraries" || die "what mbt-ckpt is linked with cannot be told"
grep -qi 'libmpi' "$top/libraries" && die "mbt-ckpt is linked with MPI"
echo "mbt-ckpt: all as wanted"
