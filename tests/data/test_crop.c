/* Crops: inside the picture, of the sizes asked for, uniform, and the same for a sample and epoch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "data/crop.h"

enum { SIZE = 32, DRAWS = 4000 };

static mbt_crop crop_of(mbt_crop_kind kind)
{
    return (mbt_crop){.kind = kind,
                      .size = SIZE,
                      .scale_min = kind == MBT_CROP_SCALED ? 0.5 : 0.08,
                      .scale_max = 1,
                      .ratio = 4.0 / 3,
                      .short_side = 80,
                      .seed = 5};
}

static void inside(const crop_box *box, int height, int width)
{
    assert_true(box->top >= 0 && box->left >= 0 && box->rows.in > 0 && box->columns.in > 0);
    assert_true(box->top + box->rows.in <= height && box->left + box->columns.in <= width);
    assert_int_equal(box->rows.n, SIZE);
    assert_int_equal(box->columns.n, SIZE);
    assert_true(box->rows.first >= 0 && box->rows.first + SIZE <= box->rows.out);
    assert_true(box->columns.first >= 0 && box->columns.first + SIZE <= box->columns.out);
}

/* Every kind on every shape, thin ones and single pixels too. */
static void test_inside_the_picture(void **state)
{
    static const int shapes[][2] = {{1, 1}, {1, 500}, {500, 1}, {32, 32}, {31, 33}, {375, 500}};
    (void)state;
    for (int kind = MBT_CROP_RESIZED; kind <= MBT_CROP_CENTRE; kind++) {
        const mbt_crop crop = crop_of((mbt_crop_kind)kind);
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            for (uint32_t i = 0; i < 200; i++) {
                const crop_box box = crop_choose(&crop, 2, i, shapes[s][0], shapes[s][1]);
                inside(&box, shapes[s][0], shapes[s][1]);
            }
        }
    }
}

/* Area uniform in its range as far as parts of it fit, the ratio uniform in its logarithm. */
static void test_resized_is_as_asked_for(void **state)
{
    enum { SIDE = 1000 };
    mbt_crop crop = crop_of(MBT_CROP_RESIZED);
    double area = 0, log_ratio = 0, spread = 0;
    (void)state;
    crop.scale_max = 0.5; /* always fits */
    for (uint32_t i = 0; i < DRAWS; i++) {
        const crop_box box = crop_choose(&crop, 0, i, SIDE, SIDE);
        const double part = (double)box.rows.in * box.columns.in / (SIDE * SIDE);
        const double ratio = (double)box.columns.in / box.rows.in;
        assert_true(part > 0.078 && part < 0.502);
        assert_true(ratio > 0.745 && ratio < 1.34);
        area += part / DRAWS;
        log_ratio += log(ratio) / DRAWS;
        spread += log(ratio) * log(ratio) / DRAWS;
    }
    /* means within four deviations of theirs; the variance of a uniform one is (b - a)^2 / 12 */
    assert_true(fabs(area - 0.29) < 4 * 0.42 / sqrt(12.0 * DRAWS));
    assert_true(fabs(log_ratio) < 4 * 2 * log(4.0 / 3) / sqrt(12.0 * DRAWS));
    assert_true(fabs(spread - log(4.0 / 3) * log(4.0 / 3) / 3) < 0.002);
}

/* What no try fits: the centre, as much of it as the ratio allows. */
static void test_resized_falls_back_to_the_centre(void **state)
{
    mbt_crop crop = crop_of(MBT_CROP_RESIZED);
    (void)state;
    crop.scale_min = 1;
    const crop_box lying = crop_choose(&crop, 0, 1, 30, 300);
    assert_int_equal(lying.rows.in, 30);
    assert_int_equal(lying.columns.in, 40);
    assert_int_equal(lying.left, 130);
    const crop_box standing = crop_choose(&crop, 0, 1, 300, 30);
    assert_int_equal(standing.rows.in, 40);
    assert_int_equal(standing.top, 130);
    assert_int_equal(standing.columns.in, 30);
}

static void test_scaled_is_as_asked_for(void **state)
{
    const mbt_crop crop = crop_of(MBT_CROP_SCALED);
    double side = 0, place = 0;
    int smallest = 1000, largest = 0;
    (void)state;
    for (uint32_t i = 0; i < DRAWS; i++) {
        const crop_box box = crop_choose(&crop, 1, i, 100, 200);
        assert_int_equal(box.rows.in, 100);
        assert_int_equal(box.columns.in, 200);
        assert_int_equal(box.columns.out, 2 * box.rows.out);
        smallest = box.rows.out < smallest ? box.rows.out : smallest;
        largest = box.rows.out > largest ? box.rows.out : largest;
        side += (double)box.rows.out / DRAWS;
        place += (double)box.columns.first / (box.columns.out - SIZE) / DRAWS;
    }
    assert_int_equal(smallest, 40);
    assert_int_equal(largest, 80);
    assert_true(fabs(side - 60) < 4 * 40 / sqrt(12.0 * DRAWS));
    assert_true(fabs(place - 0.5) < 4 / sqrt(12.0 * DRAWS));
}

/* The numbers of torchvision 0.14: Resize(37) and CenterCrop(32), on sizes with every rounding. */
static void test_centre_is_torchvisions(void **state)
{
    static const struct {
        int height, width, rows, columns, first_row, first_column;
    } cases[] = {
        {37, 37, 37, 37, 2, 2},  {64, 64, 37, 37, 2, 2}, {50, 75, 37, 55, 2, 12},
        {75, 50, 55, 37, 12, 2}, {50, 52, 37, 38, 2, 3}, {50, 53, 37, 39, 2, 4},
        {50, 55, 37, 40, 2, 4},  {50, 56, 37, 41, 2, 4},
    };
    mbt_crop crop = crop_of(MBT_CROP_CENTRE);
    (void)state;
    crop.short_side = 37;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const crop_box box = crop_choose(&crop, 0, 0, cases[i].height, cases[i].width);
        assert_int_equal(box.rows.out, cases[i].rows);
        assert_int_equal(box.columns.out, cases[i].columns);
        assert_int_equal(box.rows.first, cases[i].first_row);
        assert_int_equal(box.columns.first, cases[i].first_column);
    }
}

static void test_depends_on_sample_epoch_and_seed(void **state)
{
    mbt_crop crop = crop_of(MBT_CROP_RESIZED);
    (void)state;
    const crop_box first = crop_choose(&crop, 3, 7, 375, 500);
    crop_box other = crop_choose(&crop, 3, 7, 375, 500);
    assert_memory_equal(&first, &other, sizeof first);
    other = crop_choose(&crop, 3, 8, 375, 500);
    assert_memory_not_equal(&first, &other, sizeof first);
    other = crop_choose(&crop, 4, 7, 375, 500);
    assert_memory_not_equal(&first, &other, sizeof first);
    crop.seed++;
    other = crop_choose(&crop, 3, 7, 375, 500);
    assert_memory_not_equal(&first, &other, sizeof first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inside_the_picture),
        cmocka_unit_test(test_resized_is_as_asked_for),
        cmocka_unit_test(test_resized_falls_back_to_the_centre),
        cmocka_unit_test(test_scaled_is_as_asked_for),
        cmocka_unit_test(test_centre_is_torchvisions),
        cmocka_unit_test(test_depends_on_sample_epoch_and_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
