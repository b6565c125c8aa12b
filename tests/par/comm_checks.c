/* Every rank runs the same list. A rank that fails leaves the others waiting: then the test's time
 * limit ends them, and the output of the rank that failed says why. */
#include "comm_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "mbt/arena.h"
#include "mbt/bf16.h"
#include "mbt/comm.h"

enum { LARGE = (1 << 22) + 3 }; /* one more piece than comm_mpi.c sends at a time */

static void ranks_are_numbered(void **state)
{
    mbt_comm *comm = *state;
    int size = mbt_comm_size(comm);
    int mine[2] = {mbt_comm_rank(comm), mbt_comm_node_rank(comm)};
    int *all = calloc((size_t)size, sizeof mine);
    assert_non_null(all);
    mbt_comm_gather(comm, mine, sizeof mine, all);
    int n_first = 0;
    for (int r = 0; r < size; r++) {
        assert_int_equal(all[2 * r], r);
        n_first += all[2 * r + 1] == 0;
    }
    assert_int_equal(n_first, mbt_comm_n_nodes(comm));
    assert_in_range(mbt_comm_node_rank(comm), 0, mbt_comm_node_size(comm) - 1);
    assert_in_range(mbt_comm_node_size(comm), 1, size);
    assert_true(strlen(mbt_comm_host(comm)) > 0);
    const char *told = getenv("OMPI_COMM_WORLD_SIZE");
    assert_int_equal(size, told ? atoi(told) : 1);
    free(all);
    mbt_comm_barrier(comm);
}

static void sums_of_integers_are_exact(void **state)
{
    mbt_comm *comm = *state;
    int64_t size = mbt_comm_size(comm);
    int64_t rank = mbt_comm_rank(comm);
    int64_t *data = malloc(LARGE * sizeof *data);
    assert_non_null(data);
    /* A double would lose the last bits. */
    const int64_t wide = ((int64_t)1 << 60) / size;
    for (int64_t i = 0; i < LARGE; i++) {
        data[i] = (i % 2 ? wide : -wide) + rank * i;
    }
    mbt_comm_sum(comm, MBT_COMM_I64, data, LARGE);
    for (int64_t i = 0; i < LARGE; i++) {
        if (data[i] != size * (i % 2 ? wide : -wide) + i * size * (size - 1) / 2) {
            fail_msg("element %lld is %lld", (long long)i, (long long)data[i]);
        }
    }
    free(data);
    mbt_comm_sum(comm, MBT_COMM_I64, NULL, 0);
}

static void floats_are_summed_in_their_type(void **state)
{
    mbt_comm *comm = *state;
    int size = mbt_comm_size(comm);
    int rank = mbt_comm_rank(comm);
    float f[5];
    double d[5];
    for (int i = 0; i < 5; i++) {
        f[i] = (float)(rank + 1) * 0.5f + (float)i;
        d[i] = 1e-12 * (rank + 1) + i;
    }
    mbt_comm_sum(comm, MBT_COMM_F32, f, 4);
    mbt_comm_sum(comm, MBT_COMM_F64, d, 4);
    /* 1.5, 2.5, ... and their sums over a few ranks are bf16 values; 1 + 2^-9 is none. */
    const float own[3] = {(float)(rank + 1) * 0.5f, (float)-rank, rank == 0 ? 1.001953125f : 0};
    uint16_t halves[4] = {0, 0, 0, 0x1234};
    float back[3];
    mbt_bf16_pack(own, 3, halves);
    mbt_comm_sum(comm, MBT_COMM_BF16, halves, 3);
    mbt_bf16_unpack(halves, 3, back);
    assert_true(back[0] == 0.25f * (float)(size * (size + 1)));
    assert_true(back[1] == -0.5f * (float)(size * (size - 1)));
    assert_true(back[2] == 1);
    assert_int_equal(halves[3], 0x1234);

    const uint32_t payload = 0x7fffffffu; /* a NaN that rounding would turn into -0 */
    float nan;
    memcpy(&nan, &payload, sizeof nan);
    mbt_bf16_pack(&nan, 1, halves);
    mbt_bf16_unpack(halves, 1, &nan);
    assert_true(nan != nan);
    double ranks = size * (size + 1) / 2.0;
    for (int i = 0; i < 4; i++) {
        assert_true(f[i] == (float)(0.5 * ranks + i * size));
        assert_true(d[i] > i * size + 0.999 * 1e-12 * ranks - 4e-15 * size);
        assert_true(d[i] < i * size + 1.001 * 1e-12 * ranks + 4e-15 * size);
    }
    assert_true(f[4] == (float)(rank + 1) * 0.5f + 4); /* beyond the count */
}

static void extremes_are_found_in_each_type(void **state)
{
    mbt_comm *comm = *state;
    int size = mbt_comm_size(comm);
    int rank = mbt_comm_rank(comm);
    int64_t i_low[2] = {rank - 1, -rank}, i_high[2] = {rank - 1, -rank};
    float f_low[2] = {(float)rank - 0.5f, (float)-rank};
    float f_high[2] = {f_low[0], f_low[1]};
    double d_low[2] = {rank * 1e-300, -rank}, d_high[2] = {d_low[0], d_low[1]};
    mbt_comm_min(comm, MBT_COMM_I64, i_low, 2);
    mbt_comm_max(comm, MBT_COMM_I64, i_high, 2);
    mbt_comm_min(comm, MBT_COMM_F32, f_low, 2);
    mbt_comm_max(comm, MBT_COMM_F32, f_high, 2);
    mbt_comm_min(comm, MBT_COMM_F64, d_low, 2);
    mbt_comm_max(comm, MBT_COMM_F64, d_high, 2);
    int last = size - 1;
    assert_true(i_low[0] == -1 && i_low[1] == -last);
    assert_true(i_high[0] == last - 1 && i_high[1] == 0);
    assert_true(f_low[0] == -0.5f && f_low[1] == (float)-last);
    assert_true(f_high[0] == (float)last - 0.5f && f_high[1] == 0);
    assert_true(d_low[0] == 0 && d_low[1] == -last);
    assert_true(d_high[0] == last * 1e-300 && d_high[1] == 0);
}

static unsigned char pattern(size_t i, int salt)
{
    return (unsigned char)(i * 31 + i / 251 + (size_t)salt * 7);
}

static void check_pattern(const unsigned char *data, size_t bytes, int salt)
{
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != pattern(i, salt)) {
            fail_msg("byte %zu is %d, wanted %d", i, data[i], pattern(i, salt));
        }
    }
}

static void fill_pattern(unsigned char *data, size_t bytes, int salt)
{
    for (size_t i = 0; i < bytes; i++) {
        data[i] = pattern(i, salt);
    }
}

/* Small, and beyond one piece of a broadcast. */
static const size_t sizes[] = {0, 1, 1000, (16 << 20) + 5};

static void broadcast_reaches_everybody(void **state)
{
    mbt_comm *comm = *state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        unsigned char *data = malloc(sizes[s] + 1);
        assert_non_null(data);
        fill_pattern(data, sizes[s], mbt_comm_rank(comm) + 3);
        data[sizes[s]] = 0x77;
        mbt_comm_broadcast(comm, data, sizes[s]);
        check_pattern(data, sizes[s], 3);
        assert_int_equal(data[sizes[s]], 0x77);
        free(data);
    }
}

static void gather_keeps_rank_order(void **state)
{
    mbt_comm *comm = *state;
    int size = mbt_comm_size(comm);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        unsigned char *mine = malloc(sizes[s] + 1);
        unsigned char *all = malloc((size_t)size * sizes[s] + 1);
        assert_true(mine && all);
        fill_pattern(mine, sizes[s], mbt_comm_rank(comm));
        all[(size_t)size * sizes[s]] = 0x77;
        mbt_comm_gather(comm, mine, sizes[s], all);
        for (int r = 0; r < size; r++) {
            check_pattern(all + (size_t)r * sizes[s], sizes[s], r);
        }
        assert_int_equal(all[(size_t)size * sizes[s]], 0x77);
        free(all);
        free(mine);
    }
}

/* ---- agree ---- */

static void agreeing_on_success_touches_nothing(void **state)
{
    mbt_comm *comm = *state;
    mbt_error err;
    memset(&err, 0x5a, sizeof err);
    mbt_error before = err;
    assert_int_equal(mbt_comm_agree(comm, MBT_OK, &err), MBT_OK);
    assert_int_equal(mbt_comm_agree(comm, MBT_OK, NULL), MBT_OK);
    mbt_status mine = mbt_comm_rank(comm) == mbt_comm_size(comm) - 1 ? MBT_STOPPED : MBT_OK;
    assert_int_equal(mbt_comm_agree(comm, mine, &err), MBT_STOPPED);
    assert_memory_equal(&err, &before, sizeof err);
}

static void error_of_the_middle_rank_is_everybodys(void **state)
{
    mbt_comm *comm = *state;
    int rank = mbt_comm_rank(comm);
    int middle = mbt_comm_size(comm) / 2;
    mbt_error err = {.file = "stale", .message = "stale"};
    mbt_status mine = MBT_OK;
    const int line = __LINE__ + 2;
    if (rank == middle) {
        mine = mbt_fail(&err, MBT_DATA, "x.h5: got %d, wanted %d", rank, -1);
    } else if (rank > middle) {
        mine = MBT_STOPPED;
    }
    assert_int_equal(mbt_comm_agree(comm, mine, &err), MBT_DATA);
    assert_int_equal(err.code, MBT_DATA);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "rank %d: x.h5: got %d, wanted -1", middle, middle);
    assert_string_equal(err.message, mbt_comm_size(comm) > 1 ? wanted : "x.h5: got 0, wanted -1");
    assert_string_equal(err.file, "comm_checks.c");
    assert_int_equal(err.line, line);
}

static void failure_of_all_is_told_once_without_rank(void **state)
{
    mbt_comm *comm = *state;
    mbt_error err;
    mbt_status mine = mbt_fail(&err, MBT_CONFIG, "seen by %d", mbt_comm_rank(comm));
    assert_int_equal(mbt_comm_agree(comm, mine, &err), MBT_CONFIG);
    assert_string_equal(err.message, "seen by 0");
}

static void cause_goes_before_consequence(void **state)
{
    mbt_comm *comm = *state;
    int rank = mbt_comm_rank(comm);
    int last = mbt_comm_size(comm) - 1;
    mbt_error err;
    mbt_status mine = mbt_fail(&err, rank == last ? MBT_DATA : MBT_PEER, "%s",
                               rank == last ? "cause" : "consequence");
    assert_int_equal(mbt_comm_agree(comm, mine, &err), MBT_DATA);
    assert_int_equal(err.code, MBT_DATA);
    assert_string_equal(err.message, "cause");
    assert_int_equal(mbt_comm_agree(comm, mine, NULL), MBT_DATA);
}

/* ---- sums in flight ---- */

static void start_and_check_sums(mbt_comm *comm, int round)
{
    enum { N = 6 };
    static const size_t counts[N] = {1, LARGE, 0, 1000, 257, 8 * (1 << 20)};
    static const mbt_comm_type types[N] = {MBT_COMM_I64, MBT_COMM_F32, MBT_COMM_I64,
                                           MBT_COMM_F64, MBT_COMM_I64, MBT_COMM_F32};
    static const size_t widths[] = {[MBT_COMM_I64] = 8, [MBT_COMM_F32] = 4, [MBT_COMM_F64] = 8};
    void *data[N];
    mbt_request *requests[N];
    int size = mbt_comm_size(comm);
    int add = mbt_comm_rank(comm) + round;
    for (int s = 0; s < N; s++) {
        data[s] = malloc(counts[s] * widths[types[s]] + 1);
        assert_non_null(data[s]);
        for (size_t i = 0; i < counts[s]; i++) {
            int value = (int)(i % 1000) + s + add;
            if (types[s] == MBT_COMM_I64) {
                ((int64_t *)data[s])[i] = value;
            } else if (types[s] == MBT_COMM_F32) {
                ((float *)data[s])[i] = (float)value;
            } else {
                ((double *)data[s])[i] = value;
            }
        }
        requests[s] = mbt_comm_start_sum(comm, types[s], data[s], counts[s]);
        assert_non_null(requests[s]);
    }
    /* Polling alone brings them all home. */
    for (int left = N; left > 0;) {
        left = 0;
        for (int s = 0; s < N; s++) {
            left += !mbt_comm_poll(requests[s]);
        }
    }
    for (int s = N - 1; s >= 0; s--) {
        for (size_t i = 0; i < counts[s]; i++) {
            int64_t wanted = (int64_t)size * ((int)(i % 1000) + s + round) + size * (size - 1) / 2;
            double got = types[s] == MBT_COMM_I64   ? (double)((int64_t *)data[s])[i]
                         : types[s] == MBT_COMM_F32 ? (double)((float *)data[s])[i]
                                                    : ((double *)data[s])[i];
            if (got != (double)wanted) {
                fail_msg("sum %d, element %zu: %g, wanted %g", s, i, got, (double)wanted);
            }
        }
        mbt_comm_finish(requests[s]);
        free(data[s]);
    }
}

static void several_sums_are_in_flight(void **state)
{
    start_and_check_sums(*state, 0);
    start_and_check_sums(*state, 1); /* on requests used before */
}

static void finish_waits_without_a_poll(void **state)
{
    mbt_comm *comm = *state;
    int64_t a = 1, b = 10, c = 100, blocking = 1000;
    int64_t size = mbt_comm_size(comm);
    mbt_request *first = mbt_comm_start_sum(comm, MBT_COMM_I64, &a, 1);
    mbt_request *second = mbt_comm_start_sum(comm, MBT_COMM_I64, &b, 1);
    assert_true(size == 1 || first != second);
    mbt_comm_sum(comm, MBT_COMM_I64, &blocking, 1); /* another one in between */
    mbt_comm_finish(first);
    mbt_request *third = mbt_comm_start_sum(comm, MBT_COMM_I64, &c, 1); /* while one flies */
    mbt_comm_finish(third);
    mbt_comm_finish(second);
    assert_true(a == size && b == 10 * size && c == 100 * size && blocking == 1000 * size);
    mbt_comm_finish(NULL);
}

/* ---- share ---- */

static void writers_data_is_everybodys(void **state)
{
    mbt_comm *comm = *state;
    const size_t bytes = (3 << 20) + 17;
    mbt_share share;
    mbt_error err;
    assert_int_equal(mbt_share_create(comm, bytes, &share, &err), MBT_OK);
    assert_non_null(share.data);
    assert_int_equal((uintptr_t)share.data % MBT_ARENA_ALIGN, 0);
    assert_int_equal(share.bytes, bytes);
    assert_true(share.shared); /* 3 MiB of /dev/shm */
    int64_t n_writers = share.writer;
    mbt_comm_sum(comm, MBT_COMM_I64, &n_writers, 1);
    assert_int_equal(n_writers, mbt_comm_n_nodes(comm));
    assert_int_equal(share.writer, mbt_comm_node_rank(comm) == 0);
    if (share.writer) {
        fill_pattern(share.data, bytes, 5);
    }
    mbt_share_publish(comm, &share);
    check_pattern(share.data, bytes, 5);
    mbt_comm_barrier(comm);
    mbt_share_destroy(comm, &share);
    assert_null(share.data);
    assert_null(share.handle);
    mbt_share_destroy(comm, &share); /* zeroed now */
}

/* More than /dev/shm has: private memory on every rank, or, where the machine has not that much
 * either, one error on all. */
static void short_shared_memory_is_made_up_for(void **state)
{
    mbt_comm *comm = *state;
    if (mbt_comm_node_size(comm) == 1) {
        return; /* alone: nothing goes through /dev/shm */
    }
    struct statvfs info;
    mbt_error err;
    mbt_share share;
    assert_int_equal(statvfs("/dev/shm", &info), 0);
    int64_t bytes = (int64_t)(info.f_bavail * info.f_frsize);
    mbt_comm_max(comm, MBT_COMM_I64, &bytes, 1);
    mbt_status status = mbt_share_create(comm, (size_t)bytes, &share, &err);
    if (status) {
        assert_int_equal(status, MBT_FAILURE);
        assert_non_null(strstr(err.message, "MiB for shared data"));
        assert_null(share.data);
        return;
    }
    assert_false(share.shared);
    assert_true(share.writer);
    unsigned char *data = share.data;
    data[0] = (unsigned char)mbt_comm_rank(comm);
    data[bytes - 1] = (unsigned char)(mbt_comm_rank(comm) + 1);
    mbt_share_publish(comm, &share);
    assert_int_equal(data[0], mbt_comm_rank(comm));
    assert_int_equal(data[bytes - 1], mbt_comm_rank(comm) + 1);
    mbt_share_destroy(comm, &share);
    assert_null(share.data);
}

static void impossible_share_fails_on_all(void **state)
{
    mbt_comm *comm = *state;
    mbt_error err;
    mbt_share share;
    volatile size_t bytes = SIZE_MAX / 4;
    assert_int_equal(mbt_share_create(comm, bytes, &share, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "4398046511103 MiB"));
    assert_null(share.data);
}

/* ---- memory for sums ---- */

static int64_t value_at(int rank, int round, size_t i)
{
    return (int64_t)((i * 2654435761u + (size_t)round * 97) % 1000003) * (rank + 1) - 500000;
}

/* Integers: value_at; floats: such whose sum tells the order of adding. */
static float float_at(int rank, int round, size_t i)
{
    return (float)(value_at(rank, round, i) % 1000) + (rank == 0 ? 16777216.0f : 0.0f);
}

static void fill_values(mbt_comm *comm, const mbt_sum_memory *memory, bool floats, int round,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (floats) {
            ((float *)memory->data)[i] = float_at(mbt_comm_rank(comm), round, i);
        } else {
            ((int64_t *)memory->data)[i] = value_at(mbt_comm_rank(comm), round, i);
        }
    }
}

static void check_values(mbt_comm *comm, const mbt_sum_memory *memory, bool floats, int round,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t sum = 0;
        float wanted = float_at(0, round, i);
        for (int r = 0; r < mbt_comm_size(comm); r++) {
            sum += value_at(r, round, i);
            wanted = r > 0 ? wanted + float_at(r, round, i) : wanted;
        }
        if (floats) {
            assert_true(((float *)memory->data)[i] == wanted);
        } else {
            assert_true(((int64_t *)memory->data)[i] == sum);
        }
    }
}

/* Several sums of unequal length at a time, given and finished by ranks at unequal times, and
 * written over as soon as they are there: many more than are ever under way. */
static void sums_in_memory_of_the_node(void **state)
{
    mbt_comm *comm = *state;
    static const size_t cuts[] = {0, 1, 9, 9, 1000, 5007, 40000};
    enum { N_CUTS = sizeof cuts / sizeof cuts[0], N = 40000, ROUNDS = 60 };
    for (int floats = 0; floats < 2; floats++) {
        const mbt_comm_type type = floats ? MBT_COMM_F32 : MBT_COMM_I64;
        const size_t bytes = floats ? sizeof(float) : sizeof(int64_t);
        mbt_sum_memory memory;
        mbt_error err;
        assert_int_equal(mbt_sum_memory_create(comm, N * bytes, &memory, &err), MBT_OK);
        assert_true((memory.share.data != NULL) == mbt_comm_shares_sums(comm));
        assert_int_equal(((unsigned char *)memory.data)[N * bytes - 1], 0);
        for (int round = 0; round < ROUNDS; round++) {
            mbt_request *requests[N_CUTS];
            if ((round + mbt_comm_rank(comm)) % 7 == 0) {
                (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            }
            fill_values(comm, &memory, floats, round, N);
            for (int c = 1; c < N_CUTS; c++) {
                requests[c] = mbt_comm_start_sum(comm, type,
                                                 (unsigned char *)memory.data + cuts[c - 1] * bytes,
                                                 cuts[c] - cuts[c - 1]);
                (void)mbt_comm_poll(requests[1]);
            }
            for (int c = 1; c < N_CUTS; c++) {
                mbt_comm_finish(requests[c]);
            }
            check_values(comm, &memory, floats, round, N);
        }
        mbt_sum_memory_destroy(comm, &memory);
        assert_null(memory.data);
        mbt_sum_memory_destroy(comm, &memory);
    }
}

/* A second one is ordinary memory, and sums of what lies elsewhere are what they were. */
static void one_memory_of_the_node_at_a_time(void **state)
{
    mbt_comm *comm = *state;
    mbt_sum_memory first, second;
    mbt_error err;
    assert_int_equal(mbt_sum_memory_create(comm, 64, &first, &err), MBT_OK);
    assert_int_equal(mbt_sum_memory_create(comm, 64, &second, &err), MBT_OK);
    assert_null(second.share.data);
    int64_t elsewhere[3] = {1, 2, 3}, *inside = second.data;
    inside[7] = 5;
    mbt_request *a = mbt_comm_start_sum(comm, MBT_COMM_I64, elsewhere, 3);
    mbt_request *b = mbt_comm_start_sum(comm, MBT_COMM_I64, inside, 8);
    mbt_comm_finish(a);
    mbt_comm_finish(b);
    assert_int_equal(elsewhere[2], 3 * mbt_comm_size(comm));
    assert_int_equal(inside[7], 5 * mbt_comm_size(comm));
    mbt_sum_memory_destroy(comm, &second);
    mbt_sum_memory_destroy(comm, &first);
}

/* ---- the list ---- */

static struct arguments {
    int argc;
    char **argv;
} arguments;

static int begin(void **state)
{
    mbt_error err;
    mbt_comm *comm = NULL;
    if (mbt_comm_create(&arguments.argc, &arguments.argv, &comm, &err) != MBT_OK) {
        print_error("%s\n", err.message);
        return -1;
    }
    *state = comm;
    return 0;
}

static int end(void **state)
{
    mbt_comm_destroy(*state);
    mbt_comm_destroy(NULL);
    return 0;
}

int comm_checks_run(int argc, char **argv, const char *library)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_numbered),
        cmocka_unit_test(sums_of_integers_are_exact),
        cmocka_unit_test(floats_are_summed_in_their_type),
        cmocka_unit_test(extremes_are_found_in_each_type),
        cmocka_unit_test(broadcast_reaches_everybody),
        cmocka_unit_test(gather_keeps_rank_order),
        cmocka_unit_test(agreeing_on_success_touches_nothing),
        cmocka_unit_test(error_of_the_middle_rank_is_everybodys),
        cmocka_unit_test(failure_of_all_is_told_once_without_rank),
        cmocka_unit_test(cause_goes_before_consequence),
        cmocka_unit_test(several_sums_are_in_flight),
        cmocka_unit_test(finish_waits_without_a_poll),
        cmocka_unit_test(writers_data_is_everybodys),
        cmocka_unit_test(short_shared_memory_is_made_up_for),
        cmocka_unit_test(impossible_share_fails_on_all),
        cmocka_unit_test(sums_in_memory_of_the_node),
        cmocka_unit_test(one_memory_of_the_node_at_a_time),
    };
    if (strncmp(mbt_comm_library(), library, strlen(library)) != 0) {
        (void)fprintf(stderr, "library is \"%s\", wanted \"%s\"\n", mbt_comm_library(), library);
        return 1;
    }
    arguments = (struct arguments){argc, argv};
    return cmocka_run_group_tests(tests, begin, end);
}
