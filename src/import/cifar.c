/* The official CIFAR binary files as a data set.
 *
 * A record is one label byte (CIFAR-100: a coarse and a fine one) and 3072 pixel bytes: 1024 red,
 * 1024 green, 1024 blue, each 32 rows of 32. Pixels are turned from planes into [H][W][C]; records
 * keep their order, batch after batch. */
#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cifar_names.h"
#include "cifar_source.h"
#include "mbt/dataset.h"
#include "mbt/import.h"

enum {
    SIDE = 32,
    PLANE = SIDE * SIDE,
    CHANNELS = 3,
    PIXELS = CHANNELS * PLANE,
    FILES_MAX = 8,
    NAMES_BYTES_MAX = 1 << 16,
    RECORDS_BYTES_MAX = 1 << 30,
};

/* A file of records and the number that the official one has. */
struct batch {
    const char *name;
    int64_t records;
};

/* What tells the two sets apart. Files of records come first in `files`, then those of names. */
struct layout {
    const char *name, *official, *source, *subset;
    int label_bytes; /* before the pixels; the last one is the class */
    int n_classes, n_coarse;
    const char *const *class_names, *const *coarse_names;
    const char *names_file, *coarse_names_file; /* NULL: there is none */
    int n_batches;                              /* the last one is the test split */
    struct batch batches[6];
};

static const struct layout layouts[] = {
    [MBT_CIFAR_10] = {.name = "cifar10",
                      .official = "cifar-10-batches-bin",
                      .source = "CIFAR-10 binary version (Krizhevsky 2009)",
                      .subset = "subset of CIFAR-10 binary version (Krizhevsky 2009)",
                      .label_bytes = 1,
                      .n_classes = CIFAR10_CLASSES,
                      .class_names = cifar10_names,
                      .names_file = "batches.meta.txt",
                      .n_batches = 6,
                      .batches = {{"data_batch_1.bin", 10000},
                                  {"data_batch_2.bin", 10000},
                                  {"data_batch_3.bin", 10000},
                                  {"data_batch_4.bin", 10000},
                                  {"data_batch_5.bin", 10000},
                                  {"test_batch.bin", 10000}}},
    [MBT_CIFAR_100] = {.name = "cifar100",
                       .official = "cifar-100-binary",
                       .source = "CIFAR-100 binary version (Krizhevsky 2009)",
                       .subset = "subset of CIFAR-100 binary version (Krizhevsky 2009)",
                       .label_bytes = 2,
                       .n_classes = CIFAR100_FINE,
                       .n_coarse = CIFAR100_COARSE,
                       .class_names = cifar100_fine_names,
                       .coarse_names = cifar100_coarse_names,
                       .names_file = "fine_label_names.txt",
                       .coarse_names_file = "coarse_label_names.txt",
                       .n_batches = 2,
                       .batches = {{"train.bin", 50000}, {"test.bin", 10000}}},
};

static size_t record_bytes(const struct layout *layout)
{
    return (size_t)layout->label_bytes + PIXELS;
}

static int list_files(const struct layout *layout, struct cifar_file *files)
{
    int n = 0;
    for (; n < layout->n_batches; n++) {
        files[n] = (struct cifar_file){
            .name = layout->batches[n].name, .needed = true, .max_bytes = RECORDS_BYTES_MAX};
    }
    files[n++] = (struct cifar_file){.name = layout->names_file, .max_bytes = NAMES_BYTES_MAX};
    if (layout->coarse_names_file != NULL) {
        files[n++] =
            (struct cifar_file){.name = layout->coarse_names_file, .max_bytes = NAMES_BYTES_MAX};
    }
    return n;
}

static mbt_status check_sizes(const struct layout *layout, const char *source,
                              const struct cifar_file *files, bool any_count, mbt_error *err)
{
    size_t record = record_bytes(layout);
    for (int b = 0; b < layout->n_batches; b++) {
        size_t wanted = (size_t)layout->batches[b].records * record;
        if (!any_count && files[b].bytes != wanted) {
            return mbt_fail(
                err, MBT_DATA, "%s: %s: got %zu bytes, wanted %zu (%" PRId64 " records of %zu)",
                source, files[b].name, files[b].bytes, wanted, layout->batches[b].records, record);
        }
        if (files[b].bytes == 0 || files[b].bytes % record != 0) {
            return mbt_fail(err, MBT_DATA, "%s: %s: got %zu bytes, wanted a multiple of %zu",
                            source, files[b].name, files[b].bytes, record);
        }
    }
    return MBT_OK;
}

/* Cuts a file of names into lines, in place. Blank lines at the end are no names. A missing file
 * leaves `names` as they are. */
static mbt_status take_names(const char *source, struct cifar_file *file, int n_names,
                             const char **names, mbt_error *err)
{
    int n = 0;
    char *line = file->data;
    if (line == NULL) {
        return MBT_OK;
    }
    size_t end = strlen(line);
    while (end > 0 && strchr("\r\n\t ", line[end - 1]) != NULL) {
        line[--end] = '\0';
    }
    while (line != NULL) {
        char *next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        line[strcspn(line, "\r")] = '\0';
        if (n < n_names) {
            names[n] = line;
        }
        n++;
        line = next;
    }
    if (n != n_names) {
        return mbt_fail(err, MBT_DATA, "%s: %s: got %d names, wanted %d", source, file->name, n,
                        n_names);
    }
    return MBT_OK;
}

static void turn_image(const uint8_t *planes, uint8_t *image)
{
    for (int p = 0; p < PLANE; p++) {
        for (int c = 0; c < CHANNELS; c++) {
            image[CHANNELS * p + c] = planes[PLANE * c + p];
        }
    }
}

static mbt_status check_label(const char *source, const struct cifar_file *file, int64_t record,
                              const char *kind, int label, int n_classes, mbt_error *err)
{
    if (label >= n_classes) {
        return mbt_fail(err, MBT_DATA, "%s: %s: record %" PRId64 ": got %s %d, wanted 0 .. %d",
                        source, file->name, record, kind, label, n_classes - 1);
    }
    return MBT_OK;
}

/* One split in the caller's arrays. */
struct samples {
    int64_t n;
    uint8_t *images;
    int32_t *labels, *coarse;
};

static void free_samples(struct samples *samples)
{
    free(samples->images);
    free(samples->labels);
    free(samples->coarse);
}

/* Turns the records of a file and appends them at *at. */
static mbt_status take_batch(const struct layout *layout, const char *source,
                             const struct cifar_file *file, struct samples *samples, int64_t *at,
                             mbt_error *err)
{
    size_t record = record_bytes(layout);
    int64_t n = (int64_t)(file->bytes / record);
    mbt_status status = MBT_OK;
    for (int64_t r = 0; r < n && !status; r++, (*at)++) {
        const uint8_t *from = (const uint8_t *)file->data + (size_t)r * record;
        int label = from[layout->label_bytes - 1];
        status = check_label(source, file, r, "label", label, layout->n_classes, err);
        if (!status && samples->coarse != NULL) {
            status = check_label(source, file, r, "coarse label", from[0], layout->n_coarse, err);
            samples->coarse[*at] = from[0];
        }
        samples->labels[*at] = label;
        turn_image(from + layout->label_bytes, samples->images + (size_t)*at * PIXELS);
    }
    return status;
}

/* Batches first .. last-1 as one split; each file is freed as soon as it is turned. */
static mbt_status take_split(const struct layout *layout, const char *source,
                             struct cifar_file *files, int first, int last, struct samples *samples,
                             mbt_error *err)
{
    int64_t at = 0;
    mbt_status status = MBT_OK;
    for (int b = first; b < last; b++) {
        samples->n += (int64_t)(files[b].bytes / record_bytes(layout));
    }
    size_t n = (size_t)samples->n;
    assert(n > 0); /* check_sizes refused empty files */
    samples->images = malloc(n * PIXELS);
    samples->labels = malloc(n * sizeof *samples->labels);
    samples->coarse = layout->n_coarse > 0 ? malloc(n * sizeof *samples->coarse) : NULL;
    if (samples->images == NULL || samples->labels == NULL ||
        (layout->n_coarse > 0 && samples->coarse == NULL)) {
        return mbt_fail(err, MBT_FAILURE, "%s: no memory for %zu images", source, n);
    }
    for (int b = first; b < last && !status; b++) {
        status = take_batch(layout, source, &files[b], samples, &at, err);
        cifar_unload(&files[b], 1);
    }
    return status;
}

mbt_status mbt_import_cifar(mbt_cifar_kind kind, const char *source, const char *out, int any_count,
                            mbt_error *err)
{
    const struct layout *layout = &layouts[kind];
    struct cifar_file files[FILES_MAX];
    const char *fine[CIFAR100_FINE], *coarse[CIFAR100_COARSE];
    struct samples split[2] = {{0}, {0}};
    int n_files = list_files(layout, files);
    int n_train = layout->n_batches - 1;
    memcpy(fine, layout->class_names, (size_t)layout->n_classes * sizeof *fine);
    if (layout->n_coarse > 0) {
        memcpy(coarse, layout->coarse_names, (size_t)layout->n_coarse * sizeof *coarse);
    }
    mbt_status status = cifar_load(source, layout->official, files, n_files, err);
    if (!status) {
        status = check_sizes(layout, source, files, any_count, err);
    }
    if (!status) {
        status = take_names(source, &files[n_train + 1], layout->n_classes, fine, err);
    }
    if (!status && layout->n_coarse > 0) {
        status = take_names(source, &files[n_train + 2], layout->n_coarse, coarse, err);
    }
    if (!status) {
        status = take_split(layout, source, files, 0, n_train, &split[0], err);
    }
    if (!status) {
        status = take_split(layout, source, files, n_train, n_train + 1, &split[1], err);
    }
    if (!status) {
        mbt_dataset_source made = {
            .name = layout->name,
            .source = any_count ? layout->subset : layout->source,
            .height = SIDE,
            .width = SIDE,
            .channels = CHANNELS,
            .n_classes = layout->n_classes,
            .class_names = fine,
            .n_coarse = layout->n_coarse,
            .coarse_names = coarse,
        };
        for (int s = 0; s < 2; s++) {
            made.split[s].n = split[s].n;
            made.split[s].images = split[s].images;
            made.split[s].labels = split[s].labels;
            made.split[s].coarse_labels = split[s].coarse;
        }
        status = mbt_dataset_write(&made, out, err);
    }
    free_samples(&split[0]);
    free_samples(&split[1]);
    cifar_unload(files, n_files);
    return status;
}
