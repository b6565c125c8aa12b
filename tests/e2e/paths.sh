#!/bin/sh
# Where things are looked for and put: relative paths, blanks, MBTRAIN_DATA, the default run folder,
# and what resume takes.
set -eu
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
prepare
set -- --set train.epochs=1 --set data.train_limit=84
expect 0 ranks 1 small.json --set run.folder=plain "$@"
wanted=$(digest plain)
equal() { [ "$(digest "$1")" = "$wanted" ] || die "$1: other weights"; }

# Without run.folder it is runs/ and the name of the configuration, from the working directory.
mkdir -p 'a place/deep down'
sed 's|synth.h5|../../synth.h5|' small.json >'a place/deep down/my net.v2.json'
cd 'a place/deep down'
for n in 1 2; do
    expect 0 ranks "$n" 'my net.v2.json' --force "$@"
    said out 'checkpoint: '
    equal 'runs/my net.v2'
done
[ -d 'runs/my net.v2.old-1' ] || die "no old run: $(ls runs)"
cd ../..
[ ! -e runs ] || die "a run folder here"

# The data set is looked for here first, then in the folder MBTRAIN_DATA, blanks or not.
mkdir 'more data' other
mv synth.h5 'more data'
export MBTRAIN_DATA="$top/more data"
for n in 1 2; do
    expect 0 ranks "$n" small.json --set "run.folder=here and there/$n" "$@"
    equal "here and there/$n"
done
MBTRAIN_DATA=$top/other fails 4 2 'neither here nor as' small.json --set run.folder=none "$@"
said err "$top/other/synth.h5"
[ ! -e none ] || die "a run folder was made"
unset MBTRAIN_DATA
fails 4 2 'synth.h5: data set cannot be found' small.json --set run.folder=none "$@"
said err 'MBTRAIN_DATA'
fails 4 1 "/nowhere/synth.h5: data set cannot be found" small.json --set data.path=/nowhere/synth.h5

# A name that no record could hold.
odd=$(printf 'tab\there.json')
cp small.json "$odd"
fails 3 2 'run.folder: got a control character' "$odd"
[ ! -e runs ] || die "a run folder was made"

# resume and eval of a run that was moved: under its new name, with or without a slash, from afar. As it
# was complete, what it says of itself stays.
mv 'here and there' there
record() { cksum there/1/config.json there/1/about.h5 there/1/predictions.h5 there/1/events*; }
record >made
export MBTRAIN_DATA="$top/more data"
for run in there/1 there/1/ "$top/there/1"; do
    expect 0 ranks 2 resume "$run" --set train.max_steps=1
    said err 'the run was complete already'
    said out "state digest: $wanted"
    equal there/1
    record >left
    same made left
    expect 0 ranks 1 eval "$run"
    said out 'there/1'
done
ln -s there/2 linked
expect 0 ranks 2 resume linked
said err 'the run was complete already'
equal there/2

# A run of which nothing is written yet but its configuration begins at step 0.
mkdir bare
cp there/1/config.json bare
expect 0 ranks 2 resume bare
said err 'no checkpoint yet, the run begins at step 0'
equal bare
# metrics.csv of a run that ended between its last checkpoint and its table comes back.
rm bare/metrics.csv bare/metrics.h5
expect 0 ranks 1 resume bare
metrics plain >plain.csv
metrics bare >bare.csv
same plain.csv bare.csv
mkdir nothing
fails 3 1 'nothing/config.json: cannot be opened' resume nothing
[ -z "$(ls -A nothing)" ] || die "something was put there"

# What cmake --install leaves runs by itself, in a folder with a blank.
expect 0 cmake --install "$bin/.." --prefix "$top/in a place"
cd 'in a place/share/mbtrain'
expect 0 ../../bin/mbt-report rows jobs/cifar10_10ep.json
[ "$(wc -l <out)" = 5 ] || die "rows of an installed job: $(cat out)"
expect 0 ../../bin/mbt-data synth --train 100 --test 50 -o synth.h5
expect 0 mpirun --oversubscribe -n 2 ../../bin/mbtrain check configs/quickstart.json --set data.path=synth.h5
said out 'configs/quickstart.json: good: mobilenetv2'
[ -x slurm/train.sbatch ] && [ -e ../doc/mbtrain/LICENSE ] || die "not installed: $(find ../..)"
echo "$name: all as wanted"
