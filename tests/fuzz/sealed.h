/* HDF5 as the fuzzer makes it, in a file behind a user block with the right digest: so it reaches
 * the readers instead of ending at the digest. */
#ifndef MBT_TESTS_FUZZ_SEALED_H
#define MBT_TESTS_FUZZ_SEALED_H

#include <stddef.h>
#include <stdint.h>

/* Writes the file to the folder TMPDIR, one for a process, and returns its path, which is valid
 * until the next call. With FUZZ_KEEP in the environment it is written there as well. */
const char *sealed_file(const uint8_t *hdf5, size_t bytes);

#endif
