# shellcheck shell=sh
# What the scripts of this folder share; names with lib_ are its own. Each sources it first, with the
# folder of the programs as its first argument, and is then in an empty folder, removed at the end.
# shellcheck disable=SC2034 # variables here are for the scripts

name=$(basename "$0" .sh)
bin=$(cd "${1:?usage: $0 FOLDER-OF-PROGRAMS}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
train=$bin/mbtrain
ckpt=$bin/mbt-ckpt

# shellcheck source=jobs/environment.sh
. "$here/../../jobs/environment.sh"
# mpirun sleeps twice this long whenever a rank ends with another code than 0; the ranks part only
# when all is said and closed, so it need not sleep at all.
export OMPI_MCA_odls_base_sigkill_timeout=0
unset MBTRAIN_DATA MBTRAIN_ALLOW_SINGLETON MBTRAIN_LOG

job=
top=$(mktemp -d)
top=$(cd "$top" && pwd -P)
cleanup() { # what a failed script has left running, then its folder
    [ -z "$job" ] || kill -KILL "$job" 2>/dev/null || true
    rm -rf "$top"
}
trap cleanup EXIT
cd "$top" || exit 1

die() {
    echo "$name: $*" >&2
    exit 1
}

# Seconds after which a command counts as hung, on a machine with other work.
slow=1
[ -z "${ASAN_OPTIONS-}" ] || slow=8 # times as slow, or slower, under sanitizers
patience=$((120 * slow))
limit=$((6 * slow)) # run.watchdog of jobs that lose a rank, and longer than a save on a slow disk

# ranks N VERB-AND-ARGUMENTS...: mbtrain on N ranks; 1 without mpirun.
ranks() {
    lib_n=$1
    shift
    if [ "$lib_n" = 1 ]; then
        timeout -k 5 "$patience" "$train" "$@"
    else
        timeout -k 5 "$patience" mpirun --oversubscribe --bind-to none -n "$lib_n" "$train" "$@"
    fi
}

# expect CODE COMMAND...: stdout goes to the file out, stderr to err without what mpirun says.
expect() {
    lib_code=$1
    shift
    code=0
    "$@" >out 2>raw </dev/null || code=$?
    awk '/^----------------------------------------/ { block = !block; next }
        /^warning: badly bound: / { map = 1; next } # more ranks than cores is no fault of a test
        map && /^  (ranks?|and) [0-9]/ { next }
        { map = 0 }
        !block && !/^mpirun: Forwarding signal/' raw >err
    [ "$code" != 124 ] || die "$*: did not end within $patience s: $(cat raw)"
    [ "$code" = "$lib_code" ] || die "$*: exit code $code, wanted $lib_code: $(cat out raw)"
}

# said FILE TEXT: a line of the file has the text.
said() { grep -qF -- "$2" "$1" || die "$1 lacks '$2': $(cat "$1")"; }
unsaid() { ! grep -qF -- "$2" "$1" || die "$1 has '$2': $(cat "$1")"; }

# fails CODE N TEXT VERB-AND-ARGUMENTS...: that code, and one line with the text that is all of stderr.
fails() {
    lib_wanted=$1 lib_ranks=$2 lib_text=$3
    shift 3
    expect "$lib_wanted" ranks "$lib_ranks" "$@"
    [ "$(wc -l <err)" = 1 ] || die "$*, $lib_ranks ranks: wanted one line on stderr: $(cat raw)"
    grep -q '^error: ' err || die "$*: the line is no error: $(cat err)"
    said err "$lib_text"
    [ ! -s out ] || die "$*: stdout has $(cat out)"
}

same() { cmp -s "$1" "$2" || die "$1 and $2 differ: $(diff "$1" "$2")"; }

# digest RUN: the state digest of its newest checkpoint.
digest() { "$ckpt" show --digest "$1" || echo "none of $1"; }

# metrics RUN: its table without the columns that tell time.
metrics() {
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) time[i] = $i ~ /_s$/ }
        { line = ""; for (i = 1; i <= NF; i++) if (!time[i]) line = line "," $i; print line }' \
        "$1/metrics.csv"
}

# The data set synth.h5 and the configuration small.json: all that can differ between rank counts is
# on, and the last batch is cut short: 180 samples after 20 for validation, in batches of 64.
prepare() {
    "$bin/mbt-data" synth --train 200 --test 50 -o synth.h5 >/dev/null
    cat >small.json <<'END'
{
  "data": { "path": "synth.h5", "validation": 20 },
  "network": { "name": "mobilenetv2", "width": 0.25, "dropout": 0.2 },
  "train": { "epochs": 2, "batch": 64, "bn_group": 8 },
  "ema": { "decay": 0.8, "start": 0.4, "bn_samples": 100 },
  "schedule": { "lr": 0.1 },
  "augment": { "flip_mode": "alternating", "brightness": 0.2, "contrast": 0.2, "saturation": 0.2,
    "mixup": 0.3, "cutout": 6 },
  "evaluate": { "flip": true }
}
END
}

# wait_for TEXT COMMAND...: until the command succeeds.
wait_for() {
    lib_text=$1
    shift
    lib_n=0
    until "$@"; do
        lib_n=$((lib_n + 1))
        [ "$lib_n" -lt $((10 * patience)) ] || die "$lib_text: waited too long"
        sleep 0.1
    done
}

# begin N VERB-AND-ARGUMENTS...: mbtrain in the background as $job; rank R is process $(cat pid.R).
# What it says goes to job.out and job.err, and to out and err when it has ended.
begin() {
    rm -f pid.*
    : >job.err
    lib_n=$1
    shift
    set -- sh -c 'echo "$$" >"pid.${OMPI_COMM_WORLD_RANK-0}"; exec "$0" "$@"' "$train" "$@"
    [ "$lib_n" = 1 ] || set -- mpirun --oversubscribe --bind-to none -n "$lib_n" "$@"
    "$@" >job.out 2>job.err </dev/null &
    job=$!
}
# is_gone PROCESS: it has ended, or never was; a killed one may still be writing.
is_gone() {
    case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in
    '' | Z* | X*) return 0 ;;
    esac
    return 1
}
has_ended() { is_gone "$job"; }
ranks_are_gone() {
    for lib_file in pid.*; do
        [ ! -s "$lib_file" ] || is_gone "$(cat "$lib_file")" || return 1
    done
}
# ends CODE: the job ends by itself, with that code.
ends() {
    wait_for "the job ends" has_ended
    code=0
    wait "$job" || code=$?
    job=
    wait_for 'the ranks are gone' ranks_are_gone
    mv job.out out
    mv job.err err
    [ "$code" = "$1" ] || die "exit code $code, wanted $1: $(cat out err)"
}
# has_step RUN STEP: the run has written the checkpoint of that step, or of a later one.
has_step() {
    for lib_file in "$1"/checkpoints/step-*.h5; do :; done
    lib_file=${lib_file##*step-}
    lib_file=$(echo "${lib_file%.h5}" | sed 's/^0*//')
    [ "${lib_file:-0}" -ge "$2" ] 2>/dev/null
}

# dies CODE SECONDS COMMAND...: three ranks train in the run dead; after the command the job ends within
# the time and with the code, and leaves whole checkpoints. What it said goes to the file last.
dies() {
    lib_wanted=$1 lib_seconds=$2
    shift 2
    rm -rf dead
    begin 3 small.json --set train.epochs=1000 --set run.folder=dead --set "run.watchdog=$limit" \
        --set checkpoint.every_steps=1 --set checkpoint.keep=4
    wait_for 'some steps' has_step dead 4
    lib_from=$(date +%s)
    "$@"
    ends "$lib_wanted"
    cp err last
    lib_took=$(($(date +%s) - lib_from))
    [ "$lib_took" -le "$lib_seconds" ] || die "$*: the end took $lib_took s, wanted $lib_seconds"
    expect 0 "$ckpt" verify dead/checkpoints/*.h5
}
named() { # FILE PATTERN
    grep -q "$2" "$1" || die "$1 does not say '$2': $(cat "$1")"
}
