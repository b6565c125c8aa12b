#!/bin/sh
# Fuzzes one reader for some seconds, from where the last campaign stopped, and adds a line to its
# counts. Ends with 1 when a finding is open: anything but a crash inside the HDF5 library that the
# programs report as a bad file.
# Usage: tests/fuzz/campaign.sh config|dataset|checkpoint SECONDS [FOLDER]
# FOLDER keeps corpus, findings and counts.csv; without it they are kept in build-fuzz/campaign, and counted
# in tests/campaign/counts.csv. MBT_FUZZ_BUILD: the build; MBT_FUZZ_SEED: libFuzzer's seed.
set -eu
reader=${1:?usage: campaign.sh config|dataset|checkpoint SECONDS [FOLDER]}
seconds=${2:?usage: campaign.sh READER SECONDS [FOLDER]}
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${MBT_FUZZ_BUILD:-$top/build-fuzz}
folder=${3:-$build/campaign}
counts=${3:-$top/tests/campaign}/counts.csv
seed=${MBT_FUZZ_SEED:-$(($(date +%s) % 2147483648))}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
corpus=$folder/$reader/corpus
found=$folder/$reader/found
mkdir -p "$corpus" "$found"
work=$(mktemp -d -p /dev/shm) # thousands of files a second
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"

(cd "$top" && cmake --preset fuzz >"$work/log" 2>&1 && cmake --build --preset fuzz >"$work/log" 2>&1) || {
    cat "$work/log" >&2
    exit 1
}
export OMP_NUM_THREADS=1
# The library keeps memory to the end, and after errors.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
# The fuzzer starts others of its kind by way of a shell and quotes nothing: no name has a blank.
fuzzer=$work/fuzz_$reader
ln -s "$build/tests/fuzz/fuzz_$reader" "$fuzzer"

# HDF5 without our user block, as it is and in the oldest format, which has no checksums on its way.
add_hdf5() { # FILE NAME
    tail -c +513 "$1" >"$corpus/seed-$2"
    /usr/bin/python3 "$top/tests/fuzz/oldest.py" "$corpus/seed-$2" "$work/oldest"
    mv "$work/oldest" "$corpus/seed-$2-old"
}
case $reader in # seeds that an older corpus lacks are new to it
config) cp "$top"/configs/*.json "$corpus" ;;
dataset)
    "$build/tests/fuzz/seed_dataset" "$work/pixels.h5" "$work/encoded.h5"
    add_hdf5 "$work/pixels.h5" dataset
    add_hdf5 "$work/encoded.h5" encoded
    ;;
checkpoint)
    "$build/tests/fuzz/seed_checkpoint" "$work" 7 >/dev/null
    add_hdf5 "$work/step-0000000007.h5" checkpoint
    ;;
esac

# A process of the fuzzer that crashes is replaced; what crashed it is judged below.
limits="-timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=1024"
ln -s "$folder/$reader" "$work/state"
# shellcheck disable=SC2086 # options
"$fuzzer" -fork=1 -seed="$seed" -ignore_crashes=1 -ignore_ooms=1 -ignore_timeouts=1 $limits -max_len=65536 \
    -max_total_time="$seconds" -artifact_prefix="$work/state/found/" "$work/state/corpus" >"$work/out" 2>&1 || true
runs=$(sed -n 's/^#\([0-9]*\): cov:.*/\1/p' "$work/out" | tail -n 1)
edges=$(sed -n 's/^#[0-9]*: cov: \([0-9]*\).*/\1/p' "$work/out" | tail -n 1)
[ "${runs:-0}" -gt 0 ] || {
    cat "$work/out" >&2
    exit 1
}

# handled FILE: it crashes no more (a timeout, say, of a machine that stood still), or the crash is
# HDF5's own, and the program that reads such files says so with code 4.
handled() {
    # Here an allocation beyond the limit is an error where it is asked for, before it fills memory.
    # shellcheck disable=SC2086 # options
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0:max_allocation_size_mb=1024 \
        FUZZ_KEEP=$work/kept "$fuzzer" $limits "$1" >"$work/crash" 2>&1 && return 0
    case $reader in
    dataset) program=mbt-data ;;
    checkpoint) program=mbt-ckpt ;;
    *) return 1 ;;
    esac
    code=0
    # The innermost frame that is neither the sanitizer's nor the C library's.
    grep -E "^ +#[0-9]+ .*(libhdf5|$top/(src|tests)/)" "$work/crash" | grep -Fv "compiler-rt" | head -n 1 |
        grep -q libhdf5 || return 1
    "$build/bin/$program" verify "$work/kept" >/dev/null 2>&1 || code=$?
    [ "$code" = 4 ]
}
library=0 open=0
for file in "$found"/*; do
    [ -e "$file" ] || continue
    if handled "$file"; then
        library=$((library + 1))
    else
        open=$((open + 1))
        echo "$file: an open finding; $build/tests/fuzz/fuzz_$reader $file shows it" >&2
    fi
done

result=passed
[ "$open" = 0 ] || result=failed
"$top/tests/campaign/count.sh" "$counts" "fuzz_$reader" "$seed" "$seconds" "$build/bin/mbt-data" "$result" \
    "runs=$runs edges=$edges corpus=$(find "$corpus" -type f | wc -l) crashes_of_hdf5_handled=$library open=$open"
[ "$open" = 0 ]
