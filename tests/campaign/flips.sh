#!/bin/sh
# Random single bits of a checkpoint and of a data set are flipped: each is found, or harmless.
set -eu
# shellcheck source=tests/campaign/lib.sh
. "$(dirname "$0")/lib.sh"
[ -n "$flip" ] || die "wanted the program made of flip.c as fifth argument"
prepare
# shellcheck disable=SC2046 # words
expect 0 ranks 1 $(tiny run) --set train.max_steps=3
cp run/checkpoints/step-0000000003.h5 checkpoint.h5
"$flip" checkpoint checkpoint.h5 "$seed" $((seconds / 4 + 1)) >checkpoint.said || die "$(cat checkpoint.said)"
"$flip" dataset synth.h5 "$seed" $((seconds * 3 / 4 + 1)) >dataset.said || die "$(cat dataset.said)"
echo "$(cat checkpoint.said) $(cat dataset.said)"
