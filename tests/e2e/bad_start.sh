#!/bin/sh
# Started wrongly: usage errors, and a launcher whose copies do not know each other. Code 2, one line.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare

for n in 1 3; do
    fails 2 "$n" 'train: got 0 arguments, wanted one' # nothing at all
    fails 2 "$n" 'resume: got 0 arguments, wanted one' resume
    fails 2 "$n" 'eval: got 2 arguments, wanted one' eval a b
    fails 2 "$n" 'resum: unknown verb (nearest: resume)' resum run
    fails 2 "$n" '--frce: unknown option' --frce small.json
    said err '(nearest: --force)'
    fails 2 "$n" '--set: wants a value' small.json --set
    fails 2 "$n" '--max-hours: got "soon", wanted hours above 0' small.json --max-hours soon
    fails 2 "$n" '--steps: got "0", wanted a whole number from 1' bench small.json --steps 0
    fails 2 "$n" '--steps: has no meaning for mbtrain train' small.json --steps 3
    fails 2 "$n" '--force: has no meaning for mbtrain resume' resume run --force
    fails 2 "$n" '--max-hours: has no meaning for mbtrain eval' eval run --max-hours 1
    fails 2 "$n" '--resume: got "yes", wanted auto' small.json --resume=yes
    fails 2 "$n" '--force, --resume=auto: got both' small.json --resume=auto --force
    fails 2 "$n" '-x: unknown option' small.json -x
    fails 2 "$n" '-n: unknown option' -np 4 small.json # meant for mpirun
done
[ ! -e runs ] || die "a run folder was made"

# Four copies that mpirun of another MPI, or srun without PMIx, has started: rank 0 alone speaks.
# alone RANK CODE VARIABLES...
alone() {
    rank=$1 wanted=$2
    shift 2
    expect "$wanted" env "$@" timeout -k 5 "$patience" "$train" small.json --set run.folder="run-$rank"
    [ "$wanted" = 0 ] || [ ! -e "run-$rank" ] || die "a run folder was made"
}
slurm() { # RANK CODE [VARIABLES...]
    rank=$1 wanted=$2
    shift 2
    alone "$rank" "$wanted" SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=4 \
        SLURM_PROCID="$rank" "$@"
}
alone 0 2 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=0
[ "$(wc -l <err)" = 1 ] || die "wanted one line: $(cat err)"
said err 'error: mpirun started 4 copies that do not know each other, wanted one job of 4 ranks'
alone 2 2 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=2
[ ! -s err ] || die "another copy says it as well: $(cat err)"
slurm 0 2
[ "$(wc -l <err)" = 1 ] || die "wanted one line: $(cat err)"
said err 'error: srun started 4 copies that do not know each other, wanted one job of 4 ranks'
said err 'srun --mpi=pmix'
slurm 3 2
[ ! -s err ] || die "another copy says it as well: $(cat err)"

# One copy is meant: as the variable says, in the batch script itself, or with a single task.
slurm 0 0 MBTRAIN_ALLOW_SINGLETON=1
alone 5 0 SLURM_JOB_ID=7 SLURM_STEP_ID=4294967291 SLURM_NTASKS=4
alone 6 0 SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_NTASKS=1 SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0

# Ranks whose libraries choose other kernels would give other bits.
expect 1 timeout -k 5 "$patience" mpirun --oversubscribe --bind-to none -n 1 "$train" small.json : \
    -n 2 env ONEDNN_MAX_CPU_ISA=SSE41 "$train" small.json
[ "$(grep -c '^error: ' err)" = 1 ] || die "wanted one error: $(cat err)"
grep -q '^error: rank 1: plan on .*: digest [0-9a-f]*, rank 0 has .*: the ranks run different libraries or processors' err ||
    die "which rank and why: $(cat err)"
[ ! -e runs ] || die "a run folder was made"

# Two ranks on one core: one warning, with the map.
core=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
expect 0 timeout -k 5 "$patience" mpirun --oversubscribe --bind-to none -n 2 taskset -c "$core" "$train" small.json \
    --set train.max_steps=1 --set run.folder=bound
[ "$(grep -c '^warning: badly bound: 2 threads share 1 core of ' raw)" = 1 ] || die "no warning, or more: $(cat raw)"
grep -A 1 '^warning: badly bound' raw | grep -Eq '^  ranks 0-1: .*, cores [0-9]+$' || die "no map: $(cat raw)"

# --help and --version need no MPI, and one copy alone answers.
expect 0 ranks 3 --version
[ "$(grep -c '^mbtrain ' out)" = 1 ] || die "several copies answer: $(cat out)"
echo "$name: all as wanted"
