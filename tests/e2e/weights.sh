#!/bin/sh
# Weights out to h5py and back in: the network that starts from them evaluates as the one they are of.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
python=${PYTHON:-/usr/bin/python3}
prepare

expect 0 ranks 2 small.json --set train.epochs=1 --set run.folder=first
expect 0 ranks 1 eval first
cp out wanted
expect 0 "$ckpt" export first -o weights.h5
said out 'weights.h5: '

# What a program that knows PyTorch's state dict reads, and what it writes.
"$python" - <<'PY'
import h5py
import numpy

with h5py.File("weights.h5") as f:
    state = {name: f[name][()] for name in f}
assert len(state) > 100 and all(v.dtype == numpy.float32 for v in state.values())
assert state["classifier.weight"].ndim == 2 and state["stem.conv.weight"].shape[1:] == (3, 3, 3)
with h5py.File("back.h5", "w") as f:
    for name, values in state.items():
        f["module." + name] = values
    f["module.stem.bn.num_batches_tracked"] = numpy.int64(7)
with h5py.File("more.h5", "w") as f:
    for name, values in state.items():
        f[name] = values[:5] if name.startswith("classifier") else values
    f["fc.weight"] = values
    del f["stem.bn.weight"]
with h5py.File("nan.h5", "w") as f:
    f["classifier.bias"] = state["classifier.bias"] * numpy.float32("nan")
with h5py.File("linked.h5", "w") as f:
    f["classifier.bias"] = h5py.ExternalLink("weights.h5", "/classifier.bias")
PY

# Without a learning rate and with statistics that stay, training changes nothing.
still='--set ema.decay=0 --set train.epochs=1 --set schedule.lr=0 --set train.bn_momentum=0'
# shellcheck disable=SC2086 # words
expect 0 ranks 2 small.json $still --set init.pretrained=back.h5 --set run.folder=second
said err 'back.h5: '
said err ' 0 missing, 0 of another shape, 0 not used'
expect 0 ranks 1 eval second/checkpoints/last.h5
tail -n +2 wanted >a
tail -n +2 out >b
same a b

# shellcheck disable=SC2086 # words
expect 0 ranks 2 small.json $still --set init.pretrained=more.h5 --set run.folder=third
said err 'fc.weight is not a tensor of this network'
said err 'classifier.weight keeps its own values: got [5]['
said err 'has no stem.bn.weight'
said err ' 1 missing, 2 of another shape, 1 not used'

for n in 1 3; do
    fails 4 "$n" 'nan.h5: /classifier.bias: element 0 is' small.json --set init.pretrained=nan.h5
    fails 4 "$n" 'linked.h5' small.json --set init.pretrained=linked.h5
    fails 4 "$n" 'none.h5' small.json --set init.pretrained=none.h5
    fails 4 "$n" 'none.h5' check small.json --set init.pretrained=none.h5
done
expect 2 "$ckpt" export first
said err 'wanted -o FILE'
expect 4 "$ckpt" export weights.h5 -o again.h5
[ ! -e again.h5 ] || die "half an export is there"
echo "$name: all as wanted"
