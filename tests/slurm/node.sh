#!/bin/sh
# The nodes of cluster.sh, called from within it.
# Usage: node.sh start NAME    starts a node nK, or starts it again
#        node.sh kill NAME     its power goes: processes and link at once
#        node.sh cut NAME      its cable is pulled; node.sh heal NAME puts it back
#        node.sh exec NAME COMMAND...    runs it there, in the same folder
set -eu
slurm=${CLUSTER:?is set by cluster.sh}/slurm
name=$2
number=${name#n}
file=$CLUSTER/nodes/$name

# In the node's namespaces, as their first process, to the end. A node has a /tmp and a /dev/shm of
# its own; everything else is the same file system.
be() {
    hostname "$name"
    mount -t tmpfs tmpfs /tmp
    mount -t tmpfs tmpfs /dev/shm
    cd /
    ip link set lo up
    until ip addr show dev eth0 >/dev/null 2>&1; do sleep 0.02; done
    ip addr add "10.77.0.$((10 + number))/24" dev eth0
    ip link set eth0 up
    slurmd -N "$name"
    while :; do sleep 1; done # collects the orphans meanwhile
}

case $1 in
be) be ;;
start)
    unshare --net --uts --ipc --mount --pid --fork --kill-child --mount-proc "$0" be "$name" \
        </dev/null >"$slurm/log/$name.start" 2>&1 &
    echo "$!" >"$file"
    until [ "$(readlink "/proc/$!/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
    ip link add "$name" type veth peer name eth0 netns "$!"
    ip link set "$name" master cluster up
    ;;
kill)
    kill -KILL "$(cat "$file")"
    ip link del "$name" 2>/dev/null || true # it may have gone with the namespace
    ;;
exec)
    shift 2
    exec nsenter --target "$(pgrep -P "$(cat "$file")")" --all \
        sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
    ;;
cut) ip link set "$name" down ;;
heal) ip link set "$name" up ;;
*)
    echo "node.sh: $1: unknown" >&2
    exit 2
    ;;
esac
