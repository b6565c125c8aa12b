/* One rank without MPI, for the serial programs: login nodes often forbid MPI_Init. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/arena.h"
#include "mbt/comm.h"

enum { HOST_BYTES = 256 };

struct mbt_request {
    char unused; /* a sum over one rank is there at once */
};

struct mbt_comm {
    char host[HOST_BYTES];
    mbt_request request; /* stands for every sum */
};

mbt_status mbt_comm_create(int *argc, char ***argv, mbt_comm **comm, mbt_error *err)
{
    (void)argc;
    (void)argv;
    *comm = calloc(1, sizeof **comm);
    if (!*comm) {
        return mbt_fail(err, MBT_FAILURE, "memory: no %zu bytes for the communicator",
                        sizeof **comm);
    }
    if (gethostname((*comm)->host, HOST_BYTES - 1) != 0) {
        (void)snprintf((*comm)->host, HOST_BYTES, "localhost");
    }
    return MBT_OK;
}

void mbt_comm_destroy(mbt_comm *comm)
{
    free(comm);
}

int mbt_comm_rank(const mbt_comm *comm)
{
    (void)comm;
    return 0;
}

int mbt_comm_size(const mbt_comm *comm)
{
    (void)comm;
    return 1;
}

int mbt_comm_node_rank(const mbt_comm *comm)
{
    (void)comm;
    return 0;
}

int mbt_comm_node_size(const mbt_comm *comm)
{
    (void)comm;
    return 1;
}

int mbt_comm_n_nodes(const mbt_comm *comm)
{
    (void)comm;
    return 1;
}

const char *mbt_comm_host(const mbt_comm *comm)
{
    return comm->host;
}

const char *mbt_comm_library(void)
{
    return "none (serial)";
}

void mbt_comm_count(mbt_comm *comm, _Atomic int64_t *calls)
{
    (void)comm;
    (void)calls; /* nobody waits for anybody */
}

mbt_status mbt_comm_agree(mbt_comm *comm, mbt_status status, mbt_error *err)
{
    (void)comm;
    (void)err;
    return status;
}

void mbt_comm_barrier(mbt_comm *comm)
{
    (void)comm;
}

void mbt_comm_broadcast(mbt_comm *comm, void *data, size_t bytes)
{
    (void)comm;
    (void)data;
    (void)bytes;
}

void mbt_comm_sum(mbt_comm *comm, mbt_comm_type type, void *data, size_t count)
{
    (void)comm;
    (void)type;
    (void)data;
    (void)count;
}

void mbt_comm_min(mbt_comm *comm, mbt_comm_type type, void *data, size_t count)
{
    mbt_comm_sum(comm, type, data, count);
}

void mbt_comm_max(mbt_comm *comm, mbt_comm_type type, void *data, size_t count)
{
    mbt_comm_sum(comm, type, data, count);
}

void mbt_comm_gather(mbt_comm *comm, const void *mine, size_t bytes, void *all)
{
    (void)comm;
    if (bytes > 0) {
        memmove(all, mine, bytes);
    }
}

mbt_request *mbt_comm_start_sum(mbt_comm *comm, mbt_comm_type type, void *data, size_t count)
{
    mbt_comm_sum(comm, type, data, count);
    return &comm->request;
}

bool mbt_comm_poll(mbt_request *request)
{
    (void)request;
    return true;
}

void mbt_comm_finish(mbt_request *request)
{
    (void)request;
}

mbt_status mbt_share_create(mbt_comm *comm, size_t bytes, mbt_share *share, mbt_error *err)
{
    (void)comm;
    *share = (mbt_share){.bytes = bytes, .writer = true, .shared = true};
    share->data = aligned_alloc(MBT_ARENA_ALIGN, mbt_arena_round(bytes ? bytes : 1));
    if (!share->data) {
        return mbt_fail(err, MBT_FAILURE, "memory: no %zu MiB for shared data", bytes >> 20);
    }
    memset(share->data, 0, bytes);
    return MBT_OK;
}

void mbt_share_publish(mbt_comm *comm, mbt_share *share)
{
    (void)comm;
    (void)share;
}

void mbt_share_destroy(mbt_comm *comm, mbt_share *share)
{
    (void)comm;
    free(share->data);
    *share = (mbt_share){0};
}

bool mbt_comm_shares_sums(const mbt_comm *comm)
{
    (void)comm;
    return false;
}

mbt_status mbt_sum_memory_create(mbt_comm *comm, size_t bytes, mbt_sum_memory *memory,
                                 mbt_error *err)
{
    (void)comm;
    *memory = (mbt_sum_memory){.data = calloc(1, bytes ? bytes : 1)};
    return memory->data ? MBT_OK
                        : mbt_fail(err, MBT_FAILURE, "memory: no %zu MiB for sums", bytes >> 20);
}

void mbt_sum_memory_destroy(mbt_comm *comm, mbt_sum_memory *memory)
{
    (void)comm;
    free(memory->data);
    *memory = (mbt_sum_memory){0};
}

_Noreturn void mbt_comm_abort(mbt_comm *comm, mbt_status code, const char *message)
{
    (void)fflush(stdout);
    if (message) {
        (void)fprintf(stderr, "rank 0 on %s: %s\n", comm ? comm->host : "this host", message);
    }
    _exit(code);
}
