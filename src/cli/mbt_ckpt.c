/* mbt-ckpt: looks into checkpoints and takes weights out. list, show, verify, diff, export.
 * Serial, without MPI. Results go to stdout, errors to stderr as one line each; the exit code is an
 * mbt_status. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/checkpoint.h"
#include "mbt/limited.h"
#include "mbt/metrics.h"
#include "mbt/pretrained.h"
#include "mbt/run.h"
#include "mbt/store.h"
#include "mbt/text.h"

#include "mbt_ckpt.h"
#include "version.h"

enum { SHOWN_EPOCHS = 10, KIND_BYTES = 32 };

static const char usage[] =
    "usage: mbt-ckpt list FOLDER                                    checkpoints of a run\n"
    "       mbt-ckpt show FILE [--digest | --config | --tensors]    what a checkpoint holds\n"
    "       mbt-ckpt verify FILE...                                 whether files are whole\n"
    "       mbt-ckpt diff FILE FILE                                 what differs, tensor by "
    "tensor\n"
    "       mbt-ckpt export FILE -o OUTPUT                          the weights alone\n"
    "\n"
    "FOLDER is a run folder or its folder of checkpoints. FILE is a checkpoint, or such a folder:\n"
    "then its last.h5 (export: best.h5 of a run that held samples out to choose it), and for "
    "verify\n"
    "all that it has, with what else is in the run folder. list marks the\n"
    "files that last.h5 and best.h5 name. diff shows the tensors, counters and settings that are\n"
    "unlike; the state is weights, optimizer, counters and metrics without times, not settings.\n"
    "\n"
    "  -o, --output FILE  where export writes one float32 data set a tensor, under PyTorch's name "
    "and in\n"
    "               its order; an existing one is replaced when the new one is complete\n"
    "  --digest     the state digest alone: equal for runs that are in the same state\n"
    "  --config     the resolved configuration alone, as JSON\n"
    "  --tensors    name, kind, shape and number of elements of every tensor\n"
    "  --help       this text\n"
    "  --version    versions of program and libraries\n"
    "\n"
    "Exit codes: 0 done, diff: the same state; 1 failure, 2 usage, 3 a run's configuration is\n"
    "wrong, 4 a file is damaged or no checkpoint, 7 diff: the states differ.\n";

/* What the command line asked for. */
typedef enum view { VIEW_ALL, VIEW_DIGEST, VIEW_CONFIG, VIEW_TENSORS } view;

static void print_error(const mbt_error *err)
{
    (void)fprintf(stderr, "mbt-ckpt: error: %s\n", err->message);
}

void mbt_ckpt_add_fault(mbt_status status, const mbt_error *fault, mbt_status *worst,
                        mbt_error *err)
{
    if (!status)
        return;
    if (*worst)
        print_error(err);
    *worst = mbt_status_worse(*worst, status);
    *err = *fault;
}

bool mbt_ckpt_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

mbt_status mbt_ckpt_folder(const char *argument, char *folder, mbt_error *err)
{
    mbt_status status = mbt_text_path(argument, "checkpoints", folder, err);
    if (!status && !mbt_ckpt_is_folder(folder))
        status = mbt_text_format(folder, MBT_PATH_BYTES, err, "path", "%s", argument);
    return status;
}

/* The file that FILE means: itself, or the last checkpoint of a folder. */
static mbt_status checkpoint_file(const char *argument, char *path, mbt_error *err)
{
    char folder[MBT_PATH_BYTES];
    if (!mbt_ckpt_is_folder(argument))
        return mbt_text_format(path, MBT_PATH_BYTES, err, "path", "%s", argument);
    mbt_status status = mbt_ckpt_folder(argument, folder, err);
    return status ? status : mbt_text_path(folder, "last.h5", path, err);
}

/* Held-out top-1 of the last evaluation, percent; NaN when there was none. */
static double held_out_top1(const mbt_metrics *metrics)
{
    for (int i = metrics->n_rows - 1; i >= 0; i--) {
        const mbt_metrics_row *row = &metrics->rows[i];
        if (!isnan(row->valid_top1))
            return row->valid_top1;
        if (!isnan(row->test_top1))
            return row->test_top1;
    }
    return NAN;
}

/* mbt_limited_work: reads all that any verb reads. A wrong state digest is for the verbs that ask
 * for it. */
static mbt_status read_once(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    mbt_checkpoint_info info = {0};
    mbt_error unsaid = {0};
    mbt_status status = mbt_checkpoint_read_info(context, &info, err);
    mbt_checkpoint_info_clear(&info);
    if (!status && mbt_checkpoint_verify(context, answer, &unsaid) != MBT_OK)
        answer[0] = '\0';
    return status;
}

/* Before this process reads a file, a child does: one that crashes HDF5 is a bad file. */
static mbt_status try_file(const char *path, mbt_error *err)
{
    char answer[MBT_LIMITED_ANSWER];
    return mbt_limited_run(path, read_once, (void *)path, answer, err);
}

static mbt_status list_file(const char *folder, const mbt_checkpoint_list *list, int64_t step,
                            mbt_error *err)
{
    char path[MBT_PATH_BYTES], top1[32] = "-";
    mbt_checkpoint_info info = {0};
    const char *mark = step == list->last && step == list->best ? "last best"
                       : step == list->last                     ? "last"
                       : step == list->best                     ? "best"
                                                                : "";
    mbt_status status = mbt_checkpoint_path(folder, step, path, err);
    if (!status)
        status = try_file(path, err);
    if (!status)
        status = mbt_checkpoint_read_info(path, &info, err);
    if (status && access(path, F_OK) != 0)
        return MBT_OK; /* a run that goes on has removed it since the folder was read */
    if (status) {
        printf("%10" PRId64 "  %6s  %6s  %12s  %-9s  damaged\n", step, "-", "-", "-", mark);
        return status;
    }
    double value = held_out_top1(&info.metrics);
    if (!isnan(value))
        (void)snprintf(top1, sizeof top1, "%.2f", value);
    printf("%10" PRId64 "  %6" PRId64 "  %6s  %12zu  %-9s  %s\n", info.progress.step,
           info.progress.epoch, top1, info.bytes, mark, info.state_digest);
    mbt_checkpoint_info_clear(&info);
    return MBT_OK;
}

static mbt_status do_list(const char *argument, mbt_error *err)
{
    char folder[MBT_PATH_BYTES];
    mbt_checkpoint_list list = {.last = -1, .best = -1};
    mbt_status worst = MBT_OK, status = mbt_ckpt_folder(argument, folder, err);
    if (!status)
        status = mbt_checkpoint_list_read(folder, &list, err);
    if (status)
        return status;
    if (list.n_steps == 0)
        worst = mbt_fail(err, MBT_DATA, "%s: has no checkpoints", folder);
    else
        printf("%10s  %6s  %6s  %12s  %-9s  %s\n", "step", "epoch", "top-1", "bytes", "mark",
               "state digest");
    for (int i = 0; i < list.n_steps; i++) {
        mbt_error fault = {0};
        status = list_file(folder, &list, list.steps[i], &fault);
        mbt_ckpt_add_fault(status, &fault, &worst, err);
    }
    mbt_checkpoint_list_clear(&list);
    return worst;
}

static mbt_status show_tensor(void *context, const char *path, const mbt_store_shape *shape,
                              mbt_error *err)
{
    char kind[KIND_BYTES], text[MBT_STORE_SHAPE_TEXT];
    uint64_t elements = 1;
    mbt_status status = mbt_store_get_text(context, path, "kind", kind, sizeof kind, err);
    for (int i = 0; i < shape->rank; i++)
        elements *= shape->dims[i];
    if (!status)
        printf("%-44s  %-9s  %-20s  %10" PRIu64 "\n", strrchr(path, '/') + 1, kind,
               mbt_store_shape_text(shape, text), elements);
    return status;
}

static mbt_status show_tensors(const char *path, mbt_error *err)
{
    mbt_store *store = NULL;
    mbt_status status = mbt_store_open(path, MBT_CKPT_BYTES_MAX, &store, err);
    if (!status)
        status = mbt_store_walk(store, "/model", show_tensor, store, err);
    mbt_store_close(store);
    return status;
}

static void show_all(const char *path, const mbt_checkpoint_info *info)
{
    const mbt_progress_state *p = &info->progress;
    printf("file          %s\n", path);
    printf("bytes         %zu\n", info->bytes);
    printf("network       %s\n", info->network);
    printf("tensors       %" PRId64 " with %" PRId64 " elements\n", info->n_tensors,
           info->n_elements);
    printf("step          %" PRId64 "\n", p->step);
    printf("epoch         %" PRId64 " done, %" PRId64 " steps of the next\n", p->epoch,
           p->step_in_epoch);
    if (p->best_top1 >= 0)
        printf("best top-1    %.2f %% in epoch %" PRId64 "\n", p->best_top1, p->best_epoch);
    else
        printf("best top-1    not evaluated yet\n");
    printf("data digest   %s\n", info->data_digest[0] ? info->data_digest : "-");
    printf("plan digest   %s\n", info->plan_digest[0] ? info->plan_digest : "-");
    printf("state digest  %s\n", info->state_digest);
    printf("\nprovenance\n%s", info->provenance);
    size_t length = strlen(info->provenance);
    if (length && info->provenance[length - 1] != '\n')
        printf("\n");
    if (info->metrics.n_rows) {
        printf("\n");
        mbt_metrics_print(&info->metrics, stdout, SHOWN_EPOCHS);
    }
}

static mbt_status do_show(const char *argument, view what, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_checkpoint_info info = {0};
    mbt_status status = checkpoint_file(argument, path, err);
    if (!status)
        status = try_file(path, err);
    if (!status)
        status = mbt_checkpoint_read_info(path, &info, err);
    if (status)
        return status;
    switch (what) {
    case VIEW_ALL:
        show_all(path, &info);
        break;
    case VIEW_DIGEST:
        printf("%s\n", info.state_digest);
        break;
    case VIEW_CONFIG:
        printf("%s\n", info.config);
        break;
    case VIEW_TENSORS:
        status = show_tensors(path, err);
        break;
    }
    mbt_checkpoint_info_clear(&info);
    return status;
}

static mbt_status do_diff(char **files, mbt_error *err)
{
    char a[MBT_PATH_BYTES], b[MBT_PATH_BYTES];
    mbt_status status = checkpoint_file(files[0], a, err);
    if (!status)
        status = checkpoint_file(files[1], b, err);
    if (!status)
        status = try_file(a, err);
    if (!status)
        status = try_file(b, err);
    return status ? status : mbt_ckpt_diff(a, b, err);
}

static mbt_status do_export(const char *argument, const char *output, mbt_error *err)
{
    char path[MBT_PATH_BYTES], folder[MBT_PATH_BYTES];
    int n_tensors = 0;
    mbt_status status = mbt_text_path(argument, "checkpoints", folder, err);
    if (!status)
        status = mbt_ckpt_is_folder(folder) ? mbt_run_counted(argument, path, err)
                                            : checkpoint_file(argument, path, err);
    if (!status)
        status = try_file(path, err);
    if (!status)
        status = mbt_pretrained_export(path, output, &n_tensors, err);
    if (!status)
        printf("%s: %d tensors of %s\n", output, n_tensors, path);
    return status;
}

/* Runs the verb in argv[0]; output: of export, else NULL. */
static mbt_status run(int n, char **arguments, view what, const char *output, mbt_error *err)
{
    static const char *const verbs[] = {"list", "show", "verify", "diff", "export"};
    enum { LIST, SHOW, VERIFY, DIFF, EXPORT, N_VERBS };
    int verb = 0;
    if (n == 0)
        return mbt_fail(err, MBT_USAGE,
                        "no verb; wanted list, show, verify, diff or export (see --help)");
    while (verb < N_VERBS && strcmp(arguments[0], verbs[verb]) != 0)
        verb++;
    if (verb == N_VERBS) {
        int near = mbt_text_nearest(arguments[0], verbs, N_VERBS);
        return mbt_fail(err, MBT_USAGE,
                        "unknown verb '%.80s'%s%s; wanted list, show, verify, diff or export",
                        arguments[0], near < 0 ? "" : ", nearest is ", near < 0 ? "" : verbs[near]);
    }
    if (what != VIEW_ALL && verb != SHOW)
        return mbt_fail(err, MBT_USAGE, "%s takes no such option", verbs[verb]);
    if ((output != NULL) != (verb == EXPORT))
        return mbt_fail(err, MBT_USAGE,
                        output != NULL ? "%s takes no -o" : "%s: no output file; wanted -o FILE",
                        verbs[verb]);
    if (n < 2)
        return mbt_fail(err, MBT_USAGE, "%s: wanted %s", verbs[verb],
                        verb == LIST ? "a folder" : "a file or a run folder");
    const int most = verb == DIFF ? 3 : 2;
    if (n > most && verb != VERIFY)
        return mbt_fail(err, MBT_USAGE, "%s: unexpected argument '%.200s'", verbs[verb],
                        arguments[most]);
    if (n < most && verb == DIFF)
        return mbt_fail(err, MBT_USAGE, "diff: wanted two files or run folders");
    switch (verb) {
    case LIST:
        return do_list(arguments[1], err);
    case SHOW:
        return do_show(arguments[1], what, err);
    case DIFF:
        return do_diff(arguments + 1, err);
    case EXPORT:
        return do_export(arguments[1], output, err);
    default:
        return mbt_ckpt_verify(n - 1, arguments + 1, err);
    }
}

int main(int argc, char **argv)
{
    /* values above every character, so that optopt tells a short option from a long one */
    enum { DIGEST = 256, CONFIG, TENSORS, HELP, VERSION };
    static const struct option options[] = {
        {"digest", no_argument, NULL, DIGEST},
        {"config", no_argument, NULL, CONFIG},
        {"tensors", no_argument, NULL, TENSORS},
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERSION},
        {"output", required_argument, NULL, 'o'},
        {0},
    };
    mbt_error err = {0};
    mbt_status status = MBT_OK;
    view what = VIEW_ALL;
    const char *output = NULL;
    int option = 0;
    opterr = 0;
    while (!status && (option = getopt_long(argc, argv, ":ho:", options, NULL)) != -1) {
        view wanted = option == DIGEST   ? VIEW_DIGEST
                      : option == CONFIG ? VIEW_CONFIG
                                         : VIEW_TENSORS;
        switch (option) {
        case 'h':
        case HELP:
            (void)fputs(usage, stdout);
            return MBT_OK;
        case 'o':
            output = optarg;
            break;
        case VERSION:
            print_version("mbt-ckpt", stdout);
            return MBT_OK;
        case ':':
            status = mbt_fail(&err, MBT_USAGE, "option '%.80s': no value (see --help)",
                              argv[optind - 1]);
            break;
        case '?':
            if (optopt > 0 && optopt < DIGEST)
                status = mbt_fail(&err, MBT_USAGE, "unknown option '-%c' (see --help)", optopt);
            else
                status = mbt_fail(&err, MBT_USAGE,
                                  "option '%.80s' is unknown or takes no value "
                                  "(see --help)",
                                  argv[optind - 1]);
            break;
        default:
            if (what != VIEW_ALL && what != wanted)
                status = mbt_fail(&err, MBT_USAGE,
                                  "only one of --digest, --config and --tensors can be asked for");
            what = wanted;
        }
    }
    if (!status)
        status = run(argc - optind, argv + optind, what, output, &err);
    if ((fflush(stdout) != 0 || ferror(stdout)) && !status)
        status = mbt_fail(&err, MBT_FAILURE, "stdout: cannot be written");
    if (status && status != MBT_DIFFERS)
        print_error(&err);
    return (int)status;
}
