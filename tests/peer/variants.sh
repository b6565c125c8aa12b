#!/bin/sh
# One configuration in variants, by turns: images/s of every round, then medians and their ratios to
# the first variant's.
# Usage: tests/peer/variants.sh ROUNDS CONFIG VARIANT...
#   VARIANT: "RANKS KEY=VALUE...", such as "2" "1" "1 plan.threads=2" "2 train.reduce=fp32"
#   MBTRAIN: the program (build-dev/bin/mbtrain). A rank of several threads has as many cores.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
train=${MBTRAIN:-$here/build-dev/bin/mbtrain}
usage="usage: $0 ROUNDS CONFIG \"RANKS KEY=VALUE...\"..."
rounds=${1:?$usage}
config=${2:?$usage}
shift 2
# shellcheck source=jobs/environment.sh
. "$here/jobs/environment.sh"
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT

measure() { # RANKS KEY=VALUE... -> "TRAIN EVALUATE"
    n=$1
    shift
    threads=1
    for setting in "$@"; do
        case $setting in plan.threads=*) threads=${setting#*=} ;; esac
        set -- "$@" --set "$setting"
        shift
    done
    mpirun --map-by "slot:PE=$threads" -n "$n" "$train" bench "$config" --steps 8 "$@" </dev/null |
        awk '$1 == "train" { t = $2 } $1 == "evaluate" { print t, $2 }'
}

for round in $(seq "$rounds"); do
    for variant in "$@"; do
        # shellcheck disable=SC2086 # words
        both=$(measure $variant)
        echo "$both $variant" >>"$figures"
        echo "round $round: $both images/s trained, evaluated: $variant"
    done
done

echo
printf '%10s %8s %10s %8s  %s\n' trained ratio evaluated ratio variant
for variant in "$@"; do
    median() { awk -v wanted="$variant" -v column="$1" '
        { name = $0; sub(/^[^ ]+ [^ ]+ /, "", name) } name == wanted { print $column }' "$figures" |
        sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
    trained=$(median 1) evaluated=$(median 2)
    first_trained=${first_trained-$trained} first_evaluated=${first_evaluated-$evaluated}
    echo "$trained $first_trained $evaluated $first_evaluated $variant" |
        awk '{ printf "%10.1f %8.3f %10.1f %8.3f ", $1, $1 / $2, $3, $3 / $4
               for (i = 5; i <= NF; i++) printf " %s", $i; print "" }'
done
