/* The threads of a rank and its groups: whole groups side by side while there are as many as
 * threads, and those that are left one after the other, by all threads together.
 *
 * A worker is what a thread needs to compute groups of its own (setup.h); the first one belongs to
 * the thread that calls, which alone may call MPI. With one worker every group is computed by all
 * threads together. Depends on OpenMP. */
#ifndef MBT_TEAM_H
#define MBT_TEAM_H

/* Called in the worker's thread. Where it runs side by side with others, omp_in_parallel() holds,
 * and what it calls runs in this thread alone. */
typedef void mbt_team_work(void *context, int worker, int group);

/* The groups [first, last), each once. */
void mbt_team_run(int n_workers, int first, int last, mbt_team_work *work, void *context);

/* How many of n groups the worker computes. */
int mbt_team_groups(int n_workers, int n, int worker);

/* The worker's first group, and the one after `group`, which is one of its own; `last` when there
 * is none. */
int mbt_team_first(int n_workers, int first, int last, int worker);
int mbt_team_next(int n_workers, int first, int last, int worker, int group);

#endif
