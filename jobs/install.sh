#!/bin/sh
# Installs the Debian 12 packages that mbtrain needs, and only those that are missing. This is the
# one list of them.
# Usage: jobs/install.sh [--tests | --slurm]     --tests: also what the tests need; --slurm: and the
# tests on a SLURM cluster
# Silent when nothing is missing. Without root or sudo it names the packages and ends with 1.
set -eu

build="gcc libc6-dev cmake ninja-build pkg-config openmpi-bin libopenmpi-dev libhdf5-dev libdnnl-dev
libcjson-dev libarchive-dev libxxhash-dev librandom123-dev libhwloc-dev libturbojpeg0-dev libpng-dev
libisal-dev libprotobuf-c-dev protobuf-c-compiler librsvg2-dev fonts-dejavu-core"
tests="qemu-user libcmocka-dev hdf5-tools python3-h5py python3-numpy python3-pil python3-torch chromium shellcheck
clang libclang-rt-14-dev llvm libomp-dev"

slurm="slurmctld slurmd slurm-client munge iproute2 procps"

case "${1-}" in
'') packages=$build ;;
--tests) packages="$build $tests" ;;
--slurm) packages="$build $tests $slurm" ;;
*)
    echo "usage: jobs/install.sh [--tests | --slurm]" >&2
    exit 2
    ;;
esac

# Of a package that is there for several architectures, this one's counts.
list_missing() {
    native=$(dpkg --print-architecture)
    for package in $packages; do
        dpkg-query -W -f '${db:Status-Status} ${Architecture}\n' "$package" 2>/dev/null |
            grep -Eqx "installed (all|$native)" || printf ' %s' "$package"
    done
}

if ! command -v dpkg-query >/dev/null; then
    echo "install.sh: this system has no dpkg, so nothing can be looked up or installed." >&2
    echo "What mbtrain needs, by Debian 12's names: $packages" | tr '\n' ' ' >&2
    echo >&2
    exit 1
fi

missing=$(list_missing)
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
elif command -v sudo >/dev/null && [ -t 0 ]; then
    as_root=sudo # may ask for a password
else
    echo "install.sh: these packages are missing, and neither root nor sudo is at hand:$missing" >&2
    echo "Have them installed with: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

apt() {
    # $as_root is a command with its option, or nothing.
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2
}

echo "installing:$missing" >&2
apt update || echo "install.sh: apt-get update failed; trying with the lists that are there" >&2
# shellcheck disable=SC2086 # $missing is a list of words
if ! apt install --no-install-recommends $missing; then
    echo "install.sh: apt-get could not install:$missing" >&2
    exit 1
fi
missing=$(list_missing)
if [ -n "$missing" ]; then
    echo "install.sh: still missing after apt-get install:$missing" >&2
    exit 1
fi
