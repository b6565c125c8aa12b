#!/bin/sh
# What each verb prints: help, version, keys, plan, check, bench, and what training ends with.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
configs=$here/../../configs
quiet() { [ ! -s err ] || die "stderr: $(cat err)"; }
matches() { grep -Eq -- "$2" "$1" || die "$1: no line matches $2: $(cat "$1")"; }

# Help is for everybody, also where MPI cannot start.
for option in --help -h --version --help-config; do
    expect 0 env OMPI_COMM_WORLD_SIZE=4 "$train" "$option"
    quiet
done
expect 0 "$train" --help
for word in resume eval bench plan check --set --max-hours --force 75 mobilenetv2 igcv3d_seed; do said out "$word"; done
expect 0 "$train" --version
for word in 'mbtrain ' commit compiler HDF5 'Open MPI' oneDNN 'instruction set'; do said out "$word"; done
expect 0 "$train" --help-config
matches out '^train\.bn_group$'
# Every key of the shipped configurations is explained, and every configuration is one.
for file in "$configs"/*.json; do
    expect 0 ranks 1 plan "$file" --set train.bn_group=2 # less memory to map
    quiet
    matches out '^total: [0-9]+ parameters, [0-9]+ MACs an image$'
done

# Parameters and multiply-accumulates by the papers' networks.
total() { # PARAMETERS MACS CONFIG OPTIONS...
    total="total: $1 parameters, $2 MACs"
    shift 2
    expect 0 ranks 1 plan "$@" --set train.bn_group=2
    said out "$total"
}
total 2237770 89025024 "$configs/cifar10_mobilenetv2_ds8_5ep.json"
matches out '^blocks\.16\.project +1x1 +960x4x4 +320x4x4 .* 307840 '
matches out '^memory: .* MiB in all$'
matches out '^digest: [0-9a-f]{32}$'
total 2353060 89140224 "$configs/cifar10_mobilenetv2_ds8_5ep.json" --classes 100
total 2223498 93531648 "$configs/cifar10_igcv3d_ds8_5ep.json"
total 3504872 300774272 "$configs/cifar10_mobilenetv2_ds8_5ep.json" --set network.downsampling=32 \
    --set network.name=mobilenetv2_torchvision
total 3491688 312970176 "$configs/cifar10_igcv3d_ds8_5ep.json" --set network.downsampling=32
# The same on any number of ranks, but for what the library takes for itself, which is measured, and
# for sums, which ranks of one node have in its memory.
# What the plan chose is printed, and can be forced.
tells() { # TEXT SETTINGS...: whether the plan of a network with narrow and with depthwise layers has it
    text=$1
    shift
    expect 0 ranks 1 plan small.json --set network.name=igcv3d "$@"
    grep -q -- "$text" out
}
tells ' kernels up to '
own=$(sed -nE 's/.* kernels up to (avx2|avx512).*/\1/p' out)
if [ -n "$own" ]; then
    tells "fused $own/$own" || die "no fused kernels: $(cat out)"
    tells "$own/$own/$own" || die "no own convolutions: $(cat out)"
    ! tells fused --set plan.without=fused || die "fused kernels were left out: $(cat out)"
    ! tells "$own/$own/$own" --set plan.without=own || die "own kernels were left out: $(cat out)"
    tells 'x32x32 *8 ' --set plan.kernels=avx2 || die "the layout of avx2: $(cat out)"
    tells 'x32x32 *[0-9]* *2 ' --set plan.tile=2 || die "the tile: $(cat out)"
fi

planned() { sed -E 's/^(memory +)[0-9.]+( MiB a rank: .*, sums )[0-9.]+(, .*, code )[0-9.]+/\1\2\3/' out; }
expect 0 ranks 1 plan small.json
matches out '^memory +[0-9.]+ MiB a rank: plan .*, sums 2\.[12], .* code [0-9.]+, saving [0-9.]+$'
matches out '^evaluation: 8 images at a time, .* MiB in all$'
planned >one
expect 0 ranks 3 plan small.json
matches out '^memory .*, sums 0\.0, '
planned >three
same one three

for n in 1 3; do
    expect 0 ranks "$n" check small.json --set optimizer.muon_rate=0.3
    said err 'warning: without effect: optimizer.muon_rate (read with optimizer.kind muon)'
    expect 0 ranks "$n" check small.json
    quiet
    matches out '^small\.json: good: mobilenetv2, 249202 parameters, on synth \(180 training samples, 10 classes\), 3 steps an epoch, [0-9]+ MiB a rank$'
    expect 0 ranks "$n" bench small.json --steps 2
    quiet
    said out "mobilenetv2, batch 64 in groups of 8, $n rank(s), reduce exact"
    for what in train evaluate; do
        matches out "^$what +[0-9]+\.[0-9] images/s \(median of 2; slowest [0-9.]+, fastest [0-9.]+\), [0-9.]+ ms$"
    done
done
[ -z "$(find . -type d -name 'run*')" ] || die "plan, check or bench made a folder"

# The end of a training: table, best, path, digest, and the account. The log goes to stderr alone.
expect 0 ranks 2 train small.json --set run.folder=run
said out 'train_loss'
said out 'test_top1'
for epoch in 1 2; do matches out "^ +$epoch +$((3 * epoch)) +0\.0"; done
matches out '^best: [0-9.]+ % top-1 \(validation\) after epoch [12]$'
matches out '^checkpoint: run/checkpoints/last\.h5$'
matches out '^state digest: [0-9a-f]{32}$'
matches out '^time .* on 2 ranks, [0-9.]+ images/s while training$'
matches out '^phase .*forward [0-9.]+ % .*backward [0-9.]+ %'
matches out '^ranks +slowest [01] .*fastest [01] '
matches out '^memory +at most [0-9]+ MiB resident'
matches err '^training mobilenetv2: 249202 parameters, 180 samples, batch 64 in groups of 8, 3 steps an epoch, from step 0 of 6 on 2 ranks$'
matches err '^epoch 2/2: loss .*validation top-1 .*test top-1'
unsaid err "$(printf '\r')"
left=$(find run -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort | sed 's/^events\.out\.tfevents\..*/events/' | tr '\n' ' ')
[ "$left" = "about.h5 checkpoints config.json events log.txt metrics.csv metrics.h5 predictions.h5 " ] ||
    die "run: $left"
expect 0 ranks 1 run/config.json --set run.folder=again
[ "$(digest run)" = "$(digest again)" ] || die "config.json of a run makes another run"

# A result that cannot be told is no success.
code=0
"$train" check small.json >/dev/full 2>err || code=$?
[ "$code" = 1 ] || die "exit code $code with a full stdout"
said err 'error: stdout: cannot be written'
echo "$name: all as wanted"
