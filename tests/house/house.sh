#!/bin/sh
# One rule of the house, checked over a source tree: prints what breaks it and ends with 1.
# Usage: house.sh RULE ROOT [ARGUMENTS]; the rules are the functions rule_* in rules.sh and built.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rule=${1:?usage: house.sh RULE ROOT [ARGUMENTS]}
root=${2:?usage: house.sh RULE ROOT [ARGUMENTS]}
shift 2
export LC_ALL=C

# shellcheck source=tests/house/rules.sh
. "$here/rules.sh"
# shellcheck source=tests/house/built.sh
. "$here/built.sh"

cd "$root"
# Complaints of the tools count as findings: a rule that could not look has not been kept.
if ! found=$("rule_$rule" "$@" 2>&1); then
    found="${found:+$found
}house.sh: the rule '$rule' could not be checked"
fi
if [ -n "$found" ]; then
    printf '%s\nhouse: the rule "%s" is broken (tests/house/README.md)\n' "$found" "$rule"
    exit 1
fi
