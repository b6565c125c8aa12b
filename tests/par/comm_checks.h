/* The checks that every implementation of comm.h passes, on any number of ranks. */
#ifndef MBT_TESTS_COMM_CHECKS_H
#define MBT_TESTS_COMM_CHECKS_H

/* Runs them all on a communicator made from the arguments; library: how its name begins.
 * Returns the number of failed tests. */
int comm_checks_run(int argc, char **argv, const char *library);

#endif
