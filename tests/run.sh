#!/bin/sh
# Installs what is missing, builds, and runs all tests but the long ones (labels paper and bench).
# Usage: tests/run.sh [ctest options], for example: tests/run.sh -L mpi, tests/run.sh -R sampler
# Ends with ctest's summary and its exit code.
set -eu
cd "$(dirname "$0")/.."

jobs/install.sh --tests
. jobs/environment.sh
jobs/build.sh dev
exec ctest --preset dev --parallel "${CTEST_PARALLEL_LEVEL:-$(nproc)}" "$@"
