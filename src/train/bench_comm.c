/* The reduction alone: sums from one number to 64 MiB, of each kind, and the line through them. */
#include <math.h>
#include <stdlib.h>

#include "bench_parts.h"

enum {
    BYTES_MAX = 64 << 20,
    SMALL_BYTES = 1 << 16, /* sums up to here are timed in rows of ROW */
    ROW = 16,
    TRIES_MAX = 15,
    TRIES_MIN = 3
};

static const double TRY_S = 0.15; /* what the tries of one size may take, about */

static const mbt_comm_type types[MBT_BENCH_KINDS] = {[MBT_REDUCE_EXACT] = MBT_COMM_I64,
                                                     [MBT_REDUCE_FP32] = MBT_COMM_F32,
                                                     [MBT_REDUCE_BF16] = MBT_COMM_BF16};

/* 8, 64, .. 16 Mi, 64 Mi */
static size_t size_at(int i)
{
    const size_t bytes = (size_t)8 << (3 * i);
    return bytes < BYTES_MAX ? bytes : BYTES_MAX;
}

static double time_row(mbt_comm *comm, mbt_comm_type type, void *data, size_t count, int row)
{
    mbt_comm_barrier(comm);
    const double from = mbt_timer_clock();
    for (int i = 0; i < row; i++) {
        mbt_comm_finish(mbt_comm_start_sum(comm, type, data, count));
    }
    return (mbt_timer_clock() - from) / row;
}

/* Median over tries of the slowest rank's seconds a sum; all ranks agree on the number of tries. */
static double time_sum(mbt_comm *comm, mbt_comm_type type, void *data, size_t bytes, int element)
{
    const size_t count = bytes / (size_t)element;
    const int row = bytes <= SMALL_BYTES ? ROW : 1;
    double first = time_row(comm, type, data, count, row), tries[TRIES_MAX];
    mbt_comm_max(comm, MBT_COMM_F64, &first, 1);
    const double wanted = TRY_S / (first * row + 1e-9);
    const int n = wanted < TRIES_MIN ? TRIES_MIN : wanted > TRIES_MAX ? TRIES_MAX : (int)wanted;
    for (int i = 0; i < n; i++) {
        tries[i] = time_row(comm, type, data, count, row);
    }
    mbt_comm_max(comm, MBT_COMM_F64, tries, (size_t)n);
    return mbt_bench_median(tries, n);
}

/* Least squares of relative errors: the smallest (a + b*n)/t - 1 over all sizes. */
static void fit(mbt_bench_sums *sums)
{
    double aa = 0, ab = 0, bb = 0, a1 = 0, b1 = 0;
    for (int i = 0; i < MBT_BENCH_SIZES; i++) {
        const double u = 1 / sums->seconds[i], v = sums->bytes[i] / sums->seconds[i];
        aa += u * u;
        ab += u * v;
        bb += v * v;
        a1 += u;
        b1 += v;
    }
    const double det = aa * bb - ab * ab;
    sums->latency_s = fmax(0, (a1 * bb - b1 * ab) / det);
    sums->s_per_byte = fmax(0, (aa * b1 - ab * a1) / det);
}

/* Small sums take recursive doubling's rounds, large ones move what a ring moves. */
static mbt_link link_of(const mbt_bench_sums *sums, int ranks)
{
    return (mbt_link){.alpha_s = sums->latency_s / ceil(log2(ranks)),
                      .beta_s = sums->s_per_byte * ranks / (2.0 * (ranks - 1))};
}

mbt_status mbt_bench_reductions(mbt_comm *comm, mbt_bench *bench, mbt_error *err)
{
    const int ranks = mbt_comm_size(comm);
    void *data = calloc(1, BYTES_MAX);
    mbt_status status =
        data != NULL ? MBT_OK
                     : mbt_fail(err, MBT_FAILURE, "sums: no memory for %d MiB", BYTES_MAX >> 20);
    status = mbt_comm_agree(comm, status, err);
    for (int kind = 0; kind < MBT_BENCH_KINDS && status == MBT_OK; kind++) {
        mbt_bench_sums *sums = &bench->sums[kind];
        for (int i = 0; i < MBT_BENCH_SIZES; i++) {
            sums->bytes[i] = (double)size_at(i);
            sums->seconds[i] = time_sum(comm, types[kind], data, size_at(i),
                                        mbt_scaling_element((mbt_reduce)kind));
        }
        fit(sums);
        sums->link = ranks > 1 ? link_of(sums, ranks) : (mbt_link){0, 0};
    }
    if (status == MBT_OK) {
        bench->has_sums = true;
        bench->basis.node = bench->sums[bench->basis.reduce].link;
    }
    free(data);
    return status;
}
