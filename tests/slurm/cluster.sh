#!/bin/sh
# A SLURM cluster on this one machine, for one command: the command runs on its login node, and when
# it ends, or this script is killed, nothing is left: daemons, nodes, links and files live in
# namespaces that end with it.
# Usage, as root, with the packages of jobs/install.sh --slurm: tests/slurm/cluster.sh [--bind] NODES COMMAND...
#   --bind: nodes have the processors of this machine and no more, and SLURM binds tasks to theirs
# The command finds in the environment
#   CLUSTER       a folder that all nodes share, in memory
#   SLURM_CONF    of the cluster: sbatch, squeue, scontrol work
#   NODE          node.sh: NODE kill|cut|heal|start NAME
set -eu

say() { echo "cluster.sh: $*" >&2; }

if [ "${CLUSTER_STAGE-}" != inside ]; then
    [ "$#" -ge 2 ] || { say "usage: $0 [--bind] NODES COMMAND..."; exit 2; }
    [ "$(id -u)" = 0 ] || { say "namespaces and SLURM's daemons need root"; exit 1; }
    for program in slurmctld slurmd munged ip unshare; do
        command -v "$program" >/dev/null || { say "$program is missing: jobs/install.sh --slurm"; exit 1; }
    done
    export CLUSTER_STAGE=inside
    exec unshare --net --uts --ipc --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
unset CLUSTER_STAGE

# More processors than there are: nobody is bound.
processors=4
task_plugin=task/none
if [ "$1" = --bind ]; then
    processors=$(env -u OMP_NUM_THREADS nproc) # nproc would answer with it
    task_plugin=task/affinity
    shift
fi
nodes=$1
shift
NODE=$(cd "$(dirname "$0")" && pwd)/node.sh
CLUSTER=/run/cluster # on a file system of our own
slurm=$CLUSTER/slurm
SLURM_CONF=$slurm/slurm.conf
export NODE CLUSTER SLURM_CONF
# A job's environment is that of its submission: nothing of an outer job may reach it.
for variable in $(env | sed -n 's/^\(\(SLURM\|SLURMD\|PMIX\|PMI\|OMPI\)_[A-Z_]*\)=.*/\1/p'); do
    [ "$variable" = SLURM_CONF ] || unset "$variable"
done

hostname ctl
mount --make-rprivate /
mount -t tmpfs -o mode=755 cluster /run
mkdir -p "$slurm/state" "$slurm/spool" "$slurm/log" "$CLUSTER/nodes"
{
    echo '127.0.0.1 localhost'
    echo '10.77.0.1 ctl'
    for k in $(seq "$nodes"); do echo "10.77.0.$((10 + k)) n$k"; done
} >"$CLUSTER/hosts"
mount --bind "$CLUSTER/hosts" /etc/hosts
ip link set lo up
ip link add cluster type bridge
ip addr add 10.77.0.1/24 dev cluster
ip link set cluster up

# Short delays, so that what is lost is missed soon.
cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=ctl(10.77.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.socket
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool/%n
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/%n.pid
SlurmctldLogFile=$slurm/log/slurmctld
SlurmdLogFile=$slurm/log/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=$task_plugin
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobRequeue=1
ReturnToService=2
SlurmdTimeout=8
MessageTimeout=5
KillWait=15
MinJobAge=3600
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=1
NodeName=n[1-$nodes] NodeAddr=10.77.0.[11-$((10 + nodes))] CPUs=$processors RealMemory=16000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=ALL PriorityTier=2 MaxTime=INFINITE State=UP
END

head -c 128 /dev/urandom >"$slurm/munge.key"
chmod 400 "$slurm/munge.key"
munged --force --key-file="$slurm/munge.key" --socket="$slurm/munge.socket" \
    --pid-file="$slurm/munged.pid" --log-file="$slurm/log/munged" --seed-file="$slurm/munge.seed"
slurmctld
for k in $(seq "$nodes"); do "$NODE" start "n$k"; done

# Everybody's log, should it not come up.
tries=0
until [ "$(sinfo --noheader --Node --partition=all --states=idle 2>/dev/null | wc -l)" = "$nodes" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ]; then
        say "the nodes did not come up: $(sinfo --Node 2>&1)"
        tail -n 20 "$slurm"/log/* >&2
        exit 1
    fi
    sleep 0.1
done
# Not exec: this shell is the namespaces' first process, which collects the orphans.
code=0
"$@" || code=$?
exit "$code"
