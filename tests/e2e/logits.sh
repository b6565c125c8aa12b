#!/bin/sh
# Weights out to PyTorch and in from it: logits are equal to 1e-4, both ways.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
python=${PYTHON:-/usr/bin/python3}
prepare
for network in mobilenetv2 igcv3d igcv2_matched igcv2_c416 igcv1_l4m8 igcv1_l24m2_ident; do
    case $network in
    igcv1_*) shape="--set network.downsampling=4 --set network.width=1 --set network.depth=8" ;;
    igcv2_c416) shape="--set network.downsampling=4 --set network.depth=20 --set network.width=0.1" ;;
    *) shape= ;;
    esac
    # shellcheck disable=SC2086 # options
    expect 0 ranks 2 small.json --set network.name=$network $shape --set network.dropout=0 --set train.epochs=1 \
        --set run.folder=out-$network
    expect 0 "$ckpt" export out-$network -o weights.h5
    expect 0 ranks 3 eval out-$network --predictions predictions.h5
    "$python" "$here/logits.py" take $network predictions.h5 || die "$network: out"

    # Without a learning rate and with statistics that stay, training changes nothing.
    "$python" "$here/logits.py" make $network
    # shellcheck disable=SC2086 # options
    expect 0 ranks 2 small.json --set network.name=$network $shape --set network.dropout=0 --set train.epochs=1 \
        --set schedule.lr=0 --set train.bn_momentum=0 --set ema.decay=0 --set init.pretrained=made.h5 --set run.folder=in-$network
    said err ' 0 missing, 0 of another shape, 0 not used'
    expect 0 ranks 1 eval in-$network --predictions predictions.h5
    "$python" "$here/logits.py" same predictions.h5 || die "$network: in"
done
expect 2 ranks 1 small.json --predictions a.h5
said err 'predictions: has no meaning for mbtrain train'
echo "$name: all as wanted"
