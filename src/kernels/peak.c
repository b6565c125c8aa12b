/* Peaks by doing: as many threads as will work, each at its own piece, best of several tries. */
#include "mbt/peak.h"

#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/timer.h"
#include "multiply_add.h"

enum { READ_BYTES = 96 << 20 /* a thread's piece */, TRIES = 20 };

static mbt_multiply_add_fn *multiply_add_for(mbt_isa isa)
{
    switch (isa) {
    case MBT_ISA_AVX512_BF16:
    case MBT_ISA_AVX512:
        return mbt_multiply_add_avx512;
    case MBT_ISA_AVX2:
        return mbt_multiply_add_avx2;
    default:
        return mbt_multiply_add_portable;
    }
}

/* Four sums, so that additions do not wait for each other. */
static uint64_t read_words(const uint64_t *words, size_t n)
{
    uint64_t sum[4] = {0};
    for (size_t i = 0; i < n; i += 4) {
        for (size_t j = 0; j < 4; j++) {
            sum[j] += words[i + j];
        }
    }
    return sum[0] + sum[1] + sum[2] + sum[3];
}

static double time_arithmetic(mbt_multiply_add_fn *multiply_add, int threads, volatile float *kept)
{
    enum { ROUNDS = 2000000 };
    double flops = 0;
    float sum = 0;
    const double from = mbt_timer_clock();
#pragma omp parallel num_threads(threads) reduction(+ : sum, flops) if (threads > 1)
    flops += multiply_add(ROUNDS, &sum);
    const double seconds = mbt_timer_clock() - from;
    *kept = sum;
    return flops / threads / seconds;
}

static double time_reading(const unsigned char *block, int threads, volatile uint64_t *kept)
{
    uint64_t sum = 0;
    const double from = mbt_timer_clock();
#pragma omp parallel num_threads(threads) reduction(+ : sum) if (threads > 1)
    sum += read_words((const uint64_t *)(block + (size_t)omp_get_thread_num() * READ_BYTES),
                      READ_BYTES / sizeof(uint64_t));
    const double seconds = mbt_timer_clock() - from;
    *kept = sum;
    return READ_BYTES / seconds;
}

mbt_status mbt_peak_measure(mbt_isa isa, int threads, mbt_peak *peak, mbt_error *err)
{
    const size_t bytes = (size_t)threads * READ_BYTES;
    unsigned char *block = malloc(bytes);
    volatile float kept_float = 0;
    volatile uint64_t kept_word = 0;
    *peak = (mbt_peak){0};
    if (block == NULL) {
        return mbt_fail(err, MBT_FAILURE, "peaks: no %zu MiB to read", bytes >> 20);
    }
    memset(block, 1, bytes); /* pages of their own: fresh ones are all the same page of zeros */
    for (int i = 0; i < TRIES; i++) {
        const double flops = time_arithmetic(multiply_add_for(isa), threads, &kept_float);
        if (isa >= MBT_ISA_AVX512_BF16) {
            peak->bf16_flops_per_s =
                fmax(peak->bf16_flops_per_s,
                     time_arithmetic(mbt_multiply_add_avx512_bf16, threads, &kept_float));
        }
        const double read = time_reading(block, threads, &kept_word);
        peak->flops_per_s = flops > peak->flops_per_s ? flops : peak->flops_per_s;
        peak->read_bytes_per_s = read > peak->read_bytes_per_s ? read : peak->read_bytes_per_s;
    }
    free(block);
    return MBT_OK;
}
