#!/bin/sh
# Does bf16 cost accuracy? Trains the same network on full CIFAR-10 with activations kept in fp32, in
# bf16, and multiplied in bf16 too (plan.storage, plan.arithmetic), with several seeds, and compares the
# means of the final test accuracy.
# Usage: tests/paper/storage.sh CIFAR10.h5 FOLDER [RANKS [SEEDS [KEY=VALUE...]]]
#   MBTRAIN: the program (build-dev/bin/mbtrain). FOLDER keeps the runs: a second call goes on where
#   the first one stopped. Ends with 1 when a mean is more than 0.5 points from fp32's.
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
    for kind in fp32 bf16 products; do
        case $kind in
        fp32) how="plan.storage=fp32" ;;
        bf16) how="plan.storage=bf16" ;;
        *) how="plan.storage=bf16 --set plan.arithmetic=bf16" ;;
        esac
        run=$folder/$kind-$seed
        if ! grep -q '^best: ' "$run.txt" 2>/dev/null; then
            rm -rf "$run"
            # shellcheck disable=SC2086 # $how and $settings are lists of words without blanks
            mpirun --oversubscribe -n "$ranks" "$train" \
                "$here/configs/cifar10_mobilenetv2_ds8_5ep.json" --set "data.path=$data" \
                --set "run.folder=$run" --set "train.seed=$seed" --set $how $settings >"$run.txt" </dev/null
        fi
        # The last row of the metric table: epoch, step, lr, train loss, top-1, test loss, top-1.
        awk -v s="$kind" -v seed="$seed" '$1 ~ /^[0-9]+$/ && NF >= 7 { top1 = $7 }
            END { print s, seed, top1 }' "$run.txt" | tee -a "$folder/accuracy.txt"
    done
done
awk '{ sum[$1] += $3; n[$1]++ }
    END {
        fp32 = sum["fp32"] / n["fp32"]
        printf "mean of %d: fp32 %.2f %%\n", n["fp32"], fp32
        for (kind in sum) if (kind != "fp32") {
            off = sum[kind] / n[kind] - fp32
            printf "mean of %d: %s %.2f %%, difference %.2f points\n", n[kind], kind, fp32 + off, off
            bad = bad || off > 0.5 || off < -0.5
        }
        exit bad
    }' "$folder/accuracy.txt"
