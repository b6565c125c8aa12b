/* The account at the end of a run: where the time went, how even the ranks were, how much memory.
 */
#include <stdlib.h>
#include <sys/resource.h>

#include "mbt/memory.h"
#include "mbt/text.h"
#include "mbt/trainer.h"

/* What every rank tells. */
struct account {
    double seconds[MBT_PHASE_COUNT];
    double compute_s; /* input, forward, backward: what the rank did itself */
    double peak_mib;  /* resident, since the process began */
    double grown_mib; /* since setting up began, without the window */
    double planned_mib;
};

static double total_of(const struct account *a)
{
    double sum = 0;
    for (int p = 0; p < MBT_PHASE_COUNT; p++) {
        sum += a->seconds[p];
    }
    return sum;
}

static void print(const struct account *all, int n, int64_t n_images, FILE *out)
{
    double mean[MBT_PHASE_COUNT] = {0}, wall = 0, training = 0, peak = 0;
    int slowest = 0, fastest = 0, largest = 0;
    for (int r = 0; r < n; r++) {
        for (int p = 0; p < MBT_PHASE_COUNT; p++) {
            mean[p] += all[r].seconds[p] / n;
        }
        slowest = all[r].compute_s > all[slowest].compute_s ? r : slowest;
        fastest = all[r].compute_s < all[fastest].compute_s ? r : fastest;
        largest = all[r].peak_mib > all[largest].peak_mib ? r : largest;
        wall = total_of(&all[r]) > wall ? total_of(&all[r]) : wall;
        peak = all[r].peak_mib > peak ? all[r].peak_mib : peak;
    }
    for (int p = MBT_PHASE_INPUT; p <= MBT_PHASE_UPDATE; p++) {
        training += mean[p];
    }
    char text[32];
    (void)fprintf(out, "\ntime     %s on %d rank%s", mbt_text_duration(wall, text), n,
                  n > 1 ? "s" : "");
    if (training > 0 && n_images > 0) {
        (void)fprintf(out, ", %.1f images/s while training", (double)n_images / training);
    }
    (void)fprintf(out, "\nphase    ");
    for (int p = 0; p < MBT_PHASE_COUNT; p++) {
        if (mean[p] >= 0.0005 * wall) {
            (void)fprintf(out, "%s %.1f %%  ", mbt_phase_name((mbt_phase)p), 100 * mean[p] / wall);
        }
    }
    if (n > 1) {
        (void)fprintf(out, "\nranks    slowest %d (%.1f s computing), fastest %d (%.1f s)", slowest,
                      all[slowest].compute_s, fastest, all[fastest].compute_s);
    }
    (void)fprintf(
        out,
        "\nmemory   at most %.0f MiB resident (rank %d), %.0f MiB of it grown since the start; "
        "%.0f MiB were planned\n",
        peak, largest, all[largest].grown_mib, all[largest].planned_mib);
}

void mbt_summary_print(const mbt_setup *setup, const mbt_timer *timer, int64_t n_images, FILE *out)
{
    mbt_comm *comm = setup->comm;
    const int n = mbt_comm_size(comm);
    struct rusage usage;
    struct account mine = {{0}, 0, 0, 0, 0};
    for (int p = 0; p < MBT_PHASE_COUNT; p++) {
        mine.seconds[p] = timer->seconds[p];
    }
    mine.compute_s = mine.seconds[MBT_PHASE_INPUT] + mine.seconds[MBT_PHASE_FORWARD] +
                     mine.seconds[MBT_PHASE_BACKWARD];
    mine.peak_mib = getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024.0 : 0;
    mine.grown_mib = (double)mbt_memory_grown(setup) / (1024.0 * 1024.0);
    mine.planned_mib = (double)mbt_memory_of(setup).total / (1024.0 * 1024.0);

    struct account *all = calloc((size_t)n, sizeof *all);
    mbt_error err = {0};
    const mbt_status status =
        all != NULL ? MBT_OK : mbt_fail(&err, MBT_FAILURE, "summary: out of memory");
    if (mbt_comm_agree(comm, status, &err) == MBT_OK) {
        mbt_comm_gather(comm, &mine, sizeof mine, all);
        if (mbt_comm_rank(comm) == 0) {
            print(all, n, n_images, out);
        }
    }
    free(all);
}
