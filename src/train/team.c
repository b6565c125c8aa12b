/* Who computes which group. */
#include "mbt/team.h"

#include <omp.h>

/* Of n groups those that are computed side by side: the same number by each worker. */
static int side_by_side(int n_workers, int n)
{
    return n_workers > 1 ? n / n_workers * n_workers : 0;
}

int mbt_team_groups(int n_workers, int n, int worker)
{
    const int whole = side_by_side(n_workers, n);
    return whole / n_workers + (worker == 0 ? n - whole : 0);
}

int mbt_team_first(int n_workers, int first, int last, int worker)
{
    return side_by_side(n_workers, last - first) > 0 || worker == 0 ? first + worker : last;
}

int mbt_team_next(int n_workers, int first, int last, int worker, int group)
{
    const int whole = first + side_by_side(n_workers, last - first);
    if (group + n_workers < whole) {
        return group + n_workers;
    }
    if (worker > 0) {
        return last;
    }
    return group < whole ? whole : group + 1;
}

void mbt_team_run(int n_workers, int first, int last, mbt_team_work *work, void *context)
{
    const int whole = first + side_by_side(n_workers, last - first);
#pragma omp parallel for num_threads(n_workers) schedule(static, 1) if (whole > first)
    for (int worker = 0; worker < n_workers; worker++) {
        for (int group = first + worker; group < whole; group += n_workers) {
            work(context, worker, group);
        }
    }
    for (int group = whole; group < last; group++) {
        work(context, 0, group);
    }
}
