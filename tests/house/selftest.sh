#!/bin/sh
# Every rule of the house must hold for a small right tree and be seen broken in a wrong one.
# Usage: selftest.sh CC AR NM
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cc=$1 ar=$2 nm=$3
unset CDPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
right="$work/a right tree"
tree="$work/a wrong tree"
n_cases=0
n_failed=0

# A tree that keeps every rule, in the current folder.
make_right_tree() {
    mkdir -p src/base src/par src/kernels src/cli include/mbt jobs configs data tests/base slurm .ci
    for folder in . src src/base src/par src/kernels src/cli jobs configs data tests slurm; do
        echo "# what lives here" >"$folder/README.md"
    done
    echo 'MIT License' >LICENSE
    echo '{}' >CMakePresets.json
    touch .gitignore .clang-format .clang-tidy
    printf '#!/bin/sh\n# Calls the tests.\ntrue\n' | tee .ci/run tests/run.sh jobs/go.sh slurm/train.sbatch >/dev/null
    chmod +x .ci/run tests/run.sh jobs/go.sh slurm/train.sbatch
    for list in CMakeLists.txt src/CMakeLists.txt tests/CMakeLists.txt; do
        echo 'add_subdirectory(base)' >"$list"
    done
    echo 'target_sources(mbt PRIVATE status.c) # and no gone.c' >src/base/CMakeLists.txt
    # shellcheck disable=SC2016 # CMake's variable
    echo 'target_sources(mbt PRIVATE stop.c comm_${WHICH}.c)' >src/par/CMakeLists.txt
    echo 'target_sources(mbt PRIVATE table.c)' >src/kernels/CMakeLists.txt
    echo 'add_executable(mbtrain mbtrain.c)' >src/cli/CMakeLists.txt
    echo 'mbt_test(test_status LABEL unit)' >tests/base/CMakeLists.txt

    cat >include/mbt/status.h <<'C'
/* Codes. A comment may say MPI_Init, exit(1) and "/" "*". */
#ifndef MBT_STATUS_H
#define MBT_STATUS_H
typedef enum mbt_status { MBT_OK = 0, MBT_FAILURE = 1 } mbt_status;
struct __attribute__((packed)) mbt_pair {
    char first;
};
#define MBT_BRACE(x) \
    {                \
        (x)          \
    }
const char *mbt_status_name(mbt_status code);
#endif
C
    cat >include/mbt/comm.h <<'C'
/* Ranks. */
#ifndef MBT_COMM_H
#define MBT_COMM_H
#include "mbt/status.h"
_Noreturn void mbt_comm_abort(mbt_status code);
#endif
C
    cat >src/base/status.c <<'C'
/* Names of codes. */
#include "mbt/status.h"

static const char *const names[] = {"H5Fopen(", "exit(1); // MPI_Init() rand()", "'\"' \" cJSON"};

const char *mbt_status_name(mbt_status code) /* not rand() */
{
    return code == '"' ? "exit(" : names[code];
}
C
    cat >src/par/comm_mpi.c <<'C'
/* The one file that knows MPI. */
#include <mpi.h>
#include <stdlib.h>

#include "mbt/comm.h"

void mbt_comm_abort(mbt_status code)
{
    MPI_Abort(MPI_COMM_WORLD, code);
    exit(code);
}
C
    cat >src/par/stop.c <<'C'
/* The flag. */
#include "mbt/status.h"

static int stop;

int mbt_stop_wanted(void)
{
    return stop++;
}
C
    cat >src/kernels/vector.h <<'C'
/* Helpers. */
static inline int twice(int x)
{
    return 2 * x;
}
C
    printf '/* Kernels. */\n#include "mbt/status.h"\n#include "vector.h"\n' >src/kernels/table.c
    printf '/* Main. */\n#include "mbt/comm.h"\nint main(void) { return 0; }\n' >src/cli/mbtrain.c
    printf '/* A test. */\nint main(void) { return 0; }\n' >tests/base/test_status.c
}

# What the rules globals and serial look at: everything of the tree that compiles without MPI.
build() {
    for source in src/base/*.c src/par/stop.c; do
        "$cc" -O2 -I include -c "$source" -o "$(basename "$source").o"
    done
    rm -f "$work/libmbt.a"
    "$ar" rcs "$work/libmbt.a" ./*.c.o
    "$cc" -I include -o "$work/mbt-data" src/cli/mbtrain.c ./*.c.o
    rm -f ./*.c.o
}

check() { # RULE: house.sh over the current folder
    case $1 in
    headers) set -- headers "$cc" ;;
    globals) set -- globals "$nm" "$work/libmbt.a" ;;
    serial) set -- serial "$nm" "$work/mbt-data" ;;
    esac
    rule=$1
    shift
    sh "$here/house.sh" "$rule" . "$@"
}

begin() { # a fresh copy of the right tree
    n_cases=$((n_cases + 1))
    rm -rf "$tree"
    cp -R "$right" "$tree"
    cd "$tree"
}

expect() { # RULE WANTED WHAT: the rule must now say WANTED
    case $1 in
    globals | serial) build ;;
    esac
    if said=$(check "$1" 2>&1); then
        echo "rule $1: was not seen broken by: $3"
        n_failed=$((n_failed + 1))
    elif ! printf '%s\n' "$said" | grep -q -F -e "$2"; then
        printf 'rule %s: said, for %s\n%s\ninstead of %s\n' "$1" "$3" "$said" "$2"
        n_failed=$((n_failed + 1))
    fi
}

line() { # RULE WANTED FILE TEXT: wrong is TEXT at the end of FILE
    begin
    printf '%s\n' "$4" >>"$3"
    expect "$1" "$2" "$4"
}

tree() { # RULE WANTED COMMANDS: wrong is what COMMANDS make of the tree
    begin
    eval "$3"
    expect "$1" "$2" "$3"
}

mkdir "$right"
cd "$right"
make_right_tree
build
sed -n 's/^rule_\([a-z]*\)() {$/\1/p' "$here/rules.sh" "$here/built.sh" >"$work/rules"
while IFS= read -r rule; do
    n_cases=$((n_cases + 1))
    check "$rule" || n_failed=$((n_failed + 1))
    grep -q -E "^(line|tree) $rule " "$here/selftest.sh" || {
        echo "rule $rule: has no wrong tree below"
        n_failed=$((n_failed + 1))
    }
done <"$work/rules"

tree top "docs: does not belong" 'mkdir docs'
tree top "LICENSE: missing" 'rm LICENSE'
tree top ".ci/run: missing" 'rm .ci/run'
tree top "is not the MIT License" 'echo GPL >LICENSE'
tree readmes "src/par: has no README.md" 'rm src/par/README.md'
tree readmes "src/base/fast: has no README.md" 'mkdir src/base/fast'
tree readmes "slurm: has no README.md" ': >slurm/README.md'

line owners "src/base/status.c:10: MPI belongs to src/par/comm_mpi.c" src/base/status.c 'int f(void) { return MPI_Init(0, 0); }'
line owners "src/base/status.c:10: MPI belongs to" src/base/status.c '#include <mpi.h>'
line owners "src/par/stop.c:10: MPI belongs to" src/par/stop.c '/* a */ MPI_Comm x; /* b */'
line owners "include/mbt/comm.h:7: HDF5 belongs to src/store/" include/mbt/comm.h 'hid_t f(void);'
line owners "src/base/status.c:10: ISA-L belongs to" src/base/status.c 'crc32_iscsi(p, n, 0);'
line owners "src/base/status.c:10: HDF5 belongs to" src/base/status.c 'x = H5Fopen(name);'
line owners "src/kernels/table.c:4: oneDNN belongs to" src/kernels/table.c 'dnnl_engine_t e;'
line owners "src/base/status.c:10: cJSON belongs to" src/base/status.c '#include <cjson/cJSON.h>'
line owners "src/base/status.c:10: libarchive belongs to" src/base/status.c 'archive_read_new();'
line owners "src/base/status.c:10: hwloc belongs to" src/base/status.c 'hwloc_topology_init(&t);'
line owners "src/base/status.c:10: xxHash belongs to" src/base/status.c 'XXH3_128bits(p, n);'
line owners "src/base/status.c:10: TurboJPEG belongs to" src/base/status.c 'tjDestroy(h);'
line owners "src/base/status.c:10: libpng belongs to" src/base/status.c '#include <png.h>'
line owners "src/base/status.c:10: Random123 belongs to" src/base/status.c '#include <Random123/philox.h>'
line owners "CMake picks the shim" src/base/status.c '#if DNNL_VERSION_MAJOR > 2'
line owners "src/par/stop.c:11: MPI belongs to" src/par/stop.c '/* opens
closes */ MPI_Init();'

line layers "src/base/status.c:10: layer 0 includes mbt/comm.h of layer 1" src/base/status.c '#include "mbt/comm.h"'
line layers "include/mbt/status.h:14: layer 0 includes mbt/comm.h" include/mbt/status.h '#include "mbt/comm.h"'
line layers "there is no include/mbt/none.h" src/base/status.c '#include "mbt/none.h"'
tree layers "is not in tests/house/layers.txt" 'echo "/* New. */" >include/mbt/brandnew.h'
tree layers "folder src/extra/ is not in" 'mkdir src/extra; echo "/* x */" >src/extra/x.c'
line layers "src/kernels/vector.h is private to another folder" src/base/status.c '#include "../kernels/vector.h"'
line layers "src/kernels/vector.h is private to another folder" src/base/status.c '#include "kernels/vector.h"'
line layers "a public header includes the private vector.h" include/mbt/comm.h '#include "vector.h"'
line layers "src/base/status.c:10: there is no src/gone.h" src/base/status.c '#include "gone.h"'
line layers "are included with quotes" src/base/status.c '#include <mbt/status.h>'
line layers "src/base/status.c:10: a source file is included" src/base/status.c '#include "other.c"'
line layers "tests/base/test_status.c:3: a source file is included" tests/base/test_status.c '#include "base/status.c"'
tree layers "src/loose.c: sources live in src/FOLDER/" 'echo "/* x */" >src/loose.c'
tree layers "include/other.h: sources live in" 'echo "/* x */" >include/other.h'

line bodies "include/mbt/comm.h:7: a function body" include/mbt/comm.h 'static inline int f(void) { return 1; }'
line bodies "include/mbt/comm.h:9: a function body" include/mbt/comm.h 'int f(
    int x)
{
    return x;
}'
line bodies "include/mbt/comm.h:7: data" include/mbt/comm.h 'static const int x[] = {1};'
line bodies "src/kernels/vector.h:6: a function body" src/kernels/vector.h 'int f(void) {'
tree bodies "of more than 12 lines" 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sed -i "s/^{/{\n/" src/kernels/vector.h; done'

tree listed "src/base/gone.c: is not listed" 'echo "/* x */" >src/base/gone.c'
tree listed "src/base/statusxc.c: is not listed" 'echo "/* x */" >src/base/statusxc.c'
tree listed "src/kernels/avx/table.c: is not listed" 'mkdir src/kernels/avx; echo "/* x */" >src/kernels/avx/table.c'
tree listed "tests/base/test_more.c: no CMakeLists.txt" 'echo "/* x */" >tests/base/test_more.c'
tree openings "src/base/new.c:1: does not open" 'echo "#include <stdio.h>" >src/base/new.c'
tree openings "jobs/new.sh:2: does not open" 'printf "#!/bin/sh\nset -e\n" >jobs/new.sh'
tree openings "src/base/new.c: is empty" ': >src/base/new.c'
tree length "src/base/status.c: has more than 600 lines" 'yes "" | head -n 600 >>src/base/status.c'
tree blanks "src/base/status.c:10: a tab" 'printf "\tint x;\n" >>src/base/status.c'
line blanks "src/base/status.c:10: a blank at the end" src/base/status.c 'int x; '
tree blanks "jobs/go.sh:4: a blank at the end" 'printf "true\r\n" >>jobs/go.sh'
tree blanks "src/base/status.c: the last line has no end" 'printf "int x;" >>src/base/status.c'

line calls "src/base/status.c:10: only src/cli" src/base/status.c 'void f(void) { exit(1); }'
line calls "src/par/stop.c:10: only src/cli" src/par/stop.c 'void f(void) { _exit (1); }'
line calls "src/base/status.c:10: unbounded" src/base/status.c 'x = strcpy(a, b);'
line calls "src/base/status.c:10: not strict" src/base/status.c 'x = atoi(a);'
line calls "src/base/status.c:10: randomness" src/base/status.c 'x = rand();'
line calls "src/base/status.c:10: no command" src/base/status.c 'system(x);'
line names "src/base/status.c:10: control flow in a macro" src/base/status.c '#define CHECK(x) if (x) goto done'
line names "src/base/status.c:11: control flow in a macro" src/base/status.c '#define CHECK(x) \
    if (x) return 1'
line names "src/base/status.c:10: a type named _t" src/base/status.c 'typedef struct mbt_x mbt_x_t;'
line names "src/base/status.c:10: a typedef that hides" src/base/status.c 'typedef struct mbt_x *mbt_x;'

line shell "SC2164" jobs/go.sh 'cd nowhere'
tree shell "jobs/go.sh: is not executable" 'chmod -x jobs/go.sh'
line shell "SC2164" slurm/train.sbatch 'cd nowhere'

tree headers "include/mbt/comm.h: does not compile" 'sed -i "/status.h/d" include/mbt/comm.h'
tree headers "include/mbt/comm.h: does not compile" 'sed -i "/_H$/d; /#endif/d; s/^_Nor.*/struct a { int x; };/" include/mbt/comm.h'
line globals "status.c: count" src/base/status.c 'static int count; int f(void) { return count++; }'
line globals "status.c: table" src/base/status.c 'int table[4] = {1};'
line globals "status.c: seen" src/base/status.c 'int g(void) { static int seen; return seen++; }'
line globals "stop.c: other" src/par/stop.c '_Thread_local int other;'
line serial "mbt-data: refers to MPI_Init" src/base/status.c 'int MPI_Init(void) { return 0; }'

echo "$n_cases cases, $n_failed failed"
[ "$n_failed" = 0 ]
