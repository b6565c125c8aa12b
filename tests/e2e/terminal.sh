#!/bin/sh
# On a terminal a bar of one line that leaves nothing behind, at any width; elsewhere plain lines.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
python=${PYTHON:-/usr/bin/python3}

for columns in 120 80 40; do
    expect 75 timeout -k 5 "$patience" "$python" "$here/terminal.py" "$columns" 8 "$train" small.json \
        --set train.epochs=1000 --set "run.folder=run-$columns"
    grep '^bar|' out >bars || die "no bar: $(cat out)"
    [ "$(wc -l <bars)" -ge 3 ] || die "too few bars: $(cat bars)"
    grep -q '^bar|epoch 1/1000 ' bars || die "bars: $(cat bars)"
    ! grep -E '^end\|epoch [0-9]+/1000( |$)' out || die "bars are left on the screen"
    grep -q '^end|epoch 1/1000: loss ' out || die "no line of the epoch: $(cat out)"
    grep -q "^end|checkpoint: run-$columns/checkpoints/last.h5" out || die "no result: $(cat out)"
    # Ctrl-C, typed there, is shown by the terminal itself.
    grep -q '^end|.*stopped at step [0-9]* (signal 2 (Interrupt))' out || die "no end: $(cat out)"
    ! grep -q 'epoch .* step' "run-$columns/log.txt" || die "bars in log.txt"
done
grep -qE '^bar\|epoch 1/1000 [1-3]/3 ' bars || die "a bar at 40 columns: $(cat bars)"
expect 75 timeout -k 5 "$patience" "$python" "$here/terminal.py" 120 4 "$train" small.json \
    --set train.epochs=1000 --set run.folder=run
grep -qE '^bar\|epoch [0-9]+/1000 \[=+>? *\] [1-3]/3 +[0-9.]+ img/s  loss [0-9.]+  top1 [0-9.]+ %  left ' out ||
    die "the bar: $(cat out)"

# No terminal: a line now and then, into log.txt as well, and no control characters.
for n in 1 2; do
    begin "$n" small.json --set train.epochs=1000 --set run.log_interval=1 --set "run.folder=plain-$n"
    wait_for 'a progress line' grep -qE \
        '^epoch [0-9]+/1000  step [1-3]/3  [0-9.]+ img/s  loss [0-9.]+  top1 [0-9.]+ %  left ' job.err
    kill -USR1 "$job"
    ends 75
    unsaid err "$(printf '\r')"
    unsaid err "$(printf '\033')"
    grep -qE 'Z epoch [0-9]+/1000  step ' "plain-$n/log.txt" || die "log.txt: $(cat "plain-$n/log.txt")"
done
echo "$name: all as wanted"
