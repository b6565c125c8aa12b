#!/bin/sh
# mpirun over two nodes without SLURM, and the cable of one of them is pulled. With a short watchdog the
# ranks end on both sides of it; with a long one, keepalive lets mpirun notice and end the job. Then the
# run goes on from its last checkpoint, to the bits of an undisturbed run.
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
prepare_steps 20
limit=3 # ends the ranks before keepalive can end mpirun

# What mpirun starts its daemons by; keepalive as in slurm/train.sbatch.
printf '#!/bin/sh\nhost=$1\nshift\nexec "%s" exec "$host" sh -c "$*"\n' "${NODE:?}" >rsh
chmod +x rsh
export OMPI_MCA_plm=rsh OMPI_MCA_plm_rsh_agent="$PWD/rsh"
export OMPI_MCA_oob_tcp_keepalive_time=5 OMPI_MCA_oob_tcp_keepalive_intvl=2 OMPI_MCA_oob_tcp_keepalive_probes=3

on() { # HOSTS OPTIONS...
    lib_hosts=$1
    shift
    mpirun --host "$lib_hosts" build/bin/mbtrain small.json --resume=auto --set run.folder=cut "$@"
}
gone_from() { ! pgrep --ns "$(cat "$CLUSTER/nodes/$1")" --nslist net -x mbtrain >/dev/null; }

# lose WATCHDOG: the job runs on both nodes, n2 is cut off, and the ranks are gone after $took seconds.
lose() {
    from=$(newest cut)
    on n1:2,n2:2 --set "run.watchdog=$1" >job.out 2>job.err </dev/null &
    job=$!
    wait_for 'some steps' has_step cut $((from + 4))
    ! gone_from n1 && ! gone_from n2 || die "not on both nodes: $(cat job.err)"
    "$NODE" cut n2
    from=$(date +%s)
    for node in n1 n2; do
        wait_for "the ranks end on $node" gone_from "$node"
    done
    took=$(($(date +%s) - from))
    echo "$name: watchdog $1 s: all ranks gone after $took s"
}

lose "$limit"
[ "$took" -le $((limit + 10)) ] || die "wanted $((limit + 10))"
said cut/log.txt 'watchdog: nothing has moved on n1 for'
said cut/log.txt 'wait for other nodes: a rank there hangs or a link is cut'
"$NODE" heal n2 # mpirun has told n2 to end its ranks, and waits for the answer as long as TCP does
ends 6

lose 300
[ "$took" -le 20 ] || die 'wanted 20: 5 + 2 x 3 of keepalive'
wait_for 'mpirun ends' has_ended # with a code of its own: it says that it has lost a daemon
said job.err 'one or more daemons'
job=
"$NODE" heal n2

expect 0 on n1:2
ended_alike cut
echo "$name: all as wanted"
