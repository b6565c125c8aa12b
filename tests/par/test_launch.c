/* launch: what the launchers' variables mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "par/launch.h"

static const char *const variables[] = {"SLURM_STEP_ID",
                                        "SLURM_STEP_NUM_TASKS",
                                        "SLURM_NTASKS",
                                        "SLURM_PROCID",
                                        "PMIX_NAMESPACE",
                                        "PMIX_RANK",
                                        "PMI_FD",
                                        "PMI_PORT",
                                        "PMI_SIZE",
                                        "PMI_RANK",
                                        "OMPI_COMM_WORLD_SIZE",
                                        "OMPI_COMM_WORLD_RANK",
                                        "MBTRAIN_ALLOW_SINGLETON"};
enum { N_VARIABLES = sizeof variables / sizeof variables[0] };

static int clear(void **state)
{
    (void)state;
    for (int i = 0; i < N_VARIABLES; i++) {
        (void)unsetenv(variables[i]);
    }
    return 0;
}

static void put(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

/* The status, checked against a message that begins so (NULL: empty). */
static mbt_status check(const char *wanted)
{
    mbt_error err = {.message = "untouched"};
    mbt_status status = launch_check_alone("Some MPI 1.2", &err);
    if (!status) {
        assert_string_equal(err.message, "untouched");
    } else if (wanted) {
        assert_memory_equal(err.message, wanted, strlen(wanted));
        assert_non_null(strstr(err.message, "Some MPI 1.2"));
        assert_non_null(strstr(err.message, "srun --mpi=pmix"));
    } else {
        assert_string_equal(err.message, "");
    }
    return status;
}

static void shell_alone_is_fine(void **state)
{
    (void)state;
    assert_int_equal(check(NULL), MBT_OK);
    assert_false(launch_without_pmi());
    put("SLURM_NTASKS", "8"); /* a batch script; next with the batch step's id spelled out */
    assert_int_equal(check(NULL), MBT_OK);
    put("SLURM_STEP_ID", "4294967291");
    put("SLURM_PROCID", "0");
    assert_int_equal(check(NULL), MBT_OK);
    assert_false(launch_without_pmi());
    put("SLURM_STEP_ID", "nonsense");
    assert_int_equal(check(NULL), MBT_OK);
}

static void step_of_several_tasks_is_not(void **state)
{
    (void)state;
    put("SLURM_NTASKS", "8");
    put("SLURM_STEP_ID", "0");
    put("SLURM_PROCID", "0");
    assert_int_equal(check("srun started 8 copies"), MBT_USAGE);
    assert_true(launch_without_pmi());
    put("SLURM_PROCID", "5");
    assert_int_equal(check(NULL), MBT_USAGE);
    /* One task of a wide allocation. */
    put("SLURM_STEP_NUM_TASKS", "1");
    assert_int_equal(check(NULL), MBT_OK);
    assert_false(launch_without_pmi());
    put("SLURM_STEP_NUM_TASKS", "2");
    put("PMIX_RANK", "0");
    assert_false(launch_without_pmi());
    assert_int_equal(launch_check_alone("any", NULL), MBT_USAGE);
    put("MBTRAIN_ALLOW_SINGLETON", "0");
    assert_int_equal(check(NULL), MBT_USAGE);
    put("MBTRAIN_ALLOW_SINGLETON", "1");
    assert_int_equal(check(NULL), MBT_OK);
}

static void other_mpirun_is_named(void **state)
{
    (void)state;
    put("OMPI_COMM_WORLD_SIZE", "1");
    put("PMI_SIZE", "1");
    assert_int_equal(check(NULL), MBT_OK);
    put("PMI_SIZE", "3");
    assert_int_equal(check("the launcher started 3 copies"), MBT_USAGE);
    put("PMI_RANK", "1");
    assert_int_equal(check(NULL), MBT_USAGE);
    put("OMPI_COMM_WORLD_SIZE", "4");
    put("OMPI_COMM_WORLD_RANK", "0");
    assert_int_equal(check("mpirun started 4 copies"), MBT_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(shell_alone_is_fine, clear),
        cmocka_unit_test_setup(step_of_several_tasks_is_not, clear),
        cmocka_unit_test_setup(other_mpirun_is_named, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
