/* Predictions: what is taken of logits, the file and back. */
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

#include "mbt/predictions.h"

enum { N = 53, C = 7, STRIDE = 16, CHUNK = 8 };

static float logits[N][STRIDE];
static int32_t labels[N];

static void draw(void)
{
    unsigned state = 5;
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < STRIDE; k++) {
            state = state * 1103515245u + 12345u;
            logits[i][k] = (float)((int)(state >> 16) % 1000) / 100.0f;
        }
        labels[i] = (int32_t)(state >> 8) % C;
    }
    logits[3][1] = logits[3][5] = 50; /* equals: the first */
}

static void fill(mbt_predictions *p, bool keep)
{
    mbt_error err = {0};
    assert_int_equal(mbt_predictions_create(N, C, keep, p, &err), MBT_OK);
    for (int at = 0; at < N; at += CHUNK) {
        mbt_predictions_put(p, at, N - at < CHUNK ? N - at : CHUNK, logits[at], STRIDE,
                            labels + at);
    }
}

static void expect_right(const mbt_predictions *p)
{
    assert_int_equal(p->n, N);
    assert_int_equal(p->n_classes, C);
    for (int i = 0; i < N; i++) {
        int top = C - 1;
        double sum = 0;
        for (int k = C - 1; k >= 0; k--) {
            top = logits[i][k] >= logits[i][top] ? k : top;
            sum += exp(logits[i][k]);
        }
        assert_int_equal(p->labels[i], labels[i]);
        assert_int_equal(p->predicted[i], top);
        assert_true(fabs(p->probability[i] - exp(logits[i][top]) / sum) < 1e-6);
    }
    assert_int_equal(p->predicted[3], 1);
}

static void test_put(void **state)
{
    (void)state;
    mbt_predictions p;
    fill(&p, true);
    expect_right(&p);
    for (int i = 0; i < N; i++) {
        assert_memory_equal(p.logits + i * C, logits[i], C * sizeof(float));
    }
    int64_t counts[C * C], total = 0;
    mbt_predictions_confusion(&p, counts);
    for (int t = 0; t < C; t++) {
        for (int g = 0; g < C; g++) {
            int64_t wanted = 0;
            for (int i = 0; i < N; i++) {
                wanted += p.labels[i] == t && p.predicted[i] == g;
            }
            assert_int_equal(counts[t * C + g], wanted);
            total += wanted;
        }
    }
    assert_int_equal(total, N);
    mbt_predictions_clear(&p);
}

static void test_store_and_load(void **state)
{
    (void)state;
    char path[] = "/tmp/mbt-predictions-XXXXXX";
    mbt_error err = {0};
    mbt_store *store = NULL;
    mbt_predictions p, back;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    fill(&p, false);
    p.predicted[9] = 2;
    assert_int_equal(mbt_store_create(&store, &err), MBT_OK);
    assert_int_equal(mbt_predictions_store(&p, store, "/test", &err), MBT_OK);
    assert_int_equal(mbt_store_commit(store, path, NULL, &err), MBT_OK);
    mbt_store_close(store);
    assert_int_equal(mbt_store_open(path, 1 << 20, &store, &err), MBT_OK);
    assert_false(mbt_store_has(store, "/test/logits"));
    assert_int_equal(mbt_predictions_load(&back, store, "/test", &err), MBT_OK);
    assert_int_equal(back.n, N);
    assert_memory_equal(back.labels, p.labels, N * sizeof(int64_t));
    assert_memory_equal(back.predicted, p.predicted, N * sizeof(int64_t));
    assert_memory_equal(back.probability, p.probability, N * sizeof(float));
    mbt_predictions_clear(&back);
    mbt_store_close(store);

    /* a class that is none */
    p.predicted[9] = C;
    assert_int_equal(mbt_store_create(&store, &err), MBT_OK);
    const int64_t keep = p.predicted[9];
    p.predicted[9] = 0;
    assert_int_equal(mbt_predictions_store(&p, store, "/test", &err), MBT_OK);
    p.predicted[9] = keep;
    const mbt_store_shape shape = {.type = MBT_STORE_I64, .rank = 1, .dims = {N}};
    const mbt_store_shape counts = {.type = MBT_STORE_I64, .rank = 2, .dims = {C, C}};
    const mbt_store_shape real = {.type = MBT_STORE_F32, .rank = 1, .dims = {N}};
    int64_t none[C * C] = {0};
    assert_int_equal(mbt_store_write(store, "/bad/label", &shape, p.labels, 0, 0, &err), MBT_OK);
    assert_int_equal(mbt_store_write(store, "/bad/predicted", &shape, p.predicted, 0, 0, &err),
                     MBT_OK);
    assert_int_equal(mbt_store_write(store, "/bad/probability", &real, p.probability, 0, 0, &err),
                     MBT_OK);
    assert_int_equal(mbt_store_write(store, "/bad/confusion", &counts, none, 0, 0, &err), MBT_OK);
    assert_int_equal(mbt_store_commit(store, path, NULL, &err), MBT_OK);
    mbt_store_close(store);
    assert_int_equal(mbt_store_open(path, 1 << 20, &store, &err), MBT_OK);
    assert_int_equal(mbt_predictions_load(&back, store, "/bad", &err), MBT_DATA);
    assert_non_null(strstr(err.message, "sample 9"));
    assert_int_equal(mbt_predictions_load(&back, store, "/none", &err), MBT_DATA);
    mbt_store_close(store);
    mbt_predictions_clear(&p);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_store_and_load),
    };
    draw();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
