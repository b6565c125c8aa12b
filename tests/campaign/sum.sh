#!/bin/sh
# Adds up counts.csv: a line a campaign, with what was counted in all of its runs (the most of what
# begins with most_; what describes the runs and cannot be added is left out).
set -eu
awk -F, 'NR > 1 {
        runs[$2]++
        failed[$2] += $6 != "passed"
        n = split($7, fields, " ")
        for (i = 1; i <= n; i++) {
            split(fields[i], pair, "=")
            key = $2 " " pair[1]
            if (pair[1] ~ /^(interval|of|calls|mallocs|steps|last_step|edges|corpus|open|crashes_of_hdf5_handled)$/) continue
            if (!(key in sum)) order[++keys] = key
            if (pair[1] ~ /^most_/) sum[key] = pair[2] > sum[key] ? pair[2] : sum[key]
            else sum[key] += pair[2]
        }
    }
    END {
        for (name in runs) {
            line = name ": runs=" runs[name] " failed=" failed[name]
            for (i = 1; i <= keys; i++) {
                split(order[i], pair, " ")
                if (pair[1] == name) line = line " " pair[2] "=" sum[order[i]]
            }
            print line
        }
    }' "$(dirname "$0")/counts.csv" | sort
