#!/bin/sh
# mbt-report from the outside: jobs, usage. Arguments: mbt-report, the source tree, python3.
set -eu
report=$1 tree=$2 python=${3:-/usr/bin/python3}
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT

die() { echo "test_mbt_report: $*" >&2; exit 1; }
# expect CODE ARGUMENTS...: output goes to $top/out and $top/err; failures say one line, and nothing else
expect() {
    code=$1; shift
    got=0; "$report" "$@" >"$top/out" 2>"$top/err" || got=$?
    [ "$got" = "$code" ] || die "$*: exit code $got, wanted $code: $(cat "$top/err")"
    [ "$code" = 0 ] && wanted=0 || wanted=1
    [ "$(wc -l <"$top/err")" = "$wanted" ] || die "$*: on stderr: $(cat "$top/err")"
    [ "$code" = 0 ] || [ ! -s "$top/out" ] || die "$*: on stdout: $(cat "$top/out")"
}
said() { grep -qF -- "$2" "$top/$1" || die "$1 lacks '$2': $(cat "$top/$1")"; }

# every job of the tree names configurations that are there, and lists each run once
cd "$tree"
n=0
for job in jobs/*.json; do
    expect 0 rows "$job"
    awk -F '\t' -v job="$job" '
        NF != 4 || $1 != NR - 1 || $3 !~ /^[0-9]+$/ || seen[$4]++ { print job ": " $0; bad = 1 }
        system("test -f " $2) != 0 { print job ": no " $2; bad = 1 }
        END { exit bad || NR == 0 }' "$top/out" || die "rows of $job"
    n=$((n + 1))
done
[ "$n" -ge 6 ] || die "only $n jobs"
# What the sources print, typed a second time: in each table and row data set, parameters in millions, top-1, top-5.
for job in cifar_mobilenetv2 cifar_igcv2 cifar_igcv1 imagenet imagenet_retrain; do
    expect 0 table "jobs/$job.json" --format csv
    "$python" -c 'import csv, sys
for row in csv.DictReader(sys.stdin):
    print(sys.argv[1], row["label"], *(row[k] or "-" for k in
        ("data", "printed_parameters", "printed_top1", "printed_top5")), sep="; ")' "$job" <"$top/out"
done >"$top/printed"
cat >"$top/wanted" <<'END'
cifar_mobilenetv2; MobileNetV2; CIFAR-10; 2.3; 94.56; -
cifar_mobilenetv2; IGCV3-D 0.5x; CIFAR-10; 1.2; 94.73; -
cifar_mobilenetv2; IGCV3-D 0.7x; CIFAR-10; 1.7; 94.92; -
cifar_mobilenetv2; IGCV3-D 1.0x; CIFAR-10; 2.4; 94.96; -
cifar_mobilenetv2; IGCV3-D 1.0x, seed project; CIFAR-10; 2.4; 94.7; -
cifar_mobilenetv2; MobileNetV2, seed project; CIFAR-10; 2.3; 94.01; -
cifar_mobilenetv2; MobileNetV2; CIFAR-100; 2.3; 77.09; -
cifar_mobilenetv2; IGCV3-D 0.5x; CIFAR-100; 1.2; 77.29; -
cifar_mobilenetv2; IGCV3-D 0.7x; CIFAR-100; 1.7; 77.83; -
cifar_mobilenetv2; IGCV3-D 1.0x; CIFAR-100; 2.4; 77.95; -
cifar_mobilenetv2; IGCV3-D 1.0x, seed project; CIFAR-100; 2.4; 75.96; -
cifar_mobilenetv2; MobileNetV2, seed project; CIFAR-100; 2.3; -; -
cifar_igcv2; IGCV2 (our definition); CIFAR-10; 2.4; 94.76; -
cifar_igcv2; IGCV2*-C416 (our model); CIFAR-10; 0.65; 94.51; -
cifar_igcv2; IGCV3-D 1.0x; CIFAR-10; 2.4; 94.96; -
cifar_igcv2; IGCV2 (our definition); CIFAR-100; 2.4; 77.45; -
cifar_igcv2; IGCV2*-C416 (our model); CIFAR-100; 0.65; 77.05; -
cifar_igcv2; IGCV3-D 1.0x; CIFAR-100; 2.4; 77.95; -
cifar_igcv1; IGCV1 L24M2, 20 layers; CIFAR-10; -; 91.8; -
cifar_igcv1; RegConv-W18, 98 layers, with identity; CIFAR-10; -; 94.95; -
cifar_igcv1; IGCV1 L24M2, 98 layers, with identity; CIFAR-10; -; 95.15; -
cifar_igcv1; IGCV1 L32M26, 20 layers; CIFAR-10; -; 96.69; -
cifar_igcv1; IGCV1 L450M2, 20 layers; CIFAR-10; -; 96.75; -
cifar_igcv1; RegConv-W18, 98 layers, with identity; CIFAR-100; -; 75.3; -
cifar_igcv1; IGCV1 L24M2, 98 layers, with identity; CIFAR-100; -; 76.15; -
cifar_igcv1; IGCV1 L32M26, 20 layers; CIFAR-100; -; 81.25; -
cifar_igcv1; IGCV1 L450M2, 20 layers; CIFAR-100; -; 80.75; -
imagenet; MobileNetV2; ImageNet; 3.4; 70; 89
imagenet; IGCV3-D; ImageNet; 3.5; 70.6; 89.7
imagenet_retrain; MobileNetV2, retrained; ImageNet; 3.4; 71.4; 90.1
imagenet_retrain; IGCV3-D, retrained; ImageNet; 3.5; 72.2; 90.5
END
diff "$top/printed" "$top/wanted" || die "the tables print other numbers than their sources"
tab=$(printf '\t')
expect 0 rows jobs/cifar_mobilenetv2.json
said out "0${tab}configs/cifar10_mobilenetv2_paper.json${tab}1${tab}runs/cifar10_mobilenetv2_paper-seed1"
said out "2${tab}configs/cifar10_mobilenetv2_paper.json${tab}3${tab}runs/cifar10_mobilenetv2_paper-seed3"

# bad jobs: FILE-TEXT MESSAGE
bad() {
    printf '%s' "$2" >"$top/bad.json"
    expect "$1" rows "$top/bad.json"
    said err "$3"
    said err "$top/bad.json"
}
config=configs/quickstart.json
row="\"label\": \"a\", \"data\": \"synth\", \"configuration\": \"$config\""
bad 4 '{"title": "t", "rows": [{]}' 'bad.json'
bad 4 '{"title": "t", "rows": []}' 'got 0 rows'
bad 4 '{"rows": [{}]}' 'title: got nothing'
bad 4 "{\"title\": \"t\", \"rows\": [{$row, \"seed\": [1]}]}" 'rows.0.seed: unknown, nearest is seeds'
bad 4 "{\"title\": \"t\", \"rows\": [{$row, \"seeds\": []}]}" 'got 0 seeds'
bad 4 "{\"title\": \"t\", \"rows\": [{$row, \"seeds\": [1.5]}]}" 'whole number'
bad 4 "{\"title\": \"t\", \"rows\": [{$row, \"seeds\": [1], \"printed\": {\"top2\": 1}}]}" 'top2: unknown'
bad 4 "{\"title\": \"t\", \"rows\": [{$row, \"seeds\": [1], \"printed\": 91.2}]}" 'rows.0.printed: wanted an object'
bad 4 "{\"title\": \"t\", \"rows\": [{$row, \"seeds\": [1], \"runs\": \"runs/a\"}]}" 'rows.0.runs: wanted a list'
bad 4 '{"title": "t", "rows": [{"label": "a", "data": "mnist"}]}' 'configuration: got nothing'
bad 4 "{\"title\": \"t\", \"rows\": [{\"label\": \"a\", \"data\": \"mnist\", \"configuration\": \"$config\"}]}" 'got "mnist"'
bad 3 '{"title": "t", "rows": [{"label": "a", "data": "synth", "configuration": "none.json", "seeds": [1]}]}' 'none.json'
expect 4 rows "$top/missing.json"

# usage
expect 2; said err 'no verb'
expect 2 row "$top/bad.json"; said err 'nearest is rows'
expect 2 rows; said err 'wanted a job'
expect 2 rows a b; said err "unexpected argument 'b'"
expect 2 rows --nothing; said err "'--nothing'"
expect 0 --help; said out 'usage: mbt-report'
expect 0 --version; said out mbt-report
"$report" rows jobs/cifar_mobilenetv2.json 2>"$top/err" >/dev/full && die "a full stdout is no failure"
said err "stdout: cannot be written"
ldd "$report" >"$top/libraries" || die "what mbt-report is linked with cannot be told"
grep -qi 'libmpi' "$top/libraries" && die "mbt-report is linked with MPI"
echo "mbt-report: all as wanted"
