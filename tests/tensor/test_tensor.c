/* Feature map layouts: every float of the stored map is visited in stored order and compared with
 * the channel and pixel that the legend of tensor.h puts there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "mbt/tensor.h"
#include "tensor/map_pack.h"

enum { N = 3 };

static const mbt_layout layouts[] = {
    {.c = 3, .h = 4, .w = 5, .sections = 1, .block = 16},
    {.c = 10, .h = 1, .w = 1, .sections = 1, .block = 8},
    {.c = 32, .h = 3, .w = 2, .sections = 1, .block = 16},
    {.c = 24, .h = 3, .w = 5, .sections = 2, .block = 16},
    {.c = 24, .h = 3, .w = 5, .sections = 2, .block = 8},
    {.c = 24, .h = 2, .w = 2, .sections = 1, .block = 8},
    {.c = 96, .h = 2, .w = 3, .sections = 2, .block = 16},
    {.c = 12, .h = 2, .w = 1, .sections = 4, .block = 8},
};
enum { N_LAYOUTS = sizeof layouts / sizeof layouts[0] };

static void sizes_are_those_of_the_legend(void **state)
{
    (void)state;
    const mbt_layout halves = {.c = 24, .h = 7, .w = 5, .sections = 2, .block = 16};
    assert_int_equal(mbt_layout_section(&halves), 16);
    assert_int_equal(mbt_layout_stored(&halves), 32);
    assert_int_equal(mbt_layout_position(&halves, 11), 11);
    assert_int_equal(mbt_layout_position(&halves, 12), 16);
    assert_int_equal(mbt_layout_position(&halves, 23), 27);
    assert_int_equal(mbt_layout_image(&halves), 16 * 35);
    assert_int_equal(mbt_layout_floats(&halves, 6), 2 * 6 * 16 * 35);
    const mbt_layout whole = {.c = 24, .h = 1, .w = 1, .sections = 1, .block = 8};
    assert_int_equal(mbt_layout_section(&whole), 24);
    assert_int_equal(mbt_layout_position(&whole, 23), 23);
}

/* Packs into images first .. first+N-1 of a map with room for `capacity`, checks every float of the
 * whole map, and unpacks again. */
static void check_pack(const mbt_layout *l, int capacity, int first)
{
    size_t stored = mbt_layout_floats(l, capacity), plain = (size_t)(N * l->c * l->h * l->w);
    float *map = malloc(stored * sizeof *map), *nchw = malloc(plain * sizeof *nchw);
    float *back = malloc(plain * sizeof *back);
    assert_true(map && nchw && back);
    for (size_t i = 0; i < stored; i++)
        map[i] = -7.0f;
    for (size_t i = 0; i < plain; i++)
        nchw[i] = (float)(i + 1);
    mbt_map view = mbt_map_view(l, map, MBT_STORAGE_FP32, capacity, first);
    map_pack(l, N, nchw, view);

    const float *at = map;
    int channels = l->c / l->sections, n_blocks = (channels + l->block - 1) / l->block;
    for (int s = 0; s < l->sections; s++)
        for (int n = 0; n < capacity; n++)
            for (int block = 0; block < n_blocks; block++)
                for (int y = 0; y < l->h; y++)
                    for (int x = 0; x < l->w; x++)
                        for (int b = 0; b < l->block; b++, at++) {
                            int local = block * l->block + b, c = s * channels + local;
                            float wanted = 0.0f;
                            if (n < first || n >= first + N)
                                wanted = -7.0f;
                            else if (local < channels)
                                wanted = nchw[(((n - first) * l->c + c) * l->h + y) * l->w + x];
                            assert_true(*at == wanted);
                        }
    assert_ptr_equal(at, map + stored);
    map_unpack(l, N, view, back);
    assert_memory_equal(back, nchw, plain * sizeof *back);
    free(map);
    free(nchw);
    free(back);
}

static void maps_are_packed_as_documented(void **state)
{
    (void)state;
    for (int i = 0; i < N_LAYOUTS; i++)
        check_pack(&layouts[i], N, 0);
}

static void a_view_of_some_images_leaves_the_others_alone(void **state)
{
    (void)state;
    for (int i = 0; i < N_LAYOUTS; i++) {
        check_pack(&layouts[i], N + 4, 2);
        check_pack(&layouts[i], N + 1, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_those_of_the_legend),
        cmocka_unit_test(maps_are_packed_as_documented),
        cmocka_unit_test(a_view_of_some_images_leaves_the_others_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
