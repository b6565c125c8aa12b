# shellcheck shell=sh
# Rules that look at headers through the compiler and at what was built. Sourced by house.sh.

# A public header compiles on its own, and twice. Argument: the C compiler.
rule_headers() {
    for header in include/mbt/*.h; do
        name=mbt/$(basename "$header")
        printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
            "$1" -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -Wall -Wextra -Wpedantic \
                -Wshadow -Wstrict-prototypes -Werror -I include -fsyntax-only -x c - ||
            echo "$header: does not compile on its own"
    done
}

# No mutable object of static storage but those in globals.txt. Arguments: nm, static libraries.
# Sections tell more than nm's letters: constant tables of pointers lie in .data.rel.ro and count as 'd'.
rule_globals() {
    nm=$1
    shift
    {
        sed '/^#/d; s/^/allowed /' "${here:?}/globals.txt"
        "$nm" --format=sysv "$@"
    } | awk -F '|' '
    /^allowed / {
        split($0, part, " ")
        allowed[part[2] " " part[3]] = 1
    }
    /^Symbols from / {
        member = $0
        sub(/^.*\[/, "", member)
        sub(/\.o(bj)?\].*$/, "", member)
        members++
    }
    NF == 7 {
        name = $1
        section = $7
        gsub(/ /, "", name)
        gsub(/ /, "", section)
        if (section ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ && section !~ /^\.data\.rel\.ro/ &&
            !((member " " name) in allowed))
            print member ": " name ": a mutable global (" section ")"
    }
    END { if (!members) print "no object was found in the libraries" }'
}

# Serial programs start where MPI is forbidden: they neither need nor load it. Arguments: nm, programs.
rule_serial() {
    nm=$1
    shift
    for program in "$@"; do
        "$nm" "$program" | awk -v program="$(basename "$program")" '
            { n++ }
            $NF ~ /^(MPI_|PMPI_|ompi_)/ { print program ": refers to " $NF }
            END { if (!n) print program ": has no symbols to look at" }'
    done
}
