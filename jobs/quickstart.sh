#!/bin/sh
# From a fresh clone to a trained network: installs what is missing, builds, draws the synthetic data
# set, trains a small network on two ranks, and ends with its metrics and the path of its checkpoint.
# Usage: jobs/quickstart.sh [mbtrain options]
# A second call skips what is done and trains again; the run before it is moved aside by --force.
set -eu
cd "$(dirname "$0")/.."
data=build/quickstart/synth.h5

jobs/install.sh
jobs/build.sh release
. jobs/environment.sh
if [ ! -e "$data" ]; then
    mkdir -p "$(dirname "$data")"
    build/bin/mbt-data synth -o "$data"
fi
# Two ranks even where there is one core; and not bound, as others may be bound to the same cores.
exec mpirun --oversubscribe --bind-to none -n 2 \
    build/bin/mbtrain configs/quickstart.json --force "$@"
