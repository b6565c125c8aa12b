/* Muon: momentum everywhere, the costliest matrices made orthogonal by the ranks of a node
 * together, then those of this rank, the sum over ranks, the step. */
#include "mbt/muon.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/arena.h"
#include "mbt/available.h"
#include "orthogonal.h"

/* A section of a convolution's weights, with a matrix for each of its groups: inputs and taps by
 * outputs. Stored as panels [outputs/block][inputs and taps][block] of the whole section. */
typedef struct section {
    size_t offset, floats; /* in the flat block; floats may have zeros behind the panels */
    int groups, inputs, taps, outputs; /* inputs and outputs: of a group */
    int stored_inputs, block;
    bool image;    /* MBT_FORM_IMAGE: taps before inputs */
    bool together; /* the ranks of each node compute it, block by block */
    int rank; /* that computes it, or keeps what all have computed: zero, the first of its node */
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
    mbt_share share; /* scratch of what is computed together; zeroed when nothing is */
    size_t share_floats;
};

static int rows_of(const section *m)
{
    return m->inputs * m->taps;
}

static size_t group_floats(const section *m)
{
    return (size_t)rows_of(m) * (size_t)m->outputs;
}

/* Multiply-adds, about. */
static double cost_of(const section *m)
{
    return m->groups * orthogonal_cost(rows_of(m), m->outputs);
}

/* A group's matrix, row-major, and what is needed with it. */
static size_t scratch_of(const section *m)
{
    return group_floats(m) + orthogonal_scratch(rows_of(m), m->outputs);
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

/* The first n sections together, the others each to the rank that has least: returns multiply-adds
 * one after another, about. */
static double deal(mbt_muon *muon, int n, int ranks, double *load)
{
    const int node_ranks = ranks / mbt_comm_n_nodes(muon->comm);
    double together = 0, apart = 0;
    memset(load, 0, (size_t)ranks * sizeof *load);
    for (int i = 0; i < muon->n_sections; i++) {
        section *m = &muon->sections[i];
        const double cost = cost_of(m);
        m->together = i < n;
        m->rank = 0;
        if (m->together) {
            together +=
                cost * orthogonal_share(rows_of(m), m->outputs, node_ranks * muon->n_threads);
            continue;
        }
        for (int r = 1; r < ranks; r++) {
            m->rank = load[r] < load[m->rank] ? r : m->rank;
        }
        load[m->rank] += cost;
        apart = fmax(apart, fmax(cost, load[m->rank] / muon->n_threads));
    }
    return together + apart;
}

/* The costliest first: together as many of them as makes the step shortest. */
static void share_out(mbt_muon *muon, int ranks, double *load)
{
    int best = 0;
    qsort(muon->sections, (size_t)muon->n_sections, sizeof *muon->sections, by_cost);
    double shortest = deal(muon, 0, ranks, load);
    for (int n = 1; n <= muon->n_sections; n++) {
        const section *last = &muon->sections[n - 1];
        if (orthogonal_blocks(rows_of(last), last->outputs) == 1) {
            break;
        }
        const double length = deal(muon, n, ranks, load);
        best = length < shortest ? n : best;
        shortest = fmin(length, shortest);
    }
    (void)deal(muon, best, ranks, load);
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
    share_out(muon, ranks, load);
    free(load);
    for (int i = 0; i < muon->n_sections; i++) {
        const section *m = &muon->sections[i];
        const size_t turned = m->groups > 1 ? 2 * group_floats(m) : 0;
        const bool own = m->rank == mbt_comm_rank(comm) && !m->together;
        const size_t floats = own ? scratch_of(m) : turned,
                     shared = m->together ? scratch_of(m) : 0;
        muon->scratch_floats = floats > muon->scratch_floats ? floats : muon->scratch_floats;
        muon->share_floats = shared > muon->share_floats ? shared : muon->share_floats;
    }
    muon->scratch_floats = mbt_arena_round(muon->scratch_floats * sizeof(float)) / sizeof(float);
    return MBT_OK;
}

static size_t scratch_bytes(const mbt_muon *muon)
{
    return (size_t)muon->n_threads * muon->scratch_floats * sizeof(float);
}

static size_t share_bytes(const mbt_muon *muon)
{
    return muon->share_floats * sizeof(float);
}

/* The arena of what a thread computes by itself, and whether there is memory for what is computed
 * together, which is touched as soon as it is made: nothing may want for memory in a step. */
static mbt_status make_scratch(mbt_muon *muon, mbt_error *err)
{
    mbt_status status = mbt_arena_create(scratch_bytes(muon), &muon->arena, err);
    if (status == MBT_OK) {
        muon->scratch = mbt_arena_take(muon->arena, scratch_bytes(muon));
    }
    if (status == MBT_OK && mbt_comm_node_rank(muon->comm) == 0) {
        status = mbt_available_check(share_bytes(muon), err);
    }
    return status;
}

static mbt_status make_share(mbt_muon *muon, mbt_log *log, mbt_error *err)
{
    const size_t bytes = share_bytes(muon);
    if (bytes == 0) {
        return MBT_OK;
    }
    const mbt_status status = mbt_share_create(muon->comm, bytes, &muon->share, err);
    if (status == MBT_OK && !muon->share.shared) {
        mbt_log_root(log, MBT_LOG_WARN,
                     "/dev/shm has no room for %zu MiB of the optimizer's matrices: every rank "
                     "computes the largest by itself",
                     (bytes >> 20) + 1);
    }
    if (status == MBT_OK && muon->share.writer) {
        memset(muon->share.data, 0, bytes);
    }
    return status;
}

mbt_status mbt_muon_create(const mbt_params *params, mbt_comm *comm, int threads, mbt_log *log,
                           mbt_muon **muon, mbt_error *err)
{
    *muon = malloc(sizeof **muon);
    mbt_status status = MBT_FAILURE;
    if (*muon == NULL) {
        (void)mbt_fail(err, MBT_FAILURE, "optimizer muon: out of memory");
    } else {
        status = prepare(params, comm, threads, *muon, err);
    }
    if (status == MBT_OK) {
        status = make_scratch(*muon, err);
    }
    status = mbt_comm_agree(comm, status, err);
    return status == MBT_OK ? make_share(*muon, log, err) : status;
}

void mbt_muon_destroy(mbt_muon *muon)
{
    if (muon != NULL) {
        mbt_share_destroy(muon->comm, &muon->share);
        free(muon->sections);
        mbt_arena_destroy(muon->arena);
        free(muon);
    }
}

size_t mbt_muon_bytes(const mbt_params *params, mbt_comm *comm, int threads)
{
    mbt_muon muon;
    mbt_error ignored;
    size_t bytes = 0;
    if (prepare(params, comm, threads, &muon, &ignored) == MBT_OK) {
        bytes = scratch_bytes(&muon) + (mbt_comm_node_size(comm) == 1 ? share_bytes(&muon) : 0);
    }
    free(muon.sections);
    return bytes;
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

/* The group's matrix by its size. Nothing, or what momentum leaves of it, is made zero: 1 / size is
 * no float then, and nothing comes of it. */
static void take_group(const section *m, int group, float *panels, float *x)
{
    const size_t floats = group_floats(m);
    copy_group(m, group, panels, x, false);
    const double size = sqrt(mbt_optim_sum_of_squares(x, floats));
    const float scale = size < FLT_MIN ? 0 : (float)(1 / size);
    for (size_t i = 0; i < floats; i++) {
        x[i] *= scale;
    }
}

/* In place, in the memory of the one who keeps it. */
static mbt_status turn_orthogonal(const struct crew *who, const section *m, int group,
                                  float *panels, float *scratch, bool keep, mbt_error *err)
{
    float *x = scratch, *y = NULL;
    if (who->rank == 0) {
        take_group(m, group, panels, x);
    }
    crew_meet(who);
    const mbt_status status =
        orthogonalise(who, rows_of(m), m->outputs, x, x + group_floats(m), &y, err);
    if (status == MBT_OK && keep) {
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

/* What the ranks of a node compute together. Without shared memory each of them computes all of it.
 */
static mbt_status orthogonalise_together(mbt_muon *muon, float *gradient, mbt_error *err)
{
    mbt_comm *comm = muon->comm;
    const bool shared = muon->share.shared;
    const bool alone = !shared || mbt_comm_size(comm) == mbt_comm_n_nodes(comm);
    const struct crew node = {.rank = shared ? mbt_comm_node_rank(comm) : 0,
                              .ranks = shared ? mbt_comm_node_size(comm) : 1,
                              .threads = muon->n_threads,
                              .comm = comm,
                              .share = alone ? NULL : &muon->share};
    mbt_status status = MBT_OK;
    for (int i = 0; i < muon->n_sections; i++) {
        const section *m = &muon->sections[i];
        for (int g = 0; m->together && g < m->groups && status == MBT_OK; g++) {
            status = turn_orthogonal(&node, m, g, gradient + m->offset, muon->share.data,
                                     m->rank == mbt_comm_rank(comm), err);
        }
    }
    return status;
}

/* The sections of this rank. */
static mbt_status orthogonalise_own(const mbt_muon *muon, float *gradient, mbt_error *err)
{
    static const struct crew alone = {.ranks = 1, .threads = 1};
    const int rank = mbt_comm_rank(muon->comm);
    mbt_status status = MBT_OK;
#pragma omp parallel for num_threads(muon->n_threads) schedule(dynamic, 1)
    for (int i = 0; i < muon->n_sections; i++) {
        const section *m = &muon->sections[i];
        float *scratch = muon->scratch + (size_t)omp_get_thread_num() * muon->scratch_floats;
        for (int g = 0; m->rank == rank && !m->together && g < m->groups; g++) {
            mbt_error own;
            if (turn_orthogonal(&alone, m, g, gradient + m->offset, scratch, true, &own) !=
                MBT_OK) {
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
    mbt_status status = orthogonalise_together(muon, blocks->gradient, &err);
    if (ranks > 1) {
        leave_out(muon, blocks->gradient);
    }
    if (status == MBT_OK) {
        status = orthogonalise_own(muon, blocks->gradient, &err);
    }
    if (status != MBT_OK) {
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
