/* Muon: momentum everywhere, the matrices of this rank made orthogonal, the sum over ranks, the
 * step. */
#include "mbt/muon.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/gemm.h"

enum { STEPS = 5 };
static const float a = 3.4445F, b = -4.7750F, c = 2.0315F;

/* Stored as panels [cols/block][rows][block]: rows are inputs and taps, columns outputs. */
typedef struct matrix {
    size_t offset, floats; /* in the flat block; floats may have zeros behind the panels */
    int rows, cols, block;
    int rank; /* that computes it */
} matrix;

struct mbt_muon {
    const mbt_params *params;
    mbt_comm *comm;
    matrix *matrices;
    int n_matrices, n_threads;
    float *scratch; /* [n_threads][scratch_floats] */
    size_t scratch_floats;
};

static int smaller(const matrix *m)
{
    return m->rows < m->cols ? m->rows : m->cols;
}

/* Multiply-adds, about. */
static double cost_of(const matrix *m)
{
    const double s = smaller(m), l = m->rows + m->cols - s;
    return 2 * s * s * l + (4 * STEPS - 3) * s * s * s;
}

/* The matrix, row-major, and the four powers of its smaller side. */
static size_t scratch_of(const matrix *m)
{
    const size_t s = (size_t)smaller(m);
    return 2 * m->floats + 4 * s * s;
}

static int by_cost(const void *left, const void *right)
{
    const matrix *x = left, *y = right;
    const double difference = cost_of(y) - cost_of(x);
    if (difference != 0) {
        return difference < 0 ? -1 : 1;
    }
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The costliest first, each to the rank that has least. */
static void share_out(mbt_muon *muon, double *load, int ranks)
{
    qsort(muon->matrices, (size_t)muon->n_matrices, sizeof *muon->matrices, by_cost);
    for (int i = 0; i < muon->n_matrices; i++) {
        matrix *m = &muon->matrices[i];
        for (int r = 1; r < ranks; r++) {
            m->rank = load[r] < load[m->rank] ? r : m->rank;
        }
        load[m->rank] += cost_of(m);
    }
}

static matrix matrix_of(const mbt_slice *slice, int section)
{
    const int inputs = slice->form == MBT_FORM_IMAGE ? slice->in.c : mbt_layout_section(&slice->in);
    const size_t floats = slice->stored / (size_t)slice->out.sections;
    return (matrix){.offset = slice->offset + (size_t)section * floats,
                    .floats = floats,
                    .rows = inputs * slice->dims[2] * slice->dims[3],
                    .cols = mbt_layout_section(&slice->out),
                    .block = slice->out.block};
}

/* Their number; matrices: room for them, or NULL. */
static int list(const mbt_params *params, matrix *matrices)
{
    int n = 0;
    for (int i = 0; i < params->n_slices; i++) {
        const mbt_slice *slice = &params->slices[i];
        for (int s = 0; mbt_optim_is_matrix(slice) && s < slice->out.sections; s++, n++) {
            if (matrices != NULL) {
                matrices[n] = matrix_of(slice, s);
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
        .params = params, .comm = comm, .n_matrices = list(params, NULL), .n_threads = threads};
    muon->matrices = calloc((size_t)muon->n_matrices + 1, sizeof *muon->matrices);
    double *load = calloc((size_t)ranks, sizeof *load);
    if (load == NULL || muon->matrices == NULL) {
        free(load);
        return mbt_fail(err, MBT_FAILURE, "optimizer muon: out of memory");
    }
    (void)list(params, muon->matrices);
    share_out(muon, load, ranks);
    free(load);
    for (int i = 0; i < muon->n_matrices; i++) {
        const matrix *m = &muon->matrices[i];
        const size_t floats = m->rank == mbt_comm_rank(comm) ? scratch_of(m) : 0;
        muon->scratch_floats = floats > muon->scratch_floats ? floats : muon->scratch_floats;
    }
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
    const mbt_status status = prepare(params, comm, threads, *muon, err);
    if (status != MBT_OK) {
        return status;
    }
    (*muon)->scratch = malloc(scratch_bytes(*muon) + 1);
    return (*muon)->scratch != NULL ? MBT_OK
                                    : mbt_fail(err, MBT_FAILURE, "optimizer muon: out of memory");
}

void mbt_muon_destroy(mbt_muon *muon)
{
    if (muon != NULL) {
        free(muon->matrices);
        free(muon->scratch);
        free(muon);
    }
}

size_t mbt_muon_bytes(const mbt_params *params, mbt_comm *comm, int threads)
{
    mbt_muon muon;
    mbt_error ignored;
    const size_t bytes =
        prepare(params, comm, threads, &muon, &ignored) == MBT_OK ? scratch_bytes(&muon) : 0;
    free(muon.matrices);
    return bytes;
}

/* q = the product of the five steps' polynomials of p = x x' (or x' x), which they commute with.
 * p is used up; t and u are of its size. */
static mbt_status powers(int n, float *p, float *q, float *t, float *u, mbt_error *err)
{
    const size_t floats = (size_t)n * (size_t)n;
    mbt_status status = MBT_OK;
    for (int step = 0; step < STEPS && status == MBT_OK; step++) {
        /* u = the polynomial */
        memcpy(u, p, floats * sizeof *u);
        status = mbt_gemm(MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, n, n, n, c, p, p, b, u, err);
        for (int i = 0; i < n; i++) {
            u[(size_t)i * (size_t)n + (size_t)i] += a;
        }
        if (step == 0) {
            memcpy(q, u, floats * sizeof *q);
        } else if (status == MBT_OK) {
            memcpy(t, q, floats * sizeof *t);
            status = mbt_gemm(MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, n, n, n, 1, u, t, 0, q, err);
        }
        if (step < STEPS - 1 && status == MBT_OK) { /* p = u p u */
            status = mbt_gemm(MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, n, n, n, 1, u, p, 0, t, err);
        }
        if (step < STEPS - 1 && status == MBT_OK) {
            status = mbt_gemm(MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, n, n, n, 1, t, u, 0, p, err);
        }
    }
    return status;
}

/* Panels to rows, times scale; and back. */
static void to_rows(const matrix *m, const float *panels, float scale, float *rows)
{
    for (int at = 0; at < m->cols; at += m->block) {
        for (int r = 0; r < m->rows; r++, panels += m->block) {
            float *to = rows + (size_t)r * (size_t)m->cols + (size_t)at;
            for (int i = 0; i < m->block; i++) {
                to[i] = scale * panels[i];
            }
        }
    }
}

static void to_panels(const matrix *m, const float *rows, float *panels)
{
    const size_t bytes = (size_t)m->block * sizeof *panels;
    for (int at = 0; at < m->cols; at += m->block) {
        for (int r = 0; r < m->rows; r++, panels += m->block) {
            memcpy(panels, rows + (size_t)r * (size_t)m->cols + (size_t)at, bytes);
        }
    }
}

/* In place. Nothing comes of nothing. */
static mbt_status orthogonalise(const matrix *m, float *panels, float *scratch, mbt_error *err)
{
    const bool wide = m->rows < m->cols;
    const int n = smaller(m);
    const size_t floats = m->floats, square = (size_t)n * (size_t)n;
    float *x = scratch, *y = x + floats, *p = y + floats;
    float *q = p + square, *t = q + square, *u = t + square;
    const double size = sqrt(mbt_optim_sum_of_squares(panels, floats));
    if (size == 0) {
        return MBT_OK;
    }
    to_rows(m, panels, (float)(1 / size), x);
    mbt_status status =
        wide ? mbt_gemm(MBT_GEMM_AS_IS, MBT_GEMM_TRANSPOSED, n, n, m->cols, 1, x, x, 0, p, err)
             : mbt_gemm(MBT_GEMM_TRANSPOSED, MBT_GEMM_AS_IS, n, n, m->rows, 1, x, x, 0, p, err);
    if (status == MBT_OK) {
        status = powers(n, p, q, t, u, err);
    }
    if (status == MBT_OK) {
        status = mbt_gemm(MBT_GEMM_AS_IS, MBT_GEMM_AS_IS, m->rows, m->cols, n, 1, wide ? q : x,
                          wide ? x : q, 0, y, err);
    }
    to_panels(m, y, panels);
    return status;
}

/* v = momentum v + g; g = u. What others need of the gradient is zero in the sum. */
static void follow(const mbt_muon *muon, const mbt_config *config, const mbt_optim_blocks *blocks)
{
    const float momentum = (float)config->optimizer.momentum;
    for (int i = 0; i < muon->n_matrices; i++) {
        const matrix *m = &muon->matrices[i];
        float *g = blocks->gradient + m->offset, *v = blocks->momentum + m->offset;
        for (size_t k = 0; k < m->floats; k++) {
            v[k] = momentum * v[k] + g[k];
            g[k] = config->optimizer.nesterov ? g[k] + momentum * v[k] : v[k];
        }
    }
}

/* Zero but for this rank's matrices. */
static void leave_out(const mbt_muon *muon, float *gradient)
{
    const mbt_params *params = muon->params;
    for (int i = 0; i < params->n_slices; i++) {
        const mbt_slice *slice = &params->slices[i];
        if (!mbt_optim_is_matrix(slice)) {
            memset(gradient + slice->offset, 0, slice->stored * sizeof *gradient);
        }
    }
    for (int i = 0; i < muon->n_matrices; i++) {
        const matrix *m = &muon->matrices[i];
        if (m->rank != mbt_comm_rank(muon->comm)) {
            memset(gradient + m->offset, 0, m->floats * sizeof *gradient);
        }
    }
}

static void turn(const matrix *m, double rate, const float *o, float *w)
{
    const size_t floats = m->floats;
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

/* The matrices of this rank. */
static mbt_status orthogonalise_all(const mbt_muon *muon, float *gradient, mbt_error *err)
{
    const int rank = mbt_comm_rank(muon->comm);
    mbt_status status = MBT_OK;
#pragma omp parallel for num_threads(muon->n_threads) schedule(dynamic, 1)
    for (int i = 0; i < muon->n_matrices; i++) {
        const matrix *m = &muon->matrices[i];
        float *scratch = muon->scratch + (size_t)omp_get_thread_num() * muon->scratch_floats;
        mbt_error own;
        if (m->rank == rank && orthogonalise(m, gradient + m->offset, scratch, &own) != MBT_OK) {
#pragma omp critical
            {
                status = own.code;
                *err = own;
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
    for (int i = 0; i < muon->n_matrices; i++) {
        const matrix *m = &muon->matrices[i];
        turn(m, lr * config->optimizer.muon_rate, blocks->gradient + m->offset,
             blocks->weights + m->offset);
    }
}
