/* Cyclic redundancy checks. Depends on nothing. */
#ifndef MBT_CRC_H
#define MBT_CRC_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32 of gzip (RFC 1952, section 8), going on from `sum`; 0 before the first byte. */
uint32_t mbt_crc32(uint32_t sum, const void *data, size_t bytes);

/* CRC-32C (Castagnoli; RFC 3720, section 12.1). */
uint32_t mbt_crc32c(const void *data, size_t bytes);

#endif
