/* The ranks of a run: who we are, agreeing, sharing, summing, leaving.
 *
 * The only unit that knows MPI is its implementation comm_mpi.c; the serial programs link the twin
 * comm_self.c, which behaves as one rank and carries no MPI symbol. Reductions inside a step cannot
 * be undone on the other ranks, so a failing MPI call aborts the job (MPI_ERRORS_ARE_FATAL); the
 * functions below therefore return a status only where the failure is ours to report.
 * Depends on status, bf16, arena (for its alignment). */
#ifndef MBT_COMM_H
#define MBT_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mbt/status.h"

typedef struct mbt_comm mbt_comm;

/* BF16: uint16_t elements (bf16.h), rounded after every addition; sums alone. */
typedef enum mbt_comm_type {
    MBT_COMM_I64,
    MBT_COMM_F32,
    MBT_COMM_F64,
    MBT_COMM_BF16
} mbt_comm_type;

/* Initialises MPI (thread level FUNNELED) and finds ranks and nodes. Collective over the job.
 * MBT_USAGE when a launcher started several copies that do not know each other (SLURM_NTASKS,
 * OMPI_COMM_WORLD_SIZE or PMI_SIZE say more than one, the world is one): the message names the fix,
 * and is empty on all copies but the launcher's first, so that it is printed once; the environment
 * variable MBTRAIN_ALLOW_SINGLETON=1 overrides. */
mbt_status mbt_comm_create(int *argc, char ***argv, mbt_comm **comm,
                           mbt_error *err) MBT_WARN_UNUSED;
void mbt_comm_destroy(mbt_comm *comm); /* Collective. NULL is allowed. */

int mbt_comm_rank(const mbt_comm *comm);
int mbt_comm_size(const mbt_comm *comm);
int mbt_comm_node_rank(const mbt_comm *comm); /* rank within its node */
int mbt_comm_node_size(const mbt_comm *comm); /* ranks on this node */
int mbt_comm_n_nodes(const mbt_comm *comm);
const char *mbt_comm_host(const mbt_comm *comm);
const char *mbt_comm_library(void); /* "Open MPI 4.1.4" or "none (serial)", static storage */

/* From now on *calls grows by one at the beginning and at the end of each collective function: odd
 * inside, and smaller the further a rank lags behind. NULL: no longer. Counting starts at the same
 * point on all ranks. */
void mbt_comm_count(mbt_comm *comm, _Atomic int64_t *calls);

/* Every rank learns the worst status of all and, on failure, the error of the lowest rank that has
 * it (prefixed with "rank R: " when only some ranks failed). Returns that status. Collective. */
mbt_status mbt_comm_agree(mbt_comm *comm, mbt_status status, mbt_error *err);

void mbt_comm_barrier(mbt_comm *comm);                             /* Collective. */
void mbt_comm_broadcast(mbt_comm *comm, void *data, size_t bytes); /* from rank 0. Collective. */
void mbt_comm_sum(mbt_comm *comm, mbt_comm_type type, void *data,
                  size_t count); /* in place. Collective. */
void mbt_comm_min(mbt_comm *comm, mbt_comm_type type, void *data,
                  size_t count); /* in place. Collective. */
void mbt_comm_max(mbt_comm *comm, mbt_comm_type type, void *data,
                  size_t count); /* in place. Collective. */
/* all: size * bytes, in rank order, on every rank. Collective. */
void mbt_comm_gather(mbt_comm *comm, const void *mine, size_t bytes, void *all);

enum { MBT_COMM_SUMS_MAX = 64 }; /* non-blocking sums under way at a time */

/* A non-blocking sum in place. Every rank starts the same sums in the same order. Collective.
 * `data` belongs to the request until mbt_comm_finish. Open MPI moves only inside MPI calls, so
 * whoever computes meanwhile calls mbt_comm_poll now and then. */
typedef struct mbt_request mbt_request;
mbt_request *mbt_comm_start_sum(mbt_comm *comm, mbt_comm_type type, void *data, size_t count);
bool mbt_comm_poll(mbt_request *request);   /* true when the sum is there */
void mbt_comm_finish(mbt_request *request); /* waits and frees the request; NULL is allowed */

/* Memory that the ranks of one node share, aligned as an arena's. One rank per node
 * (`writer`) fills it, or each writes a part of its own; everybody reads after mbt_share_publish.
 * Falls back to private memory on every rank (every rank is then a writer) when /dev/shm lacks the
 * space; `shared` says which, for the log. A rank that is alone on its node counts as sharing. */
typedef struct mbt_share {
    void *data;
    size_t bytes;
    bool writer;  /* this rank must fill data */
    bool shared;  /* false: private memory, see above */
    void *handle; /* the implementation's own; NULL: there is nothing to release with others */
} mbt_share;

mbt_status mbt_share_create(mbt_comm *comm, size_t bytes, mbt_share *share,
                            mbt_error *err) MBT_WARN_UNUSED; /* Collective. */
void mbt_share_publish(mbt_comm *comm, mbt_share *share);    /* Collective. */
void mbt_share_destroy(mbt_comm *comm, mbt_share *share); /* Collective. A zeroed one is allowed. */

/* Memory for what is summed: with all ranks on one node, a sum by mbt_comm_start_sum of integers or
 * floats that lie in it goes without a message, in rank order. Zero at first. At most one such
 * memory at a time; where /dev/shm lacks the space, and on several nodes, it is ordinary memory. */
typedef struct mbt_sum_memory {
    void *data;      /* of this rank */
    mbt_share share; /* of all; zeroed when data is ordinary memory */
} mbt_sum_memory;

/* Whether it lies in the node's memory if there is room. */
bool mbt_comm_shares_sums(const mbt_comm *comm);

/* bytes: the same on all ranks. Collective. */
mbt_status mbt_sum_memory_create(mbt_comm *comm, size_t bytes, mbt_sum_memory *memory,
                                 mbt_error *err) MBT_WARN_UNUSED;
void mbt_sum_memory_destroy(mbt_comm *comm,
                            mbt_sum_memory *memory); /* Collective. A zeroed one is allowed. */

/* Prints "rank R on HOST: <message>" (NULL: nothing) and ends every rank of the job with exit code
 * `code`, this one within seconds whatever else hangs. May be called by any thread. */
_Noreturn void mbt_comm_abort(mbt_comm *comm, mbt_status code, const char *message);

#endif
