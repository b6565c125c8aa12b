/* Gradients of groups become sums over ranks, bucket by bucket, while the backward pass runs. */
#include "mbt/bucket.h"

#include <math.h>
#include <stdlib.h>

#include "mbt/bf16.h"

/* Floats of a bucket: large enough to be worth a message, small enough that the first sums start
 * early in the backward pass. */
enum { BUCKET_FLOATS = 1 << 18 };

struct range {
    size_t first, count;
    mbt_request *request;
};

struct mbt_bucket {
    mbt_comm *comm;
    mbt_plan *plan;
    mbt_reduce reduce;
    int64_t *integers; /* exact: sums of the whole block */
    float *floats;     /* fp32 and bf16 */
    uint16_t *halves;  /* bf16: what travels */
    struct range *ranges;
    int n_ranges;

    int n_mine, done; /* groups of this rank in the step, and how many are complete */
    size_t written;   /* floats of the running group that are there */
    int next;         /* range whose sum starts next */
    int64_t limit;    /* 2^62 / k */
    bool good;
};

/* Cuts the block at segment ends, at least BUCKET_FLOATS a piece. */
static mbt_status make_ranges(mbt_bucket *b, mbt_error *err)
{
    const mbt_plan *plan = b->plan;
    b->ranges = calloc((size_t)plan->n_segments, sizeof *b->ranges);
    if (b->ranges == NULL) {
        return mbt_fail(err, MBT_FAILURE, "gradient buckets: out of memory");
    }
    size_t first = 0;
    for (int i = plan->n_segments - 1; i >= 0; i--) {
        const size_t end = plan->segments[i].grad_first + plan->segments[i].grad_count;
        if (end - first >= BUCKET_FLOATS || end == plan->params.n_floats) {
            if (end > first) {
                b->ranges[b->n_ranges++] = (struct range){first, end - first, NULL};
            }
            first = end;
        }
    }
    return MBT_OK;
}

mbt_status mbt_bucket_create(mbt_comm *comm, mbt_plan *plan, mbt_reduce reduce, mbt_bucket **bucket,
                             mbt_error *err)
{
    mbt_bucket *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return mbt_fail(err, MBT_FAILURE, "gradient buckets: out of memory");
    }
    b->comm = comm;
    b->plan = plan;
    b->reduce = reduce;
    const size_t n = plan->params.n_floats;
    mbt_status status = make_ranges(b, err);
    if (status == MBT_OK) {
        if (reduce == MBT_REDUCE_EXACT) {
            b->integers = calloc(n, sizeof *b->integers);
        } else {
            b->floats = calloc(n, sizeof *b->floats);
        }
        if (b->reduce == MBT_REDUCE_BF16) {
            b->halves = calloc(n, sizeof *b->halves);
        }
        if ((b->integers == NULL && b->floats == NULL) ||
            (b->reduce == MBT_REDUCE_BF16 && b->halves == NULL)) {
            status = mbt_fail(err, MBT_FAILURE, "gradient sums: no memory for %zu values", n);
        }
    }
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
        free(b->integers);
        free(b->floats);
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

static void start(mbt_bucket *b, struct range *r)
{
    switch (b->reduce) {
    case MBT_REDUCE_EXACT:
        r->request = mbt_comm_start_sum(b->comm, MBT_COMM_I64, b->integers + r->first, r->count);
        break;
    case MBT_REDUCE_FP32:
        r->request = mbt_comm_start_sum(b->comm, MBT_COMM_F32, b->floats + r->first, r->count);
        break;
    case MBT_REDUCE_BF16:
        mbt_bf16_pack(b->floats + r->first, r->count, b->halves + r->first);
        r->request = mbt_comm_start_sum(b->comm, MBT_COMM_BF16, b->halves + r->first, r->count);
        break;
    }
}

/* Starts the sums of all ranges that end at or before `end`. */
static void start_until(mbt_bucket *b, size_t end)
{
    while (b->next < b->n_ranges && b->ranges[b->next].first + b->ranges[b->next].count <= end) {
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
    b->n_mine = n_mine;
    b->done = 0;
    b->written = 0;
    b->next = 0;
    b->limit = ((int64_t)1 << 62) / k;
    b->good = true;
    if (n_mine == 0) {
        const size_t n = b->plan->params.n_floats;
        for (size_t i = 0; i < n; i++) {
            if (b->integers != NULL) {
                b->integers[i] = 0;
            } else {
                b->floats[i] = 0;
            }
        }
        start_until(b, n);
    }
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
    mbt_bucket *b = context;
    if (count == 0) {
        poll_started(b);
        return;
    }
    const float *x = b->plan->gradient + first;
    const bool add = b->done > 0;
    const bool good =
        b->reduce == MBT_REDUCE_EXACT
            ? b->plan->k_quantise->run.quantise(x, count, b->limit, add, b->integers + first)
            : add_floats(x, count, add, b->floats + first);
    b->good = b->good && good;
    b->written = first + count;
    if (b->done == b->n_mine - 1) {
        start_until(b, b->written);
    }
    if (b->written == b->plan->params.n_floats) {
        b->done++;
        b->written = 0;
    }
}

bool mbt_bucket_finish(mbt_bucket *b)
{
    float *to = b->plan->gradient;
    const double unit = 1.0 / 1099511627776.0; /* 2^-40 */
    for (int i = 0; i < b->n_ranges; i++) {
        struct range *r = &b->ranges[i];
        mbt_comm_finish(r->request);
        r->request = NULL;
        if (b->halves != NULL) {
            mbt_bf16_unpack(b->halves + r->first, r->count, b->floats + r->first);
        }
        for (size_t j = r->first; j < r->first + r->count; j++) {
            to[j] = b->integers != NULL ? (float)((double)b->integers[j] * unit) : b->floats[j];
        }
    }
    return b->good;
}
