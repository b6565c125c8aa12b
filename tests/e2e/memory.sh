#!/bin/sh
# What a run grows by is what was planned, at full width, where what belongs to nobody is little.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare

for n in 1 2; do
    expect 0 ranks "$n" small.json --set run.folder="memory$n" --set network.width=1 \
        --set train.max_steps=1 --set train.bn_group=16 --set ema.start=0
    awk '/^memory / {
            for (i = 2; i <= NF; i++) {
                if ($i == "grown") grown = $(i - 4)
                if ($i == "were") planned = $(i - 2)
            }
        }
        END { d = grown - planned; exit !(planned > 0 && d <= 0.05 * grown && d >= -0.05 * grown) }' out ||
        die "memory on $n ranks: $(grep ^memory out)"
done
echo "$name: all as wanted"
