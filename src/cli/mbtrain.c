/* mbtrain: trains, resumes, evaluates, measures, and shows plans. Run under mpirun or srun.
 *
 * Results go to stdout, logs to stderr; the exit code is an mbt_status. Whatever can fail on one
 * rank alone is agreed on, so that all ranks leave together and rank zero says why, once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mbt/binding.h"
#include "mbt/stop.h"
#include "mbt/trainer.h"
#include "mbtrain_session.h"
#include "version.h"

bool mbtrain_is_root(const mbtrain_session *s)
{
    return mbt_comm_rank(s->comm) == 0;
}

/* Why the program ends, once. */
static void say_why(mbtrain_session *s, mbt_status status, const mbt_error *err)
{
    if (status == MBT_OK || s->said) {
        return;
    }
    s->said = true;
    if (status == MBT_STOPPED) {
        mbt_log_root(&s->log, MBT_LOG_INFO, "%s", err->message);
    } else {
        mbt_log_error(&s->log, err);
    }
}

static void say_idle(mbtrain_session *s)
{
    char keys[512];
    mbt_config_idle(&s->config, keys, sizeof keys);
    if (keys[0] != '\0') {
        mbt_log_root(&s->log, MBT_LOG_WARN, "without effect: %s", keys);
    }
}

mbt_status mbtrain_share_config(mbtrain_session *s, mbt_status status, mbt_error *err)
{
    status = mbt_comm_agree(s->comm, status, err);
    if (status == MBT_OK) {
        mbt_comm_broadcast(s->comm, &s->config, sizeof s->config);
        say_idle(s);
    }
    return status;
}

mbt_status mbtrain_apply_overrides(mbtrain_session *s, mbt_error *err)
{
    mbt_status status = MBT_OK;
    for (int i = 0; i < s->options.n_sets && status == MBT_OK; i++) {
        status = mbt_config_set(s->options.sets[i], &s->config, err);
    }
    return status;
}

/* The run folder of a configuration that names none: runs/<its file's name>. */
static mbt_status default_folder(mbtrain_session *s, mbt_error *err)
{
    if (s->config.run.folder[0] != '\0') {
        return MBT_OK;
    }
    const char *slash = strrchr(s->options.target, '/');
    const char *name = slash != NULL ? slash + 1 : s->options.target;
    const char *dot = name[0] != '\0' ? strrchr(name + 1, '.') : NULL;
    return mbt_text_format(s->config.run.folder, sizeof s->config.run.folder, err, "run.folder",
                           "runs/%.*s", dot != NULL ? (int)(dot - name) : (int)strlen(name), name);
}

/* What no single key shows. Plan and bench do without a data set. */
static mbt_status check_config(const mbt_config *config, bool needs_data, mbt_error *err)
{
    mbt_config checked = *config;
    if (!needs_data && checked.data.path[0] == '\0') {
        memcpy(checked.data.path, "none", sizeof "none");
    }
    return mbt_config_check(&checked, err);
}

mbt_status mbtrain_read_config(mbtrain_session *s, bool needs_data, mbt_error *err)
{
    mbt_status status = MBT_OK;
    if (mbtrain_is_root(s)) {
        mbt_config_defaults(&s->config);
        status = mbt_config_read(s->options.target, &s->config, err);
        if (status == MBT_OK) {
            status = mbtrain_apply_overrides(s, err);
        }
        if (status == MBT_OK) {
            status = default_folder(s, err);
        }
        if (status == MBT_OK) {
            status = check_config(&s->config, needs_data, err);
        }
    }
    return mbtrain_share_config(s, status, err);
}

/* ---- verbs ---- */

static mbt_status run_training(mbtrain_session *s, mbt_run_mode mode, mbt_error *err)
{
    mbt_setup setup = {.watchdog = s->watchdog};
    mbt_run *run = NULL;
    char resume[MBT_PATH_BYTES] = "";
    mbt_watchdog_limit(s->watchdog, s->config.run.watchdog_s);
    mbt_status status = mbt_setup_create(s->comm, &s->log, &s->config, NULL, true, &setup, err);
    if (status == MBT_OK) {
        if (mbtrain_is_root(s)) {
            status = mbtrain_enter_run(s, mode, &run, resume, err);
        }
        status = mbt_comm_agree(s->comm, status, err);
    }
    if (status == MBT_OK) {
        status = mbt_binding_check(s->comm, &s->log, (int)s->config.plan.threads, err);
    }
    if (status == MBT_OK) {
        mbt_comm_broadcast(s->comm, resume, sizeof resume);
        const mbt_train_options options = {
            .resume = resume[0] != '\0' ? resume : NULL,
            .provenance = s->provenance,
            .command = s->command,
        };
        status = mbt_train(&setup, run, &options, err);
    }
    say_why(s, status, err); /* into the run's log file too, before it is closed */
    mbt_run_close(run);
    mbt_setup_clear(&setup);
    return status;
}

static mbt_status train(mbtrain_session *s, mbt_error *err)
{
    const mbt_run_mode mode = s->options.force         ? MBT_RUN_FORCE
                              : s->options.resume_auto ? MBT_RUN_AUTO
                                                       : MBT_RUN_NEW;
    const mbt_status status = mbtrain_read_config(s, true, err);
    return status != MBT_OK ? status : run_training(s, mode, err);
}

static mbt_status want_folder(const char *path, mbt_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return mbt_fail(err, MBT_DATA, "run folder %s: %s", path, strerror(errno));
    }
    return S_ISDIR(info.st_mode)
               ? MBT_OK
               : mbt_fail(err, MBT_DATA, "run folder %s: is a file, wanted the folder of a run",
                          path);
}

static mbt_status resume(mbtrain_session *s, mbt_error *err)
{
    char folder[sizeof s->config.run.folder]; /* as the run has it, which may have been moved */
    mbt_status status = MBT_OK;
    if (mbtrain_is_root(s)) {
        status = want_folder(s->options.target, err);
        if (status == MBT_OK) {
            status = mbt_run_read_config(s->options.target, &s->config, err);
            (void)snprintf(folder, sizeof folder, "%s", s->config.run.folder);
        }
        if (status == MBT_OK) {
            status = mbtrain_apply_overrides(s, err);
        }
        if (status == MBT_OK && strcmp(s->config.run.folder, folder) != 0 &&
            strcmp(s->config.run.folder, s->options.target) != 0) {
            status = mbt_fail(err, MBT_CONFIG,
                              "run.folder: got \"%s\", the run that is resumed stays in its folder",
                              s->config.run.folder);
        }
        if (status == MBT_OK) {
            status = mbt_text_format(s->config.run.folder, sizeof s->config.run.folder, err,
                                     "run.folder", "%s", s->options.target);
        }
        if (status == MBT_OK) {
            status = mbt_config_check(&s->config, err);
        }
    }
    status = mbtrain_share_config(s, status, err);
    return status != MBT_OK ? status : run_training(s, MBT_RUN_RESUME, err);
}

/* ---- start ---- */

static mbt_status (*const verbs[MBTRAIN_VERBS])(mbtrain_session *, mbt_error *) = {
    [MBTRAIN_TRAIN] = train,         [MBTRAIN_RESUME] = resume,     [MBTRAIN_EVAL] = mbtrain_eval,
    [MBTRAIN_BENCH] = mbtrain_bench, [MBTRAIN_PLAN] = mbtrain_plan, [MBTRAIN_CHECK] = mbtrain_check,
};

/* Versions, host and ranks, for checkpoints. */
static mbt_status describe(mbtrain_session *s, mbt_error *err)
{
    size_t bytes;
    FILE *text = open_memstream(&s->provenance, &bytes);
    if (text == NULL) {
        return mbt_fail(err, MBT_FAILURE, "provenance: out of memory");
    }
    print_version("mbtrain", text);
    (void)fprintf(text, "host %s, %d rank(s) on %d node(s)\n", mbt_comm_host(s->comm),
                  mbt_comm_size(s->comm), mbt_comm_n_nodes(s->comm));
    return fclose(text) == 0 ? MBT_OK : mbt_fail(err, MBT_FAILURE, "provenance: out of memory");
}

/* A blank and a word of a command, quoted where a shell would read something into it. */
static void put_word(const char *word, FILE *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=.,:/@%";
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        (void)fprintf(text, " %s", word);
        return;
    }
    (void)fputs(" '", text);
    for (; *word != '\0'; word++) {
        (void)fputs(*word == '\'' ? "'\\''" : (const char[]){*word, '\0'}, text);
    }
    (void)fputc('\'', text);
}

/* The command line as one would say it, for the record. */
static mbt_status tell_command(mbtrain_session *s, int argc, char **argv, mbt_error *err)
{
    size_t bytes;
    FILE *text = open_memstream(&s->command, &bytes);
    if (text == NULL) {
        return mbt_fail(err, MBT_FAILURE, "command line: out of memory");
    }
    if (mbt_comm_size(s->comm) > 1) {
        (void)fprintf(text, "mpirun -n %d ", mbt_comm_size(s->comm));
    }
    (void)fputs("mbtrain", text);
    for (int i = 1; i < argc; i++) {
        put_word(argv[i], text);
    }
    return fclose(text) == 0 ? MBT_OK : mbt_fail(err, MBT_FAILURE, "command line: out of memory");
}

static mbt_status run_session(mbtrain_session *s, int argc, char **argv, mbt_error *err)
{
    mbt_status status = tell_command(s, argc, argv, err); /* parsing moves the words about */
    if (status == MBT_OK) {
        status = mbtrain_options_parse(argc, argv, &s->options, err);
    }
    if (status == MBT_OK) {
        status = describe(s, err);
    }
    if (s->options.verb != MBTRAIN_TRAIN && s->options.verb != MBTRAIN_RESUME) {
        mbt_stop_remove(); /* there is nothing to save: a signal ends it */
    } else if (status == MBT_OK) {
        mbtrain_limit_time(s);
    }
    status = mbt_comm_agree(s->comm, status, err);
    if (status == MBT_OK) {
        status = mbt_watchdog_create(s->comm, &s->log, &s->watchdog, err);
    }
    if (status == MBT_OK) {
        status = verbs[s->options.verb](s, err);
    }
    /* Before the ranks part: a launcher may end those that are left when the first one ends. */
    const bool lost = fflush(stdout) != 0 || ferror(stdout) != 0;
    if (lost && (status == MBT_OK || status == MBT_STOPPED)) {
        status = mbt_fail(err, MBT_FAILURE, "stdout: cannot be written");
        s->said = false;
    }
    return mbt_comm_agree(s->comm, status, err);
}

/* At the level that MBTRAIN_LOG asks for. */
static void open_log(mbtrain_session *s, int rank, int n_ranks)
{
    const char *wish = getenv("MBTRAIN_LOG");
    const bool any = wish != NULL && wish[0] != '\0', debug = any && strcmp(wish, "debug") == 0;
    mbt_log_init(&s->log, debug ? MBT_LOG_DEBUG : MBT_LOG_INFO, rank, n_ranks);
    if (any && !debug) {
        mbt_log_root(&s->log, MBT_LOG_WARN, "MBTRAIN_LOG: got \"%s\", wanted debug; it is ignored",
                     wish);
    }
}

int main(int argc, char **argv)
{
    mbtrain_session s = {0};
    mbt_error err = {0};
    if (mbtrain_options_help(argc, argv)) {
        return MBT_OK;
    }
    /* First: MPI takes seconds to start, and a job may be told to stop as soon as it runs. */
    mbt_status status = mbt_stop_install(&err);
    if (status == MBT_OK) {
        status = mbt_comm_create(&argc, &argv, &s.comm, &err);
    }
    if (status != MBT_OK) {
        open_log(&s, 0, 1);
        mbt_log_error(&s.log, &err);
        return (int)status;
    }
    open_log(&s, mbt_comm_rank(s.comm), mbt_comm_size(s.comm));
    status = run_session(&s, argc, argv, &err);
    say_why(&s, status, &err);
    mbt_watchdog_destroy(s.watchdog);
    free(s.provenance);
    free(s.command);
    mbt_comm_destroy(s.comm);
    return (int)status;
}
