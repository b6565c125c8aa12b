#!/bin/sh
# Measuring and predicting: the JSON of bench is one, its figures agree with each other, plan predicts
# from it.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
python=${PYTHON:-/usr/bin/python3}

# step N: the "step ms" of the row of a prediction that is for N ranks.
step() { awk -v n="$1" '$1 == n { print $8 }' out; }

for n in 1 2; do
    comm=
    [ "$n" = 1 ] || comm=--comm
    # shellcheck disable=SC2086 # no option where it is empty
    expect 0 ranks "$n" bench small.json --steps 3 --json $comm
    [ ! -s err ] || die "stderr: $(cat err)"
    cp out "bench$n.json"
    # shellcheck disable=SC2086
    measured=$("$python" "$here/bench_file.py" "bench$n.json" "$n" ${comm#--}) || die "bench$n.json: $measured"
    expect 0 ranks 1 plan small.json --ranks 16 --nodes 4 --from "bench$n.json"
    said out 'extrapolated'
    grep -Eq "^ +$n +1 .* measured$" out || die "the measured row is not marked: $(cat out)"
    [ "$(grep -c measured$ out)" = 1 ] || die "more than one measured row: $(cat out)"
    step "$n" | awk -v wanted="$measured" '{ d = $1 - wanted; exit !(d < 0.1 && d > -0.1) }' ||
        die "predicted $(step "$n") ms where $measured were measured"
    [ "$(awk '$1 ~ /^[0-9]+$/ { printf "%s ", $1 }' out)" = "1 2 4 8 16 " ] || die "rows: $(cat out)"
done
# A batch of 8 groups on 8 and 16 ranks: nothing left to share.
[ "$(awk '$1 == 4 || $1 == 8 || $1 == 16 { printf "%s ", $3 }' out)" = "2 1 1 " ] || die "groups: $(cat out)"
expect 0 ranks 2 plan small.json --ranks 3 # measures by itself
grep -Eq '^ +2 +1 .* measured$' out || die "no measured row: $(cat out)"
grep -Eq '^ +3 +1 +3 .* extrapolated$' out || die "no row for 3 ranks: $(cat out)"

# What a file was not measured for.
fails 3 1 'group' plan small.json --ranks 4 --from bench2.json --set train.bn_group=16
fails 3 1 'parameters' plan small.json --ranks 4 --from bench2.json --set network.width=0.5
fails 4 2 'none.json' plan small.json --ranks 4 --from none.json
fails 4 1 'basis' plan small.json --ranks 4 --from small.json
fails 2 1 '--ranks' plan small.json --nodes 2
fails 2 1 '--nodes' plan small.json --ranks 2 --nodes 3
fails 2 1 '--latency' plan small.json --ranks 2 --latency 0
fails 2 1 '--json' train small.json --json

echo "$name: all as wanted"
