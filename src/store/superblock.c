/* The superblock of an image, made right.
 *
 * H5Fget_file_image clears the mark "open for writing" in its copy of the superblock but, in HDF5
 * 1.10 at least, leaves the checksum that counts the mark, and no reader opens such an image. The
 * format is fixed (HDF5 File Format Specification 3.0, II.A): versions 2 and 3 have 44 bytes with
 * 8-byte addresses, then Jenkins' lookup3 hash of them. */
#include <string.h>

#include "internal.h"

enum { BYTES = 44, WORDS = BYTES / 4, VERSION_AT = 8, ADDRESS_BYTES_AT = 9, MARKS_AT = 11 };

static uint32_t turned(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static void mix(uint32_t *a, uint32_t *b, uint32_t *c)
{
    *a -= *c, *a ^= turned(*c, 4), *c += *b;
    *b -= *a, *b ^= turned(*a, 6), *a += *c;
    *c -= *b, *c ^= turned(*b, 8), *b += *a;
    *a -= *c, *a ^= turned(*c, 16), *c += *b;
    *b -= *a, *b ^= turned(*a, 19), *a += *c;
    *c -= *b, *c ^= turned(*b, 4), *b += *a;
}

static uint32_t finish(uint32_t a, uint32_t b, uint32_t c)
{
    c ^= b, c -= turned(b, 14);
    a ^= c, a -= turned(c, 11);
    b ^= a, b -= turned(a, 25);
    c ^= b, c -= turned(b, 16);
    a ^= c, a -= turned(c, 4);
    b ^= a, b -= turned(a, 14);
    c ^= b, c -= turned(b, 24);
    return c;
}

static uint32_t lookup3(const unsigned char bytes[BYTES])
{
    uint32_t word[WORDS];
    for (size_t w = 0; w < WORDS; w++) {
        const unsigned char *from = bytes + 4 * w;
        word[w] = (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
                  (uint32_t)from[3] << 24;
    }
    uint32_t a = 0xdeadbeef + BYTES, b = a, c = a;
    for (int w = 0; w + 3 < WORDS; w += 3) {
        a += word[w], b += word[w + 1], c += word[w + 2];
        mix(&a, &b, &c);
    }
    return finish(a + word[WORDS - 2], b + word[WORDS - 1], c);
}

bool store_seal_superblock(unsigned char *image, size_t bytes)
{
    if (bytes < BYTES + 4 || (image[VERSION_AT] != 2 && image[VERSION_AT] != 3) ||
        image[ADDRESS_BYTES_AT] != 8) {
        return false;
    }
    image[MARKS_AT] = 0;
    uint32_t sum = lookup3(image);
    for (int b = 0; b < 4; b++) {
        image[BYTES + b] = (unsigned char)(sum >> (8 * b));
    }
    return true;
}
