/* Which cores each rank may run on, and whether the launcher shared them out well.
 *
 * Only looked at, never changed: binding is the launcher's. Depends on comm, log, hwloc. */
#ifndef MBT_BINDING_H
#define MBT_BINDING_H

#include <stdbool.h>

#include "mbt/comm.h"
#include "mbt/log.h"

enum { MBT_BINDING_CORES = 1024, MBT_BINDING_HOST = 64 };

/* A rank's place; plain data. */
typedef struct mbt_binding {
    char host[MBT_BINDING_HOST];
    int threads;                            /* that compute */
    int n_cores;                            /* it may run on; 0: unknown */
    uint64_t cores[MBT_BINDING_CORES / 64]; /* bit i: hwloc's core i of the host */
} mbt_binding;

/* This process's own. n_cores is 0 where the operating system does not say. */
void mbt_binding_read(const char *host, int threads, mbt_binding *binding);

/* The model of this host's processor as it gives it, "AMD EPYC 7763 64-Core Processor", or
 * "unknown"; virtual machines may shorten it. */
void mbt_binding_processor(char *name, size_t bytes);

/* True when every thread of every rank can have a core of its own. Otherwise `why` says the worst:
 * a rank with more threads than cores, two ranks bound to one core, more threads than cores on a
 * host. */
bool mbt_binding_good(const mbt_binding *ranks, int n_ranks, char *why, size_t bytes);

/* "ranks 0-3: n1, cores 0-15" for the ranks from `first` on that share one place; returns the first
 * rank after them. */
int mbt_binding_place(const mbt_binding *ranks, int n_ranks, int first, char *out, size_t bytes);

/* Warns once, with the map of all ranks, when the ranks are badly bound. Collective. */
mbt_status mbt_binding_check(mbt_comm *comm, mbt_log *log, int threads,
                             mbt_error *err) MBT_WARN_UNUSED;

#endif
