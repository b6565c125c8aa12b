/* Sums in shared memory: stages are announced by release, read by acquire. */
#include "node_sum.h"

#include <stdatomic.h>
#include <string.h>

enum { LINE = 64, GIVEN = 1, ADDED = 2, COPIED = 3 };

static size_t whole_lines(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

/* A rank's stages lie in lines of their own. */
static size_t stages_bytes(int size)
{
    return (size_t)size * whole_lines(MBT_COMM_SUMS_MAX * sizeof(int64_t));
}

size_t node_sum_bytes(int size, size_t block_bytes)
{
    return stages_bytes(size) + (size_t)size * whole_lines(block_bytes);
}

struct node_sum node_sum_at(void *memory, int rank, int size, size_t block_bytes)
{
    return (struct node_sum){
        .rank = rank,
        .size = size,
        .block_bytes = whole_lines(block_bytes),
        .stages = memory,
        .blocks = (unsigned char *)memory + stages_bytes(size),
    };
}

void *node_sum_block(const struct node_sum *sum, int rank)
{
    return sum->blocks + (size_t)rank * sum->block_bytes;
}

bool node_sum_holds(const struct node_sum *sum, const void *data, size_t bytes)
{
    const uintptr_t block = (uintptr_t)node_sum_block(sum, sum->rank), at = (uintptr_t)data;
    return at >= block && at + bytes <= block + sum->block_bytes;
}

static size_t element_bytes(const struct node_sum_range *range)
{
    return range->type == MBT_COMM_I64 ? sizeof(int64_t) : sizeof(float);
}

/* Stages of the ticket are larger than those of any before it in the same place. */
static int64_t stage_of(int64_t ticket, int stage)
{
    return ticket / MBT_COMM_SUMS_MAX * (COPIED + 1) + stage;
}

static _Atomic int64_t *place_of(const struct node_sum_range *range, int rank)
{
    const struct node_sum *sum = range->sum;
    unsigned char *row = sum->stages + (size_t)rank * (stages_bytes(sum->size) / (size_t)sum->size);
    return (_Atomic int64_t *)(void *)row + range->ticket % MBT_COMM_SUMS_MAX;
}

static void announce(struct node_sum_range *range, int stage)
{
    range->stage = stage;
    atomic_store_explicit(place_of(range, range->sum->rank), stage_of(range->ticket, stage),
                          memory_order_release);
}

static bool all_have(const struct node_sum_range *range, int stage)
{
    const int64_t wanted = stage_of(range->ticket, stage);
    for (int r = 0; r < range->sum->size; r++) {
        if (atomic_load_explicit(place_of(range, r), memory_order_acquire) < wanted) {
            return false;
        }
    }
    return true;
}

/* The elements of the range that a rank adds up: whole cache lines. */
static void slice_of(const struct node_sum_range *range, int rank, size_t *first, size_t *end)
{
    const size_t step = LINE / element_bytes(range), size = (size_t)range->sum->size;
    const size_t lines = (range->count + step - 1) / step, r = (size_t)rank;
    *first = lines * r / size * step;
    *end = lines * (r + 1) / size * step;
    *first = *first < range->count ? *first : range->count;
    *end = *end < range->count ? *end : range->count;
}

static void *values_of(const struct node_sum_range *range, int rank)
{
    return (unsigned char *)node_sum_block(range->sum, rank) + range->offset;
}

/* Integers, whose order is all one, are added where they are; floats in rank order. */
static void add_integers(const struct node_sum_range *range, size_t first, size_t end)
{
    int64_t *mine = values_of(range, range->sum->rank);
    for (int r = 0; r < range->sum->size; r++) {
        const int64_t *other = values_of(range, r);
        if (r == range->sum->rank) {
            continue;
        }
        for (size_t i = first; i < end; i++) {
            mine[i] += other[i];
        }
    }
}

static void add_floats(const struct node_sum_range *range, size_t first, size_t end)
{
    enum { PIECE = 1024 };
    float *mine = values_of(range, range->sum->rank);
    float piece[PIECE];
    for (size_t at = first; at < end; at += PIECE) {
        const size_t n = end - at < PIECE ? end - at : PIECE;
        memcpy(piece, (const float *)values_of(range, 0) + at, n * sizeof *piece);
        for (int r = 1; r < range->sum->size; r++) {
            const float *other = (const float *)values_of(range, r) + at;
            for (size_t i = 0; i < n; i++) {
                piece[i] += other[i];
            }
        }
        memcpy(mine + at, piece, n * sizeof *piece);
    }
}

static void copy_slices(const struct node_sum_range *range)
{
    const size_t bytes = element_bytes(range);
    unsigned char *mine = values_of(range, range->sum->rank);
    for (int r = 0; r < range->sum->size; r++) {
        size_t first, end;
        slice_of(range, r, &first, &end);
        if (r != range->sum->rank && end > first) {
            memcpy(mine + first * bytes, (const unsigned char *)values_of(range, r) + first * bytes,
                   (end - first) * bytes);
        }
    }
}

struct node_sum_range node_sum_give(struct node_sum *sum, mbt_comm_type type, void *data,
                                    size_t count)
{
    struct node_sum_range range = {
        .sum = sum,
        .type = type,
        .offset = (size_t)((unsigned char *)data - (unsigned char *)node_sum_block(sum, sum->rank)),
        .count = count,
        .ticket = sum->tickets++,
    };
    announce(&range, GIVEN);
    return range;
}

bool node_sum_move(struct node_sum_range *range)
{
    if (range->stage == GIVEN && all_have(range, GIVEN)) {
        size_t first, end;
        slice_of(range, range->sum->rank, &first, &end);
        if (range->type == MBT_COMM_I64) {
            add_integers(range, first, end);
        } else {
            add_floats(range, first, end);
        }
        announce(range, ADDED);
    }
    if (range->stage == ADDED && all_have(range, ADDED)) {
        copy_slices(range);
        announce(range, COPIED);
    }
    return range->stage == COPIED && all_have(range, COPIED);
}
