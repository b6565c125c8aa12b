/* The import of CIFAR from small files of the official layout, as a folder and as an archive: every
 * pixel and label at its place, and every fault named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/comm.h"
#include "mbt/dataset.h"
#include "mbt/import.h"
#include "mbt/store.h"
#include "store/scratch.h"

enum { PLANE = 1024, PIXELS = 3 * PLANE, RECORDS_MAX = 64, FILES_MAX = 16 };
enum { PATH_BYTES = 4 * SCRATCH_PATH };

static mbt_error err;

/* A file of the layout, in memory. */
struct file {
    const char *name;
    unsigned char data[RECORDS_MAX * (PIXELS + 2)];
    size_t bytes;
};

struct fixture {
    struct scratch scratch;
    char source[2 * SCRATCH_PATH], archive[2 * SCRATCH_PATH], out[2 * SCRATCH_PATH];
    mbt_cifar_kind kind;
    struct file files[FILES_MAX];
    int n_files;
};

static void ok(mbt_status status)
{
    if (status != MBT_OK) {
        fail_msg("status %d: %s", (int)status, err.message);
    }
}

/* "<folder>/<name>" */
static char *join(const char *folder, const char *name, char *out)
{
    assert_in_range(snprintf(out, PATH_BYTES, "%s/%s", folder, name), 0, PATH_BYTES - 1);
    return out;
}

/* A pixel that tells its file, record, channel, row and column from all others nearby. */
static unsigned char pixel(int file, int record, int channel, int at)
{
    return (unsigned char)(file * 91 + record * 37 + channel * 71 + at * 13 + at / 32 * 5);
}

static int label_of(const struct fixture *f, int file, int record)
{
    return (file * 3 + record * 7) % (f->kind == MBT_CIFAR_10 ? 10 : 100);
}

static int coarse_of(int file, int record)
{
    return (file * 5 + record) % 20;
}

static struct file *add_records(struct fixture *f, const char *name, int n)
{
    struct file *file = &f->files[f->n_files];
    unsigned char *to = file->data;
    file->name = name;
    for (int r = 0; r < n; r++) {
        if (f->kind == MBT_CIFAR_100) {
            *to++ = (unsigned char)coarse_of(f->n_files, r);
        }
        *to++ = (unsigned char)label_of(f, f->n_files, r);
        for (int c = 0; c < 3; c++) {
            for (int at = 0; at < PLANE; at++) {
                *to++ = pixel(f->n_files, r, c, at);
            }
        }
    }
    file->bytes = (size_t)(to - file->data);
    f->n_files++;
    return file;
}

static void add_text(struct fixture *f, const char *name, const char *text)
{
    struct file *file = &f->files[f->n_files++];
    file->name = name;
    file->bytes = strlen(text);
    memcpy(file->data, text, file->bytes);
}

/* Batches of 3, 4, 5, 6, 7 records and a test batch of 8. */
static void make_cifar10(struct fixture *f)
{
    static const char *const names[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
    f->kind = MBT_CIFAR_10;
    f->n_files = 0;
    for (int b = 0; b < 6; b++) {
        (void)add_records(f, names[b], 3 + b);
    }
}

static void make_cifar100(struct fixture *f)
{
    f->kind = MBT_CIFAR_100;
    f->n_files = 0;
    (void)add_records(f, "train.bin", 40);
    (void)add_records(f, "test.bin", 20);
}

static int begin(void **state)
{
    static struct fixture f;
    scratch_begin(&f.scratch);
    scratch_path(&f.scratch, "source", f.source);
    scratch_path(&f.scratch, "source.tar.gz", f.archive);
    scratch_path(&f.scratch, "out.h5", f.out);
    assert_int_equal(mkdir(f.source, 0755), 0);
    *state = &f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    scratch_end(&f->scratch);
    return 0;
}

static struct file *find(struct fixture *f, const char *name)
{
    for (int i = 0; i < f->n_files; i++) {
        if (strcmp(f->files[i].name, name) == 0) {
            return &f->files[i];
        }
    }
    fail_msg("no file %s", name);
    return NULL;
}

/* Writes the files into `folder`, those that are there before removed. */
static void write_folder(const struct fixture *f, const char *folder)
{
    char path[PATH_BYTES];
    for (int i = 0; i < f->n_files; i++) {
        join(folder, f->files[i].name, path);
        scratch_write(path, f->files[i].data, f->files[i].bytes);
    }
}

static void add_entry(struct archive *archive, const char *path, mode_t type, const void *data,
                      size_t bytes)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, path);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 0644);
    if (type == AE_IFREG) {
        archive_entry_set_size(entry, (la_int64_t)bytes);
    } else if (type == AE_IFLNK) {
        archive_entry_set_symlink(entry, "/etc/passwd");
    }
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    if (type == AE_IFREG) {
        assert_int_equal(archive_write_data(archive, data, bytes), bytes);
    }
    archive_entry_free(entry);
}

/* How an archive is laid out. */
struct packing {
    const char *prefix; /* before the names */
    int strange;        /* also a folder, a link of a wanted name, a file that nobody wants */
    int twice;          /* the first file once more */
};

static void write_archive(const struct fixture *f, const struct packing *packing)
{
    char path[SCRATCH_PATH];
    struct archive *archive = archive_write_new();
    assert_int_equal(archive_write_add_filter_gzip(archive), ARCHIVE_OK);
    assert_int_equal(archive_write_set_format_ustar(archive), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(archive, f->archive), ARCHIVE_OK);
    if (packing->strange) {
        add_entry(archive, packing->prefix, AE_IFDIR, NULL, 0);
        (void)snprintf(path, sizeof path, "x/%s", f->files[0].name);
        add_entry(archive, path, AE_IFLNK, NULL, 0);
        add_entry(archive, "../../readme.html", AE_IFREG, "hello", 5);
    }
    for (int i = 0; i < f->n_files; i++) {
        (void)snprintf(path, sizeof path, "%s%s", packing->prefix, f->files[i].name);
        add_entry(archive, path, AE_IFREG, f->files[i].data, f->files[i].bytes);
    }
    if (packing->twice) {
        (void)snprintf(path, sizeof path, "again/%s", f->files[0].name);
        add_entry(archive, path, AE_IFREG, f->files[0].data, f->files[0].bytes);
    }
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
}

/* ---- what comes out ---- */

/* Records of files first .. last-1 in order. */
static void check_split(const struct fixture *f, const mbt_split *split, int first, int last)
{
    int64_t at = 0;
    size_t record = PIXELS + (f->kind == MBT_CIFAR_10 ? 1 : 2);
    for (int b = first; b < last; b++) {
        for (int r = 0; r < (int)(f->files[b].bytes / record); r++, at++) {
            assert_true(at < split->n);
            assert_int_equal(split->labels[at], label_of(f, b, r));
            for (int p = 0; p < PLANE; p++) {
                for (int c = 0; c < 3; c++) {
                    assert_int_equal(split->images[(at * PLANE + p) * 3 + c], pixel(b, r, c, p));
                }
            }
        }
    }
    assert_int_equal(at, split->n);
}

static void check_out(const struct fixture *f, const char *first_class, const char *last_class)
{
    mbt_comm *comm = NULL;
    mbt_dataset dataset;
    int n_train = f->kind == MBT_CIFAR_10 ? 5 : 1;
    ok(mbt_comm_create(NULL, NULL, &comm, &err));
    ok(mbt_dataset_open(comm, f->out, 0, &dataset, &err));
    ok(mbt_dataset_verify(&dataset, &err));
    assert_string_equal(dataset.name, f->kind == MBT_CIFAR_10 ? "cifar10" : "cifar100");
    assert_int_equal(dataset.n_classes, f->kind == MBT_CIFAR_10 ? 10 : 100);
    assert_int_equal(dataset.height, 32);
    assert_int_equal(dataset.width, 32);
    assert_int_equal(dataset.channels, 3);
    assert_string_equal(dataset.class_names[0], first_class);
    assert_string_equal(dataset.class_names[dataset.n_classes - 1], last_class);
    check_split(f, &dataset.train, 0, n_train);
    check_split(f, &dataset.test, n_train, n_train + 1);
    mbt_dataset_close(comm, &dataset);
    mbt_comm_destroy(comm);
}

static void import(const struct fixture *f, const char *source)
{
    ok(mbt_import_cifar(f->kind, source, f->out, 1, &err));
}

static void cifar10_from_folders(void **state)
{
    struct fixture *f = *state;
    char inner[PATH_BYTES];
    make_cifar10(f);
    write_folder(f, f->source);
    import(f, f->source);
    check_out(f, "airplane", "truck"); /* the built-in names */
    size_t bytes[2];
    unsigned char *first = scratch_read(f->out, &bytes[0]);

    /* the folder that holds the official one, which has other names */
    join(f->scratch.folder, "sub", inner);
    assert_int_equal(mkdir(inner, 0755), 0);
    join(f->scratch.folder, "sub/cifar-10-batches-bin", inner);
    assert_int_equal(mkdir(inner, 0755), 0);
    write_folder(f, inner);
    join(f->scratch.folder, "sub", inner);
    import(f, inner);
    unsigned char *second = scratch_read(f->out, &bytes[1]);
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(first, second, bytes[0]); /* where it came from leaves no trace */
    free(first);
    free(second);

    add_text(f, "batches.meta.txt",
             "zero\r\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n\n");
    write_folder(f, f->source);
    import(f, f->source);
    check_out(f, "zero", "nine");
}

static void cifar10_from_archives(void **state)
{
    static const struct packing packings[] = {
        {"cifar-10-batches-bin/", 1, 0}, {"", 0, 0}, {"../../../outside/", 0, 0}};
    struct fixture *f = *state;
    make_cifar10(f);
    for (size_t i = 0; i < sizeof packings / sizeof packings[0]; i++) {
        write_archive(f, &packings[i]);
        import(f, f->archive);
        check_out(f, "airplane", "truck");
        assert_int_equal(scratch_count(&f->scratch), 3); /* source, archive, out.h5: no more */
    }
}

static void cifar100_keeps_both_labels(void **state)
{
    struct fixture *f = *state;
    char names[20][MBT_CLASS_NAME_BYTES];
    int32_t coarse[40];
    int n = 0;
    mbt_store *store = NULL;
    make_cifar100(f);
    write_archive(f, &(struct packing){"cifar-100-binary/", 1, 0});
    import(f, f->archive);
    check_out(f, "apple", "worm");
    ok(mbt_store_open_large(f->out, true, &store, &err));
    ok(mbt_store_read(store, "/train/coarse_labels", &(mbt_store_shape){MBT_STORE_I32, 1, {40}},
                      coarse, &err));
    for (int r = 0; r < 40; r++) {
        assert_int_equal(coarse[r], coarse_of(0, r));
    }
    ok(mbt_store_read(store, "/test/coarse_labels", &(mbt_store_shape){MBT_STORE_I32, 1, {20}},
                      coarse, &err));
    assert_int_equal(coarse[19], coarse_of(1, 19));
    ok(mbt_store_get_texts(store, "/", "coarse_names", 20, MBT_CLASS_NAME_BYTES, names[0], &n,
                           &err));
    assert_int_equal(n, 20);
    assert_string_equal(names[0], "aquatic_mammals");
    assert_string_equal(names[19], "vehicles_2");
    mbt_store_close(store);
}

/* ---- faults ---- */

static void refused(struct fixture *f, const char *source, int any_count, const char *word)
{
    (void)unlink(f->out);
    mbt_status status = mbt_import_cifar(f->kind, source, f->out, any_count, &err);
    if (status != MBT_DATA || strstr(err.message, word) == NULL) {
        fail_msg("status %d, wanted \"%s\": %s", (int)status, word, err.message);
    }
    assert_int_not_equal(access(f->out, F_OK), 0);
}

static void wrong_files_are_named(void **state)
{
    struct fixture *f = *state;
    char path[PATH_BYTES];
    make_cifar10(f);
    write_folder(f, f->source);
    refused(f, f->source, 0, "data_batch_1.bin: got 9219 bytes, wanted 30730000 (10000 records");

    find(f, "data_batch_3.bin")->bytes--;
    write_folder(f, f->source);
    refused(f, f->source, 1, "data_batch_3.bin: got 15364 bytes, wanted a multiple of 3073");
    find(f, "data_batch_3.bin")->bytes = 0;
    write_folder(f, f->source);
    refused(f, f->source, 1, "data_batch_3.bin: got 0 bytes");

    make_cifar10(f);
    find(f, "data_batch_2.bin")->data[2 * 3073] = 10;
    write_folder(f, f->source);
    refused(f, f->source, 1, "data_batch_2.bin: record 2: got label 10, wanted 0 .. 9");
    find(f, "data_batch_2.bin")->data[2 * 3073] = 255;
    write_folder(f, f->source);
    refused(f, f->source, 1, "got label 255");

    make_cifar10(f);
    add_text(f, "batches.meta.txt", "zero\none\n");
    write_folder(f, f->source);
    refused(f, f->source, 1, "batches.meta.txt: got 2 names, wanted 10");

    make_cifar10(f);
    write_folder(f, f->source);
    join(f->source, "batches.meta.txt", path);
    assert_int_equal(unlink(path), 0);
    join(f->source, "data_batch_4.bin", path);
    assert_int_equal(unlink(path), 0);
    refused(f, f->source, 1, "data_batch_4.bin is missing");
    refused(f, f->scratch.folder, 1, "a folder without data_batch_1.bin");
    join(f->source, "nothing", path);
    refused(f, path, 1, "No such file");
}

static void wrong_cifar100_labels_are_named(void **state)
{
    struct fixture *f = *state;
    make_cifar100(f);
    write_folder(f, f->source);
    refused(f, f->source, 0, "train.bin: got 122960 bytes, wanted 153700000");
    f->files[1].data[3074 * 3] = 20;
    write_folder(f, f->source);
    refused(f, f->source, 1, "test.bin: record 3: got coarse label 20, wanted 0 .. 19");
    make_cifar100(f);
    f->files[0].data[3074 * 5 + 1] = 100;
    write_folder(f, f->source);
    refused(f, f->source, 1, "train.bin: record 5: got label 100, wanted 0 .. 99");
    /* and the other set's folder */
    f->kind = MBT_CIFAR_10;
    refused(f, f->source, 1, "a folder without data_batch_1.bin");
}

static void wrong_archives_are_named(void **state)
{
    struct fixture *f = *state;
    size_t bytes = 0;
    make_cifar10(f);
    write_archive(f, &(struct packing){"", 0, 1});
    refused(f, f->archive, 1, "data_batch_1.bin is in it more than once");
    f->n_files--; /* no test batch */
    write_archive(f, &(struct packing){"", 0, 0});
    refused(f, f->archive, 1, "test_batch.bin is missing");
    f->n_files++;

    write_archive(f, &(struct packing){"", 0, 0});
    unsigned char *whole = scratch_read(f->archive, &bytes);
    for (size_t part = 1; part < 8; part++) {
        scratch_write(f->archive, whole, bytes * part / 8);
        refused(f, f->archive, 1, f->archive);
    }
    scratch_write(f->archive, "", 0);
    refused(f, f->archive, 1, "empty file");
    scratch_write(f->archive, "no archive at all, only text\n", 29);
    refused(f, f->archive, 1, "cannot be read as .tar.gz");
    for (size_t i = 0; i < 40; i++) { /* flipped anywhere: refused, or the same data */
        size_t at = 20 + i * (bytes - 30) / 40;
        whole[at] ^= 16;
        scratch_write(f->archive, whole, bytes);
        mbt_status status = mbt_import_cifar(f->kind, f->archive, f->out, 1, &err);
        if (status == MBT_OK) {
            check_out(f, "airplane", "truck");
        } else {
            assert_int_equal(status, MBT_DATA);
        }
        whole[at] ^= 16;
    }
    free(whole);
}

static void an_unwritable_target_is_told(void **state)
{
    struct fixture *f = *state;
    char path[PATH_BYTES];
    make_cifar10(f);
    write_folder(f, f->source);
    join(f->scratch.folder, "no/folder/out.h5", path);
    assert_int_equal(mbt_import_cifar(f->kind, f->source, path, 1, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "no/folder/out.h5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cifar10_from_folders, begin, end),
        cmocka_unit_test_setup_teardown(cifar10_from_archives, begin, end),
        cmocka_unit_test_setup_teardown(cifar100_keeps_both_labels, begin, end),
        cmocka_unit_test_setup_teardown(wrong_files_are_named, begin, end),
        cmocka_unit_test_setup_teardown(wrong_cifar100_labels_are_named, begin, end),
        cmocka_unit_test_setup_teardown(wrong_archives_are_named, begin, end),
        cmocka_unit_test_setup_teardown(an_unwritable_target_is_told, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
