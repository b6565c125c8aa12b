/* Sums by ISA-L, the only file that knows it. */
#include "mbt/crc.h"

#include <isa-l/crc.h>

uint32_t mbt_crc32(uint32_t sum, const void *data, size_t bytes)
{
    return crc32_gzip_refl(sum, data, bytes);
}

uint32_t mbt_crc32c(const void *data, size_t bytes)
{
    enum { CALL_BYTES = 1 << 30 }; /* the library counts in int */
    const unsigned char *at = data;
    uint32_t sum = UINT32_MAX;
    while (bytes > 0) {
        const size_t n = bytes < CALL_BYTES ? bytes : CALL_BYTES;
        sum = crc32_iscsi((unsigned char *)at, (int)n, sum); /* it only reads */
        at += n;
        bytes -= n;
    }
    return ~sum;
}
