/* The arena: an anonymous mapping that starts at a huge-page boundary, touched at once. */
#include "mbt/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mbt/available.h"

enum { PAGE_BYTES = 4096, HUGE_PAGE_BYTES = 2 << 20 };

struct mbt_arena {
    unsigned char *base; /* aligned to HUGE_PAGE_BYTES */
    size_t bytes;        /* usable from base on, whole huge pages */
    size_t used;
    void *map; /* what mmap returned; base lies inside */
    size_t map_bytes;
};

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

mbt_status mbt_arena_create(size_t bytes, mbt_arena **arena, mbt_error *err)
{
    *arena = NULL;
    if (bytes > SIZE_MAX / 2) {
        return mbt_fail(err, MBT_FAILURE, "memory: %zu MiB wanted, more than can be addressed",
                        bytes >> 20);
    }
    const mbt_status status = mbt_available_check(bytes, err);
    if (status) {
        return status;
    }
    mbt_arena *made = calloc(1, sizeof *made);
    if (!made) {
        return mbt_fail(err, MBT_FAILURE, "memory: no %zu bytes for an arena", sizeof *made);
    }
    made->bytes = bytes ? round_up(bytes, HUGE_PAGE_BYTES) : HUGE_PAGE_BYTES;
    made->map_bytes = made->bytes + HUGE_PAGE_BYTES; /* room to align */
    made->map =
        mmap(NULL, made->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made->map == MAP_FAILED) {
        int cause = errno;
        size_t mib = made->bytes >> 20;
        free(made);
        return mbt_fail(err, MBT_FAILURE, "memory: %zu MiB wanted in one block: %s", mib,
                        strerror(cause));
    }
    uintptr_t start = (uintptr_t)made->map;
    size_t skip = (HUGE_PAGE_BYTES - start % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
    made->base = (unsigned char *)made->map + skip;
    /* Advice: without huge pages the block works all the same, a little slower. */
    (void)madvise(made->base, made->bytes, MADV_HUGEPAGE);
    for (size_t at = 0; at < made->bytes; at += PAGE_BYTES) {
        ((volatile unsigned char *)made->base)[at] = 0;
    }
    *arena = made;
    return MBT_OK;
}

void mbt_arena_destroy(mbt_arena *arena)
{
    if (arena) {
        (void)munmap(arena->map, arena->map_bytes);
        free(arena);
    }
}

void *mbt_arena_take(mbt_arena *arena, size_t bytes)
{
    size_t rounded = mbt_arena_round(bytes);
    assert(rounded >= bytes && rounded <= arena->bytes - arena->used);
    void *taken = arena->base + arena->used;
    arena->used += rounded;
    return taken;
}

size_t mbt_arena_round(size_t bytes)
{
    return round_up(bytes, MBT_ARENA_ALIGN);
}

size_t mbt_arena_used(const mbt_arena *arena)
{
    return arena->used;
}

size_t mbt_arena_bytes(const mbt_arena *arena)
{
    return arena->bytes;
}
