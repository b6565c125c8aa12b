/* One encoded sample at a time: its bytes from memory or from the file, and what readers need. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "mbt/dataset.h"

static mbt_status check_sum(const mbt_encoded *e, int64_t id, const uint8_t *bytes, size_t n,
                            mbt_error *err)
{
    const uint64_t got = mbt_digest_short(bytes, n);
    return got == (uint64_t)e->sums[id]
               ? MBT_OK
               : mbt_fail(err, MBT_DATA,
                          "sample %" PRId64 ": damaged: got sum %016" PRIx64 ", wanted %016" PRIx64,
                          id, got, (uint64_t)e->sums[id]);
}

mbt_status mbt_encoded_bytes(const mbt_encoded *e, int64_t id, uint8_t *buffer,
                             const uint8_t **bytes, size_t *n, mbt_error *err)
{
    *n = (size_t)(e->offsets[id + 1] - e->offsets[id]);
    if (e->bytes != NULL) {
        *bytes = e->bytes + e->offsets[id];
        return MBT_OK;
    }
    size_t done = 0;
    while (done < *n) {
        const ssize_t got =
            pread(e->fd, buffer + done, *n - done, (off_t)e->positions[id] + (off_t)done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return mbt_fail(err, MBT_DATA, "sample %" PRId64 ": cannot read: %s", id,
                            got < 0 ? strerror(errno) : "the file has become shorter");
        }
        done += (size_t)got;
    }
    *bytes = buffer;
    return check_sum(e, id, buffer, *n, err);
}

mbt_status mbt_encoded_decode(const mbt_encoded *e, int64_t id, mbt_decoder *decoder,
                              uint8_t *buffer, uint8_t *rgb, mbt_error *err)
{
    const int32_t height = e->sizes[2 * id], width = e->sizes[2 * id + 1];
    mbt_image_info info = {0};
    const uint8_t *bytes;
    size_t n;
    mbt_status status = mbt_encoded_bytes(e, id, buffer, &bytes, &n, err);
    if (status == MBT_OK) {
        status = mbt_decoder_probe(decoder, bytes, n, &info, err);
    }
    if (status == MBT_OK && (info.height != height || info.width != width)) {
        status = mbt_fail(err, MBT_DATA,
                          "sample %" PRId64 ": got %d x %d pixels, the index says %" PRId32
                          " x %" PRId32,
                          id, info.width, info.height, width, height);
    }
    return status == MBT_OK ? mbt_decoder_run(decoder, bytes, n, &info, rgb, err) : status;
}

void mbt_encoded_announce(const mbt_encoded *e, int64_t id)
{
    if (e->bytes == NULL) {
        (void)posix_fadvise(e->fd, (off_t)e->positions[id],
                            (off_t)(e->offsets[id + 1] - e->offsets[id]), POSIX_FADV_WILLNEED);
    }
}

void mbt_encoded_largest(const mbt_split *split, mbt_extent *largest)
{
    for (int64_t i = 0; i < split->n; i++) {
        const mbt_encoded *e = split->encoded;
        const size_t bytes = (size_t)(e->offsets[i + 1] - e->offsets[i]);
        const int height = e->sizes[2 * i], width = e->sizes[2 * i + 1];
        const size_t pixels = (size_t)height * (size_t)width;
        largest->bytes = bytes > largest->bytes ? bytes : largest->bytes;
        largest->pixels = pixels > largest->pixels ? pixels : largest->pixels;
        largest->height = height > largest->height ? height : largest->height;
        largest->width = width > largest->width ? width : largest->width;
    }
}
