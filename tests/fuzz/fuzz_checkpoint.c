/* Fuzzer of the checkpoint reader: what `mbt-ckpt verify` and `show` do with a file. */
#include <stdint.h>
#include <stdlib.h>

#include "fuzz/sealed.h"
#include "mbt/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char digest[MBT_DIGEST_TEXT];
    mbt_checkpoint_info info = {0};
    mbt_error err = {0};
    const char *path = sealed_file(data, bytes);
    const mbt_status status = mbt_checkpoint_verify(path, digest, &err);
    if (status != MBT_OK && status != MBT_DATA && status != MBT_FAILURE) {
        abort();
    }
    if (mbt_checkpoint_read_info(path, &info, &err) != MBT_OK && status == MBT_OK) {
        abort(); /* whole, and yet unreadable */
    }
    mbt_checkpoint_info_clear(&info);
    return 0;
}
