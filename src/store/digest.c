/* XXH3-128 over pieces. The text is the canonical big-endian form, as `xxhsum -H2` prints it. */
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "mbt/store.h"

struct mbt_digest {
    XXH3_state_t *state;
};

mbt_status mbt_digest_create(mbt_digest **digest, mbt_error *err)
{
    mbt_digest *made = malloc(sizeof *made);
    XXH3_state_t *state = XXH3_createState();
    if (made == NULL || state == NULL || XXH3_128bits_reset(state) != XXH_OK) {
        free(made);
        XXH3_freeState(state);
        return mbt_fail(err, MBT_FAILURE, "digest: out of memory");
    }
    made->state = state;
    *digest = made;
    return MBT_OK;
}

void mbt_digest_add(mbt_digest *digest, const void *data, size_t bytes)
{
    /* fails only on a null pointer */
    if (bytes > 0) {
        (void)XXH3_128bits_update(digest->state, data, bytes);
    }
}

void mbt_digest_text(const mbt_digest *digest, char out[MBT_DIGEST_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(digest->state));
    for (size_t i = 0; i < sizeof bytes.digest; i++) {
        out[2 * i] = hex[bytes.digest[i] >> 4];
        out[2 * i + 1] = hex[bytes.digest[i] & 15];
    }
    out[MBT_DIGEST_TEXT - 1] = '\0';
}

void mbt_digest_destroy(mbt_digest *digest)
{
    if (digest == NULL) {
        return;
    }
    XXH3_freeState(digest->state);
    free(digest);
}

uint64_t mbt_digest_short(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}
