#!/bin/sh
# PyTorch and mbtrain in turns on the same shapes: batch 128 in groups of 32, two ranks on two
# cores, exact reduction. Prints images/s of every round, then medians and ratios.
# Usage: tests/peer/compare.sh [ROUNDS [NETWORK:DOWNSAMPLING...]]
#   default: 5 rounds of mobilenetv2:8 igcv3d:8 mobilenetv2:4 igcv3d:4
#   MBTRAIN: the program (build-dev/bin/mbtrain). Needs python3-torch and libjemalloc2.
# mbtrain trains with activations kept in fp32 and in bf16, PyTorch in fp32; where the processor multiplies
# bf16, both do so too: PyTorch trains under autocast and evaluates with weights of bf16.
# PyTorch runs at the best settings found for it: jemalloc with huge pages, AVX-512 where there is; training
# MobileNetV2 in two processes and channels_last, IGCV3-D in one process of two threads; evaluation
# traced, optimised for inference, in two processes, MobileNetV2 in bf16 channels_last.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
train=${MBTRAIN:-$here/build-dev/bin/mbtrain}
rounds=${1:-5}
[ $# -lt 1 ] || shift
[ $# -gt 0 ] || set -- mobilenetv2:8 igcv3d:8 mobilenetv2:4 igcv3d:4
jemalloc=$(find /usr/lib -name libjemalloc.so.2 | head -n 1)
if [ -z "$jemalloc" ] || ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    echo "compare.sh: PyTorch or jemalloc is missing: apt-get install python3-torch libjemalloc2" >&2
    exit 1
fi
# shellcheck source=jobs/environment.sh
. "$here/jobs/environment.sh"
can() { grep -qw "$1" /proc/cpuinfo; }
level=avx2
! can avx512f || level=avx512
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT

peer() { # NETWORK DOWNSAMPLING train|eval fp32|bf16 -> images/s
    case $1-$3-$4 in
    mobilenetv2-train-* | mobilenetv2-eval-bf16) settings="2 1 channels_last" ;;
    *-train-*) settings="1 2 plain" ;;
    *) settings="2 1 plain" ;;
    esac
    # shellcheck disable=SC2086 # three words
    LD_PRELOAD=$jemalloc ATEN_CPU_CAPABILITY=$level \
        MALLOC_CONF=oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always,metadata_thp:auto \
        /usr/bin/python3 "$here/tests/peer/torch_step.py" "$1" "$2" "$3" 128 $settings 8 "$4" 2>/dev/null
}

ours() { # NETWORK DOWNSAMPLING STORAGE ARITHMETIC -> "TRAIN EVALUATE"
    mpirun -n 2 "$train" bench "$here/configs/cifar10_$1_ds8_5ep.json" --steps 8 \
        --set "network.downsampling=$2" --set train.batch=128 --set train.bn_group=32 \
        --set train.reduce=exact --set "plan.storage=$3" --set "plan.arithmetic=$4" </dev/null |
        awk '$1 == "train" { t = $2 } $1 == "evaluate" { print t, $2 }'
}

put() { # CASE MODE WHO FIGURE
    echo "$@" >>"$figures"
    printf '%-16s %-6s %-16s %8s images/s\n' "$@"
}

for round in $(seq "$rounds"); do
    echo "round $round"
    for case in "$@"; do
        net=${case%%:*} ds=${case##*:}
        put "$case" train pytorch "$(peer "$net" "$ds" train fp32)"
        both=$(ours "$net" "$ds" bf16 fp32)
        put "$case" train mbtrain-bf16 "${both% *}"
        put "$case" eval mbtrain "${both#* }"
        put "$case" eval pytorch "$(peer "$net" "$ds" eval fp32)"
        both=$(ours "$net" "$ds" fp32 fp32)
        put "$case" train mbtrain-fp32 "${both% *}"
        can avx512_bf16 || continue
        both=$(ours "$net" "$ds" bf16 auto)
        put "$case" train mbtrain-products "${both% *}"
        put "$case" eval mbtrain-products "${both#* }"
        put "$case" train pytorch-bf16 "$(peer "$net" "$ds" train bf16)"
        put "$case" eval pytorch-bf16 "$(peer "$net" "$ds" eval bf16)"
    done
done

echo
sort -k1,3 -k4,4n "$figures" | awk '
    { key = $1 " " $2 " " $3; if (!(key in n)) order[++keys] = key; value[key, ++n[key]] = $4 }
    END {
        printf "%-16s %-6s %-16s %10s %14s\n", "network", "mode", "who", "images/s", "times PyTorch"
        for (i = 1; i <= keys; i++) {
            key = order[i]
            split(key, part, " ")
            median[key] = value[key, int((n[key] + 1) / 2)]
        }
        for (i = 1; i <= keys; i++) {
            key = order[i]
            split(key, part, " ")
            printf "%-16s %-6s %-16s %10.1f %14.2f\n", part[1], part[2], part[3], median[key],
                median[key] / median[part[1] " " part[2] " pytorch"]
        }
    }'
