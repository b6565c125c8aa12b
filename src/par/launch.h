/* What the launcher says in the environment about the number of copies it started. No MPI here, so
 * that it can be asked before MPI_Init, which under a launcher it does not know prints a page from
 * every copy. Depends on status. */
#ifndef MBT_PAR_LAUNCH_H
#define MBT_PAR_LAUNCH_H

#include <stdbool.h>

#include "mbt/status.h"

/* True in a step of srun that has several tasks and offers them no way (PMIx, PMI) to find each
 * other. */
bool launch_without_pmi(void);

/* MBT_USAGE when a launcher started several copies; asked when this copy is alone in its world.
 * `library` goes into the message. Empty message on all copies but the first. */
mbt_status launch_check_alone(const char *library, mbt_error *err) MBT_WARN_UNUSED;

#endif
