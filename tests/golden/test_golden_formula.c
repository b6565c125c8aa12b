/* The C generator makes what the Python generator made: the checksums of the golden files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/golden_file.h"

static const char *const networks[] = {
    "mobilenetv2_ds8_rough", "mobilenetv2_ds8_calm",  "igcv3d_ds8_rough",
    "igcv3d_ds8_calm",       "igcv3d_seed_ds4_rough",
};

static void fine(mbt_status status, const mbt_error *err)
{
    if (status != MBT_OK) {
        fail_msg("%s", err->message);
    }
}

static float *floats(size_t count)
{
    float *out = malloc((count + 1) * sizeof *out);
    assert_non_null(out);
    return out;
}

static void open_network(const char *name, golden_network *network)
{
    char path[512];
    mbt_error err = {0};
    int length = snprintf(path, sizeof path, GOLDEN_DIR "/%s.h5", name);
    assert_true(length > 0 && length < (int)sizeof path);
    fine(golden_network_read(path, network, &err), &err);
}

static mbt_store *open_blocks(void)
{
    mbt_store *store = NULL;
    mbt_error err = {0};
    fine(mbt_store_open_large(GOLDEN_DIR "/blocks.h5", false, &store, &err), &err);
    return store;
}

static void check_parameters(const char *where, const golden_parameters *p, uint64_t seed)
{
    for (int i = 0; i < p->names.n; i++) {
        float *values = floats((size_t)p->count[i]);
        golden_parameter_fill(p, seed, i, values);
        int64_t got = golden_checksum(values, (size_t)p->count[i]);
        if (got != p->checksum[i]) {
            fail_msg("%s: %s: got checksum %lld, wanted %lld", where, p->names.name[i],
                     (long long)got, (long long)p->checksum[i]);
        }
        free(values);
    }
}

static void test_network_parameters(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof networks / sizeof *networks; n++) {
        golden_network network;
        open_network(networks[n], &network);
        assert_true(network.parameters.names.n > 100);
        check_parameters(networks[n], &network.parameters, network.seed);
        golden_network_clear(&network);
    }
}

static void check_inputs(const golden_network *net, int step)
{
    const int n = net->n_groups * net->group_size;
    const size_t count = (size_t)n * 3 * 32 * 32;
    float *images = floats(count), *as_float = floats((size_t)n);
    int32_t *labels = malloc((size_t)n * sizeof *labels);
    assert_non_null(labels);
    golden_images(net->seed, step, n, 3, 32, 32, images);
    golden_labels(net->seed, step, n, net->n_classes, labels);
    for (int i = 0; i < n; i++) {
        assert_in_range(labels[i], 0, net->n_classes - 1);
        as_float[i] = (float)labels[i];
    }
    assert_true(golden_checksum(images, count) == net->inputs[step][0]);
    assert_true(golden_checksum(as_float, (size_t)n) == net->inputs[step][1]);
    free(images);
    free(as_float);
    free(labels);
}

static void test_network_inputs(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof networks / sizeof *networks; n++) {
        golden_network network;
        open_network(networks[n], &network);
        for (int step = 0; step < network.n_steps; step++) {
            check_inputs(&network, step);
        }
        golden_network_clear(&network);
    }
}

/* A block's input is generated here and its projections were computed there. */
static void check_block(mbt_store *store, const char *name)
{
    golden_block block;
    mbt_error err = {0};
    fine(golden_block_read(store, name, &block, &err), &err);
    check_parameters(name, &block.parameters, block.seed);
    const int x = golden_find(&block.values.names, "x");
    assert_int_equal(x, 0);
    const size_t count = (size_t)block.values.count[x];
    assert_int_equal(count, block.images * block.arguments[0] * block.side * block.side);
    float *input = floats(count);
    golden_fill(block.seed, GOLDEN_STREAM_INPUT, GOLDEN_NOISE, 0, count, input);
    const double norm = block.values.norm[x];
    assert_true(golden_deviation(&block.values, x, input, NULL) < 1e-13 * norm);
    assert_true(fabs(golden_deviation(&block.values, x, input, input) - norm) < 0.8 * norm);

    /* A change of one element is seen as large as it is. */
    const float was = input[count / 2];
    input[count / 2] += 0.5f;
    const double change = (double)input[count / 2] - (double)was;
    assert_true(fabs(golden_deviation(&block.values, x, input, NULL) - change) < 1e-12 * norm);
    free(input);
    golden_block_clear(&block);
}

static mbt_status visit(void *context, const char *path, const mbt_store_shape *shape,
                        mbt_error *err)
{
    int *n_blocks = ((void **)context)[0];
    mbt_store *store = ((void **)context)[1];
    char name[128];
    (void)shape;
    (void)err;
    const char *last = strrchr(path, '/');
    if (strcmp(last, "/arguments") == 0) {
        assert_true(snprintf(name, sizeof name, "%.*s", (int)(last - path - 1), path + 1) > 0);
        check_block(store, name);
        (*n_blocks)++;
    }
    return MBT_OK;
}

static void test_blocks(void **state)
{
    (void)state;
    int n_blocks = 0;
    mbt_error err = {0};
    mbt_store *store = open_blocks();
    void *context[] = {&n_blocks, store};
    fine(mbt_store_walk(store, "/", visit, context, &err), &err);
    assert_int_equal(n_blocks, 28);
    mbt_store_close(store);
}

/* Every network's tables: finite, rows that are checked mean something, most rows are checked. */
static void check_table(const char *network, const golden_table *t)
{
    int n_checked = 0;
    for (int i = 0; i < t->names.n; i++) {
        n_checked += t->checked[i];
        if (!t->checked[i]) {
            assert_true(isinf(golden_allowed(t, i)));
        } else if (!(t->norm[i] > 0.0 && golden_allowed(t, i) > 0.0 &&
                     golden_allowed(t, i) < 10.0 * t->norm[i])) {
            fail_msg("%s: %s: norm %g, allowed %g", network, t->names.name[i], t->norm[i],
                     golden_allowed(t, i));
        }
    }
    assert_true(4 * n_checked > 3 * t->names.n);
}

static void test_tables(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof networks / sizeof *networks; n++) {
        golden_network network;
        open_network(networks[n], &network);
        check_table(networks[n], &network.gradient);
        check_table(networks[n], &network.statistics);
        if (network.n_steps > 1) {
            check_table(networks[n], &network.update);
        }
        for (int step = 0; step < network.n_steps; step++) {
            assert_true(golden_loss_allowed(&network, step) < 1e-4 * network.loss[step]);
        }
        golden_network_clear(&network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network_parameters),
        cmocka_unit_test(test_network_inputs),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
