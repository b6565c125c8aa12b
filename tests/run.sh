#!/bin/sh
# Installs what is missing, builds, and runs all tests but the long ones (label bench).
# Usage: tests/run.sh [--slurm] [ctest options], for example: tests/run.sh -L mpi, tests/run.sh -R sampler
#   --slurm: then also those on a SLURM cluster; installs SLURM, and needs root
# Ends with ctest's summary and its exit code.
set -eu
cd "$(dirname "$0")/.."

needs=--tests
if [ "${1-}" = --slurm ]; then
    needs=--slurm
    shift
    [ "$(id -u)" = 0 ] || {
        echo "tests/run.sh: --slurm starts SLURM's daemons in namespaces of their own: it needs root" >&2
        exit 1
    }
fi
jobs/install.sh "$needs"
. jobs/environment.sh
jobs/build.sh dev
# OMP_NUM_THREADS, which is 1 by now, would be nproc's answer.
parallel=${CTEST_PARALLEL_LEVEL:-$(env -u OMP_NUM_THREADS nproc)}
ctest --preset dev --parallel "$parallel" "$@"
if [ "$needs" = --slurm ]; then
    # One at a time: schedulers miss nodes that are merely busy.
    ctest --preset slurm
fi
