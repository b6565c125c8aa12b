/* --version. The build tells the version and the compiler by definitions on the compiler's command
 * line, the commit (when it is one of a git tree) by a header that commit.cmake writes. */
#include "version.h"

#include <commit.h>

#include "mbt/comm.h"
#include "mbt/store.h"

void print_version(const char *program, FILE *out)
{
    (void)fprintf(out, "%s %s\n", program, MBT_BUILD_VERSION);
    (void)fprintf(out, "commit: %s\n", MBT_BUILD_COMMIT);
    (void)fprintf(out, "compiler: %s\n", MBT_BUILD_COMPILER);
    (void)fprintf(out, "files: %s\n", mbt_store_library());
    (void)fprintf(out, "ranks: %s\n", mbt_comm_library());
    print_version_kernels(out);
}
