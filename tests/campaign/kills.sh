#!/bin/sh
# Whole jobs are killed at random times, inside of saves at a random call, and by a second INT while
# they stop because of the first; each time every file left must be whole, little be lost, and the run
# go on, in the end to the bits of one that was left alone.
set -eu
# shellcheck source=tests/campaign/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
interval=4 # steps between checkpoints
patience=60
# Steps that take longer than a save, as real ones do: then no more than the interval is lost.
run_options() {
    tiny "$1" --set "checkpoint.every_steps=$interval" --set train.epochs=6 --set checkpoint.keep=2 \
        --set train.batch=64 --set network.width=0.25 --set network.downsampling=4
}

# shellcheck disable=SC2046 # words
expect 0 ranks 1 $(run_options alone)
wanted=$(digest alone)

start_job() { # RANKS: from the beginning, or where the run is at
    from=$(last_step run)
    echo 0 >steps
    export MBT_STEPS_FILE="$top/steps" LD_PRELOAD="$fault"
    if [ -e run/config.json ]; then
        begin "$1" resume run
    else
        rm -rf run
        # shellcheck disable=SC2046 # words
        begin "$1" $(run_options run)
    fi
    unset MBT_STEPS_FILE LD_PRELOAD
}
kill_job() { # mpirun first, so that it has nothing to tell the ranks
    for victim in "$job" $(cat pid.* 2>/dev/null); do
        kill -KILL "$victim" 2>/dev/null || true
    done
    wait "$job" 2>/dev/null || true
    job=
    wait_for 'the ranks are gone' ranks_are_gone
}
check() { # what a job leaves that did not end by itself
    unsaid job.err 'not usable'
    unsaid job.err 'error'
    done_step=$((from + $(cat steps)))
    saved=$(last_step run)
    lost=$((done_step - saved))
    # Steps that are done while a save is still being written come on top of the interval; the next
    # save waits for it.
    [ "$lost" -le $((2 * interval)) ] || die "at step $done_step the newest checkpoint is of $saved"
    [ "$lost" -le "$most_lost" ] || most_lost=$lost
    [ "$lost" -le "$interval" ] || beyond=$((beyond + 1))
    whole run
}
finished() { # a run that came to its end
    [ "$(digest run)" = "$wanted" ] || die "other weights after the kills: $(digest run)"
    [ -z "$(find run -name '.*')" ] || die "leftovers: $(find run)"
    runs=$((runs + 1))
    rm -rf run
}

start_clock
random=0 inside=0 twice=0 runs=0 most_lost=0 beyond=0
while time_is_left; do
    draw 4
    n=$((drawn > 2 ? 2 : 1))
    draw 7
    way=$drawn
    if [ "$way" = 6 ]; then # the second INT comes before, within or after the save of the first
        draw 2000
        start_job 1
        sleep "$(echo "$drawn" | awk '{ print 0.15 + $1 / 1000 }')"
        kill -INT "$job" 2>/dev/null || true
        draw 40
        sleep "$(echo "$drawn" | awk '{ print $1 / 1000 }')"
        kill -INT "$job" 2>/dev/null || true
        wait_for 'the end' has_ended
        code=0
        wait "$job" || code=$?
        job=
        case $code in
        130 | 75) twice=$((twice + 1)) && check ;;
        0) finished ;;
        *) die "exit code $code after two INT: $(cat job.err)" ;;
        esac
    elif [ "$way" -lt 2 ]; then # inside a save: a few saves' calls are where it may be
        draw 90
        export MBT_FAULT_FOLDER="$top/run" MBT_FAULT_AT=$((drawn + 1)) MBT_FAULT_HOW=kill
        start_job "$n"
        unset MBT_FAULT_FOLDER MBT_FAULT_AT MBT_FAULT_HOW
        wait_for 'the end' has_ended
        code=0
        wait "$job" || code=$?
        kill_job 2>/dev/null
        case $code in
        137) inside=$((inside + 1)) && check ;;
        0) finished ;;
        *) die "exit code $code: $(cat job.err)" ;;
        esac
    else
        draw 2000
        start_job "$n"
        sleep "$(echo "$drawn" | awk '{ print 0.15 + $1 / 1000 }')"
        if has_ended; then
            ends 0
            finished
        else
            kill_job
            random=$((random + 1))
            check
        fi
    fi
done
echo "kills=$((random + inside + twice)) int_twice=$twice inside_a_save=$inside runs_finished=$runs unloadable=0 interval=$interval most_lost=$most_lost beyond_interval=$beyond"
