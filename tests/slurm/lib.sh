# shellcheck shell=sh
# What the scripts of this folder share, over what those of ../e2e do. They run on the login node of
# cluster.sh, in a folder that the nodes share, with the programs, slurm/ and a data set in it.
# shellcheck disable=SC2034 # variables here are for the scripts

export TMPDIR="${CLUSTER:?run this by cluster.sh}"
# Several ranks a core, of nodes that reach each other by TCP.
export OMPI_MCA_btl=self,vader,tcp OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
patience=60

mkdir -p build/bin
for program in mbtrain mbt-data mbt-ckpt mbt-report; do
    [ ! -e "$bin/$program" ] || cp "$bin/$program" build/bin/
done
cp -R "$here/../../slurm" .

# small_steps EPOCHS: small.json with three steps an epoch and a checkpoint after each.
small_steps() {
    prepare
    sed -i "s/\"epochs\": 2/\"epochs\": $1/; s/\"flip\": true/&, \"every_epochs\": 4/" small.json
    sed -i '$d' small.json
    cat >>small.json <<'END'
  , "checkpoint": { "every_steps": 1, "keep": 3 }
}
END
}
# endless_steps: small.json for jobs whose legs last until they are disturbed, however fast the machine
# and SLURM are: a leg ends at the step in the file `limit`, if there is one when it begins.
endless_steps() {
    small_steps 100000
    # shellcheck disable=SC2016 # for the node to expand
    printf '#!/bin/sh\nexec build/bin/mbtrain "$@" --set "train.max_steps=$(cat limit)"\n' >until_limit
    chmod +x until_limit
    export MBTRAIN=./until_limit
    echo 0 >limit
}
# last_leg RUN: the leg that is to begin is the last.
last_leg() {
    last_step=$(($(newest "$1") + 6))
    echo "$last_step" >limit
}
# shellcheck disable=SC2119,SC2120 # the options are for some scripts
# undisturbed [OPTIONS...]: what every run must come to: the run alone, its digest $wanted.
undisturbed() {
    lib_patience=$patience
    patience=600 # as long as all legs together
    expect 0 ranks 1 small.json --set run.folder=alone "$@"
    patience=$lib_patience
    wanted=$(digest alone)
}
# shellcheck disable=SC2119
prepare_steps() { # EPOCHS
    small_steps "$1"
    undisturbed
}

# A test that fails shows what the cluster and the jobs had to say.
die() {
    echo "$name: $*" >&2
    scontrol show job >&2 || true
    tail -n 40 mbtrain-*.log >&2 || true
    exit 1
}

# submit ARGUMENTS...: of sbatch; the job is $id, its log file mbtrain-$id.log.
submit() { id=$(sbatch --parsable "$@") || die "sbatch $*: refused"; }
# A member of what SLURM knows of the job, as JobState.
fact() { scontrol show job "$id" | tr ' ' '\n' | sed -n "s/^$1=//p" | head -n 1; }
has() { [ "$(fact "$1")" = "$2" ]; }
reaches() { wait_for "job $id: $1 becomes $2" has "$1" "$2"; }
is_over() { case $(fact JobState) in PENDING | CONFIGURING | RUNNING | COMPLETING) return 1 ;; esac; }
ends_as() { # STATE EXIT-CODE
    wait_for "job $id ends" is_over
    [ "$(fact JobState) $(fact ExitCode)" = "$1 $2" ] ||
        die "job $id: $(fact JobState) $(fact ExitCode), wanted $1 $2"
}
# after STEPS RUN: the run has done so many more than at this moment.
after() {
    lib_step=$(newest "$2")
    wait_for "job $id: $1 steps more than $lib_step" has_step "$2" $((lib_step + $1))
}
newest() {
    lib_step=$(readlink "$1/checkpoints/last.h5" | sed 's/^step-0*\([0-9]*\).*/\1/')
    echo "${lib_step:-0}"
}
# ended_on NODE: nothing of the job runs there. An end that SLURM hears of late counts for the leg that
# runs by then, as the end of its script (FAILED 0:9) or of its step.
ended_on() {
    ! pgrep --ns "$(cat "$CLUSTER/nodes/$1")" --nslist net -f "^slurmstepd: \[$(fact JobId)\." >/dev/null
}
# requeued TIMES: back in the queue for that time, and started again. SLURM would hold the job back for
# two minutes, so that the leg before is over; here it is seen to be, where nodes answer.
requeued() {
    reaches Restarts "$1"
    for lib_node in $(sinfo --noheader --Node --responding --format=%N); do
        wait_for "job $id: its leg ends on $lib_node" ended_on "$lib_node"
    done
    sleep 2
    wait_for "job $id starts again" release
}
release() {
    scontrol update "JobId=$id" StartTime=now 2>/dev/null || true
    # A job whose node was lost is still completing when it counts as restarted, and pending after that.
    case $(fact JobState) in PENDING | CONFIGURING | COMPLETING) return 1 ;; esac
}
ended_alike() { # RUN
    [ "$(digest "$1")" = "$wanted" ] || die "$1: other weights than undisturbed"
    metrics "$1" >got.csv
    metrics alone >wanted.csv
    same wanted.csv got.csv
    expect 0 "$ckpt" verify "$1"/checkpoints/*.h5
    [ ! -e "$1/lock" ] || die "$1: the lock is left"
}
