/* Gradients of groups become sums over workers and ranks, bucket by bucket, while the backward pass
 * runs. */
#include "mbt/bucket.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "mbt/bf16.h"
#include "mbt/team.h"

/* Floats of a bucket: large enough to be worth a message, small enough that the first sums start
 * early in the backward pass. */
enum { BUCKET_FLOATS = 1 << 18 };

struct range {
    size_t first, count;
    mbt_request *request;
};

/* Sums of the groups of one worker. */
struct part {
    mbt_bucket *bucket;
    const mbt_plan *plan;
    int64_t *integers; /* exact: of the whole block */
    float *floats;     /* fp32 and bf16 */
    void *own;         /* memory of either; NULL: the bucket's */
    int n_mine, done;  /* groups of this worker in the step, and how many are complete */
    size_t written;    /* floats of the running group that are there */
    bool good;
    atomic_size_t complete; /* floats to which nothing more is added in this step */
};

struct mbt_bucket {
    mbt_comm *comm;
    mbt_plan *plan; /* gets the batch's gradient */
    mbt_reduce reduce;
    struct part *parts; /* of the workers; the first becomes the rank's sum, then the batch's */
    int n_parts;
    mbt_sum_memory memory; /* of the first part */
    uint16_t *halves;      /* bf16: what travels */
    struct range *ranges;
    int n_ranges;
    int next;      /* range whose sum starts next */
    int64_t limit; /* 2^62 / k */
};

/* Cuts the block at segment ends, at least BUCKET_FLOATS a piece, and in a very large network so
 * many more that no more than MBT_COMM_SUMS_MAX come of it. */
static mbt_status make_ranges(mbt_bucket *b, mbt_error *err)
{
    const mbt_plan *plan = b->plan;
    b->ranges = calloc((size_t)plan->n_segments, sizeof *b->ranges);
    if (b->ranges == NULL) {
        return mbt_fail(err, MBT_FAILURE, "gradient buckets: out of memory");
    }
    const size_t share = plan->params.n_floats / (MBT_COMM_SUMS_MAX - 1) + 1;
    const size_t least = share > BUCKET_FLOATS ? share : BUCKET_FLOATS;
    size_t first = 0;
    for (int i = plan->n_segments - 1; i >= 0; i--) {
        const size_t end = plan->segments[i].grad_first + plan->segments[i].grad_count;
        if (end - first >= least || end == plan->params.n_floats) {
            if (end > first) {
                b->ranges[b->n_ranges++] = (struct range){first, end - first, NULL};
            }
            first = end;
        }
    }
    return MBT_OK;
}

/* Bytes of the sums of the whole block. */
static size_t sums_bytes(const mbt_bucket *b)
{
    return b->plan->params.n_floats *
           (b->reduce == MBT_REDUCE_EXACT ? sizeof(int64_t) : sizeof(float));
}

static mbt_status make_parts(mbt_bucket *b, const mbt_setup *setup, mbt_error *err)
{
    const size_t n = b->plan->params.n_floats, bytes = sums_bytes(b);
    const bool exact = b->reduce == MBT_REDUCE_EXACT;
    b->parts = calloc((size_t)setup->n_workers, sizeof *b->parts);
    bool whole = b->parts != NULL;
    for (int w = 0; w < setup->n_workers && whole; w++) {
        struct part *part = &b->parts[b->n_parts++];
        void *sums =
            w == 0 && b->memory.data != NULL ? b->memory.data : (part->own = calloc(1, bytes));
        part->bucket = b;
        part->plan = setup->workers[w].plan;
        part->integers = exact ? sums : NULL;
        part->floats = exact ? NULL : sums;
        whole = sums != NULL;
    }
    if (b->reduce == MBT_REDUCE_BF16) {
        b->halves = calloc(n, sizeof *b->halves);
        whole = whole && b->halves != NULL;
    }
    return whole ? MBT_OK
                 : mbt_fail(err, MBT_FAILURE, "gradient sums: no memory for %zu values", n);
}

bool mbt_bucket_shares(const mbt_setup *setup)
{
    return setup->config.train.reduce != MBT_REDUCE_BF16 && mbt_comm_shares_sums(setup->comm);
}

mbt_status mbt_bucket_create(const mbt_setup *setup, mbt_bucket **bucket, mbt_error *err)
{
    mbt_bucket *b = calloc(1, sizeof *b);
    mbt_status status =
        b != NULL ? MBT_OK : mbt_fail(err, MBT_FAILURE, "gradient buckets: out of memory");
    status = mbt_comm_agree(setup->comm, status, err);
    if (status != MBT_OK) {
        free(b);
        return status;
    }
    b->comm = setup->comm;
    b->plan = setup->plan;
    b->reduce = setup->config.train.reduce;
    if (mbt_bucket_shares(setup)) {
        status = mbt_sum_memory_create(b->comm, sums_bytes(b), &b->memory, err);
        if (status == MBT_OK && b->memory.share.data == NULL) {
            mbt_log_root(setup->log, MBT_LOG_WARN,
                         "/dev/shm has no room for %d times %zu MiB of gradient sums: they go by "
                         "messages, slower, and with train.reduce fp32 in another order",
                         mbt_comm_size(b->comm), (sums_bytes(b) >> 20) + 1);
        }
    }
    if (status == MBT_OK) {
        status = make_ranges(b, err);
    }
    if (status == MBT_OK) {
        status = make_parts(b, setup, err);
    }
    status = mbt_comm_agree(b->comm, status, err);
    if (status != MBT_OK) {
        mbt_bucket_destroy(b);
        return status;
    }
    *bucket = b;
    return MBT_OK;
}

void mbt_bucket_destroy(mbt_bucket *b)
{
    if (b != NULL) {
        for (int w = 0; w < b->n_parts; w++) {
            free(b->parts[w].own);
        }
        mbt_sum_memory_destroy(b->comm, &b->memory);
        free(b->parts);
        free(b->halves);
        free(b->ranges);
        free(b);
    }
}

int mbt_bucket_count(const mbt_bucket *b)
{
    return b->n_ranges;
}

void mbt_bucket_range(const mbt_bucket *b, int index, size_t *first, size_t *count)
{
    *first = b->ranges[index].first;
    *count = b->ranges[index].count;
}

/* The other workers' sums of a range to those of the first. */
static void merge(mbt_bucket *b, const struct range *r)
{
    int64_t *integers = b->parts[0].integers;
    float *floats = b->parts[0].floats;
    for (int w = 1; w < b->n_parts && b->parts[w].n_mine > 0; w++) {
        const struct part *other = &b->parts[w];
        for (size_t i = r->first; i < r->first + r->count; i++) {
            if (integers != NULL) {
                integers[i] += other->integers[i];
            } else {
                floats[i] += other->floats[i];
            }
        }
    }
}

static void start(mbt_bucket *b, struct range *r)
{
    const struct part *sum = &b->parts[0];
    switch (b->reduce) {
    case MBT_REDUCE_EXACT:
        r->request = mbt_comm_start_sum(b->comm, MBT_COMM_I64, sum->integers + r->first, r->count);
        break;
    case MBT_REDUCE_FP32:
        r->request = mbt_comm_start_sum(b->comm, MBT_COMM_F32, sum->floats + r->first, r->count);
        break;
    case MBT_REDUCE_BF16:
        mbt_bf16_pack(sum->floats + r->first, r->count, b->halves + r->first);
        r->request = mbt_comm_start_sum(b->comm, MBT_COMM_BF16, b->halves + r->first, r->count);
        break;
    }
}

/* Starts the sums of all ranges that every worker has completed. */
static void start_complete(mbt_bucket *b)
{
    size_t end = b->plan->params.n_floats;
    for (int w = 0; w < b->n_parts; w++) {
        const size_t complete = atomic_load(&b->parts[w].complete);
        end = complete < end ? complete : end;
    }
    while (b->next < b->n_ranges && b->ranges[b->next].first + b->ranges[b->next].count <= end) {
        merge(b, &b->ranges[b->next]);
        start(b, &b->ranges[b->next++]);
    }
}

static void poll_started(mbt_bucket *b)
{
    for (int i = 0; i < b->next; i++) {
        (void)mbt_comm_poll(b->ranges[i].request);
    }
}

void mbt_bucket_begin(mbt_bucket *b, int k, int n_mine)
{
    const size_t n = b->plan->params.n_floats;
    b->next = 0;
    b->limit = ((int64_t)1 << 62) / k;
    for (int w = 0; w < b->n_parts; w++) {
        struct part *part = &b->parts[w];
        part->n_mine = mbt_team_groups(b->n_parts, n_mine, w);
        part->done = 0;
        part->written = 0;
        part->good = true;
        atomic_store(&part->complete, part->n_mine > 0 ? 0 : n);
    }
    if (n_mine == 0) {
        for (size_t i = 0; i < n; i++) {
            if (b->reduce == MBT_REDUCE_EXACT) {
                b->parts[0].integers[i] = 0;
            } else {
                b->parts[0].floats[i] = 0;
            }
        }
        start_complete(b);
    }
}

void *mbt_bucket_part(mbt_bucket *b, int worker)
{
    return &b->parts[worker];
}

static bool add_floats(const float *x, size_t count, bool add, float *sum)
{
    float worst = 0;
    for (size_t i = 0; i < count; i++) {
        sum[i] = add ? sum[i] + x[i] : x[i];
        worst += 0 * sum[i]; /* NaN as soon as one value is not finite */
    }
    return worst == 0;
}

void mbt_bucket_add(void *context, size_t first, size_t count)
{
    struct part *part = context;
    mbt_bucket *b = part->bucket;
    const bool leads = part == b->parts;
    if (count > 0) {
        const float *x = part->plan->gradient + first;
        const bool add = part->done > 0;
        const bool good = b->reduce == MBT_REDUCE_EXACT
                              ? part->plan->k_quantise->run.quantise(x, count, b->limit, add,
                                                                     part->integers + first)
                              : add_floats(x, count, add, part->floats + first);
        part->good = part->good && good;
        part->written = first + count;
        if (part->done == part->n_mine - 1) {
            atomic_store(&part->complete, part->written);
        }
        if (part->written == part->plan->params.n_floats) {
            part->done++;
            part->written = 0;
        }
    }
    if (leads) {
        start_complete(b);
        poll_started(b);
    }
}

bool mbt_bucket_finish(mbt_bucket *b)
{
    float *to = b->plan->gradient;
    const struct part *sum = &b->parts[0];
    const double unit = 1.0 / 1099511627776.0; /* 2^-40 */
    bool good = true;
    start_complete(b);
    for (int w = 0; w < b->n_parts; w++) {
        good = good && b->parts[w].good;
    }
    for (int i = 0; i < b->n_ranges; i++) {
        struct range *r = &b->ranges[i];
        mbt_comm_finish(r->request);
        r->request = NULL;
        if (b->halves != NULL) {
            mbt_bf16_unpack(b->halves + r->first, r->count, sum->floats + r->first);
        }
        for (size_t j = r->first; j < r->first + r->count; j++) {
            to[j] =
                sum->integers != NULL ? (float)((double)sum->integers[j] * unit) : sum->floats[j];
        }
    }
    return good;
}
