#!/bin/sh
# HDF5 is entered by one thread at a time, however long a save takes: an epoch may end, and its
# predictions be written, while the checkpoint before is still on its way.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
library=$(dirname "${2:?usage: $0 FOLDER-OF-PROGRAMS LIBRARY-BESIDE-THAT-OF-one_thread.c}")/libone_thread.so
prepare

# LD_PRELOAD takes blanks for separators: a copy where there are none.
cp "$library" one_thread.so
expect 0 env LD_PRELOAD="$top/one_thread.so" MBT_STAY_MS=700 "$train" small.json \
    --set run.folder=slow --set checkpoint.every_steps=2
said err "saves: "
expect 0 "$ckpt" verify slow
expect 0 ranks 1 small.json --set run.folder=quick
[ "$(digest slow)" = "$(digest quick)" ] || die "a slow disk changes what is trained"
echo "$name: all as wanted"
