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
        said err 'bad.json'
        [ ! -e run ] || die "a run folder was made"
    done
}

rejected 'bad.json: syntax error in line 3' <<'END'
{ "data": { "path": "synth.h5" },
  "train": { "batch": 64
  "network": {} }
END
rejected 'train.btach: got an unknown key, wanted a known one (nearest: train.batch)' <<'END'
{ "data": { "path": "synth.h5" }, "train": { "btach": 64 } }
END
rejected 'train.batch: got "64", wanted an integer' <<'END'
{ "data": { "path": "synth.h5" }, "train": { "batch": "64" } }
END
rejected 'schedule.lr: got 101, wanted a number 0 .. 100' <<'END'
{ "data": { "path": "synth.h5" }, "schedule": { "lr": 101 } }
END
rejected 'train.batch' <<'END'
{ "data": { "path": "synth.h5" }, "train": { "batch": 64, "batch": 32 } }
END
said err 'twice'
rejected 'schedule.kind: got "cosin", wanted one of' <<'END'
{ "data": { "path": "synth.h5" }, "schedule": { "kind": "cosin" } }
END
said err '(nearest: cosine)'
rejected 'train.bn_group: got 16, wanted at most train.batch, 8' <<'END'
{ "data": { "path": "synth.h5" }, "train": { "batch": 8, "bn_group": 16 } }
END
# All of them at once.
rejected 'trian' <<'END'
{ "trian": { "batch": 64 }, "schedule": { "lr": -1, "warmup": "no" } }
END
said err 'schedule.lr'
said err 'schedule.warmup'
rejected 'data.path: got "", wanted the path' <<'END'
{ }
END
rejected 'bad.json' </dev/null
rejected 'network.name' <<'END'
{ "data": { "path": "synth.h5" }, "network": { "name": "mobilenetv3" } }
END
said err 'nearest'
said err 'mobilenetv2'

for n in 1 3; do
    fails 3 "$n" 'missing.json: cannot be opened: No such file' missing.json
    fails 3 "$n" "$top: is a folder" "$top"
    fails 2 "$n" '--set: train.btach: got an unknown key' small.json --set train.btach=3
    fails 2 "$n" '--set: train.batch: got "x", wanted an integer' small.json --set train.batch=x
    fails 2 "$n" "--set: train.batch: got no '=', wanted key=value" small.json --set train.batch
    fails 3 "$n" 'network.depth' small.json --set network.depth=0.3
done

# plan and bench need no data, and no less of a configuration otherwise.
echo '{ "train": { "batch": 8, "bn_group": 16 } }' >bad.json
fails 3 1 'train.bn_group: got 16' plan bad.json
fails 3 1 'train.bn_group: got 16' bench bad.json
fails 3 1 'train.bn_group: got 16' check bad.json
[ -z "$(find . -name runs -o -name run)" ] || die "a run folder was made"
echo "$name: all as wanted"
