/* The verbs of mbt-data that make data sets: import and synth. */
#include <stdio.h>
#include <string.h>

#include "mbt/dataset.h"
#include "mbt/import.h"
#include "mbt/stop.h"
#include "mbt_data.h"

enum { QUALITY = 95, QUALITY_MAX = 100, SQUARE_MAX = 1024 };

static mbt_status import_cifar(mbt_cifar_kind kind, const struct options *options, mbt_error *err)
{
    if ((options->given & TAKES_FOLDER) != 0) {
        return mbt_fail(err, MBT_USAGE, "import %s: got an option that belongs to import folder",
                        options->arguments[1]);
    }
    if (options->n_arguments != 3) {
        return mbt_fail(err, MBT_USAGE,
                        "import %s: got %d arguments, wanted SOURCE, -o and at most --subset (see "
                        "--help)",
                        options->arguments[1], options->n_arguments - 2);
    }
    return mbt_import_cifar(kind, options->arguments[2], options->output, options->subset, err);
}

/* The file's name without folder and ending. */
static void name_of(const char *path, char name[MBT_CLASS_NAME_BYTES])
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    const int n = dot != NULL && dot > base ? (int)(dot - base) : (int)strlen(base);
    (void)snprintf(name, MBT_CLASS_NAME_BYTES, "%.*s", n, base);
}

static void say_left_out(const char *message)
{
    (void)fprintf(stderr, "mbt-data: left out: %s\n", message);
}

static mbt_status want_range(const char *name, int64_t value, int64_t max, mbt_error *err)
{
    return value == -1 || (value >= 1 && value <= max)
               ? MBT_OK
               : mbt_fail(err, MBT_USAGE, "--%s: got %lld, wanted 1 .. %lld", name,
                          (long long)value, (long long)max);
}

static mbt_status import_folder(const struct options *options, mbt_error *err)
{
    char name[MBT_CLASS_NAME_BYTES];
    if (options->n_arguments != 4 || (options->given & TAKES_SUBSET) != 0) {
        return mbt_fail(err, MBT_USAGE,
                        "import folder: got %d arguments, wanted TRAIN, TEST, and no --subset (see "
                        "--help)",
                        options->n_arguments - 2);
    }
    if (options->resize >= 0 && options->square >= 0) {
        return mbt_fail(err, MBT_USAGE, "import folder: got --resize and --square, wanted one");
    }
    if (options->quality >= 0 && options->resize < 0) {
        return mbt_fail(err, MBT_USAGE, "import folder: got --quality, which is --resize's alone");
    }
    mbt_status status = want_range("resize", options->resize, MBT_IMAGE_SIDE_MAX, err);
    if (!status) {
        status = want_range("square", options->square, SQUARE_MAX, err);
    }
    if (!status) {
        status = want_range("quality", options->quality, QUALITY_MAX, err);
    }
    if (status) {
        return status;
    }
    name_of(options->output, name);
    const mbt_folder_options folder = {
        .name = options->name != NULL ? options->name : name,
        .resize = options->resize > 0 ? (int)options->resize : 0,
        .square = options->square > 0 ? (int)options->square : 0,
        .quality = options->quality > 0 ? (int)options->quality : QUALITY,
        .left_out = options->skip ? say_left_out : NULL,
    };
    return mbt_import_folder(options->arguments[2], options->arguments[3], &folder, options->output,
                             err);
}

mbt_status mbt_data_import(const struct options *options, mbt_error *err)
{
    static const char *const kinds[] = {
        [MBT_CIFAR_10] = "cifar10", [MBT_CIFAR_100] = "cifar100", "folder"};
    const int n_kinds = sizeof kinds / sizeof kinds[0];
    const char *word = options->n_arguments > 1 ? options->arguments[1] : "nothing";
    int kind = 0;
    while (kind < n_kinds && strcmp(word, kinds[kind]) != 0) {
        kind++;
    }
    if (kind == n_kinds) {
        return mbt_fail(err, MBT_USAGE,
                        "import: got \"%.80s\", wanted cifar10, cifar100 or folder (see --help)",
                        word);
    }
    mbt_status status = mbt_stop_install(err); /* what is there of the file then is to go with it */
    if (!status) {
        status = kind == n_kinds - 1 ? import_folder(options, err)
                                     : import_cifar((mbt_cifar_kind)kind, options, err);
    }
    return status ? status : mbt_data_report(options->output, err);
}

mbt_status mbt_data_synth(const struct options *options, mbt_error *err)
{
    int64_t n_train = options->n_train < 0 ? 10000 : options->n_train;
    int64_t n_test = options->n_test < 0 ? 2000 : options->n_test;
    uint64_t seed = options->seed < 0 ? 1 : (uint64_t)options->seed;
    mbt_status status = mbt_stop_install(err);
    if (!status) {
        status = mbt_import_synth(n_train, n_test, seed, options->output, err);
    }
    return status ? status : mbt_data_report(options->output, err);
}
