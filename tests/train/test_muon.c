/* Muon against its definition in double, step by step on the matrices themselves; what it leaves
 * alone; the same bits however many ranks share the work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "mbt/muon.h"
#include "mbt/rng.h"

static mbt_comm *comm;
static mbt_log muon_log;
static bool full; /* /dev/shm */

int __real_statvfs(const char *path, struct statvfs *info);
int __wrap_statvfs(const char *path, struct statvfs *info);

int __wrap_statvfs(const char *path, struct statvfs *info)
{
    const int result = __real_statvfs(path, info);
    info->f_bavail = full ? 0 : info->f_bavail;
    return result;
}

/* Wide, tall, square, of three taps; groups in sections of their own and in one; of an image; what
 * several ranks compute together. */
static const struct {
    int outputs, inputs, taps, groups, sections;
    mbt_param_form form;
} shapes[] = {{40, 24, 1, 1, 1, MBT_FORM_DENSE},  {24, 40, 1, 1, 1, MBT_FORM_DENSE},
              {32, 32, 1, 1, 1, MBT_FORM_DENSE},  {48, 8, 3, 1, 1, MBT_FORM_DENSE},
              {64, 24, 1, 2, 2, MBT_FORM_DENSE},  {24, 64, 1, 2, 2, MBT_FORM_DENSE},
              {32, 16, 1, 4, 1, MBT_FORM_DENSE},  {16, 8, 3, 2, 2, MBT_FORM_DENSE},
              {24, 24, 3, 8, 2, MBT_FORM_DENSE},  {20, 40, 1, 4, 1, MBT_FORM_DENSE},
              {8, 3, 3, 1, 1, MBT_FORM_IMAGE},    {32, 3, 3, 1, 1, MBT_FORM_IMAGE},
              {256, 240, 1, 1, 1, MBT_FORM_DENSE}};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0], STEPS = 3 };

typedef struct flat {
    mbt_params params;
    mbt_config config;
    mbt_optim_blocks blocks;
} flat;

static void draw(const mbt_slice *slice, uint32_t epoch, float *block)
{
    mbt_rng rng = mbt_rng_at(1, MBT_PURPOSE_INIT, epoch, slice->offset);
    float *canonical = malloc(slice->count * sizeof *canonical);
    assert_non_null(canonical);
    for (size_t i = 0; i < slice->count; i++) {
        canonical[i] = 0.1F * mbt_rng_normal(&rng);
    }
    mbt_slice_pack(slice, canonical, block);
    free(canonical);
}

static void add(flat *f, const mbt_slice *slice)
{
    mbt_error err = {0};
    if (mbt_params_add(&f->params, slice, &err) != MBT_OK) {
        fail_msg("%s", err.message);
    }
}

static void make(flat *f, int block)
{
    *f = (flat){.params = {0}};
    mbt_config_defaults(&f->config);
    f->config.optimizer.kind = MBT_OPTIMIZER_MUON;
    f->config.optimizer.muon_rate = 0.5;
    for (int i = 0; i < N_SHAPES; i++) {
        const int k = shapes[i].taps, sections = shapes[i].sections;
        mbt_slice slice = {.kind = MBT_PARAM_CONV,
                           .form = shapes[i].form,
                           .rank = 4,
                           .dims = {shapes[i].outputs, shapes[i].inputs / shapes[i].groups, k, k},
                           .in = {shapes[i].inputs, 4, 4, sections, block},
                           .out = {shapes[i].outputs, 4, 4, sections, block},
                           .trained = true};
        (void)snprintf(slice.name, sizeof slice.name, "w%d", i);
        add(f, &slice);
    }
    const mbt_layout plain = {32, 4, 4, 1, block};
    add(f, &(mbt_slice){.name = "dw",
                        .kind = MBT_PARAM_DEPTHWISE,
                        .form = MBT_FORM_DEPTHWISE,
                        .rank = 4,
                        .dims = {32, 1, 3, 3},
                        .in = plain,
                        .out = plain,
                        .trained = true});
    add(f, &(mbt_slice){.name = "gamma",
                        .kind = MBT_PARAM_GAMMA,
                        .form = MBT_FORM_CHANNELS,
                        .rank = 1,
                        .dims = {32},
                        .out = plain,
                        .trained = true});
    f->blocks.gradient = calloc(f->params.n_floats, sizeof(float));
    f->blocks.weights = calloc(f->params.n_floats, sizeof(float));
    f->blocks.momentum = calloc(f->params.n_floats, sizeof(float));
    assert_true(f->blocks.gradient && f->blocks.weights && f->blocks.momentum);
    for (int i = 0; i < f->params.n_slices; i++) {
        draw(&f->params.slices[i], 0, f->blocks.weights);
    }
}

static void clear(flat *f)
{
    free(f->blocks.gradient);
    free(f->blocks.weights);
    free(f->blocks.momentum);
    mbt_params_clear(&f->params);
}

/* The trainer's order: all else by SGD, then the matrices. */
static void step(flat *f, mbt_muon *muon, int k)
{
    for (int i = 0; i < f->params.n_slices; i++) {
        draw(&f->params.slices[i], (uint32_t)(k + 1), f->blocks.gradient);
    }
    mbt_optim_step(&f->params, &f->config, 0.2, &f->blocks);
    mbt_muon_step(muon, &f->config, 0.2, &f->blocks);
}

/* x [rows][cols], by the definition: five times x <- (a + b x x' + c (x x')^2) x. */
static void newton_schulz(int rows, int cols, double *x)
{
    const size_t n = (size_t)rows, m = (size_t)cols;
    double *p = calloc(n * n, sizeof *p), *q = calloc(n * n, sizeof *q);
    double *y = calloc(n * m, sizeof *y), size = 0;
    assert_true(p && q && y);
    for (size_t i = 0; i < n * m; i++) {
        size += x[i] * x[i];
    }
    for (size_t i = 0; i < n * m; i++) {
        x[i] /= sqrt(size);
    }
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < n; j++) {
                p[i * n + j] = 0;
                for (size_t k = 0; k < m; k++) {
                    p[i * n + j] += x[i * m + k] * x[j * m + k];
                }
            }
        }
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < n; j++) {
                q[i * n + j] = 3.4445 * (i == j) - 4.7750 * p[i * n + j];
                for (size_t k = 0; k < n; k++) {
                    q[i * n + j] += 2.0315 * p[i * n + k] * p[k * n + j];
                }
            }
        }
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < m; j++) {
                y[i * m + j] = 0;
                for (size_t k = 0; k < n; k++) {
                    y[i * m + j] += q[i * n + k] * x[k * m + j];
                }
            }
        }
        memcpy(x, y, n * m * sizeof *x);
    }
    free(p);
    free(q);
    free(y);
}

/* The matrix of a group of a slice: outputs by inputs and taps, as the canonical form has it. */
static double *group_of(const mbt_slice *slice, int group, const float *canonical, int *rows,
                        int *cols)
{
    *cols = slice->dims[1] * slice->dims[2] * slice->dims[3];
    *rows = slice->dims[0] / (slice->in.c / slice->dims[1]);
    const size_t n = (size_t)*rows * (size_t)*cols;
    double *matrix = calloc(n, sizeof *matrix);
    assert_non_null(matrix);
    for (size_t i = 0; i < n; i++) {
        matrix[i] = (double)canonical[(size_t)group * n + i];
    }
    return matrix;
}

static double size_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    return sqrt(sum);
}

static void check_group(const mbt_slice *slice, int group, const float *before,
                        const float *followed, const float *after, bool tall)
{
    int rows, cols;
    double *w = group_of(slice, group, before, &rows, &cols);
    double *u = group_of(slice, group, followed, &rows, &cols);
    double *got = group_of(slice, group, after, &rows, &cols);
    const size_t n = (size_t)rows * (size_t)cols;
    if (tall) { /* of the turned matrix it comes to the same */
        double *turned = calloc(n, sizeof *turned);
        assert_non_null(turned);
        for (size_t i = 0; i < n; i++) {
            turned[i % (size_t)cols * (size_t)rows + i / (size_t)cols] = u[i];
        }
        newton_schulz(cols, rows, turned);
        for (size_t i = 0; i < n; i++) {
            u[i] = turned[i % (size_t)cols * (size_t)rows + i / (size_t)cols];
        }
        free(turned);
    } else {
        newton_schulz(rows, cols, u);
    }
    const double size = size_of(w, n), o = size_of(u, n);
    for (size_t i = 0; i < n; i++) {
        w[i] -= 0.2 * 0.5 * size / o * u[i];
    }
    const double back = size / size_of(w, n);
    for (size_t i = 0; i < n; i++) {
        if (fabs(got[i] - back * w[i]) > 3e-4 * size / sqrt((double)n)) {
            fail_msg("%d x %d, group %d, element %zu: got %g, wanted %g", rows, cols, group, i,
                     got[i], back * w[i]);
        }
    }
    assert_true(fabs(size_of(got, n) / size - 1) < 1e-5);
    free(w);
    free(u);
    free(got);
}

/* The second step: v = 0.9 g1 + g2, u = g2 + 0.9 v; without look-ahead u = v. */
static void check_second(bool nesterov, int block)
{
    flat f;
    mbt_muon *muon = NULL;
    mbt_error err = {0};
    make(&f, block);
    f.config.optimizer.nesterov = nesterov;
    const size_t floats = f.params.n_floats;
    float *earlier = calloc(3 * floats, sizeof *earlier);
    assert_non_null(earlier);
    float *first = earlier + floats, *second = first + floats;
    assert_int_equal(mbt_muon_create(&f.params, comm, 1, &muon_log, &muon, &err), MBT_OK);
    step(&f, muon, 0);
    memcpy(earlier, f.blocks.weights, floats * sizeof *earlier);
    step(&f, muon, 1);
    for (int i = 0; i < N_SHAPES; i++) {
        const mbt_slice *slice = &f.params.slices[i];
        float *before = malloc(4 * slice->count * sizeof *before);
        assert_non_null(before);
        float *after = before + slice->count, *g1 = after + slice->count, *g2 = g1 + slice->count;
        draw(slice, 1, first);
        draw(slice, 2, second);
        mbt_slice_unpack(slice, earlier, before);
        mbt_slice_unpack(slice, f.blocks.weights, after);
        mbt_slice_unpack(slice, first, g1);
        mbt_slice_unpack(slice, second, g2);
        for (size_t k = 0; k < slice->count; k++) {
            g2[k] = nesterov ? 0.81F * g1[k] + 1.9F * g2[k] : 0.9F * g1[k] + g2[k];
        }
        for (int g = 0; g < shapes[i].groups; g++) {
            check_group(slice, g, before, g2, after, shapes[i].outputs > shapes[i].inputs);
        }
        mbt_slice_pack(slice, after, earlier); /* padding and what is between groups: zero */
        assert_memory_equal(earlier + slice->offset, f.blocks.weights + slice->offset,
                            slice->stored * sizeof *earlier);
        free(before);
    }
    mbt_muon_destroy(muon);
    free(earlier);
    clear(&f);
}

static void matrices_follow_the_definition(void **state)
{
    (void)state;
    check_second(true, 16);
    check_second(true, 8);
    check_second(false, 16);
}

/* What is no matrix moves as under SGD, bit for bit, momentum included. */
static void the_others_go_by_sgd(void **state)
{
    flat f, sgd;
    mbt_muon *muon = NULL;
    mbt_error err = {0};
    (void)state;
    make(&f, 16);
    make(&sgd, 16);
    sgd.config.optimizer.kind = MBT_OPTIMIZER_SGD;
    assert_int_equal(mbt_muon_create(&f.params, comm, 1, &muon_log, &muon, &err), MBT_OK);
    for (int k = 0; k < STEPS; k++) {
        step(&f, muon, k);
        for (int i = 0; i < sgd.params.n_slices; i++) {
            draw(&sgd.params.slices[i], (uint32_t)(k + 1), sgd.blocks.gradient);
        }
        mbt_optim_step(&sgd.params, &sgd.config, 0.2, &sgd.blocks);
    }
    const size_t first = f.params.slices[N_SHAPES].offset, rest = f.params.n_floats - first;
    assert_memory_equal(f.blocks.weights + first, sgd.blocks.weights + first, rest * sizeof(float));
    assert_memory_equal(f.blocks.momentum + first, sgd.blocks.momentum + first,
                        rest * sizeof(float));
    mbt_muon_destroy(muon);
    clear(&f);
    clear(&sgd);
}

/* Every rank has the weights of rank zero, with however many threads, and without shared memory
 * (e2e same_bits compares numbers of ranks). */
static void nobody_who_computes_changes_a_bit(void **state)
{
    static const struct {
        int threads;
        bool full;
    } cases[] = {{1, false}, {3, false}, {1, true}, {3, true}};
    enum { N_CASES = sizeof cases / sizeof cases[0] };
    (void)state;
    flat f[N_CASES];
    size_t bytes = 0;
    for (int k = 0; k < N_CASES; k++) {
        mbt_muon *muon = NULL;
        mbt_error err = {0};
        make(&f[k], 16);
        bytes = f[k].params.n_floats * sizeof(float);
        full = cases[k].full;
        assert_int_equal(
            mbt_muon_create(&f[k].params, comm, cases[k].threads, &muon_log, &muon, &err), MBT_OK);
        full = false;
        for (int i = 0; i < STEPS; i++) {
            step(&f[k], muon, i);
        }
        mbt_muon_destroy(muon);
        assert_memory_equal(f[0].blocks.weights, f[k].blocks.weights, bytes);
        assert_memory_equal(f[0].blocks.momentum, f[k].blocks.momentum, bytes);
    }
    float *first = malloc(bytes);
    assert_non_null(first);
    memcpy(first, f[0].blocks.weights, bytes);
    mbt_comm_broadcast(comm, first, bytes);
    assert_memory_equal(first, f[0].blocks.weights, bytes);
    free(first);
    for (int k = 0; k < N_CASES; k++) {
        clear(&f[k]);
    }
}

/* What 0.9 of itself makes of any momentum in the end, and no less. */
static void faint(const mbt_slice *slice, float *block)
{
    float *canonical = malloc(slice->count * sizeof *canonical);
    assert_non_null(canonical);
    for (size_t i = 0; i < slice->count; i++) {
        canonical[i] = 6e-45F;
    }
    mbt_slice_pack(slice, canonical, block);
    free(canonical);
}

/* Without a gradient nothing moves, and nothing is divided by nothing. */
static void nothing_comes_of_nothing(void **state)
{
    flat f;
    mbt_muon *muon = NULL;
    mbt_error err = {0};
    (void)state;
    make(&f, 16);
    float *before = malloc(f.params.n_floats * sizeof *before);
    assert_non_null(before);
    memcpy(before, f.blocks.weights, f.params.n_floats * sizeof *before);
    assert_int_equal(mbt_muon_create(&f.params, comm, 1, &muon_log, &muon, &err), MBT_OK);
    mbt_muon_step(muon, &f.config, 0.2, &f.blocks);
    assert_memory_equal(before, f.blocks.weights, f.params.n_floats * sizeof *before);
    for (int i = 0; i < f.params.n_slices; i++) {
        faint(&f.params.slices[i], f.blocks.momentum);
    }
    memset(f.blocks.gradient, 0, f.params.n_floats * sizeof *before);
    mbt_muon_step(muon, &f.config, 0.2, &f.blocks);
    for (size_t i = 0; i < f.params.n_floats; i++) {
        assert_true(fabsf(f.blocks.weights[i] - before[i]) < 1e-40F);
    }
    mbt_muon_destroy(muon);
    free(before);
    clear(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_follow_the_definition),
        cmocka_unit_test(the_others_go_by_sgd),
        cmocka_unit_test(nobody_who_computes_changes_a_bit),
        cmocka_unit_test(nothing_comes_of_nothing),
    };
    mbt_error err = {0};
    if (mbt_comm_create(&argc, &argv, &comm, &err) != MBT_OK) {
        return 1;
    }
    mbt_log_init(&muon_log, MBT_LOG_ERROR, mbt_comm_rank(comm), mbt_comm_size(comm));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mbt_comm_destroy(comm);
    return failed;
}
