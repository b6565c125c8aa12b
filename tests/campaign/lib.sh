# shellcheck shell=sh
# What the campaigns share, on top of the end-to-end tests' lib.sh. Usage of each campaign:
#   NAME.sh FOLDER-OF-PROGRAMS LIBRARY-MADE-OF-fault.c SEED SECONDS [PROGRAM-MADE-OF-flip.c]
# It goes on for so long, ends in 0 when nothing was wrong, and its last line says what was counted.
# shellcheck disable=SC2034 # variables here are for the scripts

library=$(realpath "${2:?usage: $0 FOLDER-OF-PROGRAMS LIBRARY SEED SECONDS}")
flip=${5:+$(realpath "$5")}
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
seed=${3:?usage: $0 FOLDER-OF-PROGRAMS LIBRARY SEED SECONDS}
seconds=${4:?usage: $0 FOLDER-OF-PROGRAMS LIBRARY SEED SECONDS}
# LD_PRELOAD takes blanks for separators: a copy where there are none.
cp "$library" fault.so
fault=$top/fault.so

# The time counts from here: what goes before is preparation.
start_clock() { until=$(($(date +%s) + seconds)); }
time_is_left() { [ "$(date +%s)" -lt "$until" ]; }

# draw N: a number below N as $drawn; the same ones for the same seed.
draw() {
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    drawn=$((seed / 65536 % $1))
}

# tiny RUN OPTIONS...: the arguments of a run of many short steps; twelve
# steps an epoch, the last on fewer samples.
tiny() {
    lib_run=$1
    shift
    echo small.json --set "run.folder=$lib_run" --set train.batch=16 --set network.width=0.1 \
        --set data.validation=10 "$@"
}

# last_step RUN: of its newest checkpoint, 0 when there is none.
last_step() {
    lib_link=$(readlink "$1/checkpoints/last.h5") || lib_link=step-0000000000.h5
    echo "$lib_link" | sed 's/^step-0*\([0-9]*\)\.h5$/\1/; s/^$/0/'
}

# whole RUN: every checkpoint, link and table of it.
whole() {
    [ "$(last_step "$1")" = 0 ] || expect 0 "$ckpt" verify "$1"
}
