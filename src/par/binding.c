/* Cores of ranks, by hwloc. */
#include "mbt/binding.h"

#include <hwloc.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES_MAX = 24 /* lines of a map */, TEXT_BYTES = 512, WORDS = MBT_BINDING_CORES / 64 };

static bool has(const mbt_binding *b, int core)
{
    return (b->cores[core / 64] >> core % 64 & 1) != 0;
}

static void find_cores(hwloc_topology_t topology, hwloc_const_bitmap_t mine, mbt_binding *b)
{
    const hwloc_obj_type_t type = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0
                                      ? HWLOC_OBJ_CORE
                                      : HWLOC_OBJ_PU; /* virtual machines may hide their cores */
    const int n = hwloc_get_nbobjs_by_type(topology, type);
    for (int i = 0; i < n && i < MBT_BINDING_CORES; i++) {
        const hwloc_obj_t core = hwloc_get_obj_by_type(topology, type, (unsigned)i);
        if (hwloc_bitmap_intersects(core->cpuset, mine)) {
            b->cores[i / 64] |= UINT64_C(1) << i % 64;
            b->n_cores++;
        }
    }
}

/* NULL where there is none. Cores that a batch system forbids are in it too: numbers are then the
 * same on all ranks. */
static hwloc_topology_t load_topology(void)
{
    hwloc_topology_t topology = NULL;
    if (hwloc_topology_init(&topology) != 0) {
        return NULL;
    }
    if (hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) != 0 ||
        hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        return NULL;
    }
    return topology;
}

void mbt_binding_read(const char *host, int threads, mbt_binding *binding)
{
    *binding = (mbt_binding){.threads = threads};
    (void)snprintf(binding->host, sizeof binding->host, "%s", host);
    hwloc_topology_t topology = load_topology();
    hwloc_bitmap_t mine = hwloc_bitmap_alloc();
    if (mine != NULL && topology != NULL &&
        hwloc_get_cpubind(topology, mine, HWLOC_CPUBIND_PROCESS) == 0) {
        find_cores(topology, mine, binding);
    }
    if (topology != NULL) {
        hwloc_topology_destroy(topology);
    }
    hwloc_bitmap_free(mine);
}

/* hwloc tells the model of a package, or of the machine where packages are hidden. */
void mbt_binding_processor(char *name, size_t bytes)
{
    hwloc_topology_t topology = load_topology();
    const char *model = NULL;
    if (topology != NULL) {
        const hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
        model = package != NULL ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;
        model = model != NULL
                    ? model
                    : hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "CPUModel");
    }
    (void)snprintf(name, bytes, "%s", model != NULL ? model : "unknown");
    if (topology != NULL) {
        hwloc_topology_destroy(topology);
    }
}

/* The first rank after `first` that is bound as tightly to a core of its, or -1. A rank with more
 * cores than threads can step aside. */
static int find_rival(const mbt_binding *ranks, int n_ranks, int first, int *core)
{
    const mbt_binding *a = &ranks[first];
    if (a->n_cores == 0 || a->n_cores > a->threads) {
        return -1;
    }
    for (int r = first + 1; r < n_ranks; r++) {
        const mbt_binding *b = &ranks[r];
        if (b->n_cores == 0 || b->n_cores > b->threads || strcmp(a->host, b->host) != 0) {
            continue;
        }
        for (int i = 0; i < MBT_BINDING_CORES; i++) {
            if (has(a, i) && has(b, i)) {
                *core = i;
                return r;
            }
        }
    }
    return -1;
}

/* Threads of the ranks on the host of `first`, and cores that they have together. */
static void count_host(const mbt_binding *ranks, int n_ranks, int first, int *threads, int *cores)
{
    uint64_t all[WORDS] = {0};
    *threads = *cores = 0;
    for (int r = 0; r < n_ranks; r++) {
        if (strcmp(ranks[r].host, ranks[first].host) == 0 && ranks[r].n_cores > 0) {
            *threads += ranks[r].threads;
            for (int i = 0; i < WORDS; i++) {
                all[i] |= ranks[r].cores[i];
            }
        }
    }
    for (int i = 0; i < WORDS; i++) {
        *cores += __builtin_popcountll(all[i]);
    }
}

bool mbt_binding_good(const mbt_binding *ranks, int n_ranks, char *why, size_t bytes)
{
    int threads, cores;
    for (int r = 0; r < n_ranks; r++) {
        const bool first_of_host = r == 0 || strcmp(ranks[r].host, ranks[r - 1].host) != 0;
        if (first_of_host) { /* launchers place neighbours together; looking twice changes nothing
                              */
            count_host(ranks, n_ranks, r, &threads, &cores);
            if (threads > cores) {
                (void)snprintf(why, bytes,
                               "%d threads share %d core%s of %s: start fewer ranks there, or let "
                               "each have its own (mpirun --map-by core --bind-to core, srun "
                               "--cpu-bind=cores)",
                               threads, cores, cores == 1 ? "" : "s", ranks[r].host);
                return false;
            }
        }
        if (ranks[r].n_cores > 0 && ranks[r].threads > ranks[r].n_cores) {
            (void)snprintf(why, bytes,
                           "rank %d on %s has %d threads and %d core%s: give it as many "
                           "(mpirun --map-by slot:PE=%d, srun --cpus-per-task=%d)",
                           r, ranks[r].host, ranks[r].threads, ranks[r].n_cores,
                           ranks[r].n_cores == 1 ? "" : "s", ranks[r].threads, ranks[r].threads);
            return false;
        }
    }
    for (int r = 0; r < n_ranks; r++) {
        int core;
        const int rival = find_rival(ranks, n_ranks, r, &core);
        if (rival >= 0) {
            (void)snprintf(why, bytes,
                           "ranks %d and %d are both bound to core %d of %s: mpirun --map-by core "
                           "--bind-to core or srun --cpu-bind=cores keep them apart",
                           r, rival, core, ranks[r].host);
            return false;
        }
    }
    return true;
}

int mbt_binding_place(const mbt_binding *ranks, int n_ranks, int first, char *out, size_t bytes)
{
    const mbt_binding *b = &ranks[first];
    int end = first + 1;
    while (end < n_ranks && memcmp(&ranks[end], b, sizeof *b) == 0) {
        end++;
    }
    int at = end - first == 1 ? snprintf(out, bytes, "rank %d: %s, ", first, b->host)
                              : snprintf(out, bytes, "ranks %d-%d: %s, ", first, end - 1, b->host);
    at += snprintf(out + at, bytes - (size_t)at, "%s", b->n_cores == 0 ? "cores unknown" : "cores");
    for (int i = 0, n = 0; i < MBT_BINDING_CORES && (size_t)at + 16 < bytes; i++) {
        if (!has(b, i)) {
            continue;
        }
        int to = i;
        while (to + 1 < MBT_BINDING_CORES && has(b, to + 1)) {
            to++;
        }
        at += snprintf(out + at, bytes - (size_t)at, n++ > 0 ? ",%d" : " %d", i);
        if (to > i) {
            at += snprintf(out + at, bytes - (size_t)at, "-%d", to);
        }
        i = to;
    }
    return end;
}

static void print_map(const mbt_binding *ranks, int n_ranks, mbt_log *log)
{
    int n = 0;
    for (int r = 0; r < n_ranks; n++) {
        char place[TEXT_BYTES];
        r = mbt_binding_place(ranks, n_ranks, r, place, sizeof place);
        if (n < PLACES_MAX) {
            mbt_log_root(log, MBT_LOG_INFO, "  %s", place);
        }
    }
    if (n > PLACES_MAX) {
        mbt_log_root(log, MBT_LOG_INFO, "  and %d places more", n - PLACES_MAX);
    }
}

mbt_status mbt_binding_check(mbt_comm *comm, mbt_log *log, int threads, mbt_error *err)
{
    const int n = mbt_comm_size(comm);
    char why[TEXT_BYTES];
    mbt_binding mine;
    mbt_binding *ranks = calloc((size_t)n, sizeof *ranks);
    mbt_status status =
        ranks != NULL ? MBT_OK : mbt_fail(err, MBT_FAILURE, "binding of ranks: out of memory");
    status = mbt_comm_agree(comm, status, err);
    if (status == MBT_OK) {
        mbt_binding_read(mbt_comm_host(comm), threads, &mine);
        mbt_comm_gather(comm, &mine, sizeof mine, ranks);
        if (mbt_comm_rank(comm) == 0 && !mbt_binding_good(ranks, n, why, sizeof why)) {
            mbt_log_root(log, MBT_LOG_WARN, "badly bound: %s", why);
            print_map(ranks, n, log);
        }
    }
    free(ranks);
    return status;
}
