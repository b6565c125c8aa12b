/* comm.h over MPI: the one file that knows it. Calls work on a communicator of our own, whose
 * errors are fatal; counts beyond an int are cut into pieces. */
#include <limits.h>
#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "launch.h"
#include "mbt/arena.h"
#include "mbt/bf16.h"
#include "mbt/comm.h"
#include "node_sum.h"

enum {
    PIECE_BYTES = 1 << 24,    /* of a broadcast */
    PIECE_ELEMENTS = 1 << 22, /* of a sum, at least */
    REQUEST_PIECES = 8,
    SHM_SPARE_BYTES = 16 << 20, /* left free in /dev/shm for MPI's own use */
    ABORT_PATIENCE_S = 5,
};

/* A sum in flight. Requests are kept in a list and used again: nothing is allocated in a step once
 * the first step has made as many as are in flight at a time. */
struct mbt_request {
    MPI_Request pieces[REQUEST_PIECES];
    int n_pieces;
    bool on_node; /* by way of the node's memory: no pieces, but */
    struct node_sum_range range;
    bool busy;
    mbt_comm *comm;
    mbt_request *next;
};

struct mbt_comm {
    MPI_Comm world;
    MPI_Comm node;
    int rank, size;
    int node_rank, node_size;
    int n_nodes;
    char host[MPI_MAX_PROCESSOR_NAME];
    int *codes; /* size: scratch of mbt_comm_agree */
    mbt_request *requests;
    MPI_Op add_bf16;
    struct node_sum sums;   /* size 0: there is no such memory */
    int n_on_node;          /* sums under way in it */
    _Atomic int64_t *calls; /* mbt_comm_count, or NULL */
};

/* What mbt_share.handle points to. */
struct share_window {
    MPI_Win window;
};

static void find_ranks(mbt_comm *comm)
{
    int length = 0;
    MPI_Comm_dup(MPI_COMM_WORLD, &comm->world);
    MPI_Comm_rank(comm->world, &comm->rank);
    MPI_Comm_size(comm->world, &comm->size);
    MPI_Comm_split_type(comm->world, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &comm->node);
    MPI_Comm_rank(comm->node, &comm->node_rank);
    MPI_Comm_size(comm->node, &comm->node_size);
    comm->n_nodes = comm->node_rank == 0;
    MPI_Allreduce(MPI_IN_PLACE, &comm->n_nodes, 1, MPI_INT, MPI_SUM, comm->world);
    MPI_Get_processor_name(comm->host, &length);
}

/* MPI_User_function. */
static void add_bf16(void *in, void *sum, int *count, MPI_Datatype *type)
{
    (void)type;
    mbt_bf16_add(in, (size_t)*count, sum);
}

mbt_status mbt_comm_create(int *argc, char ***argv, mbt_comm **comm, mbt_error *err)
{
    *comm = NULL;
#ifdef OPEN_MPI
    /* Open MPI's MPI_Init would end every copy with a page of text. */
    if (launch_without_pmi()) {
        mbt_status alone = launch_check_alone(mbt_comm_library(), err);
        if (alone) {
            return alone;
        }
    }
#endif
    mbt_comm *made = calloc(1, sizeof *made);
    if (!made) {
        return mbt_fail(err, MBT_FAILURE, "memory: no %zu bytes for the communicator",
                        sizeof *made);
    }
    int provided = MPI_THREAD_SINGLE;
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
    find_ranks(made);
    MPI_Op_create(add_bf16, 1, &made->add_bf16);

    mbt_status status = MBT_OK;
    if (provided < MPI_THREAD_FUNNELED) {
        status = mbt_fail(err, MBT_FAILURE, "MPI: thread level %d, wanted MPI_THREAD_FUNNELED",
                          provided);
        goto done;
    }
    if (made->size == 1) {
        status = launch_check_alone(mbt_comm_library(), err);
        if (status) {
            goto done;
        }
    }
    made->codes = calloc((size_t)made->size, sizeof *made->codes);
    if (!made->codes) {
        mbt_comm_abort(made, MBT_FAILURE, "memory: none for a few integers");
    }
    *comm = made;
    made = NULL;
done:
    mbt_comm_destroy(made);
    return status;
}

void mbt_comm_destroy(mbt_comm *comm)
{
    if (!comm) {
        return;
    }
    while (comm->requests) {
        mbt_request *request = comm->requests;
        comm->requests = request->next;
        free(request);
    }
    MPI_Op_free(&comm->add_bf16);
    MPI_Comm_free(&comm->node);
    MPI_Comm_free(&comm->world);
    free(comm->codes);
    free(comm);
    MPI_Finalize();
}

int mbt_comm_rank(const mbt_comm *comm)
{
    return comm->rank;
}

int mbt_comm_size(const mbt_comm *comm)
{
    return comm->size;
}

int mbt_comm_node_rank(const mbt_comm *comm)
{
    return comm->node_rank;
}

int mbt_comm_node_size(const mbt_comm *comm)
{
    return comm->node_size;
}

int mbt_comm_n_nodes(const mbt_comm *comm)
{
    return comm->n_nodes;
}

const char *mbt_comm_host(const mbt_comm *comm)
{
    return comm->host;
}

/* The version compiled against: a literal, where MPI_Get_library_version would need storage. */
#define QUOTE(text) #text
#define TEXT_OF(macro) QUOTE(macro)

const char *mbt_comm_library(void)
{
#if defined(OPEN_MPI)
    return "Open MPI " TEXT_OF(OMPI_MAJOR_VERSION) "." TEXT_OF(OMPI_MINOR_VERSION) "." TEXT_OF(
        OMPI_RELEASE_VERSION);
#elif defined(MPICH_VERSION)
    return "MPICH " MPICH_VERSION;
#else
    return "MPI " TEXT_OF(MPI_VERSION) "." TEXT_OF(MPI_SUBVERSION);
#endif
}

/* The culprit's error on all ranks. */
static void spread_error(mbt_comm *comm, int culprit, bool prefixed, mbt_status code,
                         mbt_error *err)
{
    mbt_error unwanted = {0};
    mbt_error *mine = err ? err : &unwanted;
    if (comm->rank == culprit && prefixed) {
        (void)mbt_error_prefix(mine, "rank %d", culprit);
    }
    MPI_Bcast(mine, (int)sizeof *mine, MPI_BYTE, culprit, comm->world);
    mine->code = code;
}

void mbt_comm_count(mbt_comm *comm, _Atomic int64_t *calls)
{
    comm->calls = calls;
}

/* Called at both ends of every collective function. */
static void count_call(const mbt_comm *comm)
{
    if (comm->calls) {
        (void)atomic_fetch_add_explicit(comm->calls, 1, memory_order_relaxed);
    }
}

mbt_status mbt_comm_agree(mbt_comm *comm, mbt_status status, mbt_error *err)
{
    count_call(comm);
    int mine = (int)status;
    MPI_Allgather(&mine, 1, MPI_INT, comm->codes, 1, MPI_INT, comm->world);
    mbt_status worst = MBT_OK;
    int culprit = 0;
    int n_failed = 0;
    for (int r = 0; r < comm->size; r++) {
        mbt_status code = (mbt_status)comm->codes[r];
        n_failed += code != MBT_OK && code != MBT_STOPPED;
        if (mbt_status_worse(worst, code) != worst) {
            worst = code;
            culprit = r;
        }
    }
    if (n_failed > 0) {
        spread_error(comm, culprit, n_failed < comm->size, worst, err);
    }
    count_call(comm);
    return worst;
}

void mbt_comm_barrier(mbt_comm *comm)
{
    count_call(comm);
    MPI_Barrier(comm->world);
    count_call(comm);
}

static void broadcast_from(mbt_comm *comm, int root, unsigned char *data, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
        size_t piece = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        MPI_Bcast(data + at, (int)piece, MPI_BYTE, root, comm->world);
    }
}

void mbt_comm_broadcast(mbt_comm *comm, void *data, size_t bytes)
{
    count_call(comm);
    broadcast_from(comm, 0, data, bytes);
    count_call(comm);
}

static MPI_Datatype mpi_type(mbt_comm_type type, size_t *bytes)
{
    switch (type) {
    case MBT_COMM_I64:
        *bytes = sizeof(int64_t);
        return MPI_INT64_T;
    case MBT_COMM_F32:
        *bytes = sizeof(float);
        return MPI_FLOAT;
    case MBT_COMM_BF16:
        *bytes = sizeof(uint16_t);
        return MPI_UINT16_T;
    case MBT_COMM_F64:
        break;
    }
    *bytes = sizeof(double);
    return MPI_DOUBLE;
}

static void reduce(mbt_comm *comm, MPI_Op op, mbt_comm_type type, void *data, size_t count)
{
    size_t bytes = 0;
    MPI_Datatype mpi = mpi_type(type, &bytes);
    count_call(comm);
    for (size_t at = 0; at < count; at += PIECE_ELEMENTS) {
        size_t piece = count - at < PIECE_ELEMENTS ? count - at : PIECE_ELEMENTS;
        MPI_Allreduce(MPI_IN_PLACE, (unsigned char *)data + at * bytes, (int)piece, mpi, op,
                      comm->world);
    }
    count_call(comm);
}

static MPI_Op sum_of(const mbt_comm *comm, mbt_comm_type type)
{
    return type == MBT_COMM_BF16 ? comm->add_bf16 : MPI_SUM;
}

void mbt_comm_sum(mbt_comm *comm, mbt_comm_type type, void *data, size_t count)
{
    reduce(comm, sum_of(comm, type), type, data, count);
}

void mbt_comm_min(mbt_comm *comm, mbt_comm_type type, void *data, size_t count)
{
    reduce(comm, MPI_MIN, type, data, count);
}

void mbt_comm_max(mbt_comm *comm, mbt_comm_type type, void *data, size_t count)
{
    reduce(comm, MPI_MAX, type, data, count);
}

void mbt_comm_gather(mbt_comm *comm, const void *mine, size_t bytes, void *all)
{
    count_call(comm);
    if (bytes <= PIECE_BYTES) {
        MPI_Allgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, comm->world);
    }
    for (int r = 0; r < comm->size && bytes > PIECE_BYTES; r++) {
        unsigned char *slot = (unsigned char *)all + (size_t)r * bytes;
        if (r == comm->rank) {
            memcpy(slot, mine, bytes);
        }
        broadcast_from(comm, r, slot, bytes);
    }
    count_call(comm);
}

static mbt_request *free_request(mbt_comm *comm)
{
    mbt_request *request = comm->requests;
    while (request && request->busy) {
        request = request->next;
    }
    if (!request) {
        request = calloc(1, sizeof *request);
        if (!request) {
            mbt_comm_abort(comm, MBT_FAILURE, "memory: none for a request");
        }
        request->comm = comm;
        request->next = comm->requests;
        comm->requests = request;
    }
    request->busy = true;
    request->n_pieces = 0;
    request->on_node = false;
    return request;
}

static bool lies_on_node(const mbt_comm *comm, mbt_comm_type type, const void *data, size_t bytes)
{
    return comm->sums.size > 0 && (type == MBT_COMM_I64 || type == MBT_COMM_F32) &&
           node_sum_holds(&comm->sums, data, bytes);
}

static mbt_request *start_on_node(mbt_comm *comm, mbt_comm_type type, void *data, size_t count)
{
    if (comm->n_on_node++ == MBT_COMM_SUMS_MAX) {
        mbt_comm_abort(comm, MBT_FAILURE, "sum: too many are under way");
    }
    mbt_request *request = free_request(comm);
    request->on_node = true;
    request->range = node_sum_give(&comm->sums, type, data, count);
    return request;
}

mbt_request *mbt_comm_start_sum(mbt_comm *comm, mbt_comm_type type, void *data, size_t count)
{
    size_t bytes = 0;
    MPI_Datatype mpi = mpi_type(type, &bytes);
    if (lies_on_node(comm, type, data, count * bytes)) {
        return start_on_node(comm, type, data, count);
    }
    size_t piece = (count + REQUEST_PIECES - 1) / REQUEST_PIECES;
    piece = piece > PIECE_ELEMENTS ? piece : PIECE_ELEMENTS;
    if (piece > INT_MAX) {
        mbt_comm_abort(comm, MBT_FAILURE, "sum: more than 2^34 elements in one request");
    }
    mbt_request *request = free_request(comm);
    for (size_t at = 0; at < count; at += piece) {
        size_t here = count - at < piece ? count - at : piece;
        MPI_Iallreduce(MPI_IN_PLACE, (unsigned char *)data + at * bytes, (int)here, mpi,
                       sum_of(comm, type), comm->world, &request->pieces[request->n_pieces++]);
    }
    return request;
}

bool mbt_comm_poll(mbt_request *request)
{
    int done = 0;
    if (request->on_node) {
        return node_sum_move(&request->range);
    }
    MPI_Testall(request->n_pieces, request->pieces, &done, MPI_STATUSES_IGNORE);
    return done != 0;
}

/* Ranks may be more than cores: one that waits long lets others run. */
static void finish_on_node(mbt_request *request)
{
    enum { PATIENCE = 1000 };
    for (int tries = 0; !node_sum_move(&request->range); tries++) {
        if (tries > PATIENCE) {
            (void)sched_yield();
        }
    }
    request->comm->n_on_node--;
}

void mbt_comm_finish(mbt_request *request)
{
    if (request) {
        count_call(request->comm);
        if (request->on_node) {
            finish_on_node(request);
        }
        MPI_Waitall(request->n_pieces, request->pieces, MPI_STATUSES_IGNORE);
        count_call(request->comm);
        request->busy = false;
    }
}

/* Whether every node's /dev/shm holds `bytes`. A window beyond it would be granted and end in a bus
 * error at the first touch of a page that is not there. */
static bool fits_everywhere(mbt_comm *comm, size_t bytes)
{
    int fits = 1;
    if (comm->node_rank == 0 && comm->node_size > 1) {
        struct statvfs info;
        fits = statvfs("/dev/shm", &info) == 0 && (double)info.f_bavail * (double)info.f_frsize >=
                                                      (double)bytes + (double)SHM_SPARE_BYTES;
    }
    MPI_Allreduce(MPI_IN_PLACE, &fits, 1, MPI_INT, MPI_MIN, comm->world);
    return fits != 0;
}

static struct share_window *open_window(mbt_comm *comm, mbt_share *share)
{
    struct share_window *made = malloc(sizeof *made);
    if (!made) {
        mbt_comm_abort(comm, MBT_FAILURE, "memory: none for a window");
    }
    MPI_Aint size = comm->node_rank == 0 ? (MPI_Aint)(share->bytes + MBT_ARENA_ALIGN) : 0;
    int unit = 1;
    unsigned char *base = NULL;
    MPI_Win_allocate_shared(size, unit, MPI_INFO_NULL, comm->node, &base, &made->window);
    MPI_Win_shared_query(made->window, 0, &size, &unit, &base);
    /* Open MPI has a header of its own at the beginning of a page. */
    int shift = MBT_ARENA_ALIGN - (int)((uintptr_t)base % MBT_ARENA_ALIGN);
    MPI_Bcast(&shift, 1, MPI_INT, 0, comm->node);
    share->data = base + shift;
    /* One access epoch for the window's life: what MPI_Win_sync asks for. */
    MPI_Win_lock_all(MPI_MODE_NOCHECK, made->window);
    return made;
}

mbt_status mbt_share_create(mbt_comm *comm, size_t bytes, mbt_share *share, mbt_error *err)
{
    count_call(comm);
    *share = (mbt_share){.bytes = bytes, .shared = fits_everywhere(comm, bytes)};
    if (share->shared && comm->node_size > 1) {
        share->handle = open_window(comm, share);
        share->writer = comm->node_rank == 0;
    } else {
        share->data = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        share->data = share->data == MAP_FAILED ? NULL : share->data;
        share->writer = true;
    }
    count_call(comm);
    mbt_status status = MBT_OK;
    if (!share->data) {
        status = mbt_fail(err, MBT_FAILURE, "memory: no %zu MiB for shared data on %s", bytes >> 20,
                          comm->host);
    }
    status = mbt_comm_agree(comm, status, err);
    if (status) {
        mbt_share_destroy(comm, share);
    }
    return status;
}

void mbt_share_publish(mbt_comm *comm, mbt_share *share)
{
    struct share_window *window = share->handle;
    if (window) {
        MPI_Win_sync(window->window); /* the writer's stores before the barrier */
    }
    mbt_comm_barrier(comm);
    if (window) {
        MPI_Win_sync(window->window); /* the readers' loads after it */
    }
}

void mbt_share_destroy(mbt_comm *comm, mbt_share *share)
{
    struct share_window *window = share->handle;
    if (window) {
        count_call(comm);
        MPI_Win_unlock_all(window->window);
        MPI_Win_free(&window->window);
        free(window);
        count_call(comm);
    } else if (share->data) {
        (void)munmap(share->data, share->bytes ? share->bytes : 1);
    }
    *share = (mbt_share){0};
}

bool mbt_comm_shares_sums(const mbt_comm *comm)
{
    return comm->size > 1 && comm->n_nodes == 1;
}

/* Of all ranks, on one node; memory->data stays NULL when there is no room for it. */
static mbt_status share_sums(mbt_comm *comm, size_t bytes, mbt_sum_memory *memory, mbt_error *err)
{
    const mbt_status status =
        mbt_share_create(comm, node_sum_bytes(comm->size, bytes), &memory->share, err);
    if (status) {
        return status;
    }
    if (!memory->share.shared) {
        mbt_share_destroy(comm, &memory->share);
        return MBT_OK;
    }
    if (memory->share.writer) {
        memset(memory->share.data, 0, node_sum_bytes(comm->size, 0)); /* the stages */
    }
    comm->sums = node_sum_at(memory->share.data, comm->rank, comm->size, bytes);
    memory->data = node_sum_block(&comm->sums, comm->rank);
    memset(memory->data, 0, bytes);
    mbt_share_publish(comm, &memory->share);
    return MBT_OK;
}

mbt_status mbt_sum_memory_create(mbt_comm *comm, size_t bytes, mbt_sum_memory *memory,
                                 mbt_error *err)
{
    *memory = (mbt_sum_memory){0};
    if (mbt_comm_shares_sums(comm) && comm->sums.size == 0) {
        const mbt_status status = share_sums(comm, bytes, memory, err);
        if (status || memory->data) {
            return status;
        }
    }
    memory->data = calloc(1, bytes ? bytes : 1);
    return mbt_comm_agree(
        comm,
        memory->data ? MBT_OK
                     : mbt_fail(err, MBT_FAILURE, "memory: no %zu MiB for sums", bytes >> 20),
        err);
}

void mbt_sum_memory_destroy(mbt_comm *comm, mbt_sum_memory *memory)
{
    if (memory->share.data) {
        comm->sums = (struct node_sum){0};
        mbt_share_destroy(comm, &memory->share);
    } else {
        free(memory->data);
    }
    *memory = (mbt_sum_memory){0};
}

/* MPI_Abort asks a daemon, which may be gone or beyond a cut link, and a stream may be blocked. */
static void *end_anyway(void *code)
{
    (void)sleep(ABORT_PATIENCE_S);
    _exit((int)(intptr_t)code);
}

_Noreturn void mbt_comm_abort(mbt_comm *comm, mbt_status code, const char *message)
{
    pthread_t unused;
    (void)pthread_create(&unused, NULL, end_anyway, (void *)(intptr_t)code);
    (void)fflush(stdout);
    if (!message) {
        (void)fflush(stderr);
    } else if (comm) {
        (void)fprintf(stderr, "rank %d on %s: %s\n", comm->rank, comm->host, message);
    } else {
        (void)fprintf(stderr, "%s\n", message);
    }
    int running = 0;
    MPI_Initialized(&running);
    if (running) {
        MPI_Abort(MPI_COMM_WORLD, (int)code);
    }
    _exit((int)code);
}
