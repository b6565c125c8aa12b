#!/bin/sh
# The kernel tests on an emulated processor, after showing that it dies of what it lacks.
# Usage: emulated.sh Haswell|Nehalem TEST_KERNELS BEYOND
set -eu
cpu=$1 kernels=$2 beyond=$3
export OMP_NUM_THREADS=1

die() {
    echo "emulated, $cpu: $*" >&2
    exit 1
}

# The emulator warns of what it leaves out of a processor; nothing here uses that.
emulated() { qemu-x86_64 -cpu "$cpu" "$@"; }

case $cpu in
Haswell) level=avx2 runs='x86-64 avx2' lacks=avx512 ;;
Nehalem) level=x86-64 runs=x86-64 lacks='avx2 avx512' ;;
*) die "no such processor here" ;;
esac
for set in $runs; do
    emulated "$beyond" "$set" || die "kernels of level $set do not run"
done
killed=132 # SIGILL
for set in $lacks; do
    code=0
    emulated "$beyond" "$set" 2>/dev/null || code=$?
    [ "$code" = "$killed" ] ||
        die "a kernel of level $set ended with $code, wanted $killed: a stray instruction would not show"
done

out=$(mktemp)
trap 'rm -f "$out"' EXIT
emulated "$kernels" 12 >"$out" 2>&1 || die "the kernel tests fail: $(cat "$out")"
grep -q "beyond this processor ($level)" "$out" || die "not the rows of $level: $(cat "$out")"
