#!/bin/sh
# Ranks on two busy nodes start COUNT times, with the barrier that slurm/train.sbatch chooses: none may
# crash. By tree some in a hundred do.
# Usage, by cluster.sh: starts.sh FOLDER-OF-PROGRAMS [COUNT (40) [ring|tree|mixed]]
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
count=${2:-40}
[ -z "${3-}" ] || export SLURM_PMIX_FENCE="$3"
prepare
line=$(grep '^export SLURM_PMIX_FENCE=' slurm/train.sbatch) || die 'train.sbatch chooses no barrier'
eval "$line"

busy=
for _ in 1 2 3; do
    sh -c 'while :; do :; done' &
    busy="$busy $!"
done
bad=0
for _ in $(seq "$count"); do
    srun --quiet --mpi=pmix --nodes=2 --ntasks=6 build/bin/mbtrain check small.json >out 2>&1 || {
        bad=$((bad + 1))
        cat out >&2
    }
done
# shellcheck disable=SC2086 # words
kill $busy
echo "starts=$count crashed=$bad fence=$SLURM_PMIX_FENCE"
[ "$bad" = 0 ]
