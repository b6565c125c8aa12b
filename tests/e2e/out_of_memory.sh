#!/bin/sh
# A rank that memory is refused, and one that the kernel throws out for the memory of its neighbour: the
# job is gone in seconds, with the rank's name and a documented exit code.
# Exit code 77, without the second, where no memory cgroup can be made (root; containers often may not).
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
export OMPI_MCA_odls_base_sigkill_timeout=1 # mpirun's own, so that the survivors can speak
train=$top/one_apart

# one_apart COMMAND: rank 1 runs the command first, in its own process.
one_apart() {
    printf '#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" != 1 ] || { %s; }\nexec "%s" "$@"\n' \
        "$1" "$bin/mbtrain" >"$train"
    chmod +x "$train"
}

# Room for libraries and MPI; the network alone wants more.
one_apart 'ulimit -v 400000'
from=$(date +%s)
fails 1 3 'rank 1: memory: ' small.json --set network.width=0.75 --set train.bn_group=64
[ $(($(date +%s) - from)) -le 30 ] || die "memory that is refused: the end took more than 30 s"

# The memory controller, of the second version or of the first.
mount=/sys/fs/cgroup
if grep -qw memory "$mount/cgroup.controllers" 2>/dev/null; then
    group=$mount/mbtrain-test.$$ most=memory.max events=memory.events
    echo +memory 2>/dev/null >"$mount/cgroup.subtree_control" || true
else
    group=$mount/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)/mbtrain-test.$$
    most=memory.limit_in_bytes events=memory.oom_control
fi
if ! mkdir "$group" 2>/dev/null || ! echo 512M 2>/dev/null >"$group/$most"; then
    echo "$name: $group: no memory cgroup can be made here: a rank thrown out by the kernel is not shown"
    exit 77
fi
[ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"
trap 'cleanup; sleep 0.2; rmdir "$group"' EXIT

# The rank's neighbour takes what there is; of the two the kernel is to choose the rank.
one_apart "echo \$\$ >'$group/cgroup.procs' && echo 1000 >/proc/\$\$/oom_score_adj"
starve() { sh -c 'echo "$$" >"$0/cgroup.procs" && exec tail /dev/zero' "$group" 2>/dev/null || true; }
dies 137 20 starve
[ "$(sed -n 's/^oom_kill //p' "$group/$events")" -gt 0 ] || die "the kernel killed nobody: $(cat last)"
named last "error: rank 1 on [^ ]* died at step [0-9]*, [a-z]*: the job ends"
named dead/log.txt "error: rank 1 on [^ ]* died at step"
echo "$name: all as wanted"
