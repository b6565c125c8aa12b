/* mbt-data: makes data sets and looks into them. import, synth, info, verify.
 * Serial, without MPI. Results go to stdout, errors to stderr as one line; the exit code is an
 * mbt_status. */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/comm.h"
#include "mbt/dataset.h"
#include "mbt/import.h"
#include "mbt/limited.h"
#include "mbt/store.h"
#include "mbt/text.h"
#include "version.h"

static const char usage[] =
    "usage: mbt-data import cifar10|cifar100 SOURCE -o FILE [--subset]\n"
    "       mbt-data synth -o FILE [--train N] [--test N] [--seed S]\n"
    "       mbt-data info FILE\n"
    "       mbt-data verify FILE...\n"
    "\n"
    "import   makes FILE (HDF5) from the official binary files. SOURCE is their folder, the "
    "folder\n"
    "         that holds it, or the official .tar.gz, which is read in memory.\n"
    "synth    draws ten classes of 32x32 colour images: the data set of the quick start.\n"
    "info     what a data set holds: shapes, classes with their counts, moments, digests.\n"
    "verify   checks all of a file: its digest, labels, moments, the digest of its samples.\n"
    "\n"
    "  -o, --output FILE   the file to make; an existing one is replaced when the new one is "
    "whole\n"
    "  --subset            take files of the official layout with any number of records\n"
    "  --train N           training images to draw (default 10000)\n"
    "  --test N            test images to draw (default 2000)\n"
    "  --seed S            what is drawn (default 1); the same seed gives the same file\n"
    "  -h, --help          this text\n"
    "  --version           versions of program and libraries\n"
    "\n"
    "Exit codes: 0 done, 1 failure, 2 usage, 4 data that is missing, damaged or of another kind.\n";

/* What the command line says; numbers are -1 when not given. */
struct options {
    const char *output;
    int64_t n_train, n_test, seed;
    bool subset;
    char **arguments; /* the verb and what follows it */
    int n_arguments;
};

/* A data set with what the reading of it needs. */
struct opened {
    mbt_comm *comm;
    mbt_dataset data;
};

static mbt_status open_data(const char *path, struct opened *opened, mbt_error *err)
{
    memset(opened, 0, sizeof *opened);
    mbt_status status = mbt_comm_create(NULL, NULL, &opened->comm, err);
    if (!status) {
        status = mbt_dataset_open(opened->comm, path, &opened->data, err);
    }
    return status;
}

static void close_data(struct opened *opened)
{
    if (opened->comm != NULL) {
        mbt_dataset_close(opened->comm, &opened->data);
    }
    mbt_comm_destroy(opened->comm);
}

static mbt_status file_digest(const char *path, bool verify, char digest[MBT_DIGEST_TEXT],
                              mbt_error *err)
{
    mbt_store *store = NULL;
    mbt_status status = mbt_store_open_large(path, verify, &store, err);
    if (!status) {
        (void)snprintf(digest, MBT_DIGEST_TEXT, "%s", mbt_store_digest(store));
    }
    mbt_store_close(store);
    return status;
}

/* One line on a file that was just made. */
static mbt_status report(const char *path, mbt_error *err)
{
    struct opened opened;
    mbt_status status = open_data(path, &opened, err);
    if (!status) {
        const mbt_dataset *d = &opened.data;
        printf("%s: %s, %" PRId64 " + %" PRId64 " images %dx%dx%d, %d classes, digest %s\n", path,
               d->name, d->train.n, d->test.n, d->height, d->width, d->channels, d->n_classes,
               d->digest);
    }
    close_data(&opened);
    return status;
}

/* ---- verbs ---- */

static mbt_status do_import(const struct options *options, mbt_error *err)
{
    static const char *const kinds[] = {[MBT_CIFAR_10] = "cifar10", [MBT_CIFAR_100] = "cifar100"};
    const int n_kinds = sizeof kinds / sizeof kinds[0];
    int kind = 0;
    if (options->n_arguments != 3) {
        return mbt_fail(err, MBT_USAGE,
                        "import: got %d arguments, wanted cifar10 or cifar100 and "
                        "SOURCE (see --help)",
                        options->n_arguments - 1);
    }
    while (kind < n_kinds && strcmp(options->arguments[1], kinds[kind]) != 0) {
        kind++;
    }
    if (kind == n_kinds) {
        return mbt_fail(err, MBT_USAGE, "import: got \"%.80s\", wanted cifar10 or cifar100",
                        options->arguments[1]);
    }
    mbt_status status = mbt_import_cifar((mbt_cifar_kind)kind, options->arguments[2],
                                         options->output, options->subset, err);
    return status ? status : report(options->output, err);
}

static mbt_status do_synth(const struct options *options, mbt_error *err)
{
    int64_t n_train = options->n_train < 0 ? 10000 : options->n_train;
    int64_t n_test = options->n_test < 0 ? 2000 : options->n_test;
    uint64_t seed = options->seed < 0 ? 1 : (uint64_t)options->seed;
    mbt_status status = mbt_import_synth(n_train, n_test, seed, options->output, err);
    return status ? status : report(options->output, err);
}

static void print_counts(const mbt_dataset *d)
{
    printf("classes: %d\n", d->n_classes);
    for (int k = 0; k < d->n_classes; k++) {
        int64_t count[2] = {0, 0};
        const mbt_split *split[2] = {&d->train, &d->test};
        for (int s = 0; s < 2; s++) {
            for (int64_t i = 0; i < split[s]->n; i++) {
                count[s] += split[s]->labels[i] == k;
            }
        }
        printf("  %3d %-20s %8" PRId64 " train %8" PRId64 " test\n", k, d->class_names[k], count[0],
               count[1]);
    }
}

static mbt_status print_source(const char *path, mbt_error *err)
{
    enum { SOURCE_BYTES_MAX = 4096 };
    mbt_store *store = NULL;
    char *source = NULL;
    mbt_status status = mbt_store_open_large(path, false, &store, err);
    if (!status) {
        status = mbt_store_get_long_text(store, "/", "source", SOURCE_BYTES_MAX, &source, err);
    }
    if (!status) {
        printf("source: %s\n", source);
        printf("coarse labels: %s\n", mbt_store_has(store, "/train/coarse_labels") ? "yes" : "no");
        printf("file digest: %s\n",
               mbt_store_digest(store)[0] != '\0' ? mbt_store_digest(store) : "none");
    }
    free(source);
    mbt_store_close(store);
    return status;
}

static mbt_status do_info(const struct options *options, mbt_error *err)
{
    struct opened opened;
    if (options->n_arguments != 2) {
        return mbt_fail(err, MBT_USAGE, "info: got %d arguments, wanted one file",
                        options->n_arguments - 1);
    }
    const char *path = options->arguments[1];
    mbt_status status = open_data(path, &opened, err);
    if (!status) {
        const mbt_dataset *d = &opened.data;
        printf("name: %s\n", d->name);
        printf("images: %dx%dx%d, %" PRId64 " train, %" PRId64 " test\n", d->height, d->width,
               d->channels, d->train.n, d->test.n);
        printf("mean:");
        for (int c = 0; c < d->channels; c++) {
            printf(" %.4f", d->mean[c]);
        }
        printf("\ndeviation:");
        for (int c = 0; c < d->channels; c++) {
            printf(" %.4f", d->deviation[c]);
        }
        printf("\ndigest: %s\n", d->digest);
        status = print_source(path, err);
    }
    if (!status) {
        print_counts(&opened.data);
    }
    close_data(&opened);
    return status;
}

/* mbt_limited_work: the answer is what is printed of a whole file. */
static mbt_status verify_one(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err)
{
    const char *path = context;
    char digest[MBT_DIGEST_TEXT];
    struct opened opened;
    mbt_status status = file_digest(path, true, digest, err);
    if (status) {
        return status;
    }
    status = open_data(path, &opened, err);
    if (!status) {
        status = mbt_dataset_verify(&opened.data, err);
        if (status) {
            (void)mbt_error_prefix(err, "%s", path);
        }
    }
    if (!status) {
        (void)snprintf(answer, MBT_LIMITED_ANSWER, "whole, digest %s%s", opened.data.digest,
                       digest[0] != '\0' ? "" : " (the file itself has none)");
    }
    close_data(&opened);
    return status;
}

static void print_error(const mbt_error *err)
{
    (void)fprintf(stderr, "mbt-data: error: %s\n", err->message);
}

/* Every file is looked at; all errors but the last are printed here, the last by main. */
static mbt_status do_verify(const struct options *options, mbt_error *err)
{
    mbt_status worst = MBT_OK;
    if (options->n_arguments < 2) {
        return mbt_fail(err, MBT_USAGE, "verify: got no file, wanted one or more");
    }
    for (int i = 1; i < options->n_arguments; i++) {
        mbt_error fault = {0};
        char *path = options->arguments[i], answer[MBT_LIMITED_ANSWER];
        mbt_status status = mbt_limited_run(path, verify_one, path, answer, &fault);
        if (!status) {
            printf("%s: %s\n", path, answer);
            continue;
        }
        if (worst) {
            print_error(err);
        }
        worst = mbt_status_worse(worst, status);
        *err = fault;
    }
    return worst;
}

/* ---- the command line ---- */

/* Which options a verb takes, by bit. */
enum { TAKES_OUTPUT = 1, TAKES_SUBSET = 2, TAKES_NUMBERS = 4 };

struct verb {
    const char *name;
    unsigned takes;
    mbt_status (*run)(const struct options *options, mbt_error *err);
};

static const struct verb verbs[] = {
    {"import", TAKES_OUTPUT | TAKES_SUBSET, do_import},
    {"synth", TAKES_OUTPUT | TAKES_NUMBERS, do_synth},
    {"info", 0, do_info},
    {"verify", 0, do_verify},
};

enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static mbt_status run(const struct options *options, unsigned given, mbt_error *err)
{
    const char *names[N_VERBS];
    int v = 0;
    for (int i = 0; i < N_VERBS; i++) {
        names[i] = verbs[i].name;
    }
    if (options->n_arguments == 0) {
        return mbt_fail(err, MBT_USAGE,
                        "no verb; wanted import, synth, info or verify (see --help)");
    }
    const char *word = options->arguments[0];
    while (v < N_VERBS && strcmp(word, names[v]) != 0) {
        v++;
    }
    if (v == N_VERBS) {
        int near = mbt_text_nearest(word, names, N_VERBS);
        return mbt_fail(err, MBT_USAGE,
                        "unknown verb \"%.80s\"%s%s; wanted import, synth, info or verify", word,
                        near < 0 ? "" : ", nearest is ", near < 0 ? "" : names[near]);
    }
    if ((given & ~verbs[v].takes) != 0) {
        return mbt_fail(err, MBT_USAGE,
                        "%s: got an option that belongs to another verb (see --help)", word);
    }
    if ((verbs[v].takes & TAKES_OUTPUT) != 0 && options->output == NULL) {
        return mbt_fail(err, MBT_USAGE, "%s: no output file; wanted -o FILE", word);
    }
    if ((verbs[v].takes & TAKES_NUMBERS) != 0 && options->n_arguments > 1) {
        return mbt_fail(err, MBT_USAGE, "%s: unexpected argument \"%.200s\"", word,
                        options->arguments[1]);
    }
    return verbs[v].run(options, err);
}

static mbt_status take_number(const char *name, const char *text, int64_t *value, mbt_error *err)
{
    if (!mbt_text_to_i64(text, value) || *value < 0) {
        return mbt_fail(err, MBT_USAGE, "--%s: got \"%.80s\", wanted a whole number from 0", name,
                        text);
    }
    return MBT_OK;
}

/* values above every character, so that optopt tells a short option from a long one */
enum { SUBSET = 256, TRAIN, TEST, SEED, VERSION };

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},  {"subset", no_argument, NULL, SUBSET},
    {"train", required_argument, NULL, TRAIN}, {"test", required_argument, NULL, TEST},
    {"seed", required_argument, NULL, SEED},   {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, VERSION},   {0},
};

static mbt_status refuse_option(int option, char **argv, mbt_error *err)
{
    if (option == ':') {
        return mbt_fail(err, MBT_USAGE, "option \"%.80s\" wants a value (see --help)",
                        argv[optind - 1]);
    }
    if (optopt > 0 && optopt < SUBSET) {
        return mbt_fail(err, MBT_USAGE, "unknown option \"-%c\" (see --help)", optopt);
    }
    return mbt_fail(err, MBT_USAGE, "option \"%.80s\" is unknown or takes no value (see --help)",
                    argv[optind - 1]);
}

int main(int argc, char **argv)
{
    struct options options = {.n_train = -1, .n_test = -1, .seed = -1};
    unsigned given = 0;
    mbt_error err = {0};
    mbt_status status = MBT_OK;
    int option = 0;
    opterr = 0;
    while (!status && (option = getopt_long(argc, argv, ":ho:", long_options, NULL)) != -1) {
        switch (option) {
        case 'h':
            (void)fputs(usage, stdout);
            return MBT_OK;
        case VERSION:
            print_version("mbt-data", stdout);
            return MBT_OK;
        case 'o':
            options.output = optarg;
            given |= TAKES_OUTPUT;
            break;
        case SUBSET:
            options.subset = true;
            given |= TAKES_SUBSET;
            break;
        case TRAIN:
            status = take_number("train", optarg, &options.n_train, &err);
            given |= TAKES_NUMBERS;
            break;
        case TEST:
            status = take_number("test", optarg, &options.n_test, &err);
            given |= TAKES_NUMBERS;
            break;
        case SEED:
            status = take_number("seed", optarg, &options.seed, &err);
            given |= TAKES_NUMBERS;
            break;
        default:
            status = refuse_option(option, argv, &err);
        }
    }
    options.arguments = argv + optind;
    options.n_arguments = argc - optind;
    if (!status) {
        status = run(&options, given, &err);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && !status) {
        status = mbt_fail(&err, MBT_FAILURE, "stdout: cannot be written");
    }
    if (status) {
        print_error(&err);
    }
    return (int)status;
}
