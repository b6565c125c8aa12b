#!/bin/sh
# One campaign for a while, with a fresh seed; what it counted becomes a line of counts.csv.
# Usage: tests/campaign/run.sh BUILD-FOLDER kills|stops|faults|flips SECONDS [SEED]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?usage: $0 BUILD-FOLDER CAMPAIGN SECONDS [SEED]}" && pwd)
campaign=${2:?usage: $0 BUILD-FOLDER CAMPAIGN SECONDS [SEED]}
seconds=${3:?usage: $0 BUILD-FOLDER CAMPAIGN SECONDS [SEED]}
seed=${4:-$(($(date +%s) % 2147483648))}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
result=passed
"$here/$campaign.sh" "$build/bin" "$build/tests/campaign/libfault.so" "$seed" "$seconds" \
    "$build/tests/campaign/flip" >"$out" || result=failed
cat "$out"
"$here/count.sh" "$here/counts.csv" "$campaign" "$seed" "$seconds" "$build/bin/mbtrain" "$result" "$(tail -n 1 "$out")"
[ "$result" = passed ]
