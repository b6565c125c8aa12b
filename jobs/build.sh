#!/bin/sh
# Configures and builds one preset of CMakePresets.json, saying little while all goes well.
# Usage: jobs/build.sh PRESET     (release: programs in build/; dev: with tests in build-dev/)
set -eu
cd "$(dirname "$0")/.."
preset=${1:?usage: jobs/build.sh PRESET}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
    "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        exit 1
    }
}

quietly cmake --preset "$preset"
if [ -t 1 ]; then
    cmake --build --preset "$preset"
else
    quietly cmake --build --preset "$preset"
fi
