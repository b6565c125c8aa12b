#!/bin/sh
# Does keeping activations in bf16 cost accuracy? Trains the same network on full CIFAR-10 with
# plan.storage fp32 and bf16, with several seeds, and compares the means of the final test accuracy.
# Usage: tests/paper/storage.sh CIFAR10.h5 FOLDER [RANKS [SEEDS [KEY=VALUE...]]]
#   MBTRAIN: the program (build-dev/bin/mbtrain). FOLDER keeps the runs: a second call goes on where
#   the first one stopped. Ends with 1 when the means are more than 0.5 points apart.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
train=${MBTRAIN:-$here/build-dev/bin/mbtrain}
[ $# -ge 2 ] || { sed -n 's/^# Usage: /usage: /p' "$0" >&2; exit 2; }
data=$1 folder=$2 ranks=${3:-2} seeds=${4:-3}
[ $# -le 4 ] || shift 4
[ $# -gt 0 ] && [ "$1" != "$data" ] || set -- network.width=0.25
# shellcheck source=jobs/environment.sh
. "$here/jobs/environment.sh"
settings=
for key in "$@"; do
    settings="$settings --set $key"
done
mkdir -p "$folder"
: >"$folder/accuracy.txt"
for seed in $(seq "$seeds"); do
    for storage in fp32 bf16; do
        run=$folder/$storage-$seed
        if ! grep -q '^best: ' "$run.txt" 2>/dev/null; then
            rm -rf "$run"
            # shellcheck disable=SC2086 # $settings is a list of words without blanks
            mpirun --oversubscribe -n "$ranks" "$train" \
                "$here/configs/cifar10_mobilenetv2_ds8_5ep.json" --set "data.path=$data" \
                --set "run.folder=$run" --set "train.seed=$seed" --set "plan.storage=$storage" \
                $settings >"$run.txt" </dev/null
        fi
        # The last row of the metric table: epoch, step, lr, train loss, top-1, test loss, top-1.
        awk -v s="$storage" -v seed="$seed" '$1 ~ /^[0-9]+$/ && NF >= 7 { top1 = $7 }
            END { print s, seed, top1 }' "$run.txt" | tee -a "$folder/accuracy.txt"
    done
done
awk '{ sum[$1] += $3; n[$1]++ }
    END {
        a = sum["fp32"] / n["fp32"]; b = sum["bf16"] / n["bf16"]
        printf "mean of %d: fp32 %.2f %%, bf16 %.2f %%, difference %.2f points\n", n["fp32"], a, b, b - a
        exit b - a > 0.5 || a - b > 0.5
    }' "$folder/accuracy.txt"
