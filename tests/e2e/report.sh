#!/bin/sh
# mbt-report on runs: tables, a page in Chromium, drawings, a comparison, the recorded results, the
# analysis that src/report/README.md shows; and what it refuses.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
python=${PYTHON:-/usr/bin/python3}
report=$bin/mbt-report
source=$here/../..
prepare
# Small batches: what has learned something answers differently to mirrored images.
sed -i 's/"batch": 64/"batch": 16/' small.json
sed 's/"mobilenetv2"/"igcv3d"/' small.json >other.json
cat >job.json <<'END'
{
  "title": "Small & <quick> networks",
  "note": "A note.",
  "rows": [
    {"label": "MobileNetV2 | 0.25", "data": "synth", "configuration": "small.json", "seeds": [0, 1],
     "printed": {"parameters": 0.2, "top1": 91.5}, "source": "a \"paper\""},
    {"label": "IGCV3-D 0.25", "data": "synth", "configuration": "other.json", "seeds": [0]},
    {"label": "MobileNetV2, CIFAR", "data": "cifar10", "configuration": "small.json", "seeds": [0, 1, 2],
     "printed": {"parameters": 0.65, "top1": 94.56, "top5": 99.1}}
  ]
}
END
expect 0 "$report" rows job.json
[ "$(wc -l <out)" = 4 ] || die "rows: $(cat out)"
expect 0 "$report" table job.json
[ "$(grep -c 'not run' out)" = 3 ] || die "nothing has been run: $(cat out)"
"$report" rows job.json | head -n 3 >wanted
while IFS="$(printf '\t')" read -r _ config seed folder; do
    expect 0 ranks 1 "$config" --set "train.seed=$seed" --set "run.folder=$folder"
done <wanted
expect 0 ranks 1 small.json --set train.seed=7 --set train.max_steps=16 --set run.folder=begun

# ---- tables ----
expect 0 "$report" table job.json
cp out text
grep -Eq '^MobileNetV2 \| 0.25 +synthetic +0\.2 +[0-9.]+ +[0-9.]+ +2 +91\.50 +[0-9.]+ \+- [0-9.]+ +[0-9.]+ \+- [0-9.]+ +- +[0-9.]+ .*2 of 2 +0\.0[0-9]$' out ||
    die "table: $(cat out)"
grep -q 'IGCV3-D 0.25 .* 1 of 1 ' out || die "table: $(cat out)"
grep -Eq 'MobileNetV2, CIFAR +CIFAR-10 +0\.65 .* not run .* 0 of 3 ' out || die "table: $(cat out)"
said out 'top-1 both views, %'
expect 0 "$report" table job.json runs/small-seed0 runs/other-seed0 begun
grep -q 'MobileNetV2 . 0.25 .* 1 of 2 ' out || die "named runs: $(cat out)"
expect 0 "$report" table job.json begun
grep -q 'MobileNetV2 . 0.25 .* unfinished .* 0 of 2$' out || die "an unfinished run: $(cat out)"
unsaid out 'both views'
expect 4 "$report" table job.json begun runs/small-seed0 begun
said err 'runs begun and begun: both have seed 7'
# In its first epoch a run has no row yet, also when it was resumed there.
expect 0 ranks 1 small.json --set train.seed=8 --set train.max_steps=1 --set run.folder=early
for resumed in no yes; do
    [ "$resumed" = no ] || expect 0 ranks 1 resume early --set train.max_steps=2
    expect 0 "$report" table job.json early
    grep -q 'MobileNetV2 . 0.25 .* unfinished .* 0 of 2$' out || die "a run in its first epoch: $(cat out)"
    expect 4 "$report" plot accuracy early -o early.svg
    said err 'run early: no epoch was completed'
done
# Its last epoch was not evaluated: the figures are those of the one before.
expect 0 ranks 1 small.json --set data.validation=0 --set evaluate.every_epochs=2 --set train.epochs=4 \
    --set train.batch=64 --set train.max_steps=12 --set run.folder=sparse
expect 0 "$report" compare sparse begun
unsaid out nan
# Nor was any.
expect 0 ranks 1 small.json --set data.validation=0 --set evaluate.every_epochs=9 --set train.epochs=10 \
    --set train.batch=64 --set train.max_steps=8 --set run.folder=blind
expect 0 "$report" compare blind sparse
unsaid out nan
said out 'test top-1 - %, loss -,'
said out 'no predictions to compare: blind/predictions.h5: '
expect 0 "$report" html blind -o blind.html
unsaid blind.html '>nan<'
said blind.html '<td class="number strong">-</td>'
expect 0 "$report" table job.json --format markdown -o table.md
[ ! -s out ] || die "table -o prints too"
expect 0 "$report" table job.json --format csv -o table.csv
expect 0 "$report" table job.json --format hdf5 -o table.h5
"$python" - <<'PY'
import csv
import h5py
import numpy

with open("table.csv", newline="") as f:
    rows = list(csv.DictReader(f))
assert [r["label"] for r in rows] == ["MobileNetV2 | 0.25", "IGCV3-D 0.25", "MobileNetV2, CIFAR"]
assert rows[0]["source"] == 'a "paper"' and rows[2]["runs"] == "0" and rows[2]["top1"] == ""
tops, flips = [], []
for seed in (0, 1):
    with h5py.File(f"runs/small-seed{seed}/metrics.h5") as m, h5py.File(f"runs/small-seed{seed}/about.h5") as a:  # no validation row is left out: the chosen epoch
        valid = m["metrics/valid_top1"][()]
        chosen = int(numpy.argmax(valid))
        tops.append(m["metrics/test_top1"][chosen])
        flips.append(m["metrics/test_flip_top1"][chosen])
        assert int(rows[0]["parameters"]) == a.attrs["parameters"] and int(rows[0]["macs"]) == a.attrs["macs"]
assert abs(float(rows[0]["top1"]) - numpy.mean(tops)) < 1e-9
assert abs(float(rows[0]["top1_deviation"]) - numpy.std(tops, ddof=1)) < 1e-9
assert abs(float(rows[0]["flip_top1"]) - numpy.mean(flips)) < 1e-9 and tops != flips
assert abs(float(rows[0]["flip_top1_deviation"]) - numpy.std(flips, ddof=1)) < 1e-9
assert rows[2]["flip_top1"] == ""
with h5py.File("table.h5") as t:
    for name, column in t["table"].items():
        assert column.attrs["unit"] and column.attrs["description"]
        for got, row in zip(column[()], rows):
            assert (numpy.isnan(got) and row[name] == "") or abs(got - float(row[name])) <= 1e-12 * abs(got), name
    assert [s.decode() for s in t["table"].attrs["label"]] == [r["label"] for r in rows]
lines = [l for l in open("table.md") if l.startswith("|")]
assert open("table.md").readline() == "**Small \\& \\<quick\\> networks**\n"
assert len(lines) == 5 and all(l.replace("\\|", "").count("|") == lines[1].count("|") for l in lines), lines
PY

# ---- pages and drawings ----
expect 0 "$report" html --job job.json runs/small-seed0 runs/small-seed1 runs/other-seed0 -o page.html
"$python" "$here/page.py" page.html 3 ${MBT_PICTURES:+"$MBT_PICTURES"} || die "the page"
grep -q 'Small &amp; &lt;quick&gt; networks' page.html || die "a title is not escaped"
(cd runs/other-seed0 && expect 0 "$report" html . -o ../../here.html)
said here.html '<title>other-seed0</title>'
grep -q '<script\|http://\|https://' page.html && die "the page is not self-contained"
mv synth.h5 away.h5
expect 0 "$report" html runs/small-seed0 -o bare.html
mv away.h5 synth.h5
grep -q 'Without images: synth.h5' bare.html || die "a missing data set is not told of"
expect 0 "$report" plot accuracy runs/small-seed0 runs/other-seed0 -o curve.svg
expect 0 "$report" plot loss runs/small-seed0 -o curve.png
"$python" - <<'PY'
import struct
import xml.etree.ElementTree
import zlib

svg = xml.etree.ElementTree.parse("curve.svg").getroot()
assert svg.tag.endswith("svg") and len(svg.findall(".//{*}path[@class='line tone-1 dashed']")) == 2
data = open("curve.png", "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
width, height = struct.unpack(">II", data[16:24])
assert width == 1040 and height > 500
at, body = 8, b""
while at < len(data):
    length, kind = struct.unpack(">I4s", data[at : at + 8])
    body += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
    at += 12 + length
assert len(set(zlib.decompress(body))) > 20  # lines and letters, no blank sheet
PY

# More classes than a table of them holds, with names as long as they come.
"$python" "$here/../import/make_tree.py" tree 40 2 1
for split in train test; do
    mv "tree/$split/class7" "tree/$split/a rather long name of a class, as taxonomies have them"
done
"$bin/mbt-data" import folder tree/train tree/test -o many.h5 --square 32 >/dev/null
expect 0 ranks 1 small.json --set data.path=many.h5 --set train.epochs=1 --set run.folder=many
expect 0 "$report" html many -o many.html
"$python" "$here/page.py" many.html 1 || die "the page of 40 classes"
grep -q 'class="heat"' many.html || die "40 classes as a table"

# ---- comparison ----
expect 0 "$report" compare runs/small-seed0 runs/small-seed1
said out 'configurations differ in: run.folder, train.seed'
said out 'predictions   after epoch 2 of A, 2 of B'
"$python" - <<'PY'
import h5py
import re

counts = [int(n) for n in re.search(r"both right (\d+), only A (\d+), only B (\d+), neither (\d+)", open("out").read()).groups()]
right = []
for seed in (0, 1):
    with h5py.File(f"runs/small-seed{seed}/predictions.h5") as p:
        right.append(p["test/label"][()] == p["test/predicted"][()])
a, b = right
assert counts == [(a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum()], counts
PY

# ---- recorded results ----
cp -r "$source/data/results" results
for again in 1 2; do
    expect 0 "$report" record runs/small-seed0 -o results
    expect 0 "$report" record runs/other-seed0 -o results
    [ "$(grep -c '^| \[small-seed0\](small-seed0.svg)' results/README.md)" = 1 ] || die "entry $again"
done
cmp runs/small-seed0/metrics.csv results/small-seed0.csv
[ -s results/other-seed0.svg ] || die "no drawing"
grep -q '`mbtrain small.json --set train.seed=0 --set run.folder=runs/small-seed0`' results/README.md ||
    die "no command: $(cat results/README.md)"
fails_report() { # CODE TEXT ARGUMENTS...
    wanted=$1 text=$2
    shift 2
    expect "$wanted" "$report" "$@"
    [ "$(wc -l <err)" = 1 ] || die "$*: wanted one line: $(cat err)"
    said err "$text"
    [ ! -s out ] || die "$*: stdout has $(cat out)"
}
expect 0 ranks 1 small.json --set network.width=0.5 --set network.downsampling=4 --set run.folder=wide
expect 0 "$report" record wide -o results
grep -q '| mobilenetv2 1.0, ds4, width 0.5 |.*| 2 | 1 | ' results/README.md || die "another network's name: $(cat results/README.md)"
# a run from before about.h5 was there
cp -r runs/other-seed0 older
mv older/about.h5 .
expect 0 "$report" record older -o results
grep '^| \[older\]' results/README.md | sed 's/older/other-seed0/g; s/| not recorded |$//' >one
grep '^| \[other-seed0\]' results/README.md | sed 's/| `mbtrain .*` |$//' |
    sed -E 's/ \| [^|]*, (x86-64|avx2|avx512|avx512_bf16) \| / | not recorded | /' >two
same one two
cp results/README.md before
fails_report 4 'has done 1 of 2 epochs' record begun -o results
same before results/README.md
[ ! -e results/begun.csv ] || die "half an entry"
cp -r runs/small-seed0 'a name'
fails_report 4 'got the name "a name", wanted one that can be a link' record 'a name' -o results
mkdir bare
fails_report 4 'README.md' record runs/small-seed0 -o bare
[ -z "$(ls bare)" ] || die "half an entry in a folder that has no table"

# ---- the analysis that is documented ----
cd runs/small-seed0
awk '/^```python/ { on = 1; next } /^```/ { on = 0 } on' "$source/src/report/README.md" >../../analysis.py
awk '/^```sh/ { on = 1; next } /^```/ { on = 0 } on' "$source/src/report/README.md" >../../analysis.sh
[ "$(wc -l <../../analysis.py)" = 10 ] || die "the analysis has $(wc -l <../../analysis.py) lines"
"$python" ../../analysis.py >../../analysis || die "the documented analysis"
sh -e ../../analysis.sh >>../../analysis || die "the documented h5dump"
cd ../..
said analysis 'worst class '
said analysis ' taken for '
said analysis '/metrics/images_per_s'

# ---- bad input ----
fails_report 4 'run none: No such file' table job.json none
fails_report 4 'runs/small-seed0 and runs/small-seed0: both have seed 0' table job.json runs/small-seed0 runs/small-seed0
sed 's/"seeds": \[0\]/"seeds": [0], "runs": ["runs\/gone"]/' job.json >gone.json
sed 's/"seeds": \[0\]/"seeds": [3, 4, 3]/' job.json >twice.json
fails_report 4 'twice.json: rows.1.seeds.2: got 3 a second time' rows twice.json
fails_report 1 'is there and no regular file, so is not replaced' rows job.json -o /dev/null
fails_report 4 'rows.1.runs.0: got runs/gone, where there is no run' table gone.json
expect 0 ranks 1 small.json --set schedule.lr=0.2 --set run.folder=unlike
fails_report 4 'nearest is "MobileNetV2 | 0.25", which differs in schedule.lr' table job.json unlike
fails_report 4 'another network (mobilenetv2 and igcv3d)' compare runs/small-seed0 runs/other-seed0
expect 0 ranks 1 small.json --set network.downsampling=4 --set train.epochs=1 --set run.folder=fine
fails_report 4 'parameters, ' compare runs/small-seed0 fine
if grep -qw avx512_bf16 /proc/cpuinfo; then # kernels change no result of a row, but what they multiply in does
    sed 's/"evaluate"/"plan": { "arithmetic": "auto" }, &/' small.json >auto.json
    sed 's/small.json/auto.json/' job.json >auto_job.json
    expect 0 ranks 1 auto.json --set train.seed=0 --set run.folder=first
    expect 0 ranks 1 auto.json --set train.seed=1 --set plan.kernels=avx512 --set run.folder=second
    fails_report 4 'run second: multiplied in fp32, others of its row in bf16' table auto_job.json first second
fi
fails_report 4 'config.json' html runs -o half.html
[ ! -e half.html ] || die "half a page"
cp -r runs/small-seed0 damaged
printf 'x' | dd of=damaged/metrics.h5 bs=1 seek=2000 conv=notrunc status=none
fails_report 4 'damaged/metrics.h5' plot loss damaged -o half.svg
[ ! -e half.svg ] || die "half a drawing"
fails_report 2 'wanted accuracy, loss or rate' plot speed unlike -o a.svg
fails_report 2 'ends in .svg or .png' plot loss unlike -o a.jpg
fails_report 2 'wanted -o FILE' html unlike
fails_report 2 'wanted -o FILE' table job.json --format hdf5
fails_report 2 "got 'xml'" table job.json --format xml
fails_report 2 'compare: wanted two runs' compare unlike
fails_report 2 'plot takes no --format' plot loss unlike --format csv -o a.svg
echo "$name: all as wanted"
