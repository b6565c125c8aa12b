#!/bin/sh
# A file that store wrote, seen by h5dump and h5py, and twice the same bytes from two processes.
# Arguments: make_store, read_store.py, h5dump, python3.
set -eu
make=$1 reader=$2 h5dump=$3 python=$4
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
die() { echo "test_store_readers: $*" >&2; exit 1; }

digest=$("$make" "$top/a.h5")
[ ${#digest} = 32 ] || die "digest '$digest'"
[ "$("$make" "$top/b.h5")" = "$digest" ] || die "another digest the second time"
cmp "$top/a.h5" "$top/b.h5" || die "other bytes the second time"
[ "$(head -c 51 "$top/a.h5")" = "MBTRAIN 1
XXH3-128 $digest" ] || die "user block: $(head -c 100 "$top/a.h5")"

"$h5dump" "$top/a.h5" >"$top/dump" 2>"$top/err" || die "h5dump: $(cat "$top/err")"
[ ! -s "$top/err" ] || die "h5dump complains: $(cat "$top/err")"
for text in 'DATASET "conv.weight"' '(1,0): 3, 4.5, -5' 'DATASET "step"' '(0): 1234567890123' \
    '(0): "cat", "J' '(0): 0.1, -2, 1e+300' '(0): 7'; do
    grep -qF -- "$text" "$top/dump" || die "h5dump does not show $text"
done
"$python" "$reader" "$top/a.h5" || die "h5py reads something else"
