/* The synthetic set: the same seed gives the same bytes, classes are balanced, no image comes
 * twice, and the mean image of a class says next to nothing about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/comm.h"
#include "mbt/dataset.h"
#include "mbt/import.h"
#include "store/scratch.h"

enum { CLASSES = 10, IMAGE = 32 * 32 * 3 };

static mbt_error err;

struct fixture {
    struct scratch scratch;
    mbt_comm *comm;
};

static void ok(mbt_status status)
{
    if (status != MBT_OK) {
        fail_msg("status %d: %s", (int)status, err.message);
    }
}

static int begin(void **state)
{
    static struct fixture f;
    scratch_begin(&f.scratch);
    ok(mbt_comm_create(NULL, NULL, &f.comm, &err));
    *state = &f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    mbt_comm_destroy(f->comm);
    scratch_end(&f->scratch);
    return 0;
}

static unsigned char *drawn(const struct fixture *f, int64_t n_train, int64_t n_test, uint64_t seed,
                            const char *name, size_t *bytes)
{
    char path[2 * SCRATCH_PATH];
    scratch_path(&f->scratch, name, path);
    ok(mbt_import_synth(n_train, n_test, seed, path, &err));
    return scratch_read(path, bytes);
}

static void opened(const struct fixture *f, const char *name, mbt_dataset *dataset)
{
    char path[2 * SCRATCH_PATH];
    ok(mbt_dataset_open(f->comm, scratch_path(&f->scratch, name, path), 0, dataset, &err));
}

static void a_seed_fixes_the_bytes(void **state)
{
    const struct fixture *f = *state;
    size_t bytes[3];
    unsigned char *file[3] = {drawn(f, 40, 20, 5, "a.h5", &bytes[0]),
                              drawn(f, 40, 20, 5, "b.h5", &bytes[1]),
                              drawn(f, 40, 20, 6, "c.h5", &bytes[2])};
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(file[0], file[1], bytes[0]);
    mbt_dataset a, c;
    opened(f, "a.h5", &a);
    opened(f, "c.h5", &c);
    assert_string_not_equal(a.digest, c.digest);
    /* drawn on another machine: what is drawn may not depend on compiler or processor */
    assert_string_equal(a.digest, "b3b73fda371cde6cd74e11d4dd6582c9");
    mbt_dataset_close(f->comm, &a);
    mbt_dataset_close(f->comm, &c);
    for (int i = 0; i < 3; i++) {
        free(file[i]);
    }
}

static void classes_are_balanced(void **state)
{
    const struct fixture *f = *state;
    size_t bytes = 0;
    int train[CLASSES] = {0}, test[CLASSES] = {0};
    mbt_dataset d;
    free(drawn(f, 203, 100, 1, "a.h5", &bytes));
    opened(f, "a.h5", &d);
    assert_string_equal(d.name, "synth");
    assert_int_equal(d.n_classes, CLASSES);
    assert_string_equal(d.class_names[0], "disc");
    assert_int_equal(d.height, 32);
    assert_int_equal(d.channels, 3);
    for (int i = 0; i < 203; i++) {
        train[d.train.labels[i]]++;
    }
    for (int i = 0; i < 100; i++) {
        test[d.test.labels[i]]++;
    }
    for (int k = 0; k < CLASSES; k++) {
        assert_in_range(train[k], 20, 21);
        assert_int_equal(test[k], 10);
    }
    mbt_dataset_close(f->comm, &d);
}

static void no_image_comes_twice(void **state)
{
    const struct fixture *f = *state;
    enum { TRAIN = 300, TEST = 100, ALL = TRAIN + TEST };
    size_t bytes = 0;
    mbt_dataset d, fewer;
    free(drawn(f, TRAIN, TEST, 3, "a.h5", &bytes));
    opened(f, "a.h5", &d);
    for (int i = 0; i < ALL; i++) {
        const uint8_t *a = i < TRAIN ? d.train.images + (size_t)i * IMAGE
                                     : d.test.images + (size_t)(i - TRAIN) * IMAGE;
        for (int j = 0; j < i; j++) {
            const uint8_t *b = j < TRAIN ? d.train.images + (size_t)j * IMAGE
                                         : d.test.images + (size_t)(j - TRAIN) * IMAGE;
            assert_int_not_equal(memcmp(a, b, IMAGE), 0);
        }
    }
    /* an image depends on its id alone: of a smaller set, it is the same */
    free(drawn(f, TRAIN / 2, TEST, 3, "b.h5", &bytes));
    opened(f, "b.h5", &fewer);
    assert_memory_equal(fewer.train.images, d.train.images, (size_t)TRAIN / 2 * IMAGE);
    assert_memory_equal(fewer.test.images, d.train.images + (size_t)TRAIN / 2 * IMAGE,
                        (size_t)TEST * IMAGE);
    mbt_dataset_close(f->comm, &fewer);
    mbt_dataset_close(f->comm, &d);
}

/* The nearest mean image is a linear rule over pixels. Chance is 10 %. */
static void mean_images_tell_little(void **state)
{
    const struct fixture *f = *state;
    enum { TRAIN = 2000, TEST = 500 };
    static double mean[CLASSES][IMAGE];
    size_t bytes = 0;
    int right = 0;
    mbt_dataset d;
    free(drawn(f, TRAIN, TEST, 2, "a.h5", &bytes));
    opened(f, "a.h5", &d);
    memset(mean, 0, sizeof mean);
    for (size_t i = 0; i < TRAIN; i++) {
        for (size_t p = 0; p < IMAGE; p++) {
            mean[d.train.labels[i]][p] += d.train.images[i * IMAGE + p] / (TRAIN / (double)CLASSES);
        }
    }
    for (size_t i = 0; i < TEST; i++) {
        int nearest = 0;
        double least = 1e300;
        for (int k = 0; k < CLASSES; k++) {
            double distance = 0;
            for (size_t p = 0; p < IMAGE; p++) {
                double difference = d.test.images[i * IMAGE + p] - mean[k][p];
                distance += difference * difference;
            }
            if (distance < least) {
                least = distance;
                nearest = k;
            }
        }
        right += nearest == d.test.labels[i];
    }
    assert_true(right < TEST / 4);
    mbt_dataset_close(f->comm, &d);
}

static void wrong_numbers_are_usage(void **state)
{
    const struct fixture *f = *state;
    char path[2 * SCRATCH_PATH];
    scratch_path(&f->scratch, "a.h5", path);
    assert_int_equal(mbt_import_synth(9, 100, 1, path, &err), MBT_USAGE);
    assert_int_equal(mbt_import_synth(100, 0, 1, path, &err), MBT_USAGE);
    assert_int_equal(mbt_import_synth(INT64_MAX, 100, 1, path, &err), MBT_USAGE);
    assert_int_equal(mbt_import_synth(-1, 100, 1, path, &err), MBT_USAGE);
    assert_int_equal(scratch_count(&f->scratch), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_seed_fixes_the_bytes, begin, end),
        cmocka_unit_test_setup_teardown(classes_are_balanced, begin, end),
        cmocka_unit_test_setup_teardown(no_image_comes_twice, begin, end),
        cmocka_unit_test_setup_teardown(mean_images_tell_little, begin, end),
        cmocka_unit_test_setup_teardown(wrong_numbers_are_usage, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
