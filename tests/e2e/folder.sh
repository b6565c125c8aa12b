#!/bin/sh
# Networks of 224 x 224 on encoded images of any size: the same bits on any number of ranks, in memory
# and streamed, and after a resume; damage and configurations that do not fit; bench at the shape.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
python=${PYTHON:-/usr/bin/python3}
"$python" "$here/../import/make_tree.py" tree 3 8 2 200
"$bin/mbt-data" import folder tree/train tree/test -o tree.h5 >/dev/null
cat >small.json <<'END'
{
  "data": { "path": "tree.h5", "image_size": 224, "validation": 3 },
  "network": { "name": "mobilenetv2", "downsampling": 32, "width": 0.25, "dropout": 0.2 },
  "train": { "epochs": 1, "batch": 12, "bn_group": 4 },
  "schedule": { "lr": 0.05 },
  "augment": { "crop": "resized", "brightness": 0.2, "contrast": 0.2, "saturation": 0.2 }
}
END

# Two steps: of 12 and 9 samples, in four and three groups.
for pair in mobilenetv2:3 igcv3d:2; do
    network=${pair%:*}
    expect 0 ranks 1 small.json --set "network.name=$network" --set "run.folder=$network-1"
    unsaid err 'stay in the file'
    said err "from step 0 of 2"
    metrics "$network-1" >wanted.csv
    for n in $(seq 2 "${pair#*:}"); do
        expect 0 ranks "$n" small.json --set "network.name=$network" --set "run.folder=$network-$n" --set data.memory=1
        said err 'MiB of images stay in the file'
        [ "$(digest "$network-$n")" = "$(digest "$network-1")" ] || die "$network: other weights on $n ranks, streamed"
        metrics "$network-$n" >got.csv
        same wanted.csv got.csv
    done
    expect 0 ranks 2 small.json --set "network.name=$network" --set run.folder="half-$network" --set train.max_steps=1
    expect 0 ranks 1 resume "half-$network" --set train.max_steps=0 --set data.memory=1
    said err "from step 1 of 2 on 1 rank"
    [ "$(digest "half-$network")" = "$(digest "$network-1")" ] || die "$network: other weights after a resume"
    expect 0 ranks 1 bench small.json --set "network.name=$network" --steps 1 --json
    "$python" -c "import json; r = json.load(open('out')); assert r['images_per_s'] > 0, r" || die "bench: $(cat out)"
done
[ "$(digest mobilenetv2-1)" != "$(digest igcv3d-1)" ] || die "two networks end in one state"
for n in 1 3; do
    expect 0 ranks "$n" eval mobilenetv2-1 --set data.memory="$n"
    cp out "eval-$n"
done
same eval-1 eval-3
said out 'test              6 images'

# Its page shows what was mistaken, decoded and small.
expect 0 "$bin/mbt-report" html mobilenetv2-1 -o page.html
unsaid page.html 'Without images'
"$python" - <<'PY' || die "the page's images"
import base64, io, re
import h5py
import numpy
from PIL import Image

shown = re.findall('title="test image ([0-9]+)" src="data:image/png;base64,([^"]+)"', open("page.html").read())
assert shown, "no mistakes among images that two steps cannot have taught"
with h5py.File("tree.h5") as f:
    offsets, stored = f["test/offsets"][()], f["test/bytes/00000"][()]
for place, data in shown:
    got = numpy.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), numpy.float64)
    first, end = offsets[int(place)], offsets[int(place) + 1]
    whole = Image.open(io.BytesIO(stored[first:end].tobytes())).convert("RGB")
    side = min(whole.size)
    left, top = (whole.width - side) // 2, (whole.height - side) // 2
    wanted = whole.crop((left, top, left + side, top + side)).resize((96, 96), Image.BILINEAR)
    assert got.shape == (96, 96, 3) and abs(got - numpy.asarray(wanted, numpy.float64)).mean() < 4, place
PY

"$python" "$here/page.py" page.html 1 || die "the page of encoded images"

# Every crop and colour shift, streamed by 2 ranks, is that of 1 in memory.
common="small.json --set train.max_steps=1 --set augment.short_side=300 --set data.train_limit=12 --set data.validation=0 --set data.image_size=96"
# shellcheck disable=SC2086 # words
expect 0 ranks 1 $common --set run.folder=plain
for how in crop=scaled hsl_hue=36 hsl_saturation=50 hsl_lightness=50 mean=123.68,116.779,103.939 deviation=1,1,1; do
    # shellcheck disable=SC2086 # words
    set -- $common --set "augment.$how"
    expect 0 ranks 1 "$@" --set "run.folder=one-$how"
    expect 0 ranks 2 "$@" --set "run.folder=two-$how" --set data.memory=1
    [ "$(digest "one-$how")" = "$(digest "two-$how")" ] || die "$how: other weights on 2 ranks"
    [ "$(digest "one-$how")" != "$(digest plain)" ] || die "$how changes nothing"
done

# Nor does it matter who makes a group ready.
expect 0 ranks 1 small.json --set data.prefetch=false --set run.folder=alone
[ "$(digest alone)" = "$(digest mobilenetv2-1)" ] || die "other weights without the thread"

# Images of one size, cut and resized as well.
"$bin/mbt-data" import folder tree/train tree/test -o squares.h5 --square 64 >/dev/null
expect 0 ranks 2 small.json --set data.path=squares.h5 --set run.folder=squares --set data.image_size=96
expect 0 ranks 1 small.json --set data.path=squares.h5 --set run.folder=stored --set data.image_size=64 \
    --set augment.crop=pad
fails 3 1 'augment.crop: got pad, the images of squares are not of data.image_size, 96 x 96' small.json \
    --set data.path=squares.h5 --set data.image_size=96 --set augment.crop=pad --set run.folder=no
for n in 1 3; do
    fails 3 "$n" 'data.image_size: got 0, the images of tree have sizes of their own' small.json \
        --set data.image_size=0 --set augment.crop=pad --set run.folder=no
    fails 3 "$n" 'augment.mean: got 2 numbers, the images have 3 channels' small.json \
        --set augment.mean=1,2 --set run.folder=no
done
fails 3 1 'data.image_size: got 0, wanted the side' small.json --set data.image_size=0 --set run.folder=no
fails 3 1 'augment.scale_min: got 0.5, wanted at most augment.scale_max, 0.1' small.json \
    --set augment.scale_min=0.5 --set augment.scale_max=0.1 --set run.folder=no

# A damaged sample: found before the first step when all are read, and when it is its turn otherwise.
cp tree.h5 hurt.h5
"$python" -c "
import h5py
at = h5py.File('hurt.h5')['train/bytes/00000'].id.get_offset() + 5000
file = open('hurt.h5', 'r+b'); file.seek(at); file.write(b'\0\0\1')"
for n in 1 3; do
    fails 4 "$n" 'hurt.h5: train: sample 0: damaged: got sum ' small.json --set data.path=hurt.h5 --set run.folder=no
    [ ! -e no ] || die "a run folder was made"
    expect 4 ranks "$n" small.json --set data.path=hurt.h5 --set "run.folder=hurt-$n" --set data.memory=1 \
        --set data.validation=0
    grep -q 'rank [0-9] on .*: hurt.h5: train: sample 0: damaged: got sum ' raw || die "not said: $(cat raw)"
done
head -c 700000 tree.h5 >cut.h5
fails 4 1 'cut short: got 700000 bytes' small.json --set data.path=cut.h5 --set run.folder=no
echo "$name: all as wanted"
