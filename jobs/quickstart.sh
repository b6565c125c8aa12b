#!/bin/sh
# From a fresh clone to a trained network: installs what is missing, builds, draws the synthetic data
# set, trains a small network on two ranks, and ends with its metrics and the path of its checkpoint.
# Usage: jobs/quickstart.sh [mbtrain options]
# A second call skips what is done and trains again; the run before it is moved aside by --force.
set -eu
cd "$(dirname "$0")/.."
data=build/quickstart/synth.h5

jobs/install.sh || echo "quickstart.sh: going on; CMake names what it cannot do without" >&2
jobs/build.sh release
. jobs/environment.sh
if [ ! -e "$data" ]; then
    mkdir -p "$(dirname "$data")"
    build/bin/mbt-data synth -o "$data"
fi
# mpirun puts a pipe in the place of its ranks' stderr; on a terminal they are given the terminal
# itself, so that the progress bar can be drawn.
stderr=/dev/stderr
if [ -t 2 ] && terminal=$(tty <&2) && [ -w "$terminal" ]; then
    stderr=$terminal
fi
# Two ranks even where there is one core; and not bound, as others may be bound to the same cores.
# A session of its own keeps Ctrl-C from mpirun, which would end the ranks slowly and lose their exit
# code. It comes here instead: the ranks write a checkpoint and stop; a second one ends them as they are.
setsid mpirun --oversubscribe --bind-to none -n 2 sh -c 'exec "$@" 2>"$0"' "$stderr" \
    build/bin/mbtrain configs/quickstart.json --force "$@" &
ranks=$!
stop() {
    signalled=yes
    kill -USR1 "$ranks"
    trap 'signalled=yes; kill -TERM "$ranks"' INT TERM HUP
}
trap stop INT TERM HUP
while :; do
    signalled=
    code=0
    wait "$ranks" || code=$?
    [ -n "$signalled" ] || exit "$code" # a trapped signal ends `wait` early
done
