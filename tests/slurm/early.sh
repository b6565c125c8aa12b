#!/bin/sh
# Warnings that come before anybody can take them, and a controller that does not answer: in mbt-report,
# before there are ranks; in srun, before it has handlers; while step numbers are passed over; and two
# failing questions when the leg ends. Each time the job goes back into the queue, to the bits of an
# undisturbed run.
set -eu
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"
endless_steps

mkdir fake
cat >fake/warn <<'END'
#!/bin/sh
scancel --batch --signal=USR1 "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}"
sleep 1 # until it is there
END
cat >fake/report <<'END'
#!/bin/sh
[ -n "${SLURM_RESTART_COUNT-}" ] || fake/warn
exec build/bin/mbt-report "$@"
END
cat >fake/srun <<END
#!/bin/sh
case \${SLURM_RESTART_COUNT:-0}\$* in
0*) fake/warn; sleep 100 ;; # has no handlers
1*' true') fake/warn ;;
esac
exec $(command -v srun) "\$@"
END
cat >fake/squeue <<END
#!/bin/sh
[ ! -s busy ] || { sed -i 1d busy; echo 'slurm_load_jobs error: Socket timed out' >&2; exit 1; }
exec $(command -v squeue) "\$@"
END
chmod +x fake/*

cat >table.json <<'END'
{ "title": "One row", "rows": [ { "label": "a", "data": "synth", "configuration": "small.json", "seeds": [1] } ] }
END
MBT_REPORT=fake/report submit --array=0 --nodes=1 --ntasks=2 slurm/table.sbatch table.json
id=${id}_0
run=$(build/bin/mbt-report rows table.json | awk '{ print $4 }')
reaches Restarts 1
said "$run/log.txt" 'stopped at step'
last_leg "$run"
requeued 1
ends_as COMPLETED 0:0
said "mbtrain-$id.log" 'code 75, stopped with a checkpoint: back into the queue'

echo 0 >limit
printf 'once\ntwice\n' >busy
export PATH="$PWD/fake:$PATH"
submit --nodes=2 --ntasks=3 slurm/train.sbatch small.json
run=runs/small-$id
requeued 1
said "mbtrain-$id.log" 'code 138, stopped before there was a new checkpoint: back into the queue'
again="submit the same line again with MBTRAIN_RUN=$run"
[ "$(grep -c "$again" "mbtrain-$id.log")" = 2 ] || die 'not said at both failures what to do'
[ ! -e "$run" ] || die 'the first leg had ranks'
reaches Restarts 2
said "$run/log.txt" 'stopped at step'
last_leg "$run"
requeued 2
ends_as COMPLETED 0:0
undisturbed --set "train.max_steps=$last_step"
ended_alike "$run"
echo "$name: all as wanted"
