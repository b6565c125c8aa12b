/* comm over MPI. */
#include "comm_checks.h"

int main(int argc, char **argv)
{
    return comm_checks_run(argc, argv, "Open MPI ");
}
