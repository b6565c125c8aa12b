# shellcheck shell=sh
# Rules that read the source tree as text. Each function prints one line per finding, nothing when
# the rule is kept, and runs in the root of the tree. Sourced by house.sh, which sets $here.

# C files of some folders without comments and strings: "path:line:text".
stripped() {
    find "$@" -type f -name '*.[ch]' -exec awk -f "${here:?}/strip.awk" {} +
}

# What people wrote, without stored data.
written() {
    find src include jobs configs data tests slurm .ci CMakeLists.txt CMakePresets.json README.md \
        LICENSE .clang-format .clang-tidy .gitignore -type f \( -name '*.[ch]' -o -name '*.sh' \
        -o -name '*.py' -o -name '*.md' -o -name '*.txt' -o -name '*.json' -o -name '*.awk' \
        -o -name '*.sbatch' -o -name '.*' -o -path .ci/run -o -path LICENSE \) "$@"
}

# The root holds what the design lists, and what building and running leave there.
rule_top() {
    wanted="src include jobs configs data tests slurm CMakeLists.txt CMakePresets.json README.md LICENSE"
    for name in $wanted .ci/run .gitignore .clang-format .clang-tidy; do
        [ -e "$name" ] || echo "$name: missing"
    done
    for name in *; do
        case " $wanted runs " in
        *" $name "*) continue ;;
        esac
        case $name in
        build* | *.h5 | mbtrain-*.log) ;;
        *) echo "$name: does not belong at the top level" ;;
        esac
    done
    grep -q '^MIT License' LICENSE || echo "LICENSE: is not the MIT License"
}

# A folder says what lives in it.
rule_readmes() {
    { find src -type d; printf '%s\n' jobs configs data tests slurm; } | while IFS= read -r folder; do
        [ -s "$folder/README.md" ] || echo "$folder: has no README.md"
    done
}

# One owner for each library; and a library's version is asked by CMake alone.
rule_owners() {
    stripped src include | awk '
    function only(pattern, home, what) {
        if (text ~ ("(^|[^A-Za-z0-9_])(" pattern ")") && index(path, home) != 1)
            print path ":" line ": " what " belongs to " home
    }
    {
        split($0, part, ":")
        path = part[1]
        line = part[2]
        text = substr($0, length(path) + length(line) + 3)
        only("MPI_[A-Za-z]|mpi[.]h", "src/par/comm_mpi.c", "MPI")
        only("H5[A-Z]|hid_t|herr_t|hsize_t|hdf5(_hl)?[.]h", "src/store/", "HDF5")
        only("dnnl|DNNL_|oneapi/", "src/kernels/onednn/", "oneDNN")
        only("cJSON", "src/config/", "cJSON")
        only("archive_[a-z]|ARCHIVE_[A-Z]|archive[.]h", "src/import/", "libarchive")
        only("hwloc", "src/par/", "hwloc")
        only("XXH[0-9_]|xxhash[.]h", "src/store/", "xxHash")
        only("tj[A-Z][A-Za-z0-9]*|TJ[A-Z_]+|turbojpeg[.]h", "src/data/jpeg.c", "TurboJPEG")
        only("png_(structp|infop|bytep|const_charp|create|destroy|read|set|get|error|jmpbuf|longjmp)|png[.]h", "src/data/png.c", "libpng")
        only("Tensorboard__|tensorboard__", "src/train/events.c", "protobuf-c")
        only("crc32_(iscsi|gzip|ieee)|isa-l", "src/base/crc.c", "ISA-L")
        only("rsvg_|cairo_|g_[a-z]+_|librsvg/|cairo[.]h", "src/report/", "librsvg")
        only("Random123/|philox[0-9]|threefry[0-9]|r123", "src/base/rng.c", "Random123")
        if (text ~ /^[ \t]*#[ \t]*(el)?if.*DNNL_VERSION/)
            print path ":" line ": CMake picks the shim by oneDNN'\''s version, nothing else asks for it"
    }'
}

# Includes go to the own layer and lower ones; private headers stay in their folder.
rule_layers() {
    {
        sed '/^#/d; s/^/T /' "${here:?}/layers.txt"
        # What CMake makes of NAME.h.in counts as NAME.h beside it.
        find src include -type f \( -name '*.h' -o -name '*.h.in' \) -exec printf 'H %s\n' {} + |
            sed 's/\.in$//'
        stripped src include | sed 's/^/S /'
    } | awk '
    function layer_of(path, part) {
        split(path, part, "/")
        if (path ~ /^src\/[^\/]+\//) {
            home = "src/" part[2] "/"
            if (part[2] in folder) return folder[part[2]]
            return complain(path, "folder " home " is not in tests/house/layers.txt")
        }
        home = ""
        if (path ~ /^include\/mbt\/[^\/]+\.h$/) {
            sub(/\.h$/, "", part[3])
            if (part[3] in module) return module[part[3]]
            return complain(path, "this header is not in tests/house/layers.txt")
        }
        return complain(path, "sources live in src/FOLDER/, public headers in include/mbt/")
    }
    function complain(path, what) {
        if (!(path in told)) print path ": " what
        told[path] = 1
        return -1
    }
    function resolved(name) { # a quoted name: beside the file that includes it, or from src/
        name = path
        sub(/[^\/]*$/, "", name)
        name = name target
        while (sub(/[^\/.]+\/\.\.\//, "", name));
        return (name in header) ? name : "src/" target
    }
    $1 == "T" {
        folder[$3] = $2
        for (i = 4; i <= NF; i++) module[$i] = $2
    }
    $1 == "H" { header[$2] = 1; layer_of($2) }
    $1 == "S" {
        split(substr($0, 3), part, ":")
        path = part[1]
        where = path ":" part[2]
        mine = layer_of(path)
        text = substr($0, length(where) + 4)
        if (text !~ /^[ \t]*#[ \t]*include/) next
        if (text ~ /\.c[">]/) print where ": a source file is included"
        if (!match(text, /"[^"]*"/)) {
            if (text ~ /<mbt\//) print where ": our own headers are included with quotes"
            next
        }
        target = substr(text, RSTART + 1, RLENGTH - 2)
        if (target ~ /^mbt\//) {
            name = target
            sub(/^mbt\//, "", name)
            sub(/\.h$/, "", name)
            if (!(("include/" target) in header)) print where ": there is no include/" target
            else if (name in module && mine >= 0 && module[name] > mine)
                print where ": layer " mine " includes " target " of layer " module[name]
        } else if (home == "")
            print where ": a public header includes the private " target
        else if (!(resolved() in header))
            print where ": there is no " resolved()
        else if (index(resolved(), home) != 1)
            print where ": " resolved() " is private to another folder"
    }'
    # Tests may include what they test, but no source file either.
    stripped tests | awk -F: '$3 ~ /^[ \t]*#[ \t]*include.*\.c[">]/ {
        print $1 ":" $2 ": a source file is included" }'
}

# Headers declare. At file scope a brace after parentheses opens a function body, one after "=" data.
# Private headers of kernels may hold short static inline functions: values must stay in registers.
rule_bodies() {
    stripped src include | awk '
    function judge() {
        gsub(/__attribute__ *\(\([^()]*(\([^()]*\))?[^()]*\)\)|_Alignas *\([^()]*\)/, "", statement)
        if (statement ~ /=/) print path ":" line ": data in a header"
        else if (statement !~ /\(/) return
        else if (path ~ /^src\/kernels\// && statement ~ /^ *(static inline|INLINE) /) inline_from = line
        else print path ":" line ": a function body in a header"
    }
    function close_body() {
        if (inline_from && line - inline_from > 12)
            print path ":" inline_from ": an inline function of more than 12 lines"
        inline_from = 0
        statement = ""
    }
    {
        split($0, part, ":")
        if (part[1] !~ /\.h$/) next
        if (part[1] != path) { depth = 0; statement = ""; macro = 0 }
        path = part[1]
        line = part[2]
        text = substr($0, length(path) + length(line) + 3)
        if (macro || text ~ /^[ \t]*#/) { macro = text ~ /\\$/; next }
        for (i = 1; i <= length(text); i++) {
            c = substr(text, i, 1)
            if (c == "{") { if (depth++ == 0) judge() }
            else if (c == "}") { if (--depth == 0) close_body() }
            else if (depth == 0) statement = (c == ";") ? "" : statement c
        }
        statement = statement " "
    }'
}

# Every source is built: named by the CMakeLists.txt of its folder or of one above it.
rule_listed() {
    find src -type f -name '*.c' | while IFS= read -r source; do
        folder=$(dirname "$source")
        while [ ! -f "$folder/CMakeLists.txt" ] && [ "$folder" != src ]; do
            folder=$(dirname "$folder")
        done
        tokens "$folder/CMakeLists.txt" | awk -v name="${source#"$folder"/}" '
            { if (name ~ ("^" $0 "$")) found = 1 }
            END { exit !found }' || echo "$source: is not listed in $folder/CMakeLists.txt"
    done
    # A test program is named by mbt_test, with or without its ending.
    {
        find tests -type f -name CMakeLists.txt | while IFS= read -r list; do tokens "$list"; done
        find tests -type f -name '*.c' | sed 's/^/source /'
    } | awk '
    $1 == "source" {
        name = $2
        sub(/^.*\//, "", name)
        found = 0
        for (i = 1; i <= n && !found; i++) found = name ~ word[i]
        if (!found) print $2 ": no CMakeLists.txt of the tests names it"
        next
    }
    { sub(/^.*\//, ""); word[++n] = "^" $0 "([.]c)?$" }'
}

# The words of a CMakeLists.txt as patterns: ${VARIABLE} may be anything within one path component.
tokens() {
    awk '{
        sub(/#.*/, "")
        gsub(/\$\{(CMAKE_CURRENT|PROJECT)_SOURCE_DIR\}\//, "")
        gsub(/\$\{[A-Za-z0-9_]*\}/, "@")
        n = split($0, word, /[ \t()";]+/)
        for (i = 1; i <= n; i++) {
            if (word[i] !~ /^[A-Za-z0-9_.\/@+-]+$/) continue
            gsub(/[.+]/, "[&]", word[i])
            gsub(/@/, "[^/]*", word[i])
            print word[i]
        }
    }' "$1"
}

# A file says what it is before it begins.
rule_openings() {
    find src include tests -type f -name '*.[ch]' -exec awk '
        FNR == 1 && !/^\/\*/ { print FILENAME ":1: does not open with a comment" }' {} +
    find jobs slurm tests .ci -type f \( -name '*.sh' -o -name '*.sbatch' -o -path .ci/run \) -exec awk '
        FNR == 2 && !/^#/ { print FILENAME ":2: does not open with a comment" }' {} +
    find src include tests jobs slurm -type f \( -name '*.[ch]' -o -name '*.sh' \) -size 0 \
        -exec printf '%s: is empty\n' {} +
}

# No file that has become several.
rule_length() {
    written -exec awk '
        FNR == 601 { print FILENAME ": has more than 600 lines" }' {} +
}

# No tabs, blanks at line ends or carriage returns; a last line that ends.
rule_blanks() {
    written -exec awk '
        /\t/ { print FILENAME ":" FNR ": a tab" }
        /[ \t\r]$/ { print FILENAME ":" FNR ": a blank at the end of the line" }' {} +
    written -size +0 | while IFS= read -r file; do
        [ -z "$(tail -c 1 "$file")" ] || echo "$file: the last line has no end"
    done
}

# Who may end the process, and what nobody calls.
rule_calls() {
    stripped src include | awk '
    function has(names) {
        return text ~ ("(^|[^A-Za-z0-9_])(" names ")[ \t]*\\(")
    }
    {
        split($0, part, ":")
        path = part[1]
        where = path ":" part[2] ": "
        text = substr($0, length(path) + length(part[2]) + 3)
        may_exit = path ~ /^src\/cli\// || path ~ /^src\/par\/(comm_(mpi|self)|crash)\.c$/ || path == "src/base/limited.c"
        if (has("exit|_exit|_Exit|quick_exit") && !may_exit)
            print where "only src/cli, mbt_comm_abort, crash.c and limited.c end the process"
        if (has("alloca|strcpy|strcat|sprintf|vsprintf|gets"))
            print where "unbounded: alloca, strcpy, strcat, sprintf, gets"
        if (has("atoi|atol|atof|strtok"))
            print where "not strict: atoi, atof, strtok; see mbt/text.h"
        if (has("rand|srand|random|srandom|drand48|rand_r"))
            print where "randomness comes from mbt/rng.h alone"
        if (has("system|popen"))
            print where "no command is run from the library"
    }'
}

# No macro hides a way out; no type hides a pointer or takes POSIX'\''s _t.
rule_names() {
    stripped src include | awk '
    {
        split($0, part, ":")
        where = part[1] ":" part[2] ": "
        text = substr($0, length(part[1]) + length(part[2]) + 3)
        if (macro || text ~ /^[ \t]*#[ \t]*define/) {
            macro = text ~ /\\$/
            if (text ~ /(^|[^A-Za-z0-9_])(goto|return|break|continue)([^A-Za-z0-9_]|$)/)
                print where "control flow in a macro"
        } else macro = 0
        if (text ~ /^(typedef .*[ *]|} *)[A-Za-z0-9_]+_t;/) print where "a type named _t"
        if (text ~ /^typedef [^()]*\*+ *[A-Za-z0-9_]+;/) print where "a typedef that hides a pointer"
    }'
}

# Shell scripts pass shellcheck and can be started.
rule_shell() {
    scripts=$(find jobs slurm tests .ci -type f \( -name '*.sh' -o -name '*.sbatch' -o -path .ci/run \))
    for script in $scripts; do
        shellcheck "$script" || true
        case $(head -n 1 "$script") in
        '#!'*) [ -x "$script" ] || echo "$script: is not executable" ;;
        esac
    done
}
