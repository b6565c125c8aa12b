#!/bin/sh
# Every call of a save fails in every way, in turn: once (the run goes on and ends as it should), for
# good (it ends with a failure, and what is there loads), and with the end of the process in its
# place. The order is random, so that a part is a sample of the whole.
set -eu
# shellcheck source=tests/campaign/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
patience=60
# shellcheck disable=SC3045 # dash, bash and busybox have it
ulimit -c 0 # a crash ends in its documented code
run_options() { tiny "$1" --set train.epochs=2 --set checkpoint.keep=1; }
# shellcheck disable=SC2046 # words
expect 0 ranks 1 $(run_options alone)
wanted=$(digest alone)
# A run that has one epoch, its checkpoint and its table, and the second epoch still to do; with a file
# that the next save removes.
# shellcheck disable=SC2046 # words
expect 0 ranks 1 $(run_options base) --set train.max_steps=11
cp -R base base-11
expect 0 ranks 1 resume base --set train.max_steps=12
cp base-11/checkpoints/step-0000000011.h5 base/checkpoints/
old=$(digest base)

again() { "$@" resume run --set train.max_steps=0; } # COMMAND that runs mbtrain: to the end
under_fault() { # AT HOW FOR COMMAND...
    (
        export MBT_FAULT_FOLDER="$top/run" MBT_FAULT_AT="$1" MBT_FAULT_HOW="$2" MBT_FAULT_FOR="$3" LD_PRELOAD="$fault"
        shift 3
        "$@"
    )
}
fresh() {
    rm -rf run
    cp -R base run
}
# The calls of that save.
fresh
export MBT_FAULT_LOG="$top/calls" MBT_MALLOC_FILE="$top/mallocs"
expect 0 again under_fault 0 none 1 ranks 1
unset MBT_FAULT_LOG MBT_MALLOC_FILE
n_mallocs=$(cat mallocs)
[ "$n_mallocs" -ge 100 ] || die "only $n_mallocs allocations"
n_calls=$(wc -l <calls)
[ "$n_calls" -ge 30 ] || die "only $n_calls calls: $(cat calls)"
for call in open write fsync pread close rename symlink unlink; do
    grep -q " $call " calls || die "no $call among the calls: $(cat calls)"
done

loads() { # the old state, or the new one
    whole run
    now=$(digest run)
    [ "$now" = "$old" ] || [ "$now" = "$wanted" ] || die "$point: neither the old nor the new state"
}
goes_on() {
    expect 0 again ranks 1
    [ "$(digest run)" = "$wanted" ] || die "$point: other weights afterwards"
    whole run
}

# One point after the other: call * ways + way, in an order that visits each once.
ways='ENOSPC EIO EDQUOT EROFS short kill ENOSPC-on EIO-on EROFS-on' n_ways=9
n_points=$((n_calls * n_ways))
draw "$n_points"
at=$drawn step=1009 # a prime above any divisor
start_clock
points=0 failed=0 killed=0 ended=0 starved=0 crashed=0
while time_is_left && [ "$points" -lt "$n_points" ]; do
    at=$(((at + step) % n_points))
    call=$((at / n_ways + 1))
    how=$(echo "$ways" | cut -d ' ' -f $((at % n_ways + 1)))
    point="call $call ($(sed -n "${call}p" calls)) with $how"
    fresh
    case $how in
    kill)
        expect 137 again under_fault "$call" kill 1 ranks 1
        loads
        goes_on
        killed=$((killed + 1))
        ;;
    *-on) # for good: the end of the run fails, unless all that mattered had been done
        code=0
        again under_fault "$call" "${how%-on}" 0 timeout 60 "$train" >out 2>err </dev/null || code=$?
        [ "$code" = 1 ] || [ "$code" = 0 ] || die "$point: exit code $code: $(cat err)"
        if [ "$code" = 1 ]; then
            grep -Eq '^error: (step 24 was|the metrics of step 24 were) not saved: .*; the last checkpoint is ' err || die "$point: $(cat err)"
            failed=$((failed + 1))
        fi
        loads
        goes_on
        ;;
    *)
        expect 0 again under_fault "$call" "$how" 1 ranks 1
        [ "$(digest run)" = "$wanted" ] || die "$point: other weights"
        whole run
        [ -z "$(find run -name '.*')" ] || die "$point: leftovers: $(find run -name '.*')"
        ended=$((ended + 1))
        ;;
    esac
    points=$((points + 1))
    [ $((points % 4)) = 0 ] || continue
    # Besides, now and then, an allocation of the thread that saves. HDF5 1.10 does not survive all of
    # them: some it meets with a crash, after some it saves nothing more. More must not happen.
    draw "$n_mallocs"
    point="allocation $((drawn + 1))"
    fresh
    code=0
    export MBT_FAULT_MALLOC=$((drawn + 1))
    again under_fault 0 none 1 timeout 60 "$train" >out 2>err </dev/null || code=$?
    unset MBT_FAULT_MALLOC
    case $code in
    0) starved=$((starved + 1)) ;;
    1 | 6) crashed=$((crashed + 1)) && loads ;;
    *) die "$point: exit code $code: $(cat err)" ;;
    esac
    goes_on
done
echo "points=$points of=$n_points calls=$n_calls went_on=$ended failed_at_the_end=$failed killed=$killed mallocs=$n_mallocs starved=$starved crashed=$crashed unloadable=0"
