/* Weights out of a checkpoint, and into networks that are like it or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mbt/pretrained.h"
#include "mbt/store.h"
#include "train/checkpoint_state.h"

static const float untouched = -7; /* what fixture_make leaves in a block that is not filled */

typedef struct place {
    char folder[64], weights[128];
    mbt_log log;
} place;

/* A weight file exported from a checkpoint of the plain state. */
static int enter(void **state)
{
    place *p = calloc(1, sizeof *p);
    char checkpoint[128], digest[MBT_DIGEST_TEXT];
    fixture f;
    mbt_error err = {0};
    int n_tensors = 0;
    mbt_log_init(&p->log, MBT_LOG_ERROR, 0, 1);
    (void)snprintf(p->folder, sizeof p->folder, "/tmp/mbt_pretrained_XXXXXX");
    if (!mkdtemp(p->folder))
        return -1;
    (void)snprintf(p->weights, sizeof p->weights, "%s/weights.h5", p->folder);
    fixture_make(&f, FIXTURE_PLAIN, 16, true);
    fixture_at_step(&f, 213);
    if (mbt_checkpoint_save(&f.state, p->folder, false, NULL, digest, &err) ||
        mbt_checkpoint_path(p->folder, 213, checkpoint, &err) ||
        mbt_pretrained_export(checkpoint, p->weights, &n_tensors, &err) ||
        n_tensors != f.params.n_slices)
        return -1;
    fixture_clear(&f);
    *state = p;
    return 0;
}

static int leave(void **state)
{
    place *p = *state;
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", p->folder);
    free(p);
    return system(command);
}

static mbt_pretrained_report load(place *p, fixture *f)
{
    mbt_error err = {0};
    mbt_pretrained_report report = {0};
    if (mbt_pretrained_load(&f->params, p->weights, f->weights, &p->log, &report, &err))
        fail_msg("%s", err.message);
    return report;
}

/* The tensor's values are the file's, or what they were. */
static void check_tensor(const fixture *f, const char *name, bool taken)
{
    const mbt_slice *slice = mbt_params_find(&f->params, name);
    assert_non_null(slice);
    float *values = calloc(slice->count, sizeof *values);
    assert_non_null(values);
    mbt_slice_unpack(slice, f->weights, values);
    for (size_t i = 0; i < slice->count; i++) {
        const float want = taken ? fixture_value(name, i, false) : untouched;
        if (values[i] != want)
            fail_msg("%s[%zu]: got %g, wanted %g", name, i, (double)values[i], (double)want);
    }
    free(values);
}

static void the_same_network_takes_everything(void **state)
{
    for (int block = 8; block <= 16; block += 8) { /* in any layout */
        fixture f;
        fixture_make(&f, FIXTURE_REORDERED, block, false);
        const mbt_pretrained_report r = load(*state, &f);
        assert_int_equal(r.matched, f.params.n_slices);
        assert_int_equal(r.missing + r.unlike + r.extra, 0);
        for (int i = 0; i < f.params.n_slices; i++)
            check_tensor(&f, f.params.slices[i].name, true);
        fixture_clear(&f);
    }
}

static void another_number_of_classes_keeps_its_classifier(void **state)
{
    fixture f;
    fixture_make(&f, FIXTURE_RESHAPED, 16, false);
    const mbt_pretrained_report r = load(*state, &f);
    assert_int_equal(r.matched, f.params.n_slices - 2);
    assert_int_equal(r.unlike, 2);
    assert_int_equal(r.missing + r.extra, 0);
    check_tensor(&f, "head.weight", false);
    check_tensor(&f, "head.bias", false);
    check_tensor(&f, "blocks.0.dw.weight", true);
    fixture_clear(&f);
}

static void missing_and_superfluous_tensors_are_counted(void **state)
{
    fixture more, fewer;
    fixture_make(&more, FIXTURE_EXTRA, 16, false);
    mbt_pretrained_report r = load(*state, &more);
    assert_int_equal(r.missing, 1);
    assert_int_equal(r.extra + r.unlike, 0);
    check_tensor(&more, "extra.bias", false);
    fixture_clear(&more);

    fixture_make(&fewer, FIXTURE_MISSING, 16, false);
    r = load(*state, &fewer);
    assert_int_equal(r.extra, 2);
    assert_int_equal(r.missing + r.unlike, 0);
    assert_int_equal(r.matched, fewer.params.n_slices);
    fixture_clear(&fewer);
}

/* A file as another program writes it: `names` of one tensor each, with these values. */
static void write_foreign(const place *p, const char *const *names, int n, const float *values,
                          uint64_t count)
{
    mbt_store *store = NULL;
    mbt_error err = {0};
    const mbt_store_shape shape = {.type = MBT_STORE_F32, .rank = 1, .dims = {count}};
    const mbt_store_shape counter = {.type = MBT_STORE_I64, .rank = 0};
    const int64_t batches = 3;
    assert_int_equal(mbt_store_create(&store, &err), MBT_OK);
    for (int i = 0; i < n; i++)
        assert_int_equal(mbt_store_write(store, names[i], &shape, values, 0, 0, &err), MBT_OK);
    assert_int_equal(
        mbt_store_write(store, "/module.bn.num_batches_tracked", &counter, &batches, 0, 0, &err),
        MBT_OK);
    assert_int_equal(mbt_store_commit(store, p->weights, NULL, &err), MBT_OK);
    mbt_store_close(store);
}

static void refuse(place *p, const char *text)
{
    fixture f;
    mbt_error err = {0};
    mbt_pretrained_report report;
    fixture_make(&f, FIXTURE_PLAIN, 16, false);
    assert_int_equal(mbt_pretrained_load(&f.params, p->weights, f.weights, &p->log, &report, &err),
                     MBT_DATA);
    if (!strstr(err.message, text) || !strstr(err.message, p->weights))
        fail_msg("message '%s' lacks '%s'", err.message, text);
    for (int i = 0; i < f.params.n_slices; i++)
        check_tensor(&f, f.params.slices[i].name, false);
    fixture_clear(&f);
}

static void names_of_parallel_modules_are_understood(void **state)
{
    place *p = *state;
    static const char *const names[] = {"/module.head.bias"};
    float values[10];
    for (size_t i = 0; i < 10; i++)
        values[i] = fixture_value("head.bias", i, false);
    write_foreign(p, names, 1, values, 10);
    fixture f;
    fixture_make(&f, FIXTURE_PLAIN, 16, false);
    const mbt_pretrained_report r = load(p, &f);
    assert_int_equal(r.matched, 1);
    assert_int_equal(r.missing, f.params.n_slices - 1);
    assert_int_equal(r.extra, 0);
    check_tensor(&f, "head.bias", true);
    fixture_clear(&f);
}

/* In the middle: one of a tensor's values. */
static void flip_a_byte(const char *path)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    assert_int_equal(fseek(file, ftell(file) / 2, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
    assert_int_equal(fputc(byte ^ 0x55, file), byte ^ 0x55);
    assert_int_equal(fclose(file), 0);
}

static void bad_files_change_nothing(void **state)
{
    place *p = *state;
    static const char *const both[] = {"/head.bias", "/module.head.bias"};
    static const char *const other[] = {"/fc.bias"};
    float values[10] = {0};
    flip_a_byte(p->weights);
    refuse(p, "damaged");
    write_foreign(p, both, 2, values, 10);
    refuse(p, "twice");
    write_foreign(p, other, 1, values, 10);
    refuse(p, "none of its tensors");
    write_foreign(p, both, 1, values, 9);
    refuse(p, "none of its tensors");
    values[4] = NAN;
    write_foreign(p, both, 1, values, 10);
    refuse(p, "element 4");
    assert_int_equal(truncate(p->weights, 700), 0);
    refuse(p, "");
    assert_int_equal(unlink(p->weights), 0);
    refuse(p, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_network_takes_everything, enter, leave),
        cmocka_unit_test_setup_teardown(another_number_of_classes_keeps_its_classifier, enter,
                                        leave),
        cmocka_unit_test_setup_teardown(missing_and_superfluous_tensors_are_counted, enter, leave),
        cmocka_unit_test_setup_teardown(names_of_parallel_modules_are_understood, enter, leave),
        cmocka_unit_test_setup_teardown(bad_files_change_nothing, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
