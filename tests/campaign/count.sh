#!/bin/sh
# Appends what a campaign counted to a file of counts.
# Usage: count.sh COUNTS.csv CAMPAIGN SEED SECONDS PROGRAM passed|failed "WHAT=N WHAT=N..."
#   PROGRAM: one of the programs that were tried; it says their commit.
set -eu
file=$1 campaign=$2 seed=$3 seconds=$4 program=$5 result=$6 counts=$7
commit=$("$program" --version | sed -n 's/^commit: //p')
[ -e "$file" ] || echo 'date,campaign,seed,seconds,commit,result,counts' >"$file"
echo "$(date -u +%F),$campaign,$seed,$seconds,$commit,$result,$(echo "$counts" | tr -d ,)" | tee -a "$file"
