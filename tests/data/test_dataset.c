/* Data sets: what is written comes back on every rank, and every fault of a file ends with the same
 * status and message on all of them. Run at several rank counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/comm.h"
#include "mbt/dataset.h"
#include "mbt/store.h"
#include "store/scratch.h"

enum { TRAIN = 600, TEST = 70, H = 6, W = 5, C = 3, CLASSES = 4, COARSE = 2 };
enum { IMAGE = H * W * C, DAMAGES = 40 };

static mbt_error err;

static const char *const class_names[CLASSES] = {"ant", "bee", "cat", "J\xc3\xa4ger"};
static const char *const coarse_names[COARSE] = {"insect", "other"};

/* The content of a data set, for rank 0 to change before it is written. */
struct content {
    uint8_t images[TRAIN * IMAGE], test_images[TEST * IMAGE];
    int32_t labels[TRAIN], test_labels[TEST], coarse[TRAIN], test_coarse[TEST];
};

struct fixture {
    mbt_comm *comm;
    struct scratch scratch; /* the same folder on every rank */
    char path[2 * SCRATCH_PATH];
    struct content content;
};

static struct fixture *shared_fixture(void)
{
    static struct fixture fixture;
    return &fixture;
}

static void fill(struct content *content)
{
    unsigned draw = 1;
    for (int i = 0; i < TRAIN * IMAGE; i++) {
        draw = draw * 1664525u + 1013904223u;
        content->images[i] = (uint8_t)(draw >> 24);
    }
    for (int i = 0; i < TEST * IMAGE; i++) {
        content->test_images[i] = (uint8_t)(i % 253);
    }
    for (int i = 0; i < TRAIN; i++) {
        content->labels[i] = i % CLASSES;
        content->coarse[i] = i % CLASSES / 2;
    }
    for (int i = 0; i < TEST; i++) {
        content->test_labels[i] = CLASSES - 1 - i % CLASSES;
        content->test_coarse[i] = 1 - i % CLASSES / 2;
    }
}

static mbt_dataset_source source_of(const struct content *content)
{
    mbt_dataset_source source = {.name = "little",
                                 .source = "made by a test",
                                 .height = H,
                                 .width = W,
                                 .channels = C,
                                 .n_classes = CLASSES,
                                 .class_names = class_names};
    source.split[0].n = TRAIN;
    source.split[0].images = content->images;
    source.split[0].labels = content->labels;
    source.split[0].coarse_labels = content->coarse;
    source.split[1].n = TEST;
    source.split[1].images = content->test_images;
    source.split[1].labels = content->test_labels;
    source.split[1].coarse_labels = content->test_coarse;
    return source;
}

static void ok(mbt_status status)
{
    if (status != MBT_OK) {
        fail_msg("status %d: %s", (int)status, err.message);
    }
}

static bool is_root(const struct fixture *f)
{
    return mbt_comm_rank(f->comm) == 0;
}

static int begin(void **state)
{
    struct fixture *f = *state;
    if (is_root(f)) {
        scratch_begin(&f->scratch);
    }
    mbt_comm_broadcast(f->comm, &f->scratch, sizeof f->scratch);
    scratch_path(&f->scratch, "little.h5", f->path);
    fill(&f->content);
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    mbt_comm_barrier(f->comm);
    if (is_root(f)) {
        scratch_end(&f->scratch);
    }
    return 0;
}

static void write_plain(struct fixture *f)
{
    if (is_root(f)) {
        mbt_dataset_source source = source_of(&f->content);
        ok(mbt_dataset_write(&source, f->path, &err));
    }
    mbt_comm_barrier(f->comm);
}

/* Opens what cannot be opened: the same status and message everywhere, the latter with `word`. */
static void refused(struct fixture *f, const char *path, const char *word)
{
    enum { BYTES = MBT_ERROR_MAX };
    mbt_dataset dataset;
    mbt_comm_barrier(f->comm);
    memset(&err, 0, sizeof err);
    mbt_status status = mbt_dataset_open(f->comm, path, 0, &dataset, &err);
    if (status != MBT_DATA || strstr(err.message, word) == NULL) {
        fail_msg("status %d, wanted \"%s\": %s", (int)status, word, err.message);
    }
    char *all = malloc((size_t)mbt_comm_size(f->comm) * BYTES);
    assert_non_null(all);
    mbt_comm_gather(f->comm, err.message, BYTES, all);
    for (int r = 0; r < mbt_comm_size(f->comm); r++) {
        assert_string_equal(all + r * BYTES, err.message);
    }
    free(all);
    /* nothing is left, and closing nothing is allowed */
    assert_null(dataset.class_names);
    assert_null(dataset.share.data);
    mbt_dataset_close(f->comm, &dataset);
}

/* ---- what is written comes back ---- */

static void check_opened(const struct fixture *f, const mbt_dataset *dataset)
{
    const struct content *content = &f->content;
    assert_string_equal(dataset->name, "little");
    assert_int_equal(dataset->height, H);
    assert_int_equal(dataset->width, W);
    assert_int_equal(dataset->channels, C);
    assert_int_equal(dataset->n_classes, CLASSES);
    for (int k = 0; k < CLASSES; k++) {
        assert_string_equal(dataset->class_names[k], class_names[k]);
    }
    assert_int_equal(dataset->train.n, TRAIN);
    assert_int_equal(dataset->test.n, TEST);
    assert_memory_equal(dataset->train.images, content->images, sizeof content->images);
    assert_memory_equal(dataset->train.labels, content->labels, sizeof content->labels);
    assert_memory_equal(dataset->test.images, content->test_images, sizeof content->test_images);
    assert_memory_equal(dataset->test.labels, content->test_labels, sizeof content->test_labels);
    assert_int_equal((uintptr_t)dataset->train.labels % sizeof(int32_t), 0);
    for (int c = 0; c < C; c++) {
        double sum = 0, squares = 0;
        for (int i = c; i < TRAIN * IMAGE; i += C) {
            sum += content->images[i];
        }
        double mean = sum / (TRAIN * H * W);
        for (int i = c; i < TRAIN * IMAGE; i += C) {
            squares += (content->images[i] - mean) * (content->images[i] - mean);
        }
        assert_true(fabs(dataset->mean[c] - mean) < 1e-9);
        assert_true(fabs(dataset->deviation[c] - sqrt(squares / (TRAIN * H * W))) < 1e-9);
    }
}

static void every_rank_sees_all(void **state)
{
    struct fixture *f = *state;
    mbt_dataset dataset;
    write_plain(f);
    ok(mbt_dataset_open(f->comm, f->path, 0, &dataset, &err));
    check_opened(f, &dataset);
    assert_int_equal(strlen(dataset.digest), MBT_DIGEST_TEXT - 1);
    ok(mbt_dataset_verify(&dataset, &err));
    mbt_dataset_close(f->comm, &dataset);
    assert_null(dataset.class_names);
}

static void digest_covers_images_and_labels(void **state)
{
    struct fixture *f = *state;
    char digest[3][MBT_DIGEST_TEXT];
    mbt_dataset dataset;
    for (int k = 0; k < 3; k++) {
        f->content.test_labels[3] = k == 1 ? 0 : 2;
        f->content.test_images[100] = k == 2 ? 1 : 2;
        write_plain(f);
        ok(mbt_dataset_open(f->comm, f->path, 0, &dataset, &err));
        memcpy(digest[k], dataset.digest, MBT_DIGEST_TEXT);
        mbt_dataset_close(f->comm, &dataset);
    }
    assert_string_not_equal(digest[0], digest[1]);
    assert_string_not_equal(digest[0], digest[2]);
    /* the documented one: images and labels of training, then of the test */
    mbt_digest *sum = NULL;
    ok(mbt_digest_create(&sum, &err));
    mbt_digest_add(sum, f->content.images, sizeof f->content.images);
    mbt_digest_add(sum, f->content.labels, sizeof f->content.labels);
    mbt_digest_add(sum, f->content.test_images, sizeof f->content.test_images);
    mbt_digest_add(sum, f->content.test_labels, sizeof f->content.test_labels);
    mbt_digest_text(sum, digest[0]);
    mbt_digest_destroy(sum);
    assert_string_equal(digest[0], digest[2]);
}

static void coarse_labels_are_kept(void **state)
{
    struct fixture *f = *state;
    if (is_root(f)) {
        mbt_store *store = NULL;
        int32_t labels[TRAIN];
        char names[COARSE][16];
        int n = 0;
        mbt_dataset_source source = source_of(&f->content);
        source.n_coarse = COARSE;
        source.coarse_names = coarse_names;
        ok(mbt_dataset_write(&source, f->path, &err));
        ok(mbt_store_open_large(f->path, true, &store, &err));
        ok(mbt_store_read(store, "/train/coarse_labels",
                          &(mbt_store_shape){MBT_STORE_I32, 1, {TRAIN}}, labels, &err));
        assert_memory_equal(labels, f->content.coarse, sizeof labels);
        ok(mbt_store_get_texts(store, "/", "coarse_names", COARSE, 16, names[0], &n, &err));
        assert_int_equal(n, COARSE);
        assert_string_equal(names[1], "other");
        mbt_store_close(store);
    }
    mbt_comm_barrier(f->comm);
}

static void second_folder_is_searched(void **state)
{
    struct fixture *f = *state;
    mbt_dataset dataset;
    write_plain(f);
    assert_int_equal(setenv("MBTRAIN_DATA", f->scratch.folder, 1), 0);
    ok(mbt_dataset_open(f->comm, "little.h5", 0, &dataset, &err));
    check_opened(f, &dataset);
    mbt_dataset_close(f->comm, &dataset);
    refused(f, "other.h5", f->scratch.folder); /* the message says where it looked */
    assert_int_equal(unsetenv("MBTRAIN_DATA"), 0);
    refused(f, "little.h5", "MBTRAIN_DATA names no folder");
    refused(f, "/no/such/file.h5", "/no/such/file.h5: data set cannot be found: No such file");
    refused(f, "", "no file");
}

/* ---- what cannot be written ---- */

static void wrong_sources_are_refused(void **state)
{
    struct fixture *f = *state;
    if (!is_root(f)) {
        return;
    }
    static const char *const bad_names[CLASSES] = {"ant", "be\nep", "cat", "dog"};
    static const struct {
        int n_classes, channels, wrong_label, names, coarse;
        const char *word;
    } cases[] = {
        {CLASSES, C, 1, 0, 0, "/train/labels: sample 7: got label 4, wanted 0 .. 3"},
        {CLASSES, C, -1, 0, 0, "got label -1"},
        {CLASSES, C, 0, 1, 0, "class name 1"},
        {1, C, 0, 0, 0, "classes"},
        {MBT_CLASSES_MAX + 1, C, 0, 0, 0, "classes"},
        {CLASSES, 5, 0, 0, 0, "images"},
        {CLASSES, 0, 0, 0, 0, "images"},
        {CLASSES, C, 0, 0, 1, "/train/coarse_labels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mbt_dataset_source source = source_of(&f->content);
        source.n_classes = cases[i].n_classes;
        source.channels = cases[i].channels;
        source.class_names = cases[i].names ? bad_names : class_names;
        source.n_coarse = cases[i].coarse; /* one coarse class, with labels of two */
        source.coarse_names = coarse_names;
        f->content.labels[7] = cases[i].wrong_label > 0   ? CLASSES
                               : cases[i].wrong_label < 0 ? -1
                                                          : 0;
        mbt_status status = mbt_dataset_write(&source, f->path, &err);
        if (status != MBT_DATA || strstr(err.message, cases[i].word) == NULL) {
            fail_msg("case %zu: status %d: %s", i, (int)status, err.message);
        }
    }
    f->content.labels[7] = 0;
    mbt_dataset_source source = source_of(&f->content);
    source.split[1].n = 0;
    assert_int_equal(mbt_dataset_write(&source, f->path, &err), MBT_DATA);
    source = source_of(&f->content);
    for (int i = 1; i < TRAIN * IMAGE; i += C) {
        f->content.images[i] = 9;
    }
    assert_int_equal(mbt_dataset_write(&source, f->path, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "channel 1"));
    assert_int_equal(scratch_count(&f->scratch), 0); /* no file was begun */
}

/* ---- what cannot be opened ---- */

static void other_files_are_refused(void **state)
{
    struct fixture *f = *state;
    if (is_root(f)) {
        scratch_write(f->path, "", 0);
    }
    refused(f, f->path, "empty file");
    if (is_root(f)) {
        scratch_write(f->path, "label,image\n0,1\n", 16);
    }
    refused(f, f->path, "not HDF5");
    refused(f, f->scratch.folder, "regular file");
}

static void cut_and_damaged_files_are_refused(void **state)
{
    struct fixture *f = *state;
    size_t n = 0;
    unsigned char *bytes = NULL;
    unsigned draw = 99;
    write_plain(f);
    if (is_root(f)) {
        bytes = scratch_read(f->path, &n);
        scratch_write(f->path, bytes, n / 2);
    }
    refused(f, f->path, "cut short");
    for (int k = 0; k < DAMAGES; k++) {
        mbt_dataset dataset;
        draw = draw * 1664525u + 1013904223u;
        size_t at = k < 30 ? (size_t)k * 97 : (size_t)(((uint64_t)draw * n) >> 32);
        if (is_root(f)) {
            bytes[at] ^= 4;
            scratch_write(f->path, bytes, n);
        }
        mbt_comm_barrier(f->comm);
        mbt_status status = mbt_dataset_open(f->comm, f->path, 0, &dataset, &err);
        if (status == MBT_OK) { /* the byte meant nothing */
            check_opened(f, &dataset);
        } else {
            assert_int_equal(status, MBT_DATA);
        }
        mbt_dataset_close(f->comm, &dataset);
        mbt_comm_barrier(f->comm);
        if (is_root(f)) {
            bytes[at] ^= 4;
        }
    }
    free(bytes);
}

/* How a hand-made file differs from a right one. */
struct fault {
    const char *word;                           /* in the message */
    mbt_store_type image_type;                  /* of the training images */
    int image_rank, n_labels, width, n_classes; /* of the training split; 0: right */
    int wrong_label, schema, no_images;
    double deviation;
    const char *digest, *name;
};

static void write_faulty(const struct fixture *f, const struct fault *fault)
{
    static double images[TRAIN * IMAGE]; /* room for any type */
    const double mean[C] = {100, 100, 100};
    const double deviation[C] = {50, fault->deviation != 0 ? fault->deviation : 50, 50};
    const char *names[CLASSES] = {class_names[0], class_names[1], class_names[2], class_names[3]};
    static int32_t labels[TRAIN];
    mbt_store *store = NULL;
    int width = fault->width != 0 ? fault->width : W;
    mbt_store_shape train = {fault->image_type,
                             fault->image_rank != 0 ? fault->image_rank : 4,
                             {TRAIN, H, (uint64_t)width, C}};
    mbt_store_shape test = {MBT_STORE_U8, 4, {TEST, H, W, C}};
    mbt_store_shape n_train = {MBT_STORE_I32, 1, {(uint64_t)fault->n_labels}};
    mbt_store_shape n_test = {MBT_STORE_I32, 1, {TEST}};
    memset(labels, 0, sizeof labels);
    labels[11] = fault->wrong_label;
    if (fault->n_labels == 0) {
        n_train.dims[0] = TRAIN;
    }
    ok(mbt_store_create(&store, &err));
    ok(mbt_store_set_i64(store, "/", "schema", fault->schema != 0 ? fault->schema : 1, &err));
    ok(mbt_store_set_text(store, "/", "name", fault->name != NULL ? fault->name : "faulty", &err));
    ok(mbt_store_set_text(store, "/", "source", "made by a test", &err));
    ok(mbt_store_set_text(
        store, "/", "digest",
        fault->digest != NULL ? fault->digest : "00000000000000000000000000000000", &err));
    ok(mbt_store_set_texts(store, "/", "class_names",
                           fault->n_classes != 0 ? fault->n_classes : CLASSES, names, &err));
    ok(mbt_store_set_f64s(store, "/", "mean", C, mean, &err));
    ok(mbt_store_set_f64s(store, "/", "deviation", C, deviation, &err));
    if (!fault->no_images) {
        ok(mbt_store_write(store, "/train/images", &train, images, 100, 0, &err));
    }
    ok(mbt_store_write(store, "/train/labels", &n_train, labels, 100, 0, &err));
    ok(mbt_store_write(store, "/test/images", &test, images, 100, 0, &err));
    ok(mbt_store_write(store, "/test/labels", &n_test, labels + 100, 100, 0, &err));
    ok(mbt_store_commit(store, f->path, NULL, &err));
    mbt_store_close(store);
}

static void wrong_content_is_refused(void **state)
{
    static const struct fault faults[] = {
        {.word = "/train/images: got elements of 4 bytes", .image_type = MBT_STORE_F32},
        {.word = "in 3 dimensions, wanted u8 [N][H][W][C]", .image_rank = 3},
        {.word = "/train/labels: got i32 [599], wanted i32 [600]", .n_labels = TRAIN - 1},
        {.word = "/test/images: got images of 6 x 5 x 3, wanted 6 x 4 x 3", .width = W - 1},
        {.word = "class_names: got 1", .n_classes = 1},
        {.word = "/train/labels: sample 11: got label 4, wanted 0 .. 3", .wrong_label = 4},
        {.word = "got label -2", .wrong_label = -2},
        {.word = "schema: got version 3, wanted 1 or 2", .schema = 3},
        {.word = "/train/images: not in the file", .no_images = 1},
        {.word = "channel 1: got mean 100, deviation -1", .deviation = -1},
        {.word = "deviation nan", .deviation = (double)NAN},
        {.word = "deviation inf", .deviation = (double)INFINITY},
        {.word = "samples: got digest"},
        {.word = "\"digest\": got a text above 32", .digest = "000000000000000000000000000000000"},
        {.word = "control characters", .name = "\x1b[2J"},
        {.word = "control characters", .name = ""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (is_root(f)) {
            write_faulty(f, &faults[i]);
        }
        refused(f, f->path, faults[i].word);
    }
}

static void verify_compares_all(void **state)
{
    struct fixture *f = *state;
    mbt_dataset dataset;
    write_plain(f);
    ok(mbt_dataset_open(f->comm, f->path, 0, &dataset, &err));
    mbt_dataset changed = dataset;
    changed.mean[2] += 0.001;
    assert_int_equal(mbt_dataset_verify(&changed, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "channel 2"));
    changed = dataset;
    changed.deviation[0] -= 0.001;
    assert_int_equal(mbt_dataset_verify(&changed, &err), MBT_DATA);
    changed = dataset;
    changed.digest[5] = changed.digest[5] == '0' ? '1' : '0';
    assert_int_equal(mbt_dataset_verify(&changed, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "digest"));
    changed = dataset;
    changed.n_classes = CLASSES - 1;
    assert_int_equal(mbt_dataset_verify(&changed, &err), MBT_DATA);
    assert_non_null(strstr(err.message, "label 3"));
    changed = dataset;
    changed.train.n--;
    assert_int_equal(mbt_dataset_verify(&changed, &err), MBT_DATA);
    ok(mbt_dataset_verify(&dataset, &err));
    mbt_dataset_close(f->comm, &dataset);
}

int main(int argc, char **argv)
{
    struct fixture *f = shared_fixture();
    mbt_status status = mbt_comm_create(&argc, &argv, &f->comm, &err);
    if (status) {
        (void)fprintf(stderr, "%s\n", err.message);
        return (int)status;
    }
    (void)unsetenv("MBTRAIN_DATA");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(every_rank_sees_all, begin, end, f),
        cmocka_unit_test_prestate_setup_teardown(digest_covers_images_and_labels, begin, end, f),
        cmocka_unit_test_prestate_setup_teardown(coarse_labels_are_kept, begin, end, f),
        cmocka_unit_test_prestate_setup_teardown(second_folder_is_searched, begin, end, f),
        cmocka_unit_test_prestate_setup_teardown(wrong_sources_are_refused, begin, end, f),
        cmocka_unit_test_prestate_setup_teardown(other_files_are_refused, begin, end, f),
        cmocka_unit_test_prestate_setup_teardown(cut_and_damaged_files_are_refused, begin, end, f),
        cmocka_unit_test_prestate_setup_teardown(wrong_content_is_refused, begin, end, f),
        cmocka_unit_test_prestate_setup_teardown(verify_compares_all, begin, end, f),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mbt_comm_destroy(f->comm);
    return failed;
}
