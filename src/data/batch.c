/* The thread that makes a group while the rank computes another one. */
#include "mbt/batch.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/signals.h"

/* Who may touch the group: the rank in IDLE and READY, the thread in ASKED. */
enum state { IDLE, ASKED, READY, ENDING };

struct mbt_batch {
    mbt_augment augment;
    mbt_loader *loader; /* the thread's */
    size_t values;      /* of an image */
    int room;           /* samples */
    float *x;           /* [room][C][H][W] */
    int32_t *labels;    /* [room] */
    uint32_t *ids;      /* [room] */
    const mbt_split *split;
    int64_t epoch;
    int n;
    mbt_status status;
    mbt_error err;
    enum state state;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    bool started;
};

static void set_state(mbt_batch *batch, enum state state)
{
    (void)pthread_mutex_lock(&batch->mutex);
    batch->state = state;
    (void)pthread_cond_broadcast(&batch->changed);
    (void)pthread_mutex_unlock(&batch->mutex);
}

/* Waits until the state is another one, and returns that. */
static enum state leave_state(mbt_batch *batch, enum state state)
{
    (void)pthread_mutex_lock(&batch->mutex);
    while (batch->state == state) {
        (void)pthread_cond_wait(&batch->changed, &batch->mutex);
    }
    state = batch->state;
    (void)pthread_mutex_unlock(&batch->mutex);
    return state;
}

static void *work(void *context)
{
    mbt_batch *batch = context;
    enum state seen = IDLE;
    for (;;) {
        seen = leave_state(batch, seen);
        if (seen == ENDING) {
            return NULL;
        }
        if (seen == ASKED) {
            batch->status =
                mbt_augment_group(&batch->augment, batch->loader, batch->split, batch->epoch,
                                  batch->ids, batch->n, batch->x, batch->labels, &batch->err);
            set_state(batch, READY);
            seen = READY;
        }
    }
}

static mbt_status start_thread(mbt_batch *batch, mbt_error *err)
{
    const int failed = mbt_signals_start_thread(&batch->thread, work, batch);
    batch->started = failed == 0;
    return failed == 0 ? MBT_OK
                       : mbt_fail(err, MBT_FAILURE, "loading images: cannot start a thread: %s",
                                  strerror(failed));
}

mbt_status mbt_batch_create(const mbt_dataset *dataset, const mbt_augment *augment, int group,
                            mbt_batch **batch, mbt_error *err)
{
    mbt_batch *made = calloc(1, sizeof *made);
    *batch = NULL;
    if (made == NULL) {
        return mbt_fail(err, MBT_FAILURE, "loading images: out of memory");
    }
    (void)pthread_mutex_init(&made->mutex, NULL);
    (void)pthread_cond_init(&made->changed, NULL);
    made->augment = *augment;
    made->room = group;
    made->values = (size_t)augment->channels * (size_t)augment->height * (size_t)augment->width;
    made->x = calloc((size_t)group * made->values, sizeof *made->x);
    made->labels = calloc((size_t)group, sizeof *made->labels);
    made->ids = calloc((size_t)group, sizeof *made->ids);
    mbt_status status = made->x != NULL && made->labels != NULL && made->ids != NULL
                            ? mbt_loader_create(dataset, augment, &made->loader, err)
                            : mbt_fail(err, MBT_FAILURE, "loading images: out of memory");
    if (status == MBT_OK) {
        memset(made->x, 0, (size_t)group * made->values * sizeof *made->x); /* touched now */
        status = start_thread(made, err);
    }
    if (status != MBT_OK) {
        mbt_batch_destroy(made);
        return status;
    }
    *batch = made;
    return MBT_OK;
}

void mbt_batch_destroy(mbt_batch *batch)
{
    if (batch == NULL) {
        return;
    }
    if (batch->started) {
        (void)leave_state(batch, ASKED);
        set_state(batch, ENDING);
        (void)pthread_join(batch->thread, NULL);
    }
    (void)pthread_cond_destroy(&batch->changed);
    (void)pthread_mutex_destroy(&batch->mutex);
    mbt_loader_destroy(batch->loader);
    free(batch->x);
    free(batch->labels);
    free(batch->ids);
    free(batch);
}

size_t mbt_batch_bytes(const mbt_batch *batch)
{
    return batch == NULL ? 0
                         : mbt_loader_bytes(batch->loader) +
                               (size_t)batch->room * (batch->values * sizeof *batch->x +
                                                      sizeof *batch->labels + sizeof *batch->ids);
}

void mbt_batch_request(mbt_batch *batch, const mbt_split *split, int64_t epoch, const uint32_t *ids,
                       int n)
{
    assert(n > 0 && n <= batch->room);
    (void)leave_state(batch, ASKED);
    memcpy(batch->ids, ids, (size_t)n * sizeof *ids);
    batch->split = split;
    batch->epoch = epoch;
    batch->n = n;
    set_state(batch, ASKED);
}

mbt_status mbt_batch_take(mbt_batch *batch, const mbt_split *split, int64_t epoch,
                          const uint32_t *ids, int n, float *x, int32_t *labels, bool *taken,
                          mbt_error *err)
{
    *taken = leave_state(batch, ASKED) == READY && batch->split == split && batch->epoch == epoch &&
             batch->n == n && memcmp(batch->ids, ids, (size_t)n * sizeof *ids) == 0;
    if (!*taken) {
        return MBT_OK;
    }
    set_state(batch, IDLE);
    if (batch->status != MBT_OK) {
        *err = batch->err;
        return batch->status;
    }
    memcpy(x, batch->x, (size_t)n * batch->values * sizeof *x);
    memcpy(labels, batch->labels, (size_t)n * sizeof *labels);
    return MBT_OK;
}
