#!/bin/sh
# What a run grows by is what was planned, at full width, where what belongs to nobody is little.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare

grows_as_planned() { # RANKS SETTINGS...
    n=$1
    shift
    rm -rf run
    expect 0 ranks "$n" small.json --set run.folder=run --set network.width=1 \
        --set train.max_steps=1 --set train.bn_group=16 --set ema.start=0 "$@"
    awk '/^memory / {
            for (i = 2; i <= NF; i++) {
                if ($i == "grown") grown = $(i - 4)
                if ($i == "were") planned = $(i - 2)
            }
        }
        END { d = grown - planned; exit !(planned > 0 && d <= 0.05 * grown && d >= -0.05 * grown) }' out ||
        die "memory on $n ranks, $*: $(grep ^memory out)"
}
grows_as_planned 1
grows_as_planned 2
grows_as_planned 2 --set optimizer.kind=muon --set network.name=igcv2_matched # a matrix in shared memory
grows_as_planned 1 --set optimizer.kind=muon --set network.name=igcv2_matched --set plan.threads=2
grows_as_planned 2 --set network.name=igcv3d --set plan.storage=bf16
grows_as_planned 1 --set plan.storage=bf16 --set plan.arithmetic=auto --set plan.threads=2
echo "$name: all as wanted"
