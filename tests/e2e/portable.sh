#!/bin/sh
# The same program on processors with AVX2 and without: emulated, which no stray instruction survives.
# A training ends there in the bits that the same kernels give here; and the kernel sets end near each
# other.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
python=${PYTHON:-/usr/bin/python3}
prepare

emulated() { # CPU VERB-AND-ARGUMENTS...
    lib_cpu=$1
    shift
    timeout -k 5 300 qemu-x86_64 -cpu "$lib_cpu" "$train" "$@"
}

while read -r cpu set other; do
    expect 0 emulated "$cpu" plan small.json
    said out "kernels up to $set, "
    expect 3 emulated "$cpu" small.json --set "plan.kernels=$other" --set run.folder=none
    said err "plan.kernels: got \"$other\", the processors have $set"
done <<'END'
Haswell avx2 avx512
Nehalem x86-64 avx2
END

for net in mobilenetv2 igcv3d; do
    # Two steps of 16 images in groups of 8, and an evaluation; on small maps, as emulation is slow.
    set -- small.json --set network.name=$net --set network.downsampling=32 \
        --set data.train_limit=52 --set train.batch=16 --set train.epochs=1
    while read -r cpu set library; do
        expect 0 emulated "$cpu" "$@" --set "run.folder=$net-$cpu"
        # oneDNN's own choice does not follow plan.kernels.
        expect 0 env "ONEDNN_MAX_CPU_ISA=$library" "$train" "$@" --set "plan.kernels=$set" \
            --set "run.folder=$net-$set"
        [ "$(digest "$net-$cpu")" = "$(digest "$net-$set")" ] || die "$net: other weights on $cpu than here with $set"
        metrics "$net-$cpu" >a
        metrics "$net-$set" >b
        same a b
    done <<'END'
Haswell avx2 AVX2
Nehalem x86-64 SSE41
END
    [ "$(digest "$net-avx2")" != "$(digest "$net-x86-64")" ] || die "$net: two libraries' kernels give the same bits"

    # One step, as large as the gradient, of each set.
    set -- small.json --set network.name=$net --set network.dropout=0 --set data.train_limit=36 \
        --set train.batch=16 --set train.bn_group=16 --set train.epochs=1 \
        --set schedule.kind=constant --set schedule.warmup=0
    expect 0 ranks 1 "$@" --set schedule.lr=0 --set "run.folder=$net-start"
    expect 0 ranks 1 "$@" --set schedule.lr=1 --set "run.folder=$net-auto"
    for set in avx2:AVX2 x86-64:SSE41; do
        expect 0 env "ONEDNN_MAX_CPU_ISA=${set#*:}" "$train" "$@" --set schedule.lr=1 \
            --set "plan.kernels=${set%:*}" --set "run.folder=$net-step-${set%:*}"
    done
    expect 0 "$python" "$here/near.py" "$net-start" "$net-auto" "$net-step-avx2" "$net-step-x86-64"
done
echo "$name: all as wanted"
