#!/bin/sh
# mbt-data import folder from the outside: what is stored, what is refused, and that nothing is left
# half-written. Arguments: mbt-data, a python3 with Pillow and h5py.
set -eu
data=$1 python=$2
here=$(cd "$(dirname "$0")" && pwd)
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
cd "$top"

die() { echo "test_folder: $*" >&2; exit 1; }
expect() { # CODE ARGUMENTS...
    code=$1; shift
    got=0; "$data" "$@" >out 2>err || got=$?
    [ "$got" = "$code" ] || die "$*: exit code $got, wanted $code: $(cat err)"
}
said() { grep -qF -- "$2" "$1" || die "$1 lacks '$2': $(cat "$1")"; }
# refused CODE TEXT ARGUMENTS...: one line with the text, and no file
refused() {
    code=$1 text=$2; shift 2
    expect "$code" import folder "$@" -o no.h5
    [ "$(wc -l <err)" = 1 ] || die "$*: on stderr: $(cat err)"
    said err "$text"
    for left in no.h5 .no.h5*; do [ ! -e "$left" ] || die "$*: left $left"; done
}
tree() { rm -rf bad; cp -R good bad; } # a fresh one to spoil
pillow() { "$python" -c "from PIL import Image
$1"; }

"$python" "$here/make_tree.py" good 3 6 2
expect 0 import folder good/train good/test -o tree.h5
said out "tree, 18 + 6 images encoded, up to "
"$python" "$here/read_tree.py" tree.h5 good
expect 0 info tree.h5
said out "name: tree"
said out "source: folders good/train and good/test, images as they are, 0 left out"
grep -Eq '^ +2 class2 +6 train +2 test$' out || die "info: $(cat out)"
expect 0 verify tree.h5
said out "tree.h5: whole"
cp -R good again
expect 0 import folder again/train again/test -o again.h5 --name tree
[ "$("$data" info tree.h5 | sed -n 's/^digest/x/p')" = "$("$data" info again.h5 | sed -n 's/^digest/x/p')" ] ||
    die "the same images have another digest"

# shrunk, squares, names
expect 0 import folder good/train good/test -o small.h5 --resize 24 --quality 80 --name "a name"
said out "a name, 18 + 6 images encoded"
expect 0 verify small.h5
expect 0 info small.h5
said out "images short side at most 24, JPEG quality 80"
"$python" -c "import h5py; s = h5py.File('small.h5')['train/sizes'][:]; assert (s.min(1) == 24).all(), s" || die "not shrunk"
[ "$(wc -c <small.h5)" -lt "$(wc -c <tree.h5)" ] || die "shrinking made it larger"
expect 0 import folder good/train good/test -o squares.h5 --square 16
said out "squares, 18 + 6 images 16x16x3"
expect 0 verify squares.h5

# CMYK becomes RGB when it is imported; a name's ending means nothing
tree
pillow "Image.open('bad/train/class0/001.png').convert('RGB').convert('CMYK').save('bad/train/class0/cmyk.jpg')
Image.open('bad/train/class0/001.png').save('bad/train/class0/a-png.jpg', 'PNG')"
expect 0 import folder bad/train bad/test -o cmyk.h5
said out "cmyk, 20 + 6 images"
expect 0 verify cmyk.h5
"$python" -c "
import h5py, io; from PIL import Image
f = h5py.File('cmyk.h5')['train']; d = f['bytes/00000'][:].tobytes(); o = f['offsets'][:]
modes = {Image.open(io.BytesIO(d[o[i]:o[i + 1]])).mode for i in range(20)}
assert 'CMYK' not in modes, modes" || die "CMYK was stored"

# a sampling of the colours that has no name, 4x2 of the brightness to one of each colour
tree; base64 -d >bad/train/class0/sampled.jpg <<'END'
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19iZ2hnPk1xeX
BkeFxlZ2P/2wBDARESEhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2P/wAARCAAU
ABgDAUIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAABQD/xAAiEAEAAAQFBQAAAAAAAAAAAAAAAQMFUhRDgqHBBCIjQWH/xAAWAQEBAQAAAA
AAAAAAAAAAAAAEAwX/xAAeEQABBAEFAAAAAAAAAAAAAAAAAQMEEjIhMUFx8P/aAAwDAQACEQMRAD8AYG1fJ1cDUSxU6/aA2r9VO8Pfd6h8G4qd
ftBIsNLUTGnt0XRd/cjw2r5OrgakkiGMTHjYL2f/2Q==
END
expect 0 import folder bad/train bad/test -o sampled.h5
said out "sampled, 19 + 6 images"

# bad headers (12 bits a sample, an end behind the frame's header) do not spoil the images behind them
tree; "$python" - <<'PY'
good = open("good/train/class0/000.jpg", "rb").read()
frame = good.index(b"\xff\xc0")
open("bad/train/class0/00-deep.jpg", "wb").write(good[: frame + 4] + b"\x0c" + good[frame + 5 :])
open("bad/train/class0/00-cut.jpg", "wb").write(good[: frame + 19])
PY
expect 0 import folder bad/train bad/test -o behind.h5 --skip-bad
said out "behind, 18 + 6 images"
[ "$(grep -c 'left out' err)" = 2 ] || die "other images are left out: $(cat err)"

# more scans than any picture needs
tree; pillow "import io
to = io.BytesIO(); Image.open('good/train/class0/001.png').convert('RGB').save(to, 'JPEG', progressive=True)
all = to.getvalue(); last = all.rindex(b'\xff\xda')
open('bad/train/class0/scans.jpg', 'wb').write(all[:last] + 501 * all[last:-2] + all[-2:])"
refused 4 'bad/train/class0/scans.jpg: JPEG: ' bad/train bad/test
grep -q 'scans' err || die "endless scans: $(cat err)"

# files that are no image, cut, empty, too large
tree; echo "no image" >bad/train/class1/note.txt
refused 4 'bad/train/class1/note.txt: got 9 bytes that are neither JPEG nor PNG' bad/train bad/test
expect 0 import folder bad/train bad/test -o skip.h5 --skip-bad
said err "mbt-data: left out: bad/train/class1/note.txt: got 9 bytes"
said out "skip, 18 + 6 images"
tree; : >bad/test/class0/empty.png
refused 4 'bad/test/class0/empty.png: got 0 bytes' bad/train bad/test
for file in class0/000.jpg class0/001.png class0/002.JPEG class0/003.jpg; do
    for bytes in 30 700; do
        tree; head -c "$bytes" "good/train/$file" >"bad/train/$file"
        refused 4 "bad/train/$file: " bad/train bad/test
    done
    tree; head -c $(($(wc -c <"good/train/$file") - 40)) "good/train/$file" >"bad/train/$file"
    refused 4 "bad/train/$file: " bad/train bad/test
done
tree; pillow "Image.new('L', (16385, 1)).save('bad/train/class0/wide.png')"
refused 4 'bad/train/class0/wide.png: got a PNG of 16385 x 1 pixels, wanted sides up to 16384' bad/train bad/test
tree; head -c 20 good/train/class0/000.jpg >bad/train/class0/000.jpg
refused 4 'bad/train/class0/000.jpg: JPEG: got 20 bytes, which end before the picture begins' bad/train bad/test
tree; chmod 000 bad/train/class2/000.JPEG
[ "$(id -u)" = 0 ] || refused 4 'bad/train/class2/000.JPEG: ' bad/train bad/test
tree; ln -sf nowhere bad/train/class2/000.JPEG # not even root reads that
refused 4 'bad/train/class2/000.JPEG: ' bad/train bad/test

expect 2 import folder good/train good/test -o no.h5 --square 16 --quality 50
said err "--quality, which is --resize's alone"
expect 2 import cifar10 good -o no.h5 --name a
said err 'an option that belongs to import folder'

# the shape of the trees
tree; rm -r bad/test/class1
refused 4 'bad/train: has 3 classes, bad/test has 2: "class1" is missing from bad/test' bad/train bad/test
tree; mkdir bad/test/class9; cp good/test/class0/000.jpg bad/test/class9
refused 4 'bad/train: has 3 classes, bad/test has 4: "class9" is missing from bad/train' bad/train bad/test
tree; mv bad/test/class1 bad/test/klass1
refused 4 '"class1" is missing from bad/test' bad/train bad/test
tree; rm bad/train/class1/*
refused 4 'bad/train/class1: the class has no images' bad/train bad/test
tree; for file in bad/train/class1/*; do echo none >"$file"; done
refused 4 'bad/train/class1/' bad/train bad/test
expect 4 import folder bad/train bad/test -o no.h5 --skip-bad
said err 'bad/train/class1: no image of the class could be read'
[ ! -e no.h5 ] || die "--skip-bad left a file"
tree; mkdir bad/train/class0/inner
refused 4 'bad/train/class0/inner: got a folder, wanted images' bad/train bad/test
tree; cp good/train/class0/000.jpg bad/train
refused 4 'bad/train/000.jpg: got a file, wanted one folder for each class' bad/train bad/test
tree # a class's name is looked at before any image
long=$(printf '%064d' 0)
mv bad/train/class0 "bad/train/$long"; mv bad/test/class0 "bad/test/$long"; echo no >"bad/train/$long/000.jpg"
refused 4 "bad/train: class name 0: got \"$long\", wanted 1 .. 63 bytes" bad/train bad/test
refused 4 "bad/train: class name 0: got \"$long\", wanted 1 .. 63 bytes" bad/train bad/test --square 16
mkdir nothing
refused 4 'nothing: got 0 folders of classes, wanted 2 .. 1000' nothing good/test
refused 4 'none: cannot open the folder' none good/test
refused 4 'tree.h5: cannot open the folder' tree.h5 good/test

# an existing file stays as it was
cp tree.h5 kept.h5
tree; echo no >bad/test/class2/no
expect 4 import folder bad/train bad/test -o kept.h5
cmp tree.h5 kept.h5 || die "a failed import changed its target"
[ "$(find . -maxdepth 1 -name '.kept*')" = "" ] || die "a temporary file is left"

# damage in what was made
size=$(wc -c <tree.h5)
for at in 3000 $((size / 2)); do
    cp tree.h5 hurt.h5
    printf '\125\252\125' | dd of=hurt.h5 bs=1 seek="$at" conv=notrunc status=none
    expect 4 verify hurt.h5
    said err "hurt.h5: damaged"
done

spoilt() { # KIND TEXT
    cp tree.h5 spoilt.h5
    "$python" "$here/spoil_tree.py" spoilt.h5 "$1"
    expect 4 info spoilt.h5
    [ "$(wc -l <err)" = 1 ] || die "$1: on stderr: $(cat err)"
    said err "spoilt.h5: $2"
}
spoilt offsets-fall '/train/offsets: sample 3: got bytes '
spoilt offsets-far-apart '/train/offsets: sample 2: got bytes '
spoilt offsets-from-1 '/train/offsets: sample 0: got'
spoilt offsets-short '/train/labels: got i32 [18], wanted i32 [17]'
spoilt offsets-end-early '/train/bytes/00000: its '
spoilt huge-sample '/train/offsets: sample 17: got bytes '
spoilt no-pixels '/train/sizes: sample 2: got 0 x '
spoilt huge-picture '/train/sizes: sample 2: got 16384 x 16384 pixels'
spoilt other-size 'samples: got digest'
spoilt short-sums '/train/sums: got i64 [17], wanted i64 [18]'
spoilt label '/train/labels: sample 1: got label 3, wanted 0 .. 2'
spoilt no-shard '/train/bytes/00000: not in the file'
spoilt chunked-shard '/train/bytes/00000: wanted contiguous u8 [N]'
spoilt short-shard '/train/bytes/00000: its '
spoilt external-shard '/train/bytes/00000: got a link of kind "external", wanted hard links only'
spoilt schema-3 'schema: got version 3, wanted 1 or 2'

# stopped in the middle: the old file stays, nothing is left beside it
cp -R good many
"$python" -c "import os
for k in range(60000):
    os.link('good/train/class0/000.jpg', f'many/train/class{k % 3}/again{k}.jpg')"
cp tree.h5 many.h5
"$data" import folder many/train many/test -o many.h5 >out 2>err &
waited=0
until [ -n "$(find . -maxdepth 1 -name '.many.h5.tmp-*' -size +100k)" ]; do
    [ $((waited += 1)) -lt 100 ] || die "no import is under way: $(cat out err)"
    sleep 0.1
done
kill -TERM $!
code=0; wait $! || code=$?
[ "$code" = 1 ] || die "stopped: exit code $code: $(cat out err)"
said err "many/train: stopped by signal 15 (Terminated), nothing is written"
cmp tree.h5 many.h5 || die "a stopped import changed its output"
[ -z "$(find . -maxdepth 1 -name '.many*')" ] || die "left behind: $(find . -maxdepth 1 -name '.many*')"

# usage
for wrong in "good/train" "good/train good/test more" "good/train good/test --square 8 --resize 8" \
    "good/train good/test --square 0" "good/train good/test --square 2000" "good/train good/test --quality 101" \
    "good/train good/test --subset" "good/train good/test --train 5"; do
    # shellcheck disable=SC2086 # words
    refused 2 '' $wrong
done
expect 2 import cifar10 . -o no.h5 --resize 8
