/* Who computes which group: each is computed once, by the worker that the other functions name, and
 * whole groups only by as many threads as there are workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <omp.h>

#include "mbt/team.h"

enum { FIRST = 5, MOST = 14, WORKERS = 4 };

/* What became of each group of a run. */
struct seen {
    int times[FIRST + MOST], worker[FIRST + MOST], threads[FIRST + MOST], thread[FIRST + MOST];
};

static void note(void *context, int worker, int group)
{
    struct seen *seen = context;
    seen->times[group]++;
    seen->worker[group] = worker;
    seen->threads[group] = omp_in_parallel() ? omp_get_num_threads() : 1;
    seen->thread[group] = omp_get_thread_num();
}

static void each_group_has_one_worker(void **state)
{
    (void)state;
    for (int workers = 1; workers <= WORKERS; workers++) {
        for (int n = 0; n <= MOST; n++) {
            struct seen seen = {{0}, {0}, {0}, {0}};
            int left = n % workers;
            mbt_team_run(workers, FIRST, FIRST + n, note, &seen);
            for (int i = 0; i < FIRST; i++) {
                assert_int_equal(seen.times[i], 0);
            }
            for (int i = 0; i < n; i++) {
                const int at = FIRST + i;
                const int together = workers > 1 && i < n - left;
                assert_int_equal(seen.times[at], 1);
                assert_int_equal(seen.worker[at], together ? i % workers : 0);
                assert_int_equal(seen.threads[at], together ? workers : 1);
                assert_int_equal(seen.thread[at], together ? i % workers : 0);
            }
        }
    }
}

static void a_worker_knows_its_groups(void **state)
{
    (void)state;
    for (int workers = 1; workers <= WORKERS; workers++) {
        for (int n = 0; n <= MOST; n++) {
            struct seen seen = {{0}, {0}, {0}, {0}};
            const int last = FIRST + n;
            mbt_team_run(workers, FIRST, last, note, &seen);
            for (int w = 0; w < workers; w++) {
                int group = mbt_team_first(workers, FIRST, last, w), count = 0;
                for (int i = FIRST; i < last; i++) {
                    if (seen.worker[i] == w) {
                        assert_int_equal(group, i);
                        group = mbt_team_next(workers, FIRST, last, w, group);
                        count++;
                    }
                }
                assert_int_equal(group, last);
                assert_int_equal(count, mbt_team_groups(workers, n, w));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_group_has_one_worker),
        cmocka_unit_test(a_worker_knows_its_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
