#!/bin/sh
# The rows of a table as a job array: one of its tasks is stopped and requeued, that one alone.
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
prepare_steps 10
patience=300 # for rows that take half a minute alone
cat >table.json <<'END'
{
  "title": "Two seeds and another width",
  "rows": [
    { "label": "narrow", "data": "synth", "configuration": "small.json", "seeds": [1, 2] },
    { "label": "wide", "data": "synth", "configuration": "wide.json", "seeds": [3] }
  ]
}
END
sed 's/"width": 0.25/"width": 0.5/' small.json >wide.json
build/bin/mbt-report rows table.json >list
[ "$(wc -l <list)" = 3 ] || die "not three rows: $(cat list)"

submit --array=0-2 --nodes=1 --ntasks=2 slurm/table.sbatch table.json
array=$id
run=$(awk '$1 == 1 { print $4 }' list)
id=${array}_1
wait_for "$run has begun" has_step "$run" 2
scancel --batch --signal=USR1 "$id"
requeued 1
while read -r task config seed run; do
    id=${array}_$task
    wait_for "job $id ends" is_over
    [ "$(fact JobState)" = COMPLETED ] || die "job $id: $(fact JobState)"
    has Restarts "$((task == 1))" || die "task $task: $(fact Restarts) restarts"
    said "mbtrain-$id.log" "$config --resume=auto --set run.folder=$run --set train.seed=$seed"
    expect 0 ranks 1 "$config" --set "train.seed=$seed" --set "run.folder=alone-$task"
    [ "$(digest "$run")" = "$(digest "alone-$task")" ] || die "$run: other weights than alone"
done <list

submit --array=7 --ntasks=1 slurm/table.sbatch table.json
id=${id}_7
ends_as FAILED 2:0
said "mbtrain-$id.log" 'table.json has 3 rows, from 0; there is none for task 7'
echo "$name: all as wanted"
