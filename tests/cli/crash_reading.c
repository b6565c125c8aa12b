/* Preloaded into mbt-ckpt: each file is one that crashes HDF5 where its attributes are read. Files
 * that really do crash one version of the library only. */
#include <signal.h>
#include <stdint.h>

int H5Aread(int64_t attribute, int64_t type, void *to);

int H5Aread(int64_t attribute, int64_t type, void *to)
{
    (void)attribute;
    (void)type;
    (void)to;
    return raise(SIGSEGV);
}
