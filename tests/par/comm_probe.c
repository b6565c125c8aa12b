/* A program for test_leave.c: `comm_probe abort CODE` aborts from the last rank while the others
 * wait; `comm_probe agree CODE` fails on the last rank and leaves on all; `comm_probe ok` just
 * leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/comm.h"
#include "mbt/log.h"

int main(int argc, char **argv)
{
    mbt_comm *comm = NULL;
    mbt_error err;
    mbt_log log;
    mbt_log_init(&log, MBT_LOG_INFO, 0, 1);
    mbt_status status = mbt_comm_create(&argc, &argv, &comm, &err);
    if (status) {
        mbt_log_error(&log, &err);
        return (int)status;
    }
    mbt_log_init(&log, MBT_LOG_INFO, mbt_comm_rank(comm), mbt_comm_size(comm));
    int last = mbt_comm_rank(comm) == mbt_comm_size(comm) - 1;
    if (argc == 3 && strcmp(argv[1], "abort") == 0) {
        if (last) {
            mbt_comm_abort(comm, (mbt_status)atoi(argv[2]), "probed");
        }
        mbt_comm_barrier(comm);
    } else if (argc == 3 && last) {
        status = mbt_fail(&err, (mbt_status)atoi(argv[2]), "probed");
    }
    status = mbt_comm_agree(comm, status, &err);
    if (status) {
        mbt_log_error(&log, &err);
    }
    mbt_comm_destroy(comm);
    return (int)status;
}
