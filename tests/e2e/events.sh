#!/bin/sh
# TensorBoard's events of a run that was killed, whose file was cut, and that went on: one straight curve.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
python=${PYTHON:-/usr/bin/python3}
prepare

# Undisturbed, and stopped in the second epoch after a first save of it.
expect 0 ranks 2 small.json --set train.epochs=3 --set run.folder=whole
expect 0 ranks 2 small.json --set train.epochs=3 --set train.max_steps=5 --set run.folder=parts \
    --set checkpoint.every_steps=1
# A later sitting got further and was killed while it wrote: steps that are done again must not show.
expect 0 ranks 1 resume parts --set train.max_steps=8
for file in parts/events.out.tfevents.*; do :; done
bytes=$(stat -c %s "$file")
printf 'half a record' >>"$file"
rm parts/checkpoints/last.h5 parts/checkpoints/step-0000000006.h5 parts/checkpoints/step-0000000007.h5 \
    parts/checkpoints/step-0000000008.h5
expect 0 ranks 2 resume parts --set train.max_steps=0
said err "$file: its last 13 of $((bytes + 13)) bytes are no whole record"
[ "$(stat -c %s "$file")" = "$bytes" ] || die "the cut record is still there"
[ "$(digest whole)" = "$(digest parts)" ] || die "the runs differ"

PYTHONPATH=$here "$python" - <<'PY'
import csv
import read_events

whole, parts = read_events.read("whole"), read_events.read("parts")
assert len(read_events.files("whole")) == 1 and len(read_events.files("parts")) == 3
with open("whole/metrics.csv") as f:
    rows = list(csv.DictReader(f))
tags = {"lr": "lr", "train/loss": "train_loss", "test/top1": "test_top1", "valid/loss": "valid_loss", "epoch": "epoch"}
for tag, column in tags.items():
    assert [s for s, _ in whole[tag]] == [int(r["step"]) for r in rows] == [3, 6, 9], whole[tag]
    for (_, value), row in zip(whole[tag], rows):
        assert abs(value - float(row[column])) <= 1e-6 * abs(value), (tag, value, row[column])
    assert parts[tag] == whole[tag], (tag, parts[tag])
assert {"time/forward", "time/train", "images_per_s"} <= set(whole)
PY

# A flipped bit is found by the reader: it checks at all.
for file in whole/events.out.tfevents.*; do :; done
printf '\377' | dd of="$file" bs=1 seek=120 conv=notrunc status=none
"$python" "$here/read_events.py" whole >/dev/null 2>said && die "a damaged file was read"
said said 'wrong sum'
echo "$name: all as wanted"
