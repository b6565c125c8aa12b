/* The parameter block: offsets and counts, and each stored form read in its own stored order
 * against the legend of param.h (the code under test goes the other way, by canonical order). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/param.h"

enum { LEAD = 32, TAIL = 16 }; /* floats before and behind the slice that must stay untouched */

/* Two slices: a filler so that the offset is not zero, and the one under test. */
static void make(mbt_params *params, const mbt_slice *slice)
{
    mbt_error err = {0};
    mbt_slice filler = {.name = "filler",
                        .kind = MBT_PARAM_MEAN,
                        .form = MBT_FORM_CHANNELS,
                        .rank = 1,
                        .dims = {20},
                        .out = {.c = 20, .h = 1, .w = 1, .sections = 1, .block = 8}};
    assert_int_equal(mbt_params_add(params, &filler, &err), MBT_OK);
    assert_int_equal(mbt_params_add(params, slice, &err), MBT_OK);
    assert_int_equal(params->slices[0].stored, LEAD);
    assert_int_equal(params->slices[1].offset, LEAD);
    assert_int_equal(params->slices[1].stored % 16, 0);
    assert_int_equal(params->n_floats, LEAD + params->slices[1].stored);
}

static float *numbered(size_t count)
{
    float *values = malloc(count * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(i + 1);
    return values;
}

/* Packs `canonical` into a block of -7 and returns the block; checks what lies around. */
static float *packed(const mbt_params *params, const float *canonical)
{
    size_t floats = params->n_floats + TAIL;
    float *block = malloc(floats * sizeof *block);
    assert_non_null(block);
    for (size_t i = 0; i < floats; i++)
        block[i] = -7.0f;
    mbt_slice_pack(&params->slices[1], canonical, block);
    for (size_t i = 0; i < LEAD; i++)
        assert_true(block[i] == -7.0f);
    for (size_t i = params->n_floats; i < floats; i++)
        assert_true(block[i] == -7.0f);
    return block;
}

/* What every form must do once its stored floats have been compared up to `at`. */
static void finish(mbt_params *params, float *canonical, float *block, const float *at)
{
    const mbt_slice *slice = &params->slices[1];
    const float *end = block + slice->offset + slice->stored;
    assert_true(at <= end && end - at < 16);
    for (; at < end; at++)
        assert_true(*at == 0.0f);
    float *back = malloc(slice->count * sizeof *back);
    assert_non_null(back);
    mbt_slice_unpack(slice, block, back);
    assert_memory_equal(back, canonical, slice->count * sizeof *back);
    free(back);
    free(block);
    free(canonical);
    mbt_params_clear(params);
    assert_null(params->slices);
}

static void check_dense(int o, int i, int k, int sections, int block_width, int linear)
{
    int so = o / sections, si = i / sections, B = block_width;
    mbt_slice slice = {.name = "w",
                       .kind = linear ? MBT_PARAM_LINEAR : MBT_PARAM_CONV,
                       .form = MBT_FORM_DENSE,
                       .rank = linear ? 2 : 4,
                       .dims = {o, si, k, k},
                       .in = {.c = i, .h = 4, .w = 4, .sections = sections, .block = B},
                       .out = {.c = o, .h = 4, .w = 4, .sections = sections, .block = B},
                       .trained = true};
    mbt_params params = {0};
    make(&params, &slice);
    size_t count = (size_t)(o * si * k * k);
    assert_int_equal(params.slices[1].count, count);
    assert_int_equal(params.n_trained, count);
    float *canonical = numbered(count), *block = packed(&params, canonical);
    const float *at = block + LEAD;
    for (int s = 0; s < sections; s++)
        for (int ob = 0; ob * B < so; ob++)
            for (int ib = 0; ib * B < si; ib++)
                for (int y = 0; y < k; y++)
                    for (int x = 0; x < k; x++)
                        for (int bi = 0; bi < B; bi++)
                            for (int bo = 0; bo < B; bo++, at++) {
                                int lo = ob * B + bo, li = ib * B + bi;
                                float wanted = 0.0f;
                                if (lo < so && li < si)
                                    wanted = canonical[(((s * so + lo) * si + li) * k + y) * k + x];
                                assert_true(*at == wanted);
                            }
    finish(&params, canonical, block, at);
}

static void dense_weights(void **state)
{
    (void)state;
    const int widths[] = {16, 8};
    for (int w = 0; w < 2; w++) {
        check_dense(24, 48, 1, 2, widths[w], 0);
        check_dense(48, 24, 1, 2, widths[w], 0);
        check_dense(24, 24, 3, 2, widths[w], 0);
        check_dense(24, 32, 1, 1, widths[w], 0);
        check_dense(10, 3, 3, 1, widths[w], 0);
        check_dense(64, 16, 1, 1, widths[w], 0);
        check_dense(12, 20, 2, 4, widths[w], 0);
        check_dense(10, 40, 1, 1, widths[w], 1);
        check_dense(100, 24, 1, 1, widths[w], 1);
    }
}

static void check_depthwise(int c, int k, int sections, int B)
{
    int sc = c / sections;
    mbt_slice slice = {.name = "w",
                       .kind = MBT_PARAM_DEPTHWISE,
                       .form = MBT_FORM_DEPTHWISE,
                       .rank = 4,
                       .dims = {c, 1, k, k},
                       .in = {.c = c, .h = 4, .w = 4, .sections = sections, .block = B},
                       .out = {.c = c, .h = 4, .w = 4, .sections = sections, .block = B},
                       .trained = true};
    mbt_params params = {0};
    make(&params, &slice);
    float *canonical = numbered((size_t)(c * k * k)), *block = packed(&params, canonical);
    const float *at = block + LEAD;
    for (int s = 0; s < sections; s++)
        for (int cb = 0; cb * B < sc; cb++)
            for (int y = 0; y < k; y++)
                for (int x = 0; x < k; x++)
                    for (int b = 0; b < B; b++, at++) {
                        int local = cb * B + b;
                        float wanted =
                            local < sc ? canonical[((s * sc + local) * k + y) * k + x] : 0.0f;
                        assert_true(*at == wanted);
                    }
    finish(&params, canonical, block, at);
}

static void depthwise_weights(void **state)
{
    (void)state;
    const int widths[] = {16, 8};
    for (int w = 0; w < 2; w++) {
        check_depthwise(24, 3, 1, widths[w]);
        check_depthwise(24, 3, 2, widths[w]);
        check_depthwise(10, 3, 1, widths[w]);
        check_depthwise(32, 5, 2, widths[w]);
        check_depthwise(3, 1, 1, widths[w]);
    }
}

static void check_image(int o, int i, int k, int B)
{
    mbt_slice slice = {.name = "w",
                       .kind = MBT_PARAM_CONV,
                       .form = MBT_FORM_IMAGE,
                       .rank = 4,
                       .dims = {o, i, k, k},
                       .in = {.c = i, .h = 4, .w = 4, .sections = 1, .block = 1},
                       .out = {.c = o, .h = 4, .w = 4, .sections = 1, .block = B},
                       .trained = true};
    mbt_params params = {0};
    make(&params, &slice);
    float *canonical = numbered((size_t)(o * i * k * k)), *block = packed(&params, canonical);
    const float *at = block + LEAD;
    for (int ob = 0; ob * B < o; ob++)
        for (int y = 0; y < k; y++)
            for (int x = 0; x < k; x++)
                for (int c = 0; c < i; c++)
                    for (int b = 0; b < B; b++, at++) {
                        int oc = ob * B + b;
                        float wanted = oc < o ? canonical[((oc * i + c) * k + y) * k + x] : 0.0f;
                        assert_true(*at == wanted);
                    }
    finish(&params, canonical, block, at);
}

static void image_weights(void **state)
{
    (void)state;
    const int widths[] = {16, 8};
    for (int w = 0; w < 2; w++) {
        check_image(32, 3, 3, widths[w]);
        check_image(24, 3, 3, widths[w]);
        check_image(10, 1, 3, widths[w]);
    }
}

static void check_channels(int c, int sections, int B, int trained)
{
    int sc = c / sections;
    mbt_slice slice = {.name = "w",
                       .kind = trained ? MBT_PARAM_GAMMA : MBT_PARAM_VAR,
                       .form = MBT_FORM_CHANNELS,
                       .rank = 1,
                       .dims = {c},
                       .out = {.c = c, .h = 4, .w = 4, .sections = sections, .block = B},
                       .trained = trained};
    mbt_params params = {0};
    make(&params, &slice);
    assert_int_equal(params.n_trained, trained ? c : 0);
    float *canonical = numbered((size_t)c), *block = packed(&params, canonical);
    const float *at = block + LEAD;
    for (int s = 0; s < sections; s++)
        for (int local = 0; local < (sc + B - 1) / B * B; local++, at++)
            assert_true(*at == (local < sc ? canonical[s * sc + local] : 0.0f));
    finish(&params, canonical, block, at);
}

static void channel_values(void **state)
{
    (void)state;
    const int widths[] = {16, 8};
    for (int w = 0; w < 2; w++) {
        check_channels(24, 1, widths[w], 1);
        check_channels(24, 2, widths[w], 0);
        check_channels(10, 1, widths[w], 1);
        check_channels(3, 1, widths[w], 0);
        check_channels(64, 2, widths[w], 1);
    }
}

static void slices_are_found_by_name(void **state)
{
    (void)state;
    mbt_params params = {0};
    mbt_slice slice = {.name = "a.bias",
                       .form = MBT_FORM_CHANNELS,
                       .rank = 1,
                       .dims = {10},
                       .out = {.c = 10, .h = 1, .w = 1, .sections = 1, .block = 8}};
    make(&params, &slice);
    assert_ptr_equal(mbt_params_find(&params, "a.bias"), &params.slices[1]);
    assert_ptr_equal(mbt_params_find(&params, "filler"), &params.slices[0]);
    assert_null(mbt_params_find(&params, "a.bia"));
    mbt_params_clear(&params);
    assert_null(mbt_params_find(&params, "filler"));
    mbt_params_clear(&params);
}

static void impossible_slices_are_refused(void **state)
{
    (void)state;
    const mbt_slice good = {.name = "w",
                            .form = MBT_FORM_DENSE,
                            .rank = 4,
                            .dims = {24, 12, 1, 1},
                            .in = {.c = 24, .h = 1, .w = 1, .sections = 2, .block = 16},
                            .out = {.c = 24, .h = 1, .w = 1, .sections = 2, .block = 16}};
    mbt_slice bad[10];
    for (int i = 0; i < 10; i++)
        bad[i] = good;
    bad[0].name[0] = 0;
    memset(bad[1].name, 'x', sizeof bad[1].name);
    bad[2].rank = 5;
    bad[3].dims[2] = 0;
    bad[4].dims[0] = 25;
    bad[5].in.sections = 1;
    bad[6].dims[1] = 24;
    bad[7].out.sections = 5;
    bad[8].form = MBT_FORM_CHANNELS;
    bad[9].in.c = 12;
    bad[9].in.sections = 1;
    mbt_params params = {0};
    for (int i = 0; i < 10; i++) {
        mbt_error err = {0};
        assert_int_equal(mbt_params_add(&params, &bad[i], &err), MBT_FAILURE);
        assert_int_equal(params.n_slices, 0);
        assert_non_null(strstr(err.message, "parameter '"));
    }
    mbt_error err = {0};
    assert_int_equal(mbt_params_add(&params, &good, &err), MBT_OK);
    assert_int_equal(mbt_params_add(&params, &good, &err), MBT_FAILURE);
    assert_non_null(strstr(err.message, "'w' is there already"));
    assert_int_equal(params.n_slices, 1);
    mbt_params_clear(&params);
}

/* Six groups of 1 to 2 channels, three to a section: zero between them, and after the mask too. */
static void groups_that_share_a_section(void **state)
{
    (void)state;
    enum { O = 12, I = 6, TAPS = 9, S = 2, B = 8, PER_SECTION = B * B * TAPS };
    mbt_params params = {0};
    const mbt_slice slice = {.name = "w",
                             .kind = MBT_PARAM_CONV,
                             .form = MBT_FORM_DENSE,
                             .rank = 4,
                             .dims = {O, 1, 3, 3},
                             .in = {I, 4, 4, S, B},
                             .out = {O, 4, 4, S, B}};
    make(&params, &slice);
    assert_int_equal(params.slices[1].count, O * TAPS);
    float *canonical = numbered(O * TAPS), *block = packed(&params, canonical);
    const float *at = block + LEAD;
    for (int s = 0; s < S; s++) {
        for (int t = 0; t < TAPS; t++) {
            for (int i = 0; i < B; i++) {
                for (int o = 0; o < B; o++, at++) {
                    const bool weight = i < I / S && o / 2 == i;
                    assert_true(*at == (weight ? (float)((s * 6 + o) * TAPS + t + 1) : 0.0f));
                }
            }
        }
    }
    float *gradient = malloc((params.n_floats + TAIL) * sizeof *gradient);
    assert_non_null(gradient);
    for (size_t i = 0; i < params.n_floats + TAIL; i++) {
        gradient[i] = 5;
    }
    mbt_slice_mask(&params.slices[1], gradient);
    for (size_t i = 0; i < params.n_floats + TAIL; i++) {
        const bool inside = i >= LEAD && i < LEAD + S * PER_SECTION;
        const size_t lane = (i - LEAD) % (B * B), o = lane % B;
        /* Where both sides are padding a gradient is zero anyway. */
        if (!inside || lane / B < I / S || o < O / S) {
            assert_true(gradient[i] == (!inside || o / 2 == lane / B ? 5.0f : 0.0f));
        }
    }
    free(gradient);
    finish(&params, canonical, block, at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_weights),
        cmocka_unit_test(depthwise_weights),
        cmocka_unit_test(image_weights),
        cmocka_unit_test(channel_values),
        cmocka_unit_test(groups_that_share_a_section),
        cmocka_unit_test(slices_are_found_by_name),
        cmocka_unit_test(impossible_slices_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
