/* Muon: momentum everywhere, the matrices of this rank made orthogonal, the sum over ranks, the
 * step. */
#include "mbt/muon.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/arena.h"
#include "mbt/gemm.h"

enum { STEPS = 5 };
static const float a = 3.4445F, b = -4.7750F, c = 2.0315F;

/* A section of a convolution's weights, with a matrix for each of its groups: inputs and taps by
 * outputs. Stored as panels [outputs/block][inputs and taps][block] of the whole section. */
typedef struct section {
    size_t offset, floats; /* in the flat block; floats may have zeros behind the panels */
    int groups, inputs, taps, outputs; /* inputs and outputs: of a group */
    int stored_inputs, block;
    bool image; /* MBT_FORM_IMAGE: taps before inputs */
    int rank;   /* that computes it */
} section;

struct mbt_muon {
    const mbt_params *params;
    mbt_comm *comm;
    section *sections;
    int n_sections, n_threads;
    mbt_arena *arena;
    /* [n_threads][scratch_floats], aligned alike: the library's products may choose their code by
     * how a matrix lies, which must not depend on thread and rank. */
    float *scratch;
    size_t scratch_floats;
};

static int rows_of(const section *m)
{
    return m->inputs * m->taps;
}

static size_t group_floats(const section *m)
{
    return (size_t)rows_of(m) * (size_t)m->outputs;
}

static int smaller(const section *m)
{
    return rows_of(m) < m->outputs ? rows_of(m) : m->outputs;
}

/* Multiply-adds, about. */
static double cost_of(const section *m)
{
    const double s = smaller(m), l = rows_of(m) + m->outputs - s;
    return m->groups * (2 * s * s * l + (4 * STEPS - 3) * s * s * s);
}

/* Two matrices, row-major, and the four powers of their smaller side. */
static size_t scratch_of(const section *m)
{
    const size_t s = (size_t)smaller(m);
    return 2 * group_floats(m) + 4 * s * s;
}

static int by_cost(const void *left, const void *right)
{
    const section *x = left, *y = right;
    const double difference = cost_of(y) - cost_of(x);
    if (difference != 0) {
        return difference < 0 ? -1 : 1;
    }
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The costliest first, each to the rank that has least. */
static void share_out(mbt_muon *muon, double *load, int ranks)
{
    qsort(muon->sections, (size_t)muon->n_sections, sizeof *muon->sections, by_cost);
    for (int i = 0; i < muon->n_sections; i++) {
        section *m = &muon->sections[i];
        for (int r = 1; r < ranks; r++) {
            m->rank = load[r] < load[m->rank] ? r : m->rank;
        }
        load[m->rank] += cost_of(m);
    }
}

static section section_of(const mbt_slice *slice, int index)
{
    const int groups = slice->in.c / slice->dims[1];
    const size_t floats = slice->stored / (size_t)slice->out.sections;
    const bool image = slice->form == MBT_FORM_IMAGE;
    return (section){.offset = slice->offset + (size_t)index * floats,
                     .floats = floats,
                     .groups = groups / slice->out.sections,
                     .inputs = slice->dims[1],
                     .taps = slice->dims[2] * slice->dims[3],
                     .outputs = slice->dims[0] / groups,
                     .stored_inputs = image ? slice->in.c : mbt_layout_section(&slice->in),
                     .block = slice->out.block,
                     .image = image};
}

/* Their number; sections: room for them, or NULL. */
static int list(const mbt_params *params, section *sections)
{
    int n = 0;
    for (int i = 0; i < params->n_slices; i++) {
        const mbt_slice *slice = &params->slices[i];
        for (int s = 0; mbt_optim_is_matrix(slice) && s < slice->out.sections; s++, n++) {
            if (sections != NULL) {
                sections[n] = section_of(slice, s);
            }
        }
    }
    return n;
}

/* All but the scratch itself. */
static mbt_status prepare(const mbt_params *params, mbt_comm *comm, int threads, mbt_muon *muon,
                          mbt_error *err)
{
    const int ranks = mbt_comm_size(comm);
    *muon = (mbt_muon){
        .params = params, .comm = comm, .n_sections = list(params, NULL), .n_threads = threads};
    muon->sections = calloc((size_t)muon->n_sections + 1, sizeof *muon->sections);
    double *load = calloc((size_t)ranks, sizeof *load);
    if (load == NULL || muon->sections == NULL) {
        free(load);
        return mbt_fail(err, MBT_FAILURE, "optimizer muon: out of memory");
    }
    (void)list(params, muon->sections);
    share_out(muon, load, ranks);
    free(load);
    for (int i = 0; i < muon->n_sections; i++) {
        const section *m = &muon->sections[i];
        const size_t turned = m->groups > 1 ? 2 * group_floats(m) : 0;
        const size_t floats = m->rank == mbt_comm_rank(comm) ? scratch_of(m) : turned;
        muon->scratch_floats = floats > muon->scratch_floats ? floats : muon->scratch_floats;
    }
    muon->scratch_floats = mbt_arena_round(muon->scratch_floats * sizeof(float)) / sizeof(float);
    return MBT_OK;
}

static size_t scratch_bytes(const mbt_muon *muon)
{
    return (size_t)muon->n_threads * muon->scratch_floats * sizeof(float);
}

mbt_status mbt_muon_create(const mbt_params *params, mbt_comm *comm, int threads, mbt_muon **muon,
                           mbt_error *err)
{
    *muon = malloc(sizeof **muon);
    if (*muon == NULL) {
        return mbt_fail(err, MBT_FAILURE, "optimizer muon: out of memory");
    }
    mbt_status status = prepare(params, comm, threads, *muon, err);
    if (status == MBT_OK) {
        status = mbt_arena_create(scratch_bytes(*muon), &(*muon)->arena, err);
    }
    if (status == MBT_OK) {
        (*muon)->scratch = mbt_arena_take((*muon)->arena, scratch_bytes(*muon));
    }
    return status;
}

void mbt_muon_destroy(mbt_muon *muon)
{
    if (muon != NULL) {
        free(muon->sections);
        mbt_arena_destroy(muon->arena);
        free(muon);
    }
}

size_t mbt_muon_bytes(const mbt_params *params, mbt_comm *comm, int threads)
{
    mbt_muon muon;
    mbt_error ignored;
    const size_t bytes =
        prepare(params, comm, threads, &muon, &ignored) == MBT_OK ? scratch_bytes(&muon) : 0;
    free(muon.sections);
    return bytes;
}

/* q = the product of the five steps' polynomials of p = x x' (or x' x), which they commute with.
 * p is used up; t and u are of its size. All of them are polynomials of one symmetric matrix: so
 * are their products. */
static mbt_status powers(int n, float *p, float *q, float *t, float *u, mbt_error *err)
{
    const size_t floats = (size_t)n * (size_t)n;
    mbt_status status = MBT_OK;
    for (int step = 0; step < STEPS && status == MBT_OK; step++) {
        /* u = the polynomial */
        memcpy(u, p, floats * sizeof *u);
        status = mbt_gemm_symmetric(MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, n, n, c, p, p, b, u, err);
        for (int i = 0; i < n; i++) {
            u[(size_t)i * (size_t)n + (size_t)i] += a;
        }
        if (step == 0) {
            memcpy(q, u, floats * sizeof *q);
        } else if (status == MBT_OK) {
            memcpy(t, q, floats * sizeof *t);
            status = mbt_gemm_symmetric(MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, n, n, 1, u, t, 0, q, err);
        }
        if (step < STEPS - 1 && status == MBT_OK) { /* p = u p u */
            status = mbt_gemm_symmetric(MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, n, n, 1, u, p, 0, t, err);
        }
        if (step < STEPS - 1 && status == MBT_OK) {
            status = mbt_gemm_symmetric(MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, n, n, 1, t, u, 0, p, err);
        }
    }
    return status;
}

/* Where the panels of a section have the first float of a row. */
static size_t row_at(const section *m, int input, int tap)
{
    const int row = m->image ? tap * m->stored_inputs + input
                             : (input / m->block * m->taps + tap) * m->block + input % m->block;
    return (size_t)row * (size_t)m->block;
}

/* A group's matrix out of the panels into rows, or back. */
static void copy_group(const section *m, int group, float *panels, float *rows, bool back)
{
    const int first = group * m->outputs, end = first + m->outputs;
    const size_t panel = (size_t)m->stored_inputs * (size_t)m->taps * (size_t)m->block;
    for (int o = first, n; o < end; o += n) {
        const int lane = o % m->block;
        n = end - o < m->block - lane ? end - o : m->block - lane;
        float *from = panels + (size_t)(o / m->block) * panel + lane;
        float *row = rows + (o - first);
        for (int i = 0; i < rows_of(m); i++, row += m->outputs) {
            float *at = from + row_at(m, group * m->inputs + i / m->taps, i % m->taps);
            memcpy(back ? at : row, back ? row : at, (size_t)n * sizeof *row);
        }
    }
}

/* In place. Nothing comes of nothing. */
static mbt_status orthogonalise(const section *m, int group, float *panels, float *scratch,
                                mbt_error *err)
{
    const int rows = rows_of(m), cols = m->outputs, n = smaller(m);
    const bool wide = rows < cols;
    const size_t floats = group_floats(m), square = (size_t)n * (size_t)n;
    float *x = scratch, *y = x + floats, *p = y + floats;
    float *q = p + square, *t = q + square, *u = t + square;
    copy_group(m, group, panels, x, false);
    const double size = sqrt(mbt_optim_sum_of_squares(x, floats));
    if (size < FLT_MIN) { /* nothing, or what momentum leaves of it: 1 / size is no float then */
        memset(x, 0, floats * sizeof *x);
        copy_group(m, group, panels, x, true);
        return MBT_OK;
    }
    for (size_t i = 0; i < floats; i++) {
        x[i] *= (float)(1 / size);
    }
    mbt_status status =
        wide ? mbt_gemm_symmetric(MBT_GEMM_AS_IS, MBT_GEMM_TRANSPOSED, n, cols, 1, x, x, 0, p, err)
             : mbt_gemm_symmetric(MBT_GEMM_TRANSPOSED, MBT_GEMM_AS_IS, n, rows, 1, x, x, 0, p, err);
    if (status == MBT_OK) {
        status = powers(n, p, q, t, u, err);
    }
    if (status == MBT_OK) {
        status = mbt_gemm(MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, rows, cols, n, 1, wide ? q : x,
                          wide ? x : q, 0, y, err);
    }
    if (status == MBT_OK) {
        copy_group(m, group, panels, y, true);
    }
    return status;
}

/* v = momentum v + g; g = u. */
static void follow(const mbt_muon *muon, const mbt_config *config, const mbt_optim_blocks *blocks)
{
    const float momentum = (float)config->optimizer.momentum;
    for (int i = 0; i < muon->n_sections; i++) {
        const section *m = &muon->sections[i];
        float *g = blocks->gradient + m->offset, *v = blocks->momentum + m->offset;
        for (size_t k = 0; k < m->floats; k++) {
            v[k] = momentum * v[k] + g[k];
            g[k] = config->optimizer.nesterov ? g[k] + momentum * v[k] : v[k];
        }
    }
}

/* Zero but for this rank's sections. */
static void leave_out(const mbt_muon *muon, float *gradient)
{
    const mbt_params *params = muon->params;
    for (int i = 0; i < params->n_slices; i++) {
        const mbt_slice *slice = &params->slices[i];
        if (!mbt_optim_is_matrix(slice)) {
            memset(gradient + slice->offset, 0, slice->stored * sizeof *gradient);
        }
    }
    for (int i = 0; i < muon->n_sections; i++) {
        const section *m = &muon->sections[i];
        if (m->rank != mbt_comm_rank(muon->comm)) {
            memset(gradient + m->offset, 0, m->floats * sizeof *gradient);
        }
    }
}

static void turn(double rate, size_t floats, const float *o, float *w)
{
    const double before = sqrt(mbt_optim_sum_of_squares(w, floats));
    const double size = sqrt(mbt_optim_sum_of_squares(o, floats));
    if (before == 0 || size == 0) {
        return;
    }
    const float step = (float)(rate * before / size);
    for (size_t i = 0; i < floats; i++) {
        w[i] -= step * o[i];
    }
    const float back = (float)(before / sqrt(mbt_optim_sum_of_squares(w, floats)));
    for (size_t i = 0; i < floats; i++) {
        w[i] *= back;
    }
}

/* A group alone in its section is turned where it lies: what else is there is zero. */
static void turn_groups(const section *m, double rate, float *o, float *w, float *scratch)
{
    const size_t floats = group_floats(m);
    if (m->groups == 1) {
        turn(rate, m->floats, o, w);
        return;
    }
    for (int g = 0; g < m->groups; g++) {
        copy_group(m, g, o, scratch, false);
        copy_group(m, g, w, scratch + floats, false);
        turn(rate, floats, scratch, scratch + floats);
        copy_group(m, g, w, scratch + floats, true);
    }
}

/* The sections of this rank. */
static mbt_status orthogonalise_all(const mbt_muon *muon, float *gradient, mbt_error *err)
{
    const int rank = mbt_comm_rank(muon->comm);
    mbt_status status = MBT_OK;
#pragma omp parallel for num_threads(muon->n_threads) schedule(dynamic, 1)
    for (int i = 0; i < muon->n_sections; i++) {
        const section *m = &muon->sections[i];
        float *scratch = muon->scratch + (size_t)omp_get_thread_num() * muon->scratch_floats;
        for (int g = 0; m->rank == rank && g < m->groups; g++) {
            mbt_error own;
            if (orthogonalise(m, g, gradient + m->offset, scratch, &own) != MBT_OK) {
#pragma omp critical
                {
                    status = own.code;
                    *err = own;
                }
            }
        }
    }
    return status;
}

void mbt_muon_step(mbt_muon *muon, const mbt_config *config, double lr,
                   const mbt_optim_blocks *blocks)
{
    const int ranks = mbt_comm_size(muon->comm);
    mbt_error err = {0};
    follow(muon, config, blocks);
    if (ranks > 1) {
        leave_out(muon, blocks->gradient);
    }
    if (orthogonalise_all(muon, blocks->gradient, &err) != MBT_OK) {
        mbt_comm_abort(muon->comm, err.code, err.message);
    }
    if (ranks > 1) {
        mbt_comm_sum(muon->comm, MBT_COMM_F32, blocks->gradient, muon->params->n_floats);
    }
    for (int i = 0; i < muon->n_sections; i++) {
        const section *m = &muon->sections[i];
        turn_groups(m, lr * config->optimizer.muon_rate, blocks->gradient + m->offset,
                    blocks->weights + m->offset, muon->scratch);
    }
}
