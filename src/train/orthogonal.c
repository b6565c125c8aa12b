/* Newton-Schulz on the smaller side of a matrix: powers of x x' or x' x, then their product with x.
 */
#include "orthogonal.h"

#include <string.h>

#include "mbt/gemm.h"

enum { STEPS = 5 };
static const float a = 3.4445F, b = -4.7750F, c = 2.0315F;

static int smaller(int rows, int cols)
{
    return rows < cols ? rows : cols;
}

double orthogonal_cost(int rows, int cols)
{
    const double s = smaller(rows, cols), l = rows + cols - s;
    return 2 * s * s * l + (4 * STEPS - 3) * s * s * s;
}

int orthogonal_blocks(int rows, int cols)
{
    return mbt_gemm_blocks(smaller(rows, cols));
}

/* The result, and the four powers of the smaller side. */
size_t orthogonal_scratch(int rows, int cols)
{
    const size_t s = (size_t)smaller(rows, cols);
    return (size_t)rows * (size_t)cols + 4 * s * s;
}

/* Blocks from the costliest, the last of a triangle, dealt out there and back. */
static bool is_mine(const struct crew *who, int block, int blocks)
{
    const int at = blocks - 1 - block, round = at / who->ranks, place = at % who->ranks;
    return who->rank == (round % 2 == 0 ? place : who->ranks - 1 - place);
}

double orthogonal_share(int rows, int cols, int workers)
{
    const int blocks = orthogonal_blocks(rows, cols);
    double all = 0, most = 0;
    for (int w = 0; w < workers && w < blocks; w++) {
        const struct crew one = {.rank = w, .ranks = workers};
        double own = 0;
        for (int block = 0; block < blocks; block++) {
            own += is_mine(&one, block, blocks) ? block + 1 : 0;
        }
        all += own;
        most = own > most ? own : most;
    }
    return most / all;
}

void crew_meet(const struct crew *who)
{
    if (who->share != NULL) {
        mbt_share_publish(who->comm, who->share);
    }
}

/* result = alpha a b + beta onto + diagonal I, as mbt_gemm takes them. Symmetric: n = m. */
typedef struct product {
    mbt_gemm_form a_form, b_form;
    int m, n, k;
    float alpha;
    const float *a, *b;
    float beta;
    const float *onto;
    float diagonal;
    float *result;
} product;

static mbt_status symmetric_block(const product *x, int block, mbt_error *err)
{
    const size_t n = (size_t)x->n, end = (size_t)mbt_gemm_block_at(x->n, block + 1);
    const size_t first = (size_t)mbt_gemm_block_at(x->n, block);
    for (size_t row = first; row < end && x->onto != NULL; row++) {
        memcpy(x->result + row * n, x->onto + row * n, end * sizeof *x->result);
    }
    const mbt_status status = mbt_gemm_symmetric(x->a_form, x->b_form, x->n, x->k, x->alpha, x->a,
                                                 x->b, x->beta, x->result, block, err);
    for (size_t row = first; row < end; row++) {
        x->result[row * n + row] += x->diagonal;
    }
    return status;
}

static mbt_status rows_block(const product *x, int block, mbt_error *err)
{
    const int first = mbt_gemm_block_at(x->m, block), end = mbt_gemm_block_at(x->m, block + 1);
    return mbt_gemm(x->a_form, x->b_form, end - first, x->n, x->k, x->alpha,
                    x->a + (size_t)first * (size_t)x->k, x->b, 0,
                    x->result + (size_t)first * (size_t)x->n, err);
}

typedef mbt_status (*block_fn)(const product *x, int block, mbt_error *err);

/* The crew's part of a product; it is whole once this returns without an error. */
static mbt_status multiply(const struct crew *who, block_fn compute, product x, mbt_error *err)
{
    const int blocks = mbt_gemm_blocks(x.m);
    mbt_status status = MBT_OK;
#pragma omp parallel for num_threads(who->threads) schedule(dynamic, 1)
    for (int block = 0; block < blocks; block++) {
        mbt_error own;
        if (is_mine(who, block, blocks) && compute(&x, block, &own) != MBT_OK) {
#pragma omp critical
            {
                status = own.code;
                *err = own;
            }
        }
    }
    if (status == MBT_OK) {
        crew_meet(who);
    }
    return status;
}

/* *q = the product of the five steps' polynomials of p = x x' (or x' x), which they commute with,
 * in one of four matrices side by side, the first of which is p. All of them are polynomials of one
 * symmetric matrix: so are their products. */
static mbt_status powers(const struct crew *who, int n, float *p, const float **q, mbt_error *err)
{
    const size_t square = (size_t)n * (size_t)n;
    float *all = NULL, *u = p + square, *t = u + square, *spare = t + square;
    mbt_status status = MBT_OK;
    for (int step = 0; step < STEPS && status == MBT_OK; step++) {
        const product polynomial = {.m = n,
                                    .n = n,
                                    .k = n,
                                    .alpha = c,
                                    .a = p,
                                    .b = p,
                                    .beta = b,
                                    .onto = p,
                                    .diagonal = a,
                                    .result = u};
        status = multiply(who, symmetric_block, polynomial, err);
        if (step < STEPS - 1 && status == MBT_OK) { /* p = u p u */
            const product once = {.m = n, .n = n, .k = n, .alpha = 1, .a = u, .b = p, .result = t};
            const product twice = {.m = n, .n = n, .k = n, .alpha = 1, .a = t, .b = u, .result = p};
            status = multiply(who, symmetric_block, once, err);
            status = status == MBT_OK ? multiply(who, symmetric_block, twice, err) : status;
        }
        if (step == 0) {
            all = u;
            u = spare;
        } else if (status == MBT_OK) {
            const product next = {
                .m = n, .n = n, .k = n, .alpha = 1, .a = u, .b = all, .result = t};
            status = multiply(who, symmetric_block, next, err);
            float *free_now = all;
            all = t;
            t = free_now;
        }
    }
    *q = all;
    return status;
}

mbt_status orthogonalise(const struct crew *who, int rows, int cols, const float *x, float *scratch,
                         float **y, mbt_error *err)
{
    const int n = smaller(rows, cols);
    const bool wide = rows < cols;
    float *p = scratch + (size_t)rows * (size_t)cols;
    const float *q = NULL;
    *y = scratch;
    const product first = {.a_form = wide ? MBT_GEMM_AS_IS : MBT_GEMM_TRANSPOSED,
                           .b_form = wide ? MBT_GEMM_TRANSPOSED : MBT_GEMM_AS_IS,
                           .m = n,
                           .n = n,
                           .k = wide ? cols : rows,
                           .alpha = 1,
                           .a = x,
                           .b = x,
                           .result = p};
    mbt_status status = multiply(who, symmetric_block, first, err);
    if (status == MBT_OK) {
        status = powers(who, n, p, &q, err);
    }
    if (status == MBT_OK) {
        const product last = {.m = rows,
                              .n = cols,
                              .k = n,
                              .alpha = 1,
                              .a = wide ? q : x,
                              .b = wide ? x : q,
                              .result = *y};
        status = multiply(who, rows_block, last, err);
    }
    return status;
}
