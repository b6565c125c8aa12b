/* The 512 bytes before the HDF5 part: a mark, the digest of what follows, and its length, as text.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static const char mark[] = "MBTRAIN 1\nXXH3-128 ";

enum { MARK = sizeof mark - 1, HEX = MBT_DIGEST_TEXT - 1 };

void store_block_make(const char *digest, uint64_t bytes, char block[MBT_USER_BLOCK_BYTES])
{
    memset(block, 0, MBT_USER_BLOCK_BYTES);
    (void)snprintf(block, MBT_USER_BLOCK_BYTES, "%s%s\nBYTES %llu\n", mark, digest,
                   (unsigned long long)bytes);
}

bool store_block_parse(const char block[MBT_USER_BLOCK_BYTES], char digest[MBT_DIGEST_TEXT],
                       uint64_t *bytes)
{
    static const char length[] = "\nBYTES ";
    char hex[MBT_DIGEST_TEXT], number[24], again[MBT_USER_BLOCK_BYTES];
    int64_t value = 0;
    if (memcmp(block, mark, MARK) != 0 ||
        memcmp(block + MARK + HEX, length, sizeof length - 1) != 0) {
        return false;
    }
    memcpy(hex, block + MARK, HEX);
    hex[HEX] = '\0';
    if (strspn(hex, "0123456789abcdef") != HEX) {
        return false;
    }
    const char *digits = block + MARK + HEX + sizeof length - 1;
    size_t n = 0;
    while (n < sizeof number - 1 && digits[n] >= '0' && digits[n] <= '9') {
        number[n] = digits[n];
        n++;
    }
    number[n] = '\0';
    if (!mbt_text_to_i64(number, &value) || value < 0) {
        return false;
    }
    /* one way to write it: leading zeros or anything in the padding is damage */
    store_block_make(hex, (uint64_t)value, again);
    if (memcmp(again, block, sizeof again) != 0) {
        return false;
    }
    memcpy(digest, hex, MBT_DIGEST_TEXT);
    *bytes = (uint64_t)value;
    return true;
}
