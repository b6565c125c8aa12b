/* One checkpoint file: round trips, what the state digest covers, refusals, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/file.h"
#include "mbt/store.h"
#include "train/checkpoint_state.h"

#define STEP_213 "step-0000000213.h5"

/* A fresh folder for each test, removed with what is in it. */
typedef struct place {
    char folder[64], path[128];
} place;

static int enter(void **state)
{
    place *p = calloc(1, sizeof *p);
    (void)snprintf(p->folder, sizeof p->folder, "/tmp/mbt_checkpoint_XXXXXX");
    if (!mkdtemp(p->folder))
        return -1;
    (void)snprintf(p->path, sizeof p->path, "%s/" STEP_213, p->folder);
    *state = p;
    return 0;
}

static int leave(void **state)
{
    place *p = *state;
    static const char *const names[] = {STEP_213, "last.h5", "best.h5", "other.h5", "damaged.h5"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", p->folder, names[i]);
        (void)unlink(path);
    }
    int left = rmdir(p->folder); /* fails when anything unexpected is left */
    free(p);
    return left;
}

static void save(const place *p, const fixture *f, char digest[MBT_DIGEST_TEXT])
{
    mbt_error err = {0};
    mbt_status status = mbt_checkpoint_save(&f->state, p->folder, false, NULL, digest, &err);
    if (status)
        fail_msg("%s", err.message);
}

static void digest_of(const fixture *f, char digest[MBT_DIGEST_TEXT])
{
    mbt_error err = {0};
    assert_int_equal(mbt_state_digest(&f->state, digest, &err), MBT_OK);
    assert_int_equal(strlen(digest), MBT_DIGEST_TEXT - 1);
}

/* Every canonical value of the block is the formula's; every stored float beside them zero. */
static void check_block(const fixture *f, const float *block, bool momentum)
{
    for (int i = 0; i < f->params.n_slices; i++) {
        const mbt_slice *slice = &f->params.slices[i];
        float *values = malloc(slice->count * sizeof *values);
        float *again = calloc(f->params.n_floats, sizeof *again);
        assert_true(values && again);
        mbt_slice_unpack(slice, block, values);
        for (size_t k = 0; k < slice->count; k++) {
            float wanted = fixture_value(slice->name, k, momentum);
            assert_true(values[k] == (momentum && !slice->trained ? 0.0f : wanted));
        }
        mbt_slice_pack(slice, values, again);
        assert_memory_equal(again + slice->offset, block + slice->offset,
                            slice->stored * sizeof *again);
        free(values);
        free(again);
    }
}

static void check_loaded(const fixture *f)
{
    check_block(f, f->weights, false);
    check_block(f, f->momentum, true);
    fixture wanted = {0};
    fixture_at_step(&wanted, 213);
    assert_memory_equal(&f->state.progress, &wanted.state.progress, sizeof(mbt_progress_state));
    assert_int_equal(f->metrics.n_rows, 2);
    assert_int_equal(f->metrics.rows[1].step, 200);
    assert_true(f->metrics.rows[1].test_top1 == 70.5 && isnan(f->metrics.rows[0].valid_loss));
    assert_true(f->metrics.rows[0].train_s == 12.5);
}

/* Written with layouts of one block width, read with those of another. */
static void round_trip(const place *p, int block_out, int block_in, fixture_variant order)
{
    fixture out, in;
    char saved[MBT_DIGEST_TEXT], got[MBT_DIGEST_TEXT];
    bool plan_changed = true;
    mbt_error err = {0};
    fixture_make(&out, FIXTURE_PLAIN, block_out, true);
    fixture_make(&in, order, block_in, false);
    digest_of(&out, got);
    save(p, &out, saved);
    assert_string_equal(saved, got);
    mbt_status status = mbt_checkpoint_load(&in.state, p->path, &plan_changed, &err);
    if (status)
        fail_msg("%s", err.message);
    assert_false(plan_changed);
    check_loaded(&in);
    digest_of(&in, got);
    assert_string_equal(saved, got);
    assert_int_equal(mbt_checkpoint_verify(p->path, got, &err), MBT_OK);
    assert_string_equal(saved, got);
    fixture_clear(&out);
    fixture_clear(&in);
}

static void a_state_comes_back(void **state)
{
    round_trip(*state, 16, 16, FIXTURE_PLAIN);
    round_trip(*state, 8, 8, FIXTURE_PLAIN);
}

static void stored_forms_do_not_show(void **state)
{
    round_trip(*state, 16, 8, FIXTURE_PLAIN);
    round_trip(*state, 8, 16, FIXTURE_PLAIN);
    round_trip(*state, 16, 8, FIXTURE_REORDERED);
}

static void weights_alone_come_back(void **state)
{
    const place *p = *state;
    fixture out, in;
    char digest[MBT_DIGEST_TEXT];
    mbt_error err = {0};
    fixture_make(&out, FIXTURE_PLAIN, 16, true);
    fixture_make(&in, FIXTURE_UNTRAINED, 8, false);
    save(p, &out, digest);
    mbt_progress_state at = {0};
    assert_int_equal(mbt_checkpoint_load_weights(&in.params, in.weights, p->path, &at, &err),
                     MBT_OK);
    assert_int_equal(at.step, out.state.progress.step);
    assert_int_equal(at.epoch, out.state.progress.epoch);
    check_block(&in, in.weights, false);
    assert_true(in.momentum[0] == -7.0f);
    fixture_clear(&in);
    fixture_make(&in, FIXTURE_RESHAPED, 8, false);
    assert_int_equal(mbt_checkpoint_load_weights(&in.params, in.weights, p->path, NULL, &err),
                     MBT_DATA);
    assert_non_null(strstr(err.message, "tensor head.bias: got [10], wanted [7]"));
    assert_true(in.weights[0] == -7.0f);
    fixture_clear(&in);
    fixture_clear(&out);
}

static void the_digest_covers_state_and_not_timing(void **state)
{
    (void)state;
    fixture f;
    char first[MBT_DIGEST_TEXT], got[MBT_DIGEST_TEXT];
    fixture_make(&f, FIXTURE_PLAIN, 16, true);
    digest_of(&f, first);

    f.state.progress.epoch_s = 99.0;
    f.metrics.rows[1].train_s = 1.0;
    f.metrics.rows[1].images_per_s = 1.0;
    f.state.provenance = "elsewhere";
    const mbt_slice *mean = mbt_params_find(&f.params, "blocks.0.bn.running_mean");
    f.momentum[mean->offset] += 1.0f; /* not trained: has none */
    digest_of(&f, got);
    assert_string_equal(got, first);

    int64_t *counters[] = {&f.state.progress.step,
                           &f.state.progress.epoch,
                           &f.state.progress.step_in_epoch,
                           &f.state.progress.epoch_counts.samples,
                           &f.state.progress.epoch_counts.top1,
                           &f.state.progress.epoch_counts.top5,
                           &f.state.progress.epoch_counts.loss,
                           &f.state.progress.best_epoch,
                           &f.metrics.rows[0].step};
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        *counters[i] += 1;
        digest_of(&f, got);
        assert_string_not_equal(got, first);
        *counters[i] -= 1;
    }
    mbt_slice *bias = &f.params.slices[1]; /* head.bias */
    bias->name[8] = 'z';
    digest_of(&f, got);
    assert_string_not_equal(got, first);
    bias->name[8] = 's';
    bias->rank = 2; /* [10][1] instead of [10] */
    bias->dims[1] = 1;
    digest_of(&f, got);
    assert_string_not_equal(got, first);
    bias->rank = 1;
    double *reals[] = {&f.state.progress.best_top1, &f.metrics.rows[1].test_top1};
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
        *reals[i] += 1.0;
        digest_of(&f, got);
        assert_string_not_equal(got, first);
        *reals[i] -= 1.0;
    }
    for (int i = 0; i < f.params.n_slices; i++) {
        float *blocks[] = {f.weights, f.momentum};
        for (int b = 0; b < (f.params.slices[i].trained ? 2 : 1); b++) {
            float *value = blocks[b] + f.params.slices[i].offset, kept = *value;
            *value = nextafterf(kept, 9.0f);
            digest_of(&f, got);
            assert_string_not_equal(got, first);
            *value = kept;
        }
    }
    digest_of(&f, got);
    assert_string_equal(got, first);
    fixture_clear(&f);
}

/* Loading the plain file into another network: MBT_DATA, the message, and nothing changed. */
static void refused(const place *p, fixture_variant variant, const char *const *parts)
{
    fixture f;
    bool plan_changed = false;
    mbt_error err = {0};
    fixture_make(&f, variant, 16, false);
    assert_int_equal(mbt_checkpoint_load(&f.state, p->path, &plan_changed, &err), MBT_DATA);
    assert_non_null(strstr(err.message, p->path));
    assert_non_null(strstr(err.message, "checkpoint of another network (fixture)"));
    for (; *parts; parts++)
        if (!strstr(err.message, *parts))
            fail_msg("\"%s\" lacks \"%s\"", err.message, *parts);
    for (size_t i = 0; i < f.params.n_floats; i++)
        assert_true(f.weights[i] == -7.0f && f.momentum[i] == -7.0f);
    assert_int_equal(f.metrics.n_rows, 0);
    assert_int_equal(f.state.progress.step, 0);
    fixture_clear(&f);
}

static void other_networks_are_refused(void **state)
{
    const place *p = *state;
    fixture f;
    char digest[MBT_DIGEST_TEXT];
    fixture_make(&f, FIXTURE_PLAIN, 16, true);
    save(p, &f, digest);
    refused(p, FIXTURE_EXTRA,
            (const char *[]){"tensor extra.bias: got nothing, wanted [24]",
                             "of 11 tensors 1 are missing, 0 are unlike, 0 are too many", NULL});
    refused(p, FIXTURE_MISSING,
            (const char *[]){"tensor blocks.0.dw.weight: got [56][1][3][3], wanted nothing",
                             "of 8 tensors 0 are missing, 0 are unlike, 2 are too many", NULL});
    refused(p, FIXTURE_RESHAPED,
            (const char *[]){"tensor head.bias: got [10], wanted [7]",
                             "of 10 tensors 0 are missing, 2 are unlike, 0 are too many", NULL});
    refused(p, FIXTURE_UNTRAINED,
            (const char *[]){"tensor head.bias: got [10] with momentum, wanted [10] without",
                             "1 are unlike", NULL});
    fixture_clear(&f);
}

static void data_and_plan_are_compared(void **state)
{
    const place *p = *state;
    fixture f;
    char digest[MBT_DIGEST_TEXT];
    bool changed = false;
    mbt_error err = {0};
    fixture_make(&f, FIXTURE_PLAIN, 16, true);
    save(p, &f, digest);
    f.state.data_digest = "99112233445566778899aabbccddeeff";
    assert_int_equal(mbt_checkpoint_load(&f.state, p->path, &changed, &err), MBT_DATA);
    assert_non_null(strstr(err.message,
                           "another data set: digest: got 00112233445566778899aabbccdde"
                           "eff, wanted 99112233445566778899aabbccddeeff"));
    f.state.data_digest = NULL;
    f.state.plan_digest = "00";
    assert_int_equal(mbt_checkpoint_load(&f.state, p->path, &changed, &err), MBT_OK);
    assert_true(changed);
    f.state.data_digest = "";
    f.state.plan_digest = NULL;
    assert_int_equal(mbt_checkpoint_load(&f.state, p->path, &changed, &err), MBT_OK);
    assert_false(changed);
    fixture_clear(&f);
}

/* ---- damage ---- */

static void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void is_refused(const char *path, fixture *f)
{
    mbt_error err = {0};
    mbt_checkpoint_info info;
    bool changed = false;
    char digest[MBT_DIGEST_TEXT];
    assert_int_equal(mbt_checkpoint_load(&f->state, path, &changed, &err), MBT_DATA);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(mbt_checkpoint_load_weights(&f->params, f->weights, path, NULL, &err),
                     MBT_DATA);
    assert_int_equal(mbt_checkpoint_verify(path, digest, &err), MBT_DATA);
    assert_int_equal(mbt_checkpoint_read_info(path, &info, &err), MBT_DATA);
    assert_null(info.config);
    assert_true(f->weights[0] == -7.0f && f->momentum[0] == -7.0f);
}

static void damage_is_found(void **state)
{
    enum { FLIPS = 300, CUTS = 50 };
    const place *p = *state;
    fixture out, in;
    char digest[MBT_DIGEST_TEXT], path[128], *data = NULL;
    size_t bytes = 0;
    mbt_error err = {0};
    fixture_make(&out, FIXTURE_PLAIN, 16, true);
    fixture_make(&in, FIXTURE_PLAIN, 16, false);
    save(p, &out, digest);
    (void)snprintf(path, sizeof path, "%s/damaged.h5", p->folder);
    assert_int_equal(mbt_file_read(p->path, 1 << 24, &data, &bytes, &err), MBT_OK);
    assert_true(bytes > 20000);
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < FLIPS; i++) {
        random ^= random << 13; /* xorshift: the same places in every run */
        random ^= random >> 7;
        random ^= random << 17;
        /* a third of them in the user block, where there is least to find */
        size_t bit = random % (8 * (i % 3 ? bytes : MBT_USER_BLOCK_BYTES));
        data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
        write_file(path, data, bytes);
        is_refused(path, &in);
        data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
    }
    for (size_t i = 0; i < CUTS; i++) { /* the first is the empty file */
        write_file(path, data, bytes * i / CUTS);
        is_refused(path, &in);
    }
    write_file(path, data, bytes - 1);
    is_refused(path, &in);
    write_file(path, data, bytes);
    bool changed = false;
    assert_int_equal(mbt_checkpoint_load(&in.state, path, &changed, &err), MBT_OK);
    free(data);
    fixture_clear(&out);
    fixture_clear(&in);
}

static void what_is_no_checkpoint_is_refused(void **state)
{
    const place *p = *state;
    fixture f;
    char path[128];
    fixture_make(&f, FIXTURE_PLAIN, 16, false);
    is_refused(p->path, &f); /* missing */
    is_refused(p->folder, &f);
    (void)snprintf(path, sizeof path, "%s/other.h5", p->folder);
    write_file(path, "", 0);
    is_refused(path, &f);
    write_file(path, "\x89HDF\r\n\x1a\n", 8);
    is_refused(path, &f);
    fixture_clear(&f);
}

/* A whole file, written by the store with a right digest, that says something impossible. */
typedef struct forgery {
    const char *format;
    int64_t schema;
    const char *tensor, *momentum; /* names */
    mbt_store_shape shape, momentum_shape;
    int64_t step;
    const char *wanted;  /* in the message */
    bool empty_average;  /* with a group for the average and nothing in it */
    const char *missing; /* a text that is left out; may be NULL */
} forgery;

static void forge(const char *path, const forgery *f)
{
    static const double zeros[64];
    const char *texts[] = {"network", "config", "provenance", "data_digest", "plan_digest"};
    const char *counters[] = {"epoch",      "step_in_epoch", "epoch_samples", "epoch_top1",
                              "epoch_top5", "epoch_loss",    "best_epoch"};
    mbt_store *store = NULL;
    mbt_error err = {0};
    mbt_metrics metrics = {0};
    char name[256];
    mbt_status status = mbt_store_create(&store, &err);
    status = status ? status : mbt_store_set_text(store, "/", "format", f->format, &err);
    status = status ? status : mbt_store_set_i64(store, "/", "schema", f->schema, &err);
    for (int i = 0; !status && i < 5; i++)
        if (!f->missing || strcmp(texts[i], f->missing) != 0)
            status = mbt_store_set_text(store, "/", texts[i], "", &err);
    status = status ? status
                    : mbt_store_set_text(store, "/", "state_digest",
                                         "00000000000000000000000000000000", &err);
    for (int i = 0; !status && i < 7; i++)
        status = mbt_store_set_i64(store, "/", counters[i], 0, &err);
    status = status ? status : mbt_store_set_i64(store, "/", "step", f->step, &err);
    status = status ? status : mbt_store_set_f64(store, "/", "epoch_s", 0, &err);
    status = status ? status : mbt_store_set_f64(store, "/", "best_top1", 0, &err);
    status = status ? status : mbt_metrics_store(&metrics, store, "/metrics", &err);
    status = status ? status : mbt_store_make_group(store, "/model", &err);
    status = status ? status : mbt_store_make_group(store, "/optimizer/momentum", &err);
    if (f->empty_average)
        status = status ? status : mbt_store_make_group(store, "/ema", &err);
    (void)snprintf(name, sizeof name, "/model/%s", f->tensor);
    status = status ? status : mbt_store_write(store, name, &f->shape, zeros, 0, 0, &err);
    (void)snprintf(name, sizeof name, "/optimizer/momentum/%s", f->momentum);
    status = status ? status : mbt_store_write(store, name, &f->momentum_shape, zeros, 0, 0, &err);
    status = status ? status : mbt_store_commit(store, path, NULL, &err);
    if (status)
        fail_msg("%s", err.message);
    mbt_store_close(store);
}

static void forgeries_are_refused(void **state)
{
    const place *p = *state;
    const mbt_store_shape four = {.type = MBT_STORE_F32, .rank = 1, .dims = {4}};
    const mbt_store_shape eight = {.type = MBT_STORE_F32, .rank = 1, .dims = {8}};
    const mbt_store_shape ints = {.type = MBT_STORE_I32, .rank = 1, .dims = {4}};
    const mbt_store_shape deep = {.type = MBT_STORE_F32, .rank = 5, .dims = {2, 2, 2, 2, 2}};
    const mbt_store_shape scalar = {.type = MBT_STORE_F32, .rank = 0};
    const char *good = "mbtrain checkpoint";
    const char *longer = "a234567890123456789012345678901234567890123456789012345678901234";
    const forgery list[] = {
        {"mbtrain data set", 1, "a", "a", four, four, 0, "no mbtrain checkpoint", false, NULL},
        {good, 2, "a", "a", four, four, 0, "schema: got 2, wanted 1", false, NULL},
        {good, 1, longer, "a", four, four, 0, "name longer than 63 bytes", false, NULL},
        {good, 1, "a", "a", ints, four, 0, "wanted float32 of rank 1 to 4", false, NULL},
        {good, 1, "a", "a", deep, four, 0, "rank 5, wanted float32 of rank 1 to 4", false, NULL},
        {good, 1, "a", "a", scalar, four, 0, "rank 0, wanted float32 of rank 1 to 4", false, NULL},
        {good, 1, "a", "b", four, four, 0, "momentum of a tensor that /model does not have", false,
         NULL},
        {good, 1, "a", "a", four, eight, 0, "got [8], wanted [4] as in /model", false, NULL},
        {good, 1, "a", "a", four, four, 0, "/ema: got none of a, wanted average", true, NULL},
        {good, 1, "a", "a", four, four, -1, "counters: got step -1, wanted 0 to ", false, NULL},
        {good, 1, "a", "a", four, four, INT64_C(10000000000), "counters: got step 10000000000",
         false, NULL},
        {good, 1, "a", "a", four, four, 0, "from its content, wanted 00000000000000000000", false,
         NULL},
        {good, 1, "a", "a", four, four, 0, "no attribute \"network\"", false, "network"},
        {good, 1, "a", "a", four, four, 0, "no attribute \"config\"", false, "config"},
    };
    char path[128], digest[MBT_DIGEST_TEXT];
    (void)snprintf(path, sizeof path, "%s/other.h5", p->folder);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        mbt_error err = {0};
        forge(path, &list[i]);
        assert_int_equal(mbt_checkpoint_verify(path, digest, &err), MBT_DATA);
        if (!strstr(err.message, list[i].wanted) || !strstr(err.message, path))
            fail_msg("\"%s\" lacks \"%s\"", err.message, list[i].wanted);
    }
}

/* ---- not a number ---- */

static void values_that_are_not_finite_are_never_saved(void **state)
{
    const place *p = *state;
    fixture f;
    fixture_make(&f, FIXTURE_PLAIN, 16, true);
    const struct {
        float *block;
        const char *name, *wanted;
        float value;
    } list[] = {
        {f.weights, "blocks.0.expand.weight", "values of blocks.0.expand.weight: element 0 is nan",
         NAN},
        {f.weights, "blocks.0.bn.running_var", "values of blocks.0.bn.running_var", INFINITY},
        {f.momentum, "stem.weight", "momentum of stem.weight: element 0 is -inf", -INFINITY},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        mbt_error err = {0};
        char digest[MBT_DIGEST_TEXT];
        float *value = list[i].block + mbt_params_find(&f.params, list[i].name)->offset;
        float kept = *value;
        *value = list[i].value;
        assert_int_equal(mbt_checkpoint_save(&f.state, p->folder, true, NULL, digest, &err),
                         MBT_DIVERGED);
        if (!strstr(err.message, list[i].wanted) || !strstr(err.message, "step 213"))
            fail_msg("\"%s\" lacks \"%s\"", err.message, list[i].wanted);
        *value = kept;
        assert_int_not_equal(access(p->path, F_OK), 0); /* leave() finds any other file */
    }
    fixture_clear(&f);
}

static void a_file_says_what_it_is(void **state)
{
    const place *p = *state;
    fixture f;
    char digest[MBT_DIGEST_TEXT];
    mbt_error err = {0};
    mbt_checkpoint_info info;
    mbt_config config;
    struct stat status;
    fixture_make(&f, FIXTURE_PLAIN, 16, true);
    f.config.train.seed = 77;
    save(p, &f, digest);
    assert_int_equal(mbt_checkpoint_read_info(p->path, &info, &err), MBT_OK);
    assert_string_equal(info.network, "fixture");
    assert_string_equal(info.state_digest, digest);
    assert_string_equal(info.data_digest, f.state.data_digest);
    assert_string_equal(info.plan_digest, f.state.plan_digest);
    assert_string_equal(info.provenance, f.state.provenance);
    assert_int_equal(info.progress.step, 213);
    assert_int_equal(info.progress.epoch_counts.top1, 2001);
    assert_true(info.progress.best_top1 == 70.5 && info.progress.epoch_s == 3.25);
    assert_int_equal(info.n_tensors, 10);
    assert_int_equal(info.n_elements, 240 + 10 + 672 + 4 * 56 + 504 + 672 + 648);
    assert_int_equal(info.metrics.n_rows, 2);
    assert_int_equal(stat(p->path, &status), 0);
    assert_int_equal(info.bytes, status.st_size);
    mbt_config_defaults(&config);
    assert_int_equal(mbt_config_parse(info.config, "echo", &config, &err), MBT_OK);
    assert_int_equal(config.train.seed, 77);
    mbt_checkpoint_info_clear(&info);
    assert_null(info.provenance);
    mbt_checkpoint_info_clear(&info);
    fixture_clear(&f);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter, leave)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_state_comes_back),
        IN_FOLDER(stored_forms_do_not_show),
        IN_FOLDER(weights_alone_come_back),
        cmocka_unit_test(the_digest_covers_state_and_not_timing),
        IN_FOLDER(other_networks_are_refused),
        IN_FOLDER(data_and_plan_are_compared),
        IN_FOLDER(damage_is_found),
        IN_FOLDER(what_is_no_checkpoint_is_refused),
        IN_FOLDER(forgeries_are_refused),
        IN_FOLDER(values_that_are_not_finite_are_never_saved),
        IN_FOLDER(a_file_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
