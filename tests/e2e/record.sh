#!/bin/sh
# The record of a run: predictions and per-class counts are exact on any number of ranks, agree with the
# metric table, and other programs read them.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
python=${PYTHON:-/usr/bin/python3}
prepare

for n in 1 3; do
    expect 0 ranks "$n" small.json --set "run.folder=r$n"
done
"$python" - <<'PY'
import csv
import h5py
import numpy

first = None
for n in (1, 3):
    with h5py.File(f"r{n}/predictions.h5") as f, h5py.File(f"r{n}/metrics.h5") as m, h5py.File(f"r{n}/about.h5") as a:
        test = {name: f["test"][name][()] for name in f["test"]}
        assert set(test) == {"label", "predicted", "probability", "confusion"}, test.keys()
        assert f.attrs["epoch"] == 2 and f.attrs["ranks"] == n
        names = [s.decode() for s in f.attrs["class_names"]]
        assert len(names) == 10 and len(set(names)) == 10
        with h5py.File("synth.h5") as d:
            assert (test["label"] == d["test/labels"][()]).all()
        counted = numpy.zeros((10, 10), int)
        numpy.add.at(counted, (test["label"], test["predicted"]), 1)
        assert (counted == test["confusion"]).all()
        assert (test["probability"] > 0.1).all() and (test["probability"] <= 1).all()
        top1 = 100 * (test["label"] == test["predicted"]).mean()
        assert abs(m["metrics/test_top1"][-1] - top1) < 1e-9
        for group in (f["test"], m["metrics"]):
            for column in group.values():
                assert column.attrs["unit"] and column.attrs["description"]
        phases = "input forward backward reduce update evaluate checkpoint other".split()
        split = sum(m["metrics"][p + "_s"][-1] for p in phases)
        whole = m["metrics/train_s"][-1] + m["metrics/evaluate_s"][-1]
        beside = m["metrics/checkpoint_s"][-1] + m["metrics/other_s"][-1] # a disk may take any time
        assert whole * 0.9 < split < whole * 1.1 + 0.5 + beside, (split, whole, beside)
        assert a.attrs["network"] == b"mobilenetv2" and a.attrs["macs"] > 1e6 and b"small.json" in a.attrs["commands"]
        assert first is None or all((first[k] == test[k]).all() for k in test)
        first = test
PY
# The command is one that a shell takes again, whatever is in its words; the processor is the one that Linux
# names, with the kernels that ran.
mkdir "a 'folder'"
expect 0 ranks 1 small.json --set train.max_steps=1 --set plan.kernels=x86-64 --set "run.folder=a 'folder'/run"
"$python" - <<'PY' || die "the recorded command or processor"
import shlex
import h5py

with h5py.File("a 'folder'/run/about.h5") as a:
    words = shlex.split(a.attrs["commands"].decode())
    processor = a.attrs["processor"].decode()
with open("/proc/cpuinfo") as f:
    model = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
assert processor == f"{model[0]}, x86-64", processor
assert words[-1] == "run.folder=a 'folder'/run" and words[:2] == ["mbtrain", "small.json"], words
PY
echo "$name: all as wanted"
