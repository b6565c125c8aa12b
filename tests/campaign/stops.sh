#!/bin/sh
# A run is stopped at each of its steps in turn, by a signal that is placed and not left to chance,
# and resumed on a random number of ranks: the bits are those of a run that was left alone.
set -eu
# shellcheck source=tests/campaign/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
limit=24
run_options() { tiny "$1" --set train.epochs=2; }
# shellcheck disable=SC2046 # words
expect 0 ranks 1 $(run_options alone)
wanted=$(digest alone)
metrics alone >wanted.csv

start_clock
stops=0 rounds=0 k=0
while time_is_left; do
    k=$((k + 1))
    draw 4
    before=$((drawn + 1))
    draw 4
    after=$((drawn + 1))
    rm -rf run
    export MBT_STOP_AFTER="$((k - 1))" LD_PRELOAD="$fault"
    # shellcheck disable=SC2046 # words
    expect 75 ranks "$before" $(run_options run)
    unset MBT_STOP_AFTER LD_PRELOAD
    # the wish rides in step k, or in the evaluation before it
    stopped=$(last_step run)
    [ "$stopped" = "$k" ] || [ "$stopped" = $((k - 1)) ] || die "stopped at step $stopped, wanted $k: $(cat err)"
    expect 0 ranks "$after" resume run
    [ "$(digest run)" = "$wanted" ] || die "other weights: step $k, $before ranks, then $after"
    metrics run >got.csv
    same wanted.csv got.csv
    stops=$((stops + 1))
    if [ "$k" = "$limit" ]; then
        rounds=$((rounds + 1)) k=0
    fi
done
echo "stops=$stops steps=$limit whole_rounds=$rounds last_step=$k other_bits=0"
