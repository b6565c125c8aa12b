/* How a job ends, seen from outside: exit code, and one line and no more of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { OUTPUT_BYTES = 1 << 16 };

/* Runs a shell command, both streams into `out`; returns its exit code. */
static int run(const char *command, char out[OUTPUT_BYTES])
{
    char whole[4096];
    assert_in_range(snprintf(whole, sizeof whole, "(%s) 2>&1", command), 1, sizeof whole - 1);
    FILE *pipe = popen(whole, "r");
    assert_non_null(pipe);
    out[fread(out, 1, OUTPUT_BYTES - 1, pipe)] = '\0';
    int ended = pclose(pipe);
    assert_true(WIFEXITED(ended));
    return WEXITSTATUS(ended);
}

static int n_times(const char *text, const char *wanted)
{
    int n = 0;
    for (const char *at = strstr(text, wanted); at; at = strstr(at + 1, wanted)) {
        n++;
    }
    return n;
}

#define JOB_OF_3 MPIRUN " --oversubscribe --allow-run-as-root -n 3 " COMM_PROBE

static void abort_ends_the_job_with_its_code(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    assert_int_equal(run(JOB_OF_3 " abort 5", out), 5);
    assert_int_equal(n_times(out, "rank 2 on "), 1);
    assert_int_equal(n_times(out, ": probed\n"), 1);
}

static void agreed_failure_is_said_once(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    assert_int_equal(run(JOB_OF_3 " agree 4", out), 4);
    assert_int_equal(n_times(out, "error: rank 2: probed\n"), 1);
    assert_int_equal(n_times(out, "probed"), 1);
    assert_int_equal(run(JOB_OF_3 " ok", out), 0);
    assert_string_equal(out, "");
}

static void single_process_needs_no_launcher(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    assert_int_equal(run(COMM_PROBE " agree 3", out), 3);
    assert_string_equal(out, "error: probed\n");
    /* In a Slurm batch script, started by the shell. */
    assert_int_equal(run("SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_PROCID=0 " COMM_PROBE " ok", out), 0);
    assert_string_equal(out, "");
}

static void separate_copies_are_refused_once(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    const char *const srun = "SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_STEPID=0 SLURM_STEP_NUM_TASKS=2 "
                             "SLURM_NTASKS=2 ";
    char command[4096];
    snprintf(command, sizeof command,
             "export %s; SLURM_PROCID=1 %s ok; a=$?; SLURM_PROCID=0 %s ok; exit $((10*a+$?))", srun,
             COMM_PROBE, COMM_PROBE);
    assert_int_equal(run(command, out), 22);
    assert_int_equal(n_times(out, "\n"), 1);
    assert_int_equal(n_times(out, "error: srun started 2 copies"), 1);
    assert_int_equal(n_times(out, "srun --mpi=pmix"), 1);

    /* The mpirun of another MPI: seen after MPI_Init. */
    assert_int_equal(run("PMI_SIZE=3 PMI_RANK=0 " COMM_PROBE " ok", out), 2);
    assert_int_equal(n_times(out, "error: the launcher started 3 copies"), 1);
    assert_int_equal(run("PMI_SIZE=3 PMI_RANK=2 " COMM_PROBE " ok", out), 2);
    assert_string_equal(out, "");
    assert_int_equal(run("PMI_SIZE=3 PMI_RANK=2 MBTRAIN_ALLOW_SINGLETON=1 " COMM_PROBE " ok", out),
                     0);
}

int main(void)
{
    (void)setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    (void)setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(abort_ends_the_job_with_its_code),
        cmocka_unit_test(agreed_failure_is_said_once),
        cmocka_unit_test(single_process_needs_no_launcher),
        cmocka_unit_test(separate_copies_are_refused_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
