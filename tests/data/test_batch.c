/* Groups made by the batch's thread are those that the rank would make itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it */
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "mbt/batch.h"

enum { H = 20, W = 30, C = 3, N = 40, SIZE = 16, GROUP = 8, VALUES = C * SIZE * SIZE };

static uint8_t images[N * H * W * C];
static int32_t labels[N];
static mbt_error err;

static mbt_dataset made_dataset(void)
{
    mbt_dataset d = {.height = H, .width = W, .channels = C, .n_classes = N};
    for (int i = 0; i < N * H * W * C; i++) {
        images[i] = (uint8_t)(i * 31 + i / 997);
    }
    for (int i = 0; i < N; i++) {
        labels[i] = i;
    }
    for (int c = 0; c < C; c++) {
        d.mean[c] = 100 + c;
        d.deviation[c] = 50 + c;
    }
    d.train = d.test = (mbt_split){.n = N, .images = images, .labels = labels};
    return d;
}

static mbt_augment made_augment(const mbt_dataset *dataset)
{
    mbt_config config;
    mbt_augment augment;
    mbt_config_defaults(&config);
    config.data.image_size = SIZE;
    config.augment.crop = MBT_CROP_RESIZED;
    config.augment.brightness = 0.3;
    config.augment.hsl_hue = 20;
    mbt_augment_init(&augment, &config, dataset);
    return augment;
}

static void ok(mbt_status status)
{
    if (status != MBT_OK) {
        fail_msg("status %d: %s", (int)status, err.message);
    }
}

static void test_same_groups(void **state)
{
    static float x[GROUP * VALUES], wanted[GROUP * VALUES];
    int32_t got_labels[GROUP], wanted_labels[GROUP];
    const mbt_dataset dataset = made_dataset();
    const mbt_augment augment = made_augment(&dataset);
    mbt_batch *batch;
    mbt_loader *loader;
    (void)state;
    ok(mbt_batch_create(&dataset, &augment, GROUP, &batch, &err));
    ok(mbt_loader_create(&dataset, &augment, &loader, &err));
    for (int k = 0; k < 200; k++) {
        uint32_t ids[GROUP];
        bool taken = false;
        const int n = 1 + k % GROUP;
        for (int i = 0; i < n; i++) {
            ids[i] = (uint32_t)((k * 13 + i * 7) % N);
        }
        mbt_batch_request(batch, &dataset.train, k / 5, ids, n);
        ok(mbt_augment_group(&augment, loader, &dataset.train, k / 5, ids, n, wanted, wanted_labels,
                             &err));
        ok(mbt_batch_take(batch, &dataset.train, k / 5, ids, n, x, got_labels, &taken, &err));
        assert_true(taken);
        assert_memory_equal(x, wanted, (size_t)n * VALUES * sizeof *x);
        assert_memory_equal(got_labels, wanted_labels, (size_t)n * sizeof *got_labels);
    }
    mbt_loader_destroy(loader);
    mbt_batch_destroy(batch);
}

/* Only what was asked for is taken, once. */
static void test_another_group_is_not_taken(void **state)
{
    static float x[GROUP * VALUES];
    int32_t got[GROUP];
    const uint32_t ids[GROUP] = {1, 2, 3, 4, 5, 6, 7, 8}, others[GROUP] = {1, 2, 3, 4, 5, 6, 7, 9};
    const mbt_dataset dataset = made_dataset();
    const mbt_augment augment = made_augment(&dataset);
    const mbt_split *train = &dataset.train;
    mbt_batch *batch;
    bool taken = true;
    (void)state;
    ok(mbt_batch_create(&dataset, &augment, GROUP, &batch, &err));
    ok(mbt_batch_take(batch, train, 0, ids, GROUP, x, got, &taken, &err));
    assert_false(taken); /* nothing was asked for */
    mbt_batch_request(batch, train, 0, ids, GROUP);
    ok(mbt_batch_take(batch, train, 1, ids, GROUP, x, got, &taken, &err));
    assert_false(taken);
    ok(mbt_batch_take(batch, train, 0, ids, GROUP - 1, x, got, &taken, &err));
    assert_false(taken);
    ok(mbt_batch_take(batch, train, 0, others, GROUP, x, got, &taken, &err));
    assert_false(taken);
    ok(mbt_batch_take(batch, &dataset.test, 0, ids, GROUP, x, got, &taken, &err));
    assert_false(taken);
    ok(mbt_batch_take(batch, train, 0, ids, GROUP, x, got, &taken, &err));
    assert_true(taken);
    ok(mbt_batch_take(batch, train, 0, ids, GROUP, x, got, &taken, &err));
    assert_false(taken);
    mbt_batch_request(batch, train, 0, others, GROUP); /* dropped */
    mbt_batch_request(batch, train, 0, ids, GROUP);
    ok(mbt_batch_take(batch, train, 0, ids, GROUP, x, got, &taken, &err));
    assert_true(taken);
    mbt_batch_request(batch, train, 0, ids, GROUP); /* not waited for */
    mbt_batch_destroy(batch);
}

/* A streamed sample that is not what its sum says: the rank hears of it when it takes the group. */
static void test_damage_is_told_to_the_taker(void **state)
{
    static const int64_t offsets[] = {0, 10}, sums[] = {1}, positions[] = {0};
    static const int32_t sizes[] = {SIZE, SIZE}, label[] = {0};
    static float x[VALUES];
    const uint32_t ids[] = {0};
    int32_t got[1];
    bool taken = false;
    mbt_batch *batch;
    mbt_dataset dataset = made_dataset();
    const int fd = open("/proc/self/exe", O_RDONLY);
    (void)state;
    assert_true(fd >= 0);
    dataset.height = dataset.width = 0;
    dataset.streamed = true;
    dataset.encoded[0] = (mbt_encoded){
        .offsets = offsets, .sums = sums, .sizes = sizes, .positions = positions, .fd = fd};
    dataset.train = dataset.test =
        (mbt_split){.n = 1, .labels = label, .encoded = &dataset.encoded[0]};
    const mbt_augment augment = made_augment(&dataset);
    ok(mbt_batch_create(&dataset, &augment, 1, &batch, &err));
    mbt_batch_request(batch, &dataset.train, 0, ids, 1);
    assert_int_equal(mbt_batch_take(batch, &dataset.train, 0, ids, 1, x, got, &taken, &err),
                     MBT_DATA);
    assert_non_null(strstr(err.message, "sample 0: damaged: got sum "));
    mbt_batch_destroy(batch);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_groups),
        cmocka_unit_test(test_another_group_is_not_taken),
        cmocka_unit_test(test_damage_is_told_to_the_taker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
