/* Fuzzer of the data set reader: what `mbt-data verify` does with a file. */
#include <stdint.h>
#include <stdlib.h>

#include "fuzz/sealed.h"
#include "mbt/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static mbt_comm *comm;
    mbt_dataset dataset;
    mbt_error err = {0};
    if (comm == NULL && mbt_comm_create(NULL, NULL, &comm, &err) != MBT_OK) {
        abort();
    }
    mbt_status status =
        mbt_dataset_open(comm, sealed_file(data, bytes), (size_t)1 << 30, &dataset, &err);
    if (status == MBT_OK) {
        status = mbt_dataset_verify(&dataset, &err);
        mbt_dataset_close(comm, &dataset);
    }
    if (status != MBT_OK && status != MBT_DATA && status != MBT_FAILURE) {
        abort();
    }
    return 0;
}
