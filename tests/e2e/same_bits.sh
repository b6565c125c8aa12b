#!/bin/sh
# The same run on 1, 2, 3, 4 and 16 ranks: state digest, metrics and evaluation are the same.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare

# A batch of 128 has 16 groups, one for each of 16 ranks; the last one of 52 samples has 7.
compare() { # NETWORK EPOCHS
    for n in 1 2 3 4 16; do
        expect 0 ranks "$n" small.json --set "network.name=$1" --set "train.epochs=$2" \
            --set train.batch=128 --set "run.folder=$1-$n"
        unsaid err warning
        said out "state digest: $(digest "$1-$n")"
        metrics "$1-$n" >"metrics-$n"
        same metrics-1 "metrics-$n"
        [ "$(digest "$1-$n")" = "$(digest "$1-1")" ] || die "$1: other weights on $n ranks than on 1"
    done
}
compare mobilenetv2 2
compare igcv3d 1
first=$(digest mobilenetv2-1)
[ "$first" != "$(digest igcv3d-1)" ] || die "two networks end in one state"
expect 0 ranks 1 small.json --set train.seed=2 --set train.batch=128 --set run.folder=other
[ "$first" != "$(digest other)" ] || die "two seeds end in one state"

# Norms over all gradients, and over each tensor; squares as a state of their own.
recipe() { # NAME SETTINGS...
    recipe=$1
    shift
    for n in 1 2 3; do
        expect 0 ranks "$n" small.json --set train.epochs=1 --set train.batch=128 "$@" \
            --set "run.folder=$recipe-$n"
        [ "$(digest "$recipe-$n")" = "$(digest "$recipe-1")" ] ||
            die "$recipe: other weights on $n ranks than on 1"
    done
    expect 0 ranks 1 small.json --set train.epochs=1 --set train.batch=128 "$@" \
        --set plan.threads=2 --set "run.folder=$recipe-threads"
    [ "$(digest "$recipe-threads")" = "$(digest "$recipe-1")" ] ||
        die "$recipe: other weights with 2 threads than with 1"
}
recipe clip --set optimizer.clip_norm=0.5
recipe lars --set optimizer.kind=lars --set schedule.lr=5
recipe rmsprop --set optimizer.kind=rmsprop --set optimizer.nesterov=false --set schedule.lr=0.01
recipe muon --set optimizer.kind=muon
# A matrix for each group, and one that costs more than all others: the ranks compute it together.
recipe muon_igcv2 --set optimizer.kind=muon --set network.name=igcv2_matched --set network.width=0.15
recipe images --set train.small_size=24 --set train.small_until=0.5 --set train.epochs=2
[ "$(for r in clip lars rmsprop muon; do digest "$r-1"; done | sort -u | wc -l)" = 4 ] ||
    die "two recipes end in one state"

# eval counts every image once on any number of ranks, and agrees with the table of the training.
for n in 1 3 16; do
    expect 0 ranks "$n" eval mobilenetv2-1
    cp out "eval-$n"
    same eval-1 "eval-$n"
done
said out 'validation       20 images'
said out 'test             50 images'
said out 'both views       50 images'
expect 0 "$ckpt" show mobilenetv2-1/checkpoints/best.h5
best=$(sed -n 's/^best top-1 *\([0-9.]*\) %.*/\1/p' out)
grep -q "^validation .*top-1  *$best %" eval-1 || die "best top-1 is $best, eval says $(cat eval-1)"

# What is kept in bf16, and multiplied in it where the processor can, rounds the same on any number of
# ranks. Nor do threads of a rank change anything: 16 groups are enough for each to take whole ones, 16
# for four ranks of six threads are not, so that these share them.
in_bf16() { # PRODUCTS RANKS-THREADS...
    products=$1
    shift
    for cut in "$@"; do
        expect 0 ranks "${cut%-*}" small.json --set plan.storage=bf16 --set "plan.arithmetic=$products" \
            --set train.epochs=1 --set train.batch=128 --set "plan.threads=${cut#*-}" \
            --set "run.folder=bf16-$products-$cut"
        [ "$(digest "bf16-$products-$cut")" = "$(digest "bf16-$products-1-1")" ] ||
            die "$products products: other weights on ${cut%-*} ranks of ${cut#*-} threads than on 1 of 1"
    done
}
in_bf16 fp32 1-1 2-1 3-1 1-2 2-3
in_bf16 auto 1-1 2-1 3-1 1-2 1-3 2-3 4-6
expect 0 ranks 1 small.json --set train.epochs=1 --set train.batch=128 --set run.folder=fp32
[ "$(digest bf16-fp32-1-1)" != "$(digest fp32)" ] || die "storage in bf16 and in fp32 end in one state"

# Sums that are rounded on the way: the same run on the same ranks again, near the exact one.
for run in once twice; do
    expect 0 ranks 2 small.json --set train.reduce=bf16 --set train.epochs=1 --set train.batch=128 \
        --set "run.folder=$run"
done
[ "$(digest once)" = "$(digest twice)" ] || die "reduce bf16: two runs on two ranks differ"
[ "$(digest once)" != "$(digest fp32)" ] || die "reduce bf16 and exact end in one state"
loss() { awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "train_loss") at = i } END { print $at }' "$1/metrics.csv"; }
echo "$(loss once) $(loss fp32)" | awk '{ exit !($1 > 0.9 * $2 && $1 < 1.1 * $2) }' ||
    die "reduce bf16: loss $(loss once), exact $(loss fp32)"

# More ranks than groups: 16 samples in groups of 8 feed two of three.
set -- small.json --set train.epochs=1 --set train.batch=16 --set data.train_limit=60
expect 0 ranks 2 "$@" --set run.folder=full
unsaid err warning
expect 0 ranks 3 "$@" --set run.folder=idle
grep -q '^warning: .*only 2 of 3 ranks have work; start 2 ranks' err || die "no warning: $(cat err)"
[ "$(digest full)" = "$(digest idle)" ] || die "other weights with an idle rank"
echo "$name: all as wanted"
