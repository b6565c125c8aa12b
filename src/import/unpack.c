/* Unpacks gzip and reads tar in one pass.
 *
 * libarchive ignores the checksum at the end of a gzip stream, so a flipped bit could become a
 * flipped pixel. Here one reader only unpacks, a CRC-32 (RFC 1952, section 8) runs over what comes
 * out, and a second reader takes its tar from there. */
#include "unpack.h"

#include <archive.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/crc.h"

enum { BLOCK_BYTES = 1 << 16, TRAILER_BYTES = 8 };

struct unpack {
    const char *path;
    struct archive *raw, *tar;
    uint32_t crc;   /* of what came out so far, */
    uint64_t bytes; /* and how much that is */
    bool failed;    /* raw has an error */
};

mbt_status unpack_fail(struct archive *archive, const char *path, mbt_error *err)
{
    const char *reason = archive_error_string(archive);
    return mbt_fail(err, MBT_DATA, "%s: cannot be read as .tar.gz: %s", path,
                    reason != NULL ? reason : "no reason given");
}

/* The next piece of what is packed; 0 at the end, -1 on failure. */
static la_ssize_t next_piece(struct unpack *unpack, const void **data)
{
    size_t bytes = 0;
    la_int64_t offset = 0;
    int got = archive_read_data_block(unpack->raw, data, &bytes, &offset);
    if (got == ARCHIVE_EOF) {
        return 0;
    }
    if (got != ARCHIVE_OK) {
        unpack->failed = true;
        return -1;
    }
    unpack->crc = mbt_crc32(unpack->crc, *data, bytes);
    unpack->bytes += bytes;
    return (la_ssize_t)bytes;
}

static la_ssize_t feed_tar(struct archive *tar, void *context, const void **data)
{
    struct unpack *unpack = context;
    la_ssize_t n = next_piece(unpack, data);
    if (n < 0) {
        const char *reason = archive_error_string(unpack->raw);
        archive_set_error(tar, EIO, "%s", reason != NULL ? reason : "cannot be unpacked");
    }
    return n;
}

mbt_status unpack_open(const char *path, struct unpack **unpack, struct archive **tar,
                       mbt_error *err)
{
    struct archive_entry *entry = NULL;
    struct unpack *made = calloc(1, sizeof *made);
    mbt_status status = MBT_OK;
    if (made == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    }
    made->path = path;
    made->raw = archive_read_new();
    made->tar = archive_read_new();
    if (made->raw == NULL || made->tar == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    } else if (archive_read_support_filter_gzip(made->raw) < ARCHIVE_WARN || /* others may start */
               archive_read_support_format_raw(made->raw) < ARCHIVE_WARN ||  /* programs */
               archive_read_open_filename(made->raw, path, BLOCK_BYTES) != ARCHIVE_OK ||
               archive_read_next_header(made->raw, &entry) != ARCHIVE_OK) {
        status = unpack_fail(made->raw, path, err);
    } else if (archive_read_support_format_tar(made->tar) < ARCHIVE_WARN ||
               archive_read_open(made->tar, made, NULL, feed_tar, NULL) != ARCHIVE_OK) {
        status = unpack_fail(made->tar, path, err);
    }
    if (status) {
        unpack_close(made);
        return status;
    }
    *unpack = made;
    *tar = made->tar;
    return MBT_OK;
}

static uint32_t little_endian(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The last bytes of a gzip file of one member: checksum and length of what is packed. */
static mbt_status check_trailer(const struct unpack *unpack, mbt_error *err)
{
    unsigned char trailer[TRAILER_BYTES];
    FILE *file = fopen(unpack->path, "rb");
    if (file == NULL) {
        return mbt_fail(err, MBT_DATA, "%s: %s", unpack->path, strerror(errno));
    }
    bool read = fseek(file, -TRAILER_BYTES, SEEK_END) == 0 &&
                fread(trailer, 1, TRAILER_BYTES, file) == TRAILER_BYTES;
    (void)fclose(file);
    if (!read) {
        return mbt_fail(err, MBT_DATA, "%s: cut short: no checksum at its end", unpack->path);
    }
    uint32_t crc = little_endian(trailer), bytes = little_endian(trailer + 4);
    if (crc != unpack->crc || bytes != (uint32_t)unpack->bytes) {
        return mbt_fail(err, MBT_DATA,
                        "%s: damaged: unpacked %llu bytes with CRC-32 %08x, wanted %u with %08x",
                        unpack->path, (unsigned long long)unpack->bytes, (unsigned)unpack->crc,
                        (unsigned)bytes, (unsigned)crc);
    }
    return MBT_OK;
}

mbt_status unpack_finish(struct unpack *unpack, mbt_error *err)
{
    const void *rest = NULL;
    while (!unpack->failed && next_piece(unpack, &rest) > 0) {
        /* tar's padding: only its checksum matters */
    }
    if (unpack->failed) {
        return unpack_fail(unpack->raw, unpack->path, err);
    }
    /* a plain .tar has nothing to compare with */
    return archive_filter_code(unpack->raw, 0) == ARCHIVE_FILTER_GZIP ? check_trailer(unpack, err)
                                                                      : MBT_OK;
}

void unpack_close(struct unpack *unpack)
{
    if (unpack == NULL) {
        return;
    }
    (void)archive_read_free(unpack->tar);
    (void)archive_read_free(unpack->raw);
    free(unpack);
}
