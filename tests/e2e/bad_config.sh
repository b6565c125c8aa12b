#!/bin/sh
# A configuration with something wrong in it: code 3 (2 for --set), one line with file, key, what was
# got and what was wanted, no run folder.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare

rejected() { # TEXT < JSON
    cat >bad.json
    for n in 1 3; do
        fails 3 "$n" "$1" bad.json --set run.folder=run
        [ ! -e run ] || die "a run folder was made"
    done
}

rejected 'bad.json: syntax error in line 3' <<'END'
{ "data": { "path": "synth.h5" },
  "train": { "batch": 64
  "network": {} }
END
rejected 'bad.json: train.btach: got an unknown key, wanted a known one (nearest: train.batch)' <<'END'
{ "data": { "path": "synth.h5" }, "train": { "btach": 64 } }
END
rejected 'bad.json: train.batch: got the text "64", wanted an integer 1 .. 65536' <<'END'
{ "data": { "path": "synth.h5" }, "train": { "batch": "64" } }
END
rejected 'bad.json: schedule.lr: got 101, wanted a number 0 .. 100' <<'END'
{ "data": { "path": "synth.h5" }, "schedule": { "lr": 101 } }
END
rejected 'bad.json: train.batch: got the key again, wanted it once' <<'END'
{ "data": { "path": "synth.h5" }, "train": { "batch": 64, "batch": 32 } }
END
rejected 'bad.json: schedule.kind: got "cosin", wanted one of' <<'END'
{ "data": { "path": "synth.h5" }, "schedule": { "kind": "cosin" } }
END
said err '(nearest: cosine)'
rejected 'train.bn_group: got 16, wanted at most train.batch, 8' <<'END'
{ "data": { "path": "synth.h5" }, "train": { "batch": 8, "bn_group": 16 } }
END
rejected 'data.path: got "", wanted the path' <<'END'
{ }
END
rejected 'bad.json: syntax error in line 1, column 1: got the end' </dev/null
rejected 'network.name: got "mobilenetv3" (did you mean "mobilenetv2"?)' <<'END'
{ "data": { "path": "synth.h5" }, "network": { "name": "mobilenetv3" } }
END

# All faults at once, a line each, in one message.
cat >bad.json <<'END'
{ "trian": { "batch": 64 }, "schedule": { "lr": -1, "warmup": "no" } }
END
for n in 1 3; do
    expect 3 ranks "$n" bad.json --set run.folder=run
    sed 's/^error: rank 0: /error: /' err >lines
    cat >wanted <<'END'
error: bad.json: trian: got an unknown key, wanted a known one (nearest: train)
bad.json: schedule.lr: got -1, wanted a number 0 .. 100
bad.json: schedule.warmup: got the text "no", wanted a number 0 .. 1
END
    same wanted lines
done

for n in 1 3; do
    fails 3 "$n" 'missing.json: cannot be opened: No such file' missing.json
    fails 3 "$n" "$top: is a folder" "$top"
    fails 2 "$n" '--set: train.btach: got an unknown key' small.json --set train.btach=3
    fails 2 "$n" '--set: train.batch: got "x", wanted an integer' small.json --set train.batch=x
    fails 2 "$n" "--set: train.batch: got no '=', wanted key=value" small.json --set train.batch
    fails 3 "$n" 'plan.arithmetic: got "bf16", which needs kernels up to avx512_bf16; these are x86-64' \
        small.json --set plan.arithmetic=bf16 --set plan.kernels=x86-64
    fails 3 "$n" 'network.depth: got "0.3", mobilenetv2 has 1.0' small.json --set network.depth=0.3
done

# Where in the sources, when that is asked for.
export MBTRAIN_LOG=debug
for n in 1 3; do
    fails 3 "$n" 'missing.json: cannot be opened: No such file' missing.json
    grep -q ' ([a-z_]*\.c:[0-9]*)$' err || die "no source line: $(cat err)"
done
export MBTRAIN_LOG=loud
expect 3 ranks 1 missing.json
said err 'warning: MBTRAIN_LOG: got "loud", wanted debug; it is ignored'
unset MBTRAIN_LOG

# plan and bench need no data, and no less of a configuration otherwise.
echo '{ "train": { "batch": 8, "bn_group": 16 } }' >bad.json
fails 3 1 'train.bn_group: got 16' plan bad.json
fails 3 1 'train.bn_group: got 16' bench bad.json
fails 3 1 'train.bn_group: got 16' check bad.json --set data.path=synth.h5
[ -z "$(find . -name runs -o -name run)" ] || die "a run folder was made"
echo "$name: all as wanted"
