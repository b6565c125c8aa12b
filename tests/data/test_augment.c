/* Augmentation: against a naive reference fed with the documented draws, against Pillow, and the
 * statistics of the draws read back from what comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/jitter.h"
#include "data/jitter_golden.h"
#include "mbt/augment.h"
#include "mbt/loader.h"
#include "mbt/rng.h"

enum {
    SEED = 5,
    H = 10,
    W = 14,
    C = 3,
    PIXELS = H * W,
    VALUES = PIXELS * C,
    N_SAMPLES = 40,
    PAD_MAX = 32
};

/* A data set in the test's own memory: random pixels, labels that tell samples apart. */
typedef struct fixture {
    mbt_dataset dataset;
    mbt_config config;
    uint8_t images[N_SAMPLES * VALUES];
    int32_t labels[N_SAMPLES];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    mbt_rng rng = mbt_rng_at(SEED, MBT_PURPOSE_SYNTH, 0, 0);
    for (size_t i = 0; i < sizeof f->images; i++)
        f->images[i] = (uint8_t)mbt_rng_below(&rng, 256);
    for (int i = 0; i < N_SAMPLES; i++)
        f->labels[i] = 100 + i;
    f->dataset = (mbt_dataset){.height = H,
                               .width = W,
                               .channels = C,
                               .mean = {125.3, 122.95, 113.87},
                               .deviation = {62.99, 62.09, 66.7},
                               .train = {N_SAMPLES, f->images, f->labels}};
    f->config.train.seed = SEED;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* numpy.pad's reflect and constant modes, written as the walk they describe. */
static int reference_source(int at, int size, mbt_pad_mode mode)
{
    if (mode != MBT_PAD_REFLECT)
        return at < 0 || at >= size ? -1 : at;
    int place = 0;
    int direction = at > 0 ? 1 : -1;
    for (int i = 0; i < abs(at); i++) {
        if (size == 1)
            continue;
        if (place + direction == size || place + direction == -1)
            direction = -direction;
        place += direction;
    }
    return place;
}

typedef struct reference_draws {
    int row, column, flip, order;
    float factor[3];
    int cut_row, cut_column;
} reference_draws;

static float between(mbt_rng *rng, float amount)
{
    float low = fmaxf(0.0f, 1.0f - amount);
    return low + (1.0f + amount - low) * mbt_rng_uniform(rng);
}

/* The order of the draws that augment.c documents: a resumed run relies on it. */
static reference_draws draws_of(const mbt_augment *a, int epoch, uint32_t sample)
{
    mbt_rng rng = mbt_rng_at(a->seed, MBT_PURPOSE_AUGMENT, (uint32_t)epoch, sample);
    reference_draws d;
    d.row = (int)mbt_rng_below(&rng, 2 * (uint32_t)a->pad + 1);
    d.column = (int)mbt_rng_below(&rng, 2 * (uint32_t)a->pad + 1);
    d.flip = (int)mbt_rng_below(&rng, 2);
    d.order = (int)mbt_rng_below(&rng, 6);
    d.factor[0] = between(&rng, a->brightness);
    d.factor[1] = between(&rng, a->contrast);
    d.factor[2] = between(&rng, a->saturation);
    d.cut_row = (int)mbt_rng_below(&rng, H);
    d.cut_column = (int)mbt_rng_below(&rng, W);
    return d;
}

/* Pads, crops, flips, jitters, normalises and cuts out in steps of their own. */
static void reference(const mbt_augment *a, int epoch, uint32_t sample, const uint8_t *image,
                      double *out)
{
    static const mbt_jitter orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                            {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    enum { PH = H + 2 * PAD_MAX, PW = W + 2 * PAD_MAX };
    static float padded[C][PH][PW];
    float cut[C][H][W];
    reference_draws d = draws_of(a, epoch, sample);
    for (int c = 0; c < C; c++)
        for (int y = 0; y < H + 2 * a->pad; y++)
            for (int x = 0; x < W + 2 * a->pad; x++) {
                int row = reference_source(y - a->pad, H, a->pad_mode);
                int column = reference_source(x - a->pad, W, a->pad_mode);
                float outside = a->pad_mode == MBT_PAD_MEAN ? a->mean[c] : 0;
                padded[c][y][x] =
                    row < 0 || column < 0 ? outside : image[(row * W + column) * C + c];
            }
    for (int c = 0; c < C; c++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                cut[c][y][a->flip && d.flip ? W - 1 - x : x] = padded[c][y + d.row][x + d.column];
    for (int i = 0; i < 3; i++)
        mbt_jitter_apply(orders[d.order][i], d.factor[orders[d.order][i]], PIXELS, &cut[0][0][0]);
    for (int c = 0; c < C; c++)
        for (int i = 0; i < PIXELS; i++)
            out[c * PIXELS + i] = ((double)(&cut[0][0][0])[c * PIXELS + i] - (double)a->mean[c]) *
                                  (double)a->inverse_deviation[c];
    for (int i = 0; i < VALUES; i++) {
        int y = i % PIXELS / W - d.cut_row + a->cutout / 2,
            x = i % W - d.cut_column + a->cutout / 2;
        if (y >= 0 && y < a->cutout && x >= 0 && x < a->cutout)
            out[i] = 0;
    }
}

static void test_plain_is_normalisation(void **state)
{
    fixture *f = *state;
    mbt_augment a;
    float out[VALUES];
    mbt_augment_init_plain(&a, &f->config, &f->dataset);
    for (uint32_t sample = 0; sample < N_SAMPLES; sample++) {
        const uint8_t *image = f->images + sample * VALUES;
        mbt_augment_image(&a, 3, sample, image, out);
        for (int c = 0; c < C; c++)
            for (int i = 0; i < PIXELS; i++) {
                double want = (image[i * C + c] - f->dataset.mean[c]) / f->dataset.deviation[c];
                assert_true(fabs((double)out[c * PIXELS + i] - want) < 1e-6);
            }
    }
}

/* Images of the input's size are taken whole, unless a larger short side is asked for. */
static void test_plain_obeys_the_short_side(void **state)
{
    fixture *f = *state;
    mbt_augment a;
    f->dataset.width = f->dataset.height;
    f->config.data.image_size = H;
    for (int side = 0; side <= H + 2; side += side == 0 ? H : 1) {
        f->config.evaluate.short_side = side;
        mbt_augment_init_plain(&a, &f->config, &f->dataset);
        assert_int_equal(a.crop.kind, side > H ? MBT_CROP_CENTRE : MBT_CROP_PAD);
        assert_true(side <= H || a.crop.short_side == side);
    }
}

/* Every switch alone and together, both pad modes, pads up to more than the image. */
static void test_against_reference(void **state)
{
    fixture *f = *state;
    static const struct {
        int pad, flip;
        mbt_pad_mode mode;
        double brightness, contrast, saturation;
        int cutout;
    } cases[] = {
        {0, 0, MBT_PAD_ZERO, 0, 0, 0, 0},          {0, 1, MBT_PAD_ZERO, 0, 0, 0, 0},
        {4, 0, MBT_PAD_ZERO, 0, 0, 0, 0},          {4, 0, MBT_PAD_REFLECT, 0, 0, 0, 0},
        {9, 1, MBT_PAD_REFLECT, 0, 0, 0, 0},       {4, 1, MBT_PAD_MEAN, 0, 0, 0, 0},
        {32, 1, MBT_PAD_REFLECT, 0, 0, 0, 0},      {32, 1, MBT_PAD_ZERO, 0, 0, 0, 0},
        {0, 0, MBT_PAD_ZERO, 0.3, 0, 0, 0},        {0, 0, MBT_PAD_ZERO, 0, 0.5, 0, 0},
        {0, 0, MBT_PAD_ZERO, 0, 0, 1.0, 0},        {4, 1, MBT_PAD_ZERO, 0.3, 0.3, 0.3, 0},
        {4, 1, MBT_PAD_REFLECT, 1.0, 1.0, 1.0, 0}, {4, 1, MBT_PAD_REFLECT, 0, 0.4, 0.2, 0},
        {4, 1, MBT_PAD_ZERO, 0.3, 0, 0, 5},        {0, 0, MBT_PAD_ZERO, 0, 0, 0, 1},
        {0, 0, MBT_PAD_ZERO, 0, 0, 0, 8},          {0, 1, MBT_PAD_ZERO, 0, 0, 0, 40},
    };
    int orders_seen[6] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mbt_augment a;
        f->config.augment.pad = cases[i].pad;
        f->config.augment.pad_mode = cases[i].mode;
        f->config.augment.flip = cases[i].flip;
        f->config.augment.brightness = cases[i].brightness;
        f->config.augment.contrast = cases[i].contrast;
        f->config.augment.saturation = cases[i].saturation;
        f->config.augment.cutout = cases[i].cutout;
        mbt_augment_init(&a, &f->config, &f->dataset);
        for (uint32_t sample = 0; sample < N_SAMPLES; sample++) {
            const uint8_t *image = f->images + sample * VALUES;
            float out[VALUES];
            double want[VALUES];
            int epoch = (int)(sample % 7);
            mbt_augment_image(&a, epoch, sample, image, out);
            reference(&a, epoch, sample, image, want);
            for (int j = 0; j < VALUES; j++)
                assert_true(fabs((double)out[j] - want[j]) < 1e-6);
            orders_seen[draws_of(&a, epoch, sample).order]++;
        }
    }
    for (int i = 0; i < 6; i++)
        assert_true(orders_seen[i] > 0);
}

/* Switching a step off must leave the draws of the others alone. */
static void test_steps_draw_independently(void **state)
{
    fixture *f = *state;
    mbt_augment all, one;
    float a[VALUES], b[VALUES];
    f->config.augment.pad = 4;
    f->config.augment.flip = true;
    mbt_augment_init(&all, &f->config, &f->dataset);
    one = all;
    one.pad = 0;
    one.brightness = 0.5f;
    int flips = 0;
    for (uint32_t sample = 0; sample < N_SAMPLES; sample++) {
        /* rows that fall from left to right show the flip whatever the crop */
        uint8_t image[VALUES];
        for (int i = 0; i < VALUES; i++)
            image[i] = (uint8_t)(200 - 10 * (i / C % W));
        mbt_augment_image(&all, 0, sample, image, a);
        mbt_augment_image(&one, 0, sample, image, b);
        assert_int_equal(a[5 * W + 6] < a[5 * W + 7], b[5 * W + 6] < b[5 * W + 7]);
        flips += a[5 * W + 6] < a[5 * W + 7];
    }
    assert_in_range(flips, 5, N_SAMPLES - 5);
}

/* Two epochs show both sides of every image; the first epoch's are half and half, and another
 * seed's are others. */
static void test_alternating_flip(void **state)
{
    fixture *f = *state;
    enum { EPOCHS = 5 };
    int mirrored[2][EPOCHS][N_SAMPLES], n_first = 0, n_other = 0;
    f->config.augment.flip = true;
    f->config.augment.flip_mode = MBT_FLIP_ALTERNATING;
    for (int seed = 0; seed < 2; seed++) {
        mbt_augment a;
        f->config.train.seed = SEED + seed;
        mbt_augment_init(&a, &f->config, &f->dataset);
        for (int epoch = 0; epoch < EPOCHS; epoch++)
            for (uint32_t sample = 0; sample < N_SAMPLES; sample++) {
                uint8_t image[VALUES];
                float out[VALUES];
                for (int i = 0; i < VALUES; i++)
                    image[i] = (uint8_t)(200 - 10 * (i / C % W));
                mbt_augment_image(&a, epoch, sample, image, out);
                mirrored[seed][epoch][sample] = out[0] < out[1];
            }
    }
    for (int sample = 0; sample < N_SAMPLES; sample++) {
        n_first += mirrored[0][0][sample];
        n_other += mirrored[0][0][sample] != mirrored[1][0][sample];
        for (int epoch = 1; epoch < EPOCHS; epoch++)
            assert_int_equal(mirrored[0][epoch][sample], !mirrored[0][epoch - 1][sample]);
    }
    assert_in_range(n_first, 5, N_SAMPLES - 5);
    assert_in_range(n_other, 5, N_SAMPLES - 5);
}

/* The centre is anywhere: how often a pixel is covered follows from counting centres. */
static void test_cutout_is_uniform(void **state)
{
    (void)state;
    enum { SIDE = 12, CUT = 4, DRAWS = 36000 };
    mbt_augment a = {.height = SIDE,
                     .width = SIDE,
                     .channels = 1,
                     .inverse_deviation = {1},
                     .seed = SEED,
                     .cutout = CUT};
    uint8_t image[SIDE * SIDE];
    int covered[SIDE * SIDE] = {0};
    memset(image, 1, sizeof image);
    for (uint32_t i = 0; i < DRAWS; i++) {
        float out[SIDE * SIDE];
        mbt_augment_image(&a, 1, i, image, out);
        for (int j = 0; j < SIDE * SIDE; j++)
            covered[j] += out[j] == 0.0f;
    }
    for (int j = 0; j < SIDE * SIDE; j++) {
        double ways = 1;
        for (int axis = 0; axis < 2; axis++) { /* centres c with c - 2 <= at < c + 2 */
            int at = axis ? j / SIDE : j % SIDE, n = 0;
            for (int c = 0; c < SIDE; c++)
                n += c - CUT / 2 <= at && at < c + CUT / 2;
            ways *= n;
        }
        double want = DRAWS * ways / (SIDE * SIDE);
        assert_true(fabs(covered[j] - want) < 5 * sqrt(want));
    }
}

/* Row, column and flip are read back from an image that numbers its pixels. */
static void test_crop_and_flip_are_uniform(void **state)
{
    (void)state;
    enum {
        SIDE = 16,
        PAD = 4,
        OFFSETS = 2 * PAD + 1,
        CELLS = OFFSETS * OFFSETS * 2,
        DRAWS = 200 * CELLS
    };
    mbt_augment a = {.height = SIDE,
                     .width = SIDE,
                     .channels = 1,
                     .inverse_deviation = {1},
                     .seed = SEED,
                     .pad = PAD,
                     .flip = 1};
    uint8_t image[SIDE * SIDE];
    int count[OFFSETS][OFFSETS][2] = {{{0}}};
    for (int i = 0; i < SIDE * SIDE; i++)
        image[i] = (uint8_t)i;
    for (int i = 0; i < DRAWS; i++) {
        float out[SIDE * SIDE];
        mbt_augment_image(&a, i / 1000, (uint32_t)(i % 1000), image, out);
        int here = (int)out[8 * SIDE + 7];
        int next = (int)out[8 * SIDE + 8];
        int flip = next < here;
        int row = here / SIDE - 8 + PAD;
        int column = here % SIDE - (flip ? SIDE - 1 - 7 : 7) + PAD;
        assert_in_range(row, 0, OFFSETS - 1);
        assert_in_range(column, 0, OFFSETS - 1);
        count[row][column][flip]++;
    }
    double chi = 0;
    for (int i = 0; i < CELLS; i++) {
        double off = (&count[0][0][0])[i] - 200.0;
        chi += off * off / 200.0;
    }
    /* 161 degrees of freedom: mean 161, deviation 17.9 */
    assert_true(chi > 161 - 90 && chi < 161 + 90);
}

static void test_factors_are_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    static const float amounts[][3] = {{0.4f, 0.6f, 1.4f}, {1.5f, 0.0f, 2.5f}};
    for (int k = 0; k < 2; k++) {
        mbt_augment a = {.height = 1,
                         .width = 1,
                         .channels = 3,
                         .inverse_deviation = {1, 1, 1},
                         .seed = SEED,
                         .brightness = amounts[k][0]};
        uint8_t image[3] = {100, 100, 100};
        double sum = 0, least = 1e9, most = 0;
        for (uint32_t i = 0; i < DRAWS; i++) {
            float out[3];
            mbt_augment_image(&a, 0, i, image, out);
            double factor = ((double)out[0] + 0.5) / 100.0;
            sum += factor;
            least = fmin(least, factor);
            most = fmax(most, factor);
        }
        double low = (double)amounts[k][1], high = (double)amounts[k][2];
        if (k == 0) /* 1 - amount */
            assert_true(fabs(low - 0.6) < 1e-6);
        assert_true(fabs(sum / DRAWS - (low + high) / 2) < 0.02 * (high - low));
        assert_true(least >= low && least < low + 0.01 + 0.01 * high);
        assert_true(most <= high + 0.01 && most > high - 0.02);
    }
}

static void test_jitter_against_pillow(void **state)
{
    (void)state;
    enum { PLANE = GOLDEN_HEIGHT * GOLDEN_WIDTH };
    for (int i = 0; i < GOLDEN_CASES; i++) {
        float image[GOLDEN_BYTES];
        for (int j = 0; j < GOLDEN_BYTES; j++)
            image[j % 3 * PLANE + j / 3] = golden_image[j];
        for (int k = 0; k < golden_cases[i].n; k++)
            mbt_jitter_apply(golden_cases[i].step[k].kind, golden_cases[i].step[k].factor, PLANE,
                             image);
        for (int j = 0; j < GOLDEN_BYTES; j++)
            assert_true(image[j % 3 * PLANE + j / 3] == (float)golden_cases[i].result[j]);
    }
}

/* Colour jitter is for three channels: others pass as they are. */
static void test_one_channel_has_no_jitter(void **state)
{
    (void)state;
    mbt_augment a = {.height = 2,
                     .width = 2,
                     .channels = 1,
                     .inverse_deviation = {1},
                     .brightness = 1,
                     .contrast = 1,
                     .saturation = 1};
    const uint8_t image[4] = {0, 10, 20, 255};
    float out[4];
    mbt_augment_image(&a, 0, 0, image, out);
    for (int i = 0; i < 4; i++)
        assert_true(out[i] == (float)image[i]);
}

static void load(mbt_loader *loader, const mbt_augment *a, const mbt_split *split, int64_t epoch,
                 const uint32_t *ids, int n, float *x, int32_t *labels)
{
    mbt_error err = {0};
    if (mbt_augment_group(a, loader, split, epoch, ids, n, x, labels, &err) != MBT_OK)
        fail_msg("%s", err.message);
}

/* A group in any order, cut in any way, at any time: the same bytes for a sample and epoch. */
static void test_group_depends_on_sample_and_epoch_alone(void **state)
{
    fixture *f = *state;
    mbt_augment a;
    static float all[N_SAMPLES * VALUES], some[N_SAMPLES * VALUES], later[N_SAMPLES * VALUES];
    uint32_t ids[N_SAMPLES];
    int32_t labels[N_SAMPLES];
    mbt_loader *loader;
    f->config.augment.pad = 4;
    f->config.augment.flip = true;
    f->config.augment.brightness = f->config.augment.contrast = f->config.augment.saturation = 0.3;
    mbt_augment_init(&a, &f->config, &f->dataset);
    assert_int_equal(mbt_loader_create(&f->dataset, &a, &loader, NULL), MBT_OK);
    for (uint32_t i = 0; i < N_SAMPLES; i++)
        ids[i] = i;
    load(loader, &a, &f->dataset.train, 2, ids, N_SAMPLES, all, labels);
    for (int i = 0; i < N_SAMPLES; i++)
        assert_int_equal(labels[i], 100 + i);

    load(loader, &a, &f->dataset.train, 3, ids, N_SAMPLES, later, labels);
    assert_memory_not_equal(all, later, sizeof all);

    for (uint32_t i = 0; i < N_SAMPLES; i++)
        ids[i] = (i * 7 + 3) % N_SAMPLES;
    for (int first = 0; first < N_SAMPLES; first += 9) {
        int n = N_SAMPLES - first < 9 ? N_SAMPLES - first : 9;
        load(loader, &a, &f->dataset.train, 2, ids + first, n, some, labels);
        for (int i = 0; i < n; i++) {
            assert_int_equal(labels[i], 100 + (int)ids[first + i]);
            assert_memory_equal(some + i * VALUES, all + ids[first + i] * VALUES,
                                VALUES * sizeof *all);
        }
    }

    a.seed++;
    load(loader, &a, &f->dataset.train, 2, ids, N_SAMPLES, later, labels);
    a.seed--;
    load(loader, &a, &f->dataset.train, 2, ids, N_SAMPLES, some, labels);
    assert_memory_not_equal(later, some, sizeof some);
    mbt_loader_destroy(loader);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_plain_is_normalisation),
        TEST(test_plain_obeys_the_short_side),
        TEST(test_against_reference),
        TEST(test_steps_draw_independently),
        TEST(test_crop_and_flip_are_uniform),
        TEST(test_alternating_flip),
        TEST(test_cutout_is_uniform),
        TEST(test_factors_are_uniform),
        TEST(test_jitter_against_pillow),
        TEST(test_one_channel_has_no_jitter),
        TEST(test_group_depends_on_sample_and_epoch_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
