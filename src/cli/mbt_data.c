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
#include "mbt/limited.h"
#include "mbt/store.h"
#include "mbt/text.h"
#include "mbt_data.h"
#include "version.h"

static const char usage[] =
    "usage: mbt-data import cifar10|cifar100 SOURCE -o FILE [--subset]\n"
    "       mbt-data import folder TRAIN TEST -o FILE [--resize N [--quality Q] | --square N]\n"
    "                       [--skip-bad] [--name NAME]\n"
    "       mbt-data synth -o FILE [--train N] [--test N] [--seed S]\n"
    "       mbt-data info FILE\n"
    "       mbt-data verify FILE...\n"
    "\n"
    "import   makes FILE (HDF5) from the official binary files. SOURCE is their folder, the "
    "folder\n"
    "         that holds it, or the official .tar.gz, which is read in memory.\n"
    "         folder: trees with one folder for each class, of its name, that holds JPEG and PNG\n"
    "         files; they are stored as they are unless --resize or --square says otherwise.\n"
    "synth    draws ten classes of 32x32 colour images: the data set of the quick start.\n"
    "info     what a data set holds: shapes, classes with their counts, moments, digests.\n"
    "verify   checks all of a file: its digest, labels, moments, the digest of its samples.\n"
    "\n"
    "  -o, --output FILE   the file to make; an existing one is replaced when the new one is "
    "whole\n"
    "  --subset            take files of the official layout with any number of records\n"
    "  --resize N          shrink images whose short side is above N to that, as JPEG\n"
    "  --square N          the centre of each image at short side N, all of one size, not encoded\n"
    "  --quality Q         of the JPEGs that --resize makes, 1 .. 100 (default 95)\n"
    "  --skip-bad          report files that are no whole image, and leave them out\n"
    "  --name NAME         of the data set that folders make (default: that of FILE)\n"
    "  --train N           training images to draw (default 10000)\n"
    "  --test N            test images to draw (default 2000)\n"
    "  --seed S            what is drawn (default 1); the same seed gives the same file\n"
    "  -h, --help          this text\n"
    "  --version           versions of program and libraries\n"
    "\n"
    "Exit codes: 0 done, 1 failure, 2 usage, 4 data that is missing, damaged or of another kind.\n";

enum { SIZE_TEXT = 64 };

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
        status = mbt_dataset_open(opened->comm, path, MBT_DATASET_STREAM, &opened->data, err);
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

/* "32x32x3", or how encoded ones are spread; out has SIZE_TEXT. Returns out. */
static const char *size_text(const mbt_dataset *d, char *out)
{
    if (d->train.encoded == NULL) {
        (void)snprintf(out, SIZE_TEXT, "%dx%dx%d", d->height, d->width, d->channels);
    } else {
        mbt_extent most = {0};
        mbt_encoded_largest(&d->train, &most);
        mbt_encoded_largest(&d->test, &most);
        (void)snprintf(out, SIZE_TEXT, "encoded, up to %dx%d, %.1f MiB in all", most.height,
                       most.width, (double)d->sample_bytes / (1 << 20));
    }
    return out;
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

mbt_status mbt_data_report(const char *path, mbt_error *err)
{
    struct opened opened;
    mbt_status status = open_data(path, &opened, err);
    if (!status) {
        char size[SIZE_TEXT];
        const mbt_dataset *d = &opened.data;
        printf("%s: %s, %" PRId64 " + %" PRId64 " images %s, %d classes, digest %s\n", path,
               d->name, d->train.n, d->test.n, size_text(d, size), d->n_classes, d->digest);
    }
    close_data(&opened);
    return status;
}

/* ---- verbs ---- */

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
    mbt_error unsaid;
    char *source = NULL;
    mbt_status status = mbt_store_open_large(path, false, &store, err);
    if (!status) { /* training does without it */
        const bool has = mbt_store_get_long_text(store, "/", "source", SOURCE_BYTES_MAX, &source,
                                                 &unsaid) == MBT_OK;
        for (char *c = source; has && *c != '\0'; c++) { /* anybody's text, on a terminal */
            *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
        }
        printf("source: %s\n", has ? source : "none");
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
    char size[SIZE_TEXT];
    if (options->n_arguments != 2) {
        return mbt_fail(err, MBT_USAGE, "info: got %d arguments, wanted one file",
                        options->n_arguments - 1);
    }
    char path[MBT_PATH_BYTES];
    mbt_status status = mbt_dataset_find(options->arguments[1], path, err);
    if (status) {
        return status;
    }
    status = open_data(path, &opened, err);
    if (!status) {
        const mbt_dataset *d = &opened.data;
        printf("name: %s\n", d->name);
        printf("images: %s, %" PRId64 " train, %" PRId64 " test\n", size_text(d, size), d->train.n,
               d->test.n);
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
        char path[MBT_PATH_BYTES], answer[MBT_LIMITED_ANSWER];
        mbt_status status = mbt_dataset_find(options->arguments[i], path, &fault);
        if (!status) {
            status = mbt_limited_run(path, verify_one, path, answer, &fault);
        }
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

struct verb {
    const char *name;
    unsigned takes;
    mbt_status (*run)(const struct options *options, mbt_error *err);
};

static const struct verb verbs[] = {
    {"import", TAKES_OUTPUT | TAKES_SUBSET | TAKES_FOLDER, mbt_data_import},
    {"synth", TAKES_OUTPUT | TAKES_NUMBERS, mbt_data_synth},
    {"info", 0, do_info},
    {"verify", 0, do_verify},
};

enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static mbt_status run(const struct options *options, mbt_error *err)
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
    if ((options->given & ~verbs[v].takes) != 0) {
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
enum { SUBSET = 256, TRAIN, TEST, SEED, RESIZE, SQUARE, QUALITY, SKIP, NAME, VERSION };

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"subset", no_argument, NULL, SUBSET},
    {"train", required_argument, NULL, TRAIN},
    {"test", required_argument, NULL, TEST},
    {"seed", required_argument, NULL, SEED},
    {"resize", required_argument, NULL, RESIZE},
    {"square", required_argument, NULL, SQUARE},
    {"quality", required_argument, NULL, QUALITY},
    {"skip-bad", no_argument, NULL, SKIP},
    {"name", required_argument, NULL, NAME},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, VERSION},
    {0},
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

/* One option that is no -h or --version. */
static mbt_status take_option(int option, char **argv, struct options *options, mbt_error *err)
{
    const struct {
        int option;
        const char *name;
        int64_t *value;
        unsigned takes;
    } numbers[] = {
        {TRAIN, "train", &options->n_train, TAKES_NUMBERS},
        {TEST, "test", &options->n_test, TAKES_NUMBERS},
        {SEED, "seed", &options->seed, TAKES_NUMBERS},
        {RESIZE, "resize", &options->resize, TAKES_FOLDER},
        {SQUARE, "square", &options->square, TAKES_FOLDER},
        {QUALITY, "quality", &options->quality, TAKES_FOLDER},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].option == option) {
            options->given |= numbers[i].takes;
            return take_number(numbers[i].name, optarg, numbers[i].value, err);
        }
    }
    switch (option) {
    case 'o':
        options->output = optarg;
        options->given |= TAKES_OUTPUT;
        return MBT_OK;
    case SUBSET:
        options->subset = true;
        options->given |= TAKES_SUBSET;
        return MBT_OK;
    case SKIP:
        options->skip = true;
        options->given |= TAKES_FOLDER;
        return MBT_OK;
    case NAME:
        options->name = optarg;
        options->given |= TAKES_FOLDER;
        return MBT_OK;
    default:
        return refuse_option(option, argv, err);
    }
}

int main(int argc, char **argv)
{
    struct options options = {
        .n_train = -1, .n_test = -1, .seed = -1, .resize = -1, .square = -1, .quality = -1};
    mbt_error err = {0};
    mbt_status status = MBT_OK;
    int option = 0;
    opterr = 0;
    while (!status && (option = getopt_long(argc, argv, ":ho:", long_options, NULL)) != -1) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            return MBT_OK;
        }
        if (option == VERSION) {
            print_version("mbt-data", stdout);
            return MBT_OK;
        }
        status = take_option(option, argv, &options, &err);
    }
    options.arguments = argv + optind;
    options.n_arguments = argc - optind;
    if (!status) {
        status = run(&options, &err);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && !status) {
        status = mbt_fail(&err, MBT_FAILURE, "stdout: cannot be written");
    }
    if (status) {
        print_error(&err);
    }
    return (int)status;
}
